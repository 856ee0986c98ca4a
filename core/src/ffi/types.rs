//! How identifiers and the protocol's records look in other languages: texts, bytes and times.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use keybutton_protocol::{
    api::{
        AccessRefusal, AppId, ButtonState, Bytes, Decision, Device, DeviceId, DoorId, DoorRights, HiddenReason,
        IntegrationKind, SiteId,
    },
    ids::{Intent, PublicKey, Signature, UnixTime, UnlockId},
    keys::AuthenticationData,
};

use crate::{
    error::{ErrorCode, KeyError},
    http::SecretText,
    outcome::AuditHash,
    radio::PeripheralId,
};

/// Declares that an identifier is a text in other languages. Any text is taken: an unknown one finds nothing.
macro_rules! text {
    ($($name:ident $(, $remote:ident)?;)+) => {
        $(uniffi::custom_type!($name, String, {
            $($remote,)?
            try_lift: |text| Ok($name(text)),
            lower: |id| id.0,
        });)+
    };
}

text! {
    AppId, remote;
    DeviceId, remote;
    DoorId, remote;
    SiteId, remote;
    PeripheralId;
}

uniffi::custom_type!(UnlockId, String, {
    remote,
    try_lift: |text| parse_hex(&text).map(UnlockId).ok_or_else(invalid),
    lower: |id| id.to_string(),
});

uniffi::custom_type!(AuditHash, String, {
    try_lift: |text| parse_hex(&text).map(AuditHash).ok_or_else(invalid),
    lower: |hash| hash.to_string(),
});

uniffi::custom_type!(PublicKey, Vec<u8>, {
    remote,
    try_lift: |bytes| PublicKey::from_slice(&bytes).ok_or_else(invalid),
    lower: |key| key.as_bytes().to_vec(),
});

uniffi::custom_type!(Signature, Vec<u8>, {
    remote,
    try_lift: |bytes| Signature::from_slice(&bytes).ok_or_else(invalid),
    lower: |signature| signature.as_bytes().to_vec(),
});

// Handed out to be signed and never taken back: what a device key signs is made by the core alone.
uniffi::custom_type!(AuthenticationData, Vec<u8>, {
    remote,
    try_lift: |_bytes| Err(invalid()),
    lower: |data| data.as_bytes().to_vec(),
});

uniffi::custom_type!(Bytes, Vec<u8>, {
    remote,
    try_lift: |bytes| Ok(Bytes(bytes)),
    lower: |bytes| bytes.0,
});

uniffi::custom_type!(SecretText, String, {
    remote,
    try_lift: |text| Ok(SecretText::new(text)),
    lower: |text| text.as_str().to_owned(),
});

uniffi::custom_type!(UnixTime, SystemTime, {
    remote,
    try_lift: |time| {
        let since = time.duration_since(UNIX_EPOCH).map_err(|_| invalid())?;
        Ok(UnixTime(u32::try_from(since.as_secs()).map_err(|_| invalid())?))
    },
    lower: |time| UNIX_EPOCH + Duration::from_secs(time.0.into()),
});

uniffi::custom_type!(PathBuf, String, {
    remote,
    try_lift: |path| Ok(PathBuf::from(path)),
    lower: |path| path.to_string_lossy().into_owned(),
});

/// What a call is answered with whose argument makes no sense.
fn invalid() -> uniffi::deps::anyhow::Error {
    KeyError::new(ErrorCode::InvalidRequest).into()
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Whether the Key Button is there.
#[uniffi::remote(Enum)]
pub enum ButtonState {
    /// The Key Button is shown.
    Visible,
    /// The Key Button is hidden, for one reason.
    Hidden(HiddenReason),
}

/// Why the Key Button is not there.
#[uniffi::remote(Enum)]
pub enum HiddenReason {
    /// Mobile access is switched off for the organization or the Branded App.
    ModuleDisabled,
    /// Nobody is signed in.
    NotSignedIn,
    /// The member holds no access group, now or later today.
    NoAccessGroup,
    /// The integration's unlock method is `native methods`: the vendor's own app opens.
    UnlockMethodNative,
    /// The vendor has not confirmed the member's user.
    UserNotConfirmed,
    /// The membership has ended or is suspended.
    MemberSuspended,
    /// The device can't open doors: no Bluetooth, no tap, or no key store.
    UnsupportedDevice,
    /// The organization, the Branded App or the member is not known to the service.
    UnknownMember,
    /// The device has not been enrolled yet, or its enrolment was revoked.
    DeviceNotEnrolled,
}

/// What the user wants of the lock.
#[uniffi::remote(Enum)]
pub enum Intent {
    /// Open now, lock again by itself.
    Unlock,
    /// Stay open.
    HoldOpen,
    /// Lock.
    Lock,
    /// Report only; never moves anything.
    Status,
    /// Exchange tokens and audit only; never moves anything.
    Sync,
}

/// How a door's integration is driven.
#[uniffi::remote(Enum)]
pub enum IntegrationKind {
    /// Our own lock transaction.
    Native,
    /// A vendor's own SDK inside the Branded App opens; there is no lock of ours.
    Vendor,
}

/// Why the access service refuses a door.
#[uniffi::remote(Enum)]
pub enum AccessRefusal {
    /// No access group of the member opens this door.
    NoPermission,
    /// The granting group's schedule is closed now.
    OutsideSchedule,
    /// The member's access begins later.
    NotYetValid,
    /// The member's access has ended.
    Expired,
    /// The use limit is reached.
    UseLimit,
    /// Only the member's primary device may open.
    PrimaryDeviceOnly,
    /// Only a tap opens.
    TapOnly,
    /// The phone is outside the allowed radius, or its place is unknown.
    Geofence,
    /// The phone has to be near the lock.
    ProximityRequired,
    /// The door or its site is locked down.
    LockedDown,
    /// The organization's mobile access is off.
    ModuleDisabled,
    /// The unlock method of the door's integration is `native methods`.
    UnlockMethodNative,
    /// The vendor has not confirmed the member's user.
    UserNotConfirmed,
    /// The membership has ended or is suspended.
    MemberSuspended,
}

/// The access service's answer for one member and one door.
#[uniffi::remote(Enum)]
pub enum Decision {
    /// The member may open.
    Allow {
        /// Until when, Unix seconds.
        until: u32,
    },
    /// The member may not open.
    Refuse {
        /// Why.
        reason: AccessRefusal,
    },
}

/// One door as a member sees it.
#[uniffi::remote(Record)]
pub struct DoorRights {
    /// Identifies the door.
    pub id: DoorId,
    /// The door's name, to be shown.
    pub name: String,
    /// The site's name, to be shown.
    pub site: String,
    /// How the door is driven.
    pub integration: IntegrationKind,
    /// The door's lock: 32-byte reader identifier; absent until a lock is claimed.
    pub reader_id: Option<Bytes>,
    /// What the vendor calls the door, where a vendor's SDK opens it and the operator has said so.
    pub vendor_door: Option<String>,
    /// May the member open it now, and until when or why not.
    pub decision: Decision,
}

/// An enrolled device of the member.
#[uniffi::remote(Record)]
pub struct Device {
    /// Identifies the device.
    pub id: DeviceId,
    /// What the member calls it.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// When it was enrolled, Unix seconds.
    pub enrolled: u32,
    /// Whether it is the member's primary device (the first one enrolled).
    pub primary: bool,
}
