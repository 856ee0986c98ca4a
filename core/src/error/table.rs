use std::fmt;

use super::{ErrorEntry, Retry, Side};

/// Declares the codes and their rows together, so that neither can be without the other.
macro_rules! error_table {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $side:ident, $retry:ident, $message:literal, $remedy:literal;)+) => {
        /// The stable code of a failure.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $message] $(#[$doc])* $variant,)+
        }

        /// Every failure of the SDK, in the order of [`ErrorCode`].
        pub const TABLE: &[ErrorEntry] = &[
            $(ErrorEntry {
                code: ErrorCode::$variant,
                name: $name,
                side: Side::$side,
                retry: Retry::$retry,
                message: $message,
                remedy: $remedy,
            },)+
        ];

        impl ErrorCode {
            /// The code's row.
            pub const fn entry(self) -> &'static ErrorEntry {
                match self {
                    $(Self::$variant => const {
                        &ErrorEntry {
                            code: ErrorCode::$variant,
                            name: $name,
                            side: Side::$side,
                            retry: Retry::$retry,
                            message: $message,
                            remedy: $remedy,
                        }
                    },)+
                }
            }

            /// The code for its spelling; `None` for a spelling this version does not know.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

error_table! {
    // What a lock says in its verdict (docs/PROTOCOL.md section 17), and the service where it knows the same.
    NotYetValid = "not-yet-valid", Member, No,
        "The access begins later.",
        "Wait until the access begins, or ask the operator for an earlier start.";
    Expired = "expired", Member, No,
        "The key has expired.",
        "Connect to the internet so that the key is renewed, then press again.";
    Revoked = "revoked", Operator, No,
        "The key has been revoked.",
        "Ask the operator of the site.";
    OutsideSchedule = "outside-schedule", Member, No,
        "The door is outside its hours for this member.",
        "Come back within the hours shown, or ask the operator for other hours.";
    WrongLock = "wrong-lock", Member, No,
        "The key is for another site or another lock.",
        "Stand at the door that was chosen, or choose the door in front of you.";
    NoPermission = "no-permission", Operator, No,
        "The member may not open this door.",
        "Ask the operator for an access group that has this door.";
    UseLimit = "use-limit", Operator, No,
        "The key has been used as often as it may be.",
        "Ask the operator for more uses.";
    ClockUnknown = "clock-unknown", Lock, Yes,
        "The lock does not know the time.",
        "Connect to the internet and press again; the phone brings the time to the lock.";
    LockedDown = "locked-down", Operator, No,
        "The site or the door is locked down.",
        "Follow the site's instructions; the operator ends the lock-down.";
    Privacy = "privacy", Member, No,
        "The door is locked from inside.",
        "Knock, or wait until the privacy function is off.";
    Hardware = "hardware", Lock, No,
        "The lock has a fault.",
        "Pull or push the door to free the bolt and press again; if it stays, tell the operator.";
    Busy = "busy", Lock, Yes,
        "The lock is busy with somebody else.",
        "Wait two seconds and press again.";
    KeyUnknown = "key-unknown", Phone, Yes,
        "The lock was shown no key.",
        "Connect to the internet so that the key is downloaded again, then press again.";
    UserAuthRequired = "user-auth-required", Member, Yes,
        "The door wants the phone unlocked first.",
        "Unlock the phone with face, finger or code, then press again.";
    NotTrusted = "not-trusted", Operator, No,
        "The lock does not trust the issuer of the key.",
        "Tell the operator that the lock has to be set up again.";
    StaleDocument = "stale-document", Member, No,
        "The key is older than the lock accepts.",
        "Connect to the internet so that the key is renewed, then press again.";
    BadData = "bad-data", Keybutton, No,
        "The lock could not read the key.",
        "Update the app; if it stays, send the support file.";
    LockRefused = "lock-refused", Lock, No,
        "The lock refused and gave no reason this app knows.",
        "Update the app; if it stays, ask the operator.";
    Policy = "policy", Operator, No,
        "The lock does not allow this action or this way of opening.",
        "Tap instead of pressing, or ask the operator what the door allows.";

    // What only the access service decides.
    PrimaryDeviceOnly = "primary-device-only", Member, No,
        "Only the member's primary phone opens this door.",
        "Use the primary phone, or make this one the primary phone.";
    TapOnly = "tap-only", Member, No,
        "This door opens by tap only.",
        "Hold the phone to the lock.";
    Geofence = "geofence", Member, No,
        "The phone is too far from the site, or its place is unknown.",
        "Go to the site, allow the app to use the location, and press again.";
    ProximityRequired = "proximity-required", Member, No,
        "The phone has to be at the lock.",
        "Go to the lock and press again.";
    ModuleDisabled = "module-disabled", Operator, No,
        "Mobile access is switched off.",
        "Ask the operator to switch mobile access on.";
    UnlockMethodNative = "unlock-method-native", Operator, No,
        "The doors open with the lock maker's own app.",
        "Use the lock maker's app, or ask the operator to switch the unlock method.";
    UserNotConfirmed = "user-not-confirmed", Operator, No,
        "The lock maker has not confirmed the member's user.",
        "Ask the operator to move the user to the Branded App.";
    MemberSuspended = "member-suspended", Operator, No,
        "The membership has ended or is suspended.",
        "Ask the operator.";
    NoAccessGroup = "no-access-group", Operator, No,
        "The member has no access group now or later today.",
        "Ask the operator for an access group.";
    UnknownMember = "unknown-member", Operator, No,
        "The service does not know the member in this app.",
        "Ask the operator to add the member.";

    // Signing in and enrolling.
    NotSignedIn = "not-signed-in", App, No,
        "Nobody is signed in.",
        "Sign in to the app.";
    SessionRejected = "session-rejected", App, No,
        "The service did not accept the session.",
        "Sign in to the app again.";
    DeviceNotEnrolled = "device-not-enrolled", App, Yes,
        "The device is not enrolled, or its enrolment was revoked.",
        "Sign out and in again to enrol the device; if it stays, ask the operator.";
    DeviceLimitReached = "device-limit-reached", Member, No,
        "The member has enrolled as many devices as allowed.",
        "Remove a device that is no longer used, then sign in again.";
    UnsupportedDevice = "unsupported-device", Phone, No,
        "The device can't open doors.",
        "Use a device with Bluetooth or tap and a secure key store.";
    DeviceKeyFailed = "device-key-failed", Phone, Yes,
        "The phone's key store did not sign.",
        "Unlock the phone and press again; if it stays, sign out and in again.";

    // The way to the service.
    ServiceUnreachable = "service-unreachable", Network, Yes,
        "The access service can't be reached.",
        "Check the internet connection and press again.";
    ServiceFailed = "service-failed", Service, Yes,
        "The access service gave no usable answer.",
        "Try again in a minute; if it stays, send the support file.";

    // The phone and its radio.
    BluetoothOff = "bluetooth-off", Member, No,
        "Bluetooth is switched off.",
        "Switch Bluetooth on.";
    BluetoothUnauthorized = "bluetooth-unauthorized", App, No,
        "The app may not use Bluetooth.",
        "Allow the app to use Bluetooth in the system's settings.";
    LockNotFound = "lock-not-found", Member, Yes,
        "No lock that the key opens was heard.",
        "Go nearer to the door and press again.";
    LockNotRecognised = "lock-not-recognised", Lock, No,
        "The lock could not prove that it belongs to the site.",
        "Do not use this lock; tell the operator.";
    DoorNotChosen = "door-not-chosen", Member, Yes,
        "More than one door is near and none was chosen.",
        "Press again and choose the door.";
    LinkLost = "link-lost", Phone, Yes,
        "The link to the lock broke before the lock could decide; nothing moved.",
        "Stay near the lock and press again.";
    NoVerdict = "no-verdict", Lock, SamePressOnly,
        "The lock was asked to open and its answer did not arrive; the door may have opened.",
        "Look at the lock's light and try the door before pressing again.";
    PressCancelled = "press-cancelled", Member, Yes,
        "The press was cancelled before the lock was asked; nothing moved.",
        "Press again to open.";
    CancelledLate = "cancelled-late", Member, SamePressOnly,
        "The press was cancelled after the lock was asked; the door may have opened.",
        "Look at the lock's light and try the door before pressing again.";
    TimedOut = "timed-out", Phone, Yes,
        "The press took longer than its deadline before the lock was asked; nothing moved.",
        "Stay near the lock, check the connection and press again.";
    ClockWrong = "clock-wrong", Member, No,
        "The phone's clock is wrong.",
        "Let the system set the date and time by itself.";
    PressInProgress = "press-in-progress", App, No,
        "Another press is still running.",
        "Wait for its outcome or cancel it.";

    // What the phone keeps, and the SDK itself.
    VaultDamaged = "vault-damaged", Phone, No,
        "The vault on this phone is damaged.",
        "Sign out, which removes the damaged vault, and sign in again with an internet connection.";
    VaultUnavailable = "vault-unavailable", Phone, Yes,
        "The vault on this phone can't be opened now.",
        "Unlock the phone, make room on it, and try again.";
    InvalidRequest = "invalid-request", App, No,
        "The app asked for something that does not exist.",
        "Correct the call; the door or argument is not known.";
    Internal = "internal", Keybutton, No,
        "The SDK failed.",
        "Send the support file.";
}

impl ErrorCode {
    /// The code's stable spelling.
    pub const fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// The guilty side.
    pub const fn side(self) -> Side {
        self.entry().side
    }

    /// Whether trying again is safe.
    pub const fn retry(self) -> Retry {
        self.entry().retry
    }

    /// What happened, in one sentence.
    pub const fn message(self) -> &'static str {
        self.entry().message
    }

    /// What a person can do about it.
    pub const fn remedy(self) -> &'static str {
        self.entry().remedy
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
