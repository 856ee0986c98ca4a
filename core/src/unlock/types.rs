use keybutton_protocol::{
    api::{DoorId, KeyBundle, Rights},
    ids::{Intent, ReaderId, Signature, UnixTime},
    keys::AuthenticationData,
};

use crate::{
    discovery::Candidate,
    error::{ErrorCode, KeyError},
    outcome::PressOutcome,
    radio::{Advertisement, PeripheralId, RadioError, RadioState},
};

/// A point on the driver's monotonic clock, microseconds since any start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `micros` microseconds later.
    #[must_use]
    pub const fn after(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds since `earlier`; 0 when that is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What time it is, on both of the phone's clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Monotonic: for deadlines and durations.
    pub moment: Moment,
    /// The wall clock: for validity. May be wrong.
    pub wall: UnixTime,
}

/// What the member wants of a press.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnlockOptions {
    /// The door to open; `None` lets the press find it.
    pub door: Option<DoorId>,
    /// What the lock shall do.
    pub intent: Intent,
    /// When the press ends at the latest, microseconds from its begin.
    pub deadline_us: u64,
    /// The member unlocked the phone for this press: doors that force user authentication may be opened.
    pub user_authenticated: bool,
    /// The phone can answer a reader by NFC while the press lasts.
    pub tap: bool,
    /// The lock may be looked for by Bluetooth. Not in a press that a reader began: it stays with the reader.
    pub radio: bool,
    /// The host has a part for doors that a vendor's SDK opens.
    pub vendor: bool,
    /// The press repeats one that ended `Unconfirmed`, under the same press id: the lock may have opened already.
    pub repeats: bool,
}

impl UnlockOptions {
    /// 10 s.
    pub const DEADLINE_US: u64 = 10_000_000;

    /// How long a press goes on asking the lock by itself after it was asked first, 20 s (docs/PROTOCOL.md section 16).
    /// A repeat that the member asks for has a deadline of its own, set by whoever makes its machine.
    pub const REPEAT_US: u64 = 20_000_000;
}

impl Default for UnlockOptions {
    fn default() -> Self {
        Self {
            door: None,
            intent: Intent::Unlock,
            deadline_us: Self::DEADLINE_US,
            user_authenticated: true,
            tap: false,
            radio: true,
            vendor: false,
            repeats: false,
        }
    }
}

/// What happened: the driver passes each event on as it comes.
#[derive(Debug)]
pub enum Input {
    /// The member pressed. The first input, and only once.
    Begin,
    /// The member cancelled, or a newer press wants the radio.
    Cancel,
    /// The member chose one of the candidates of [`Phase::Choose`].
    Choose(DoorId),
    /// Answers [`Action::Validate`].
    Rights(Result<Rights, KeyError>),
    /// Answers [`Action::DownloadKeys`].
    Keys(Result<KeyBundle, KeyError>),
    /// An advertisement was heard.
    Heard(Advertisement),
    /// The radio was switched on or off, or its permission changed.
    RadioState(RadioState),
    /// Answers [`Action::Connect`]: the link is up, `mtu` is the ATT MTU.
    Connected(PeripheralId, u16),
    /// The lock notified one ATT value.
    Value(PeripheralId, Vec<u8>),
    /// The link is gone, or never came up.
    Disconnected(PeripheralId, RadioError),
    /// Answers the [`Action::Sign`] of the same number.
    Signed(u32, Result<Signature, KeyError>),
    /// Answers [`Action::AuthenticateUser`].
    UserAuthenticated(Result<(), KeyError>),
    /// A lock's reader sent a command APDU by NFC.
    Apdu(Vec<u8>),
    /// The phone left the reader's field.
    FieldLost,
    /// Answers [`Action::AskVendor`].
    Vendor(VendorWord),
    /// The moment of [`Machine::next_timer`](super::Machine::next_timer) has come. Early or spurious ones do no harm.
    Timer,
}

/// What a vendor's SDK said of a door it was asked to open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VendorWord {
    /// It opened.
    Opened,
    /// Nothing moved, and this is why.
    Refused(ErrorCode),
    /// Nobody knows whether it opened.
    Unconfirmed,
}

/// What the driver has to do, in the order given.
#[derive(Debug)]
pub enum Action {
    /// Tell the member.
    Phase(Phase),
    /// Ask the service for the member's rights (`GET /v1/me`); answer with [`Input::Rights`].
    Validate,
    /// Download keys (`POST /v1/keys`); answer with [`Input::Keys`].
    DownloadKeys,
    /// Start the scan, or keep it going.
    StartScan,
    /// Stop the scan, unless somebody else wants it.
    StopScan,
    /// Connect; answer with [`Input::Connected`] or [`Input::Disconnected`].
    Connect(PeripheralId),
    /// Send one ATT value.
    Write(PeripheralId, Vec<u8>),
    /// Drop the link; answer with [`Input::Disconnected`].
    Disconnect(PeripheralId),
    /// Have the device key sign; answer with [`Input::Signed`] and the same number.
    Sign(u32, AuthenticationData),
    /// Have the member unlock the phone; answer with [`Input::UserAuthenticated`].
    AuthenticateUser,
    /// Answer the reader's command with this response APDU.
    Apdu(Vec<u8>),
    /// Have the vendor's SDK open this door; answer with [`Input::Vendor`]. Called off by the end of the press.
    AskVendor(DoorId),
    /// The keyring has changed: write [`Keyring::snapshot`](crate::keyring::Keyring::snapshot) to the vault.
    SaveKeyring,
    /// A lock handed over an audit envelope: upload it (`POST /v1/audit`) when there is a connection. It is in the
    /// keyring already and stays there until [`Keyring::audit_acknowledged`](crate::keyring::Keyring::audit_acknowledged).
    StoreAudit {
        /// The lock.
        reader_id: ReaderId,
        /// The sealed envelope, unreadable for the phone.
        envelope: Vec<u8>,
    },
    /// The press has ended for the member. Comes exactly once. The link may linger for the lock's sake.
    Finish(Box<PressOutcome>),
    /// The machine needs nothing more and can be dropped. The last action, after [`Action::Finish`].
    Over,
}

/// What a press is doing, as the member sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Phase {
    /// The service is asked whether the member may open.
    CheckingAccess,
    /// The access key is being downloaded.
    DownloadingKey,
    /// The lock is being looked for.
    Searching,
    /// More than one door is near: the member has to choose; best first.
    Choose(Vec<Candidate>),
    /// The lock's model, or a phone without usable Bluetooth, wants the phone held to the lock.
    HoldToLock(Option<DoorId>),
    /// The lock was found.
    Connecting(DoorId),
    /// Lock and phone are proving themselves to each other.
    Proving(DoorId),
    /// The lock was asked to open and decides.
    Opening(DoorId),
}

impl Phase {
    /// The phase's stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CheckingAccess => "checking-access",
            Self::DownloadingKey => "downloading-key",
            Self::Searching => "searching",
            Self::Choose(_) => "choose",
            Self::HoldToLock(_) => "hold-to-lock",
            Self::Connecting(_) => "connecting",
            Self::Proving(_) => "proving",
            Self::Opening(_) => "opening",
        }
    }
}
