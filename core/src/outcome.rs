//! How a press ends: exactly once, with what the lock itself said, or that it said nothing.

use std::fmt;

use keybutton_protocol::{
    api::DoorId,
    ids::{UnixTime, UnlockId},
};

use crate::error::{ErrorCode, KeyError, Retry, Side};

/// What a press came to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Outcome {
    /// The lock said that it opened.
    Opened(LockReport),
    /// Nothing moved, and this is why: the lock's verdict, or what stopped the press before the lock was asked.
    Refused(Refusal),
    /// The lock was asked to open and its answer did not arrive: the door may have opened.
    Unconfirmed(Cause),
}

impl Outcome {
    /// `opened`, `refused` or `unconfirmed`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Refused(_) => "refused",
            Self::Unconfirmed(_) => "unconfirmed",
        }
    }

    /// The stable code of the reason or cause; `None` when the door opened.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Opened(_) => None,
            Self::Refused(refusal) => Some(refusal.code),
            Self::Unconfirmed(cause) => Some(cause.code()),
        }
    }

    /// The guilty side; `None` when the door opened.
    pub fn side(&self) -> Option<Side> {
        self.code().map(ErrorCode::side)
    }

    /// Whether pressing again is safe.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Opened(_) => Retry::Yes,
            Self::Refused(refusal) => refusal.retry(),
            Self::Unconfirmed(cause) => cause.code().retry(),
        }
    }

    /// What a person can do about it; `None` when the door opened.
    pub fn remedy(&self) -> Option<&'static str> {
        self.code().map(ErrorCode::remedy)
    }

    /// What the lock reported of itself, where it spoke.
    pub const fn lock_report(&self) -> Option<&LockReport> {
        match self {
            Self::Opened(report) => Some(report),
            Self::Refused(refusal) => refusal.lock.as_ref(),
            Self::Unconfirmed(_) => None,
        }
    }

    /// Makes the outcome of a press that failed before the lock was asked.
    pub const fn refused(error: KeyError) -> Self {
        Self::Refused(Refusal::new(error.code()))
    }
}

/// Why nothing moved.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Refusal {
    /// The stable code.
    pub code: ErrorCode,
    /// The verdict's detail byte, 0 for none (docs/PROTOCOL.md section 17).
    pub detail: u8,
    /// How long to wait before pressing again, seconds; `None` where waiting does not help.
    pub retry_after_s: Option<u16>,
    /// When the access begins or ended, where that is the reason.
    pub when: Option<UnixTime>,
    /// What the lock reported; `None` when the lock was never asked.
    pub lock: Option<LockReport>,
}

impl Refusal {
    /// A refusal by this phone or by the service.
    pub const fn new(code: ErrorCode) -> Self {
        Self { code, detail: 0, retry_after_s: None, when: None, lock: None }
    }

    /// Whether pressing again is safe.
    pub const fn retry(&self) -> Retry {
        self.code.retry()
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        self.code.remedy()
    }
}

/// Why nobody knows whether the door opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Cause {
    /// The link was lost before the verdict.
    LinkLost,
    /// The deadline passed before the verdict.
    Deadline,
    /// A verdict came that could not be read, or that was for another press.
    Unreadable,
    /// The user cancelled after the lock was asked.
    Cancelled,
}

impl Cause {
    /// The cause's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinkLost => "link-lost",
            Self::Deadline => "deadline",
            Self::Unreadable => "unreadable",
            Self::Cancelled => "cancelled",
        }
    }

    /// The row of the error table.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::LinkLost | Self::Deadline | Self::Unreadable => ErrorCode::NoVerdict,
            Self::Cancelled => ErrorCode::CancelledLate,
        }
    }
}

/// What a lock reported of itself with its verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct LockReport {
    /// How long the lock stays open, in tenths of a second; 0 unless granted.
    pub open_time_ds: u16,
    /// Battery, percent; `None` when mains powered or not known.
    pub battery: Option<u8>,
    /// The state of the lock's clock.
    pub clock: LockClock,
    /// The lock's time, where it has one.
    pub time: Option<UnixTime>,
    /// The number of the newest record of the lock's audit chain.
    pub audit_number: u32,
    /// The hash of that record.
    pub audit_hash: AuditHash,
    /// The verdict repeats the one of an earlier try of the same press; nothing moved a second time.
    pub replayed: bool,
    /// The door stands open.
    pub door_open: bool,
    /// The bolt is out.
    pub bolt_out: bool,
    /// The lock has a fault.
    pub fault: bool,
}

/// The hash of a record of a lock's audit chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AuditHash(pub [u8; 32]);

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditHash({self})")
    }
}

/// The state of a lock's clock (docs/PROTOCOL.md section 18).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum LockClock {
    /// Not known.
    #[default]
    Unknown,
    /// The true time may be later.
    LowerBound,
    /// Running.
    Running,
    /// Running, and confirmed by maintenance.
    Confirmed,
}

/// How a press reached the lock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Route {
    /// Bluetooth Low Energy.
    Radio,
    /// NFC.
    Tap,
    /// Through a vendor's or the access service's cloud.
    Cloud,
    /// Through a vendor's own SDK.
    Vendor,
}

impl Route {
    /// The route's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Radio => "radio",
            Self::Tap => "tap",
            Self::Cloud => "cloud",
            Self::Vendor => "vendor",
        }
    }
}

/// How a press ended, and what it took.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct PressOutcome {
    /// The press, which is also the unlock id that the lock was given.
    pub press: UnlockId,
    /// The door, once one was settled on.
    pub door: Option<DoorId>,
    /// How the lock was reached, once it was.
    pub route: Option<Route>,
    /// What it came to.
    pub outcome: Outcome,
    /// What it took.
    pub metrics: PressMetrics,
}

/// How long a press stayed in one phase.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct PhaseTime {
    /// The phase, by its stable name: [`Phase::name`](crate::unlock::Phase::name).
    pub phase: String,
    /// The time spent in it, microseconds.
    pub micros: u64,
}

/// What a press took: time per phase, bytes each way, round trips.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct PressMetrics {
    /// Time from the press to its outcome, microseconds.
    pub total_us: u64,
    /// The phases in the order they were entered, with the time spent in each, microseconds.
    pub phases: Vec<PhaseTime>,
    /// Bytes sent to the lock: whole messages (their 4-byte header included, fragment headers not), or APDUs by tap.
    pub bytes_sent: u32,
    /// Bytes of the transaction received from the lock, counted alike.
    pub bytes_received: u32,
    /// Radio packets (ATT values or APDU pieces) sent.
    pub packets_sent: u32,
    /// Radio packets received.
    pub packets_received: u32,
    /// Commands of the lock that were answered before the verdict arrived.
    pub round_trips: u32,
    /// Links that were tried; 1 when the first one did.
    pub links: u32,
    /// The verdict came through the fast phase.
    pub fast: bool,
    /// The access key was downloaded during the press.
    pub downloaded: bool,
}
