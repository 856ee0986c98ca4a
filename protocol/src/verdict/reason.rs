//! Reasons and the reader status they are sent with (`docs/PROTOCOL.md` section 17).

/// Why the lock granted or refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Reason {
    /// Granted.
    Granted = 0x00,
    /// The key is not valid yet.
    NotYetValid = 0x10,
    /// The key has expired.
    Expired = 0x11,
    /// The key was revoked.
    Revoked = 0x12,
    /// Outside the hours of the key.
    OutsideSchedule = 0x13,
    /// The key is for another site.
    WrongLock = 0x14,
    /// The key is not for this door, or not for what was asked.
    NoPermission = 0x15,
    /// The key's uses are used up.
    UseLimit = 0x16,
    /// The lock does not know the time.
    ClockUnknown = 0x17,
    /// The site is locked down.
    LockedDown = 0x18,
    /// Locked from inside.
    Privacy = 0x19,
    /// The lock has a fault.
    Hardware = 0x1A,
    /// The lock is busy.
    Busy = 0x1B,
    /// The lock does not know the key and was shown no document.
    KeyUnknown = 0x1C,
    /// The user must authenticate on the phone first.
    UserAuthRequired = 0x1D,
    /// The document's issuer or signature is not trusted.
    NotTrusted = 0x1E,
    /// The document is too old.
    StaleDocument = 0x1F,
    /// The document is malformed.
    BadData = 0x20,
    /// Intent or interface not allowed.
    Policy = 0x21,
}

impl Reason {
    /// Every reason, by code.
    pub const ALL: [Self; 19] = [
        Self::Granted,
        Self::NotYetValid,
        Self::Expired,
        Self::Revoked,
        Self::OutsideSchedule,
        Self::WrongLock,
        Self::NoPermission,
        Self::UseLimit,
        Self::ClockUnknown,
        Self::LockedDown,
        Self::Privacy,
        Self::Hardware,
        Self::Busy,
        Self::KeyUnknown,
        Self::UserAuthRequired,
        Self::NotTrusted,
        Self::StaleDocument,
        Self::BadData,
        Self::Policy,
    ];

    /// The code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason for its code; `None` for codes of later versions.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::NotYetValid => "not-yet-valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::OutsideSchedule => "outside-schedule",
            Self::WrongLock => "wrong-lock",
            Self::NoPermission => "no-permission",
            Self::UseLimit => "use-limit",
            Self::ClockUnknown => "clock-unknown",
            Self::LockedDown => "locked-down",
            Self::Privacy => "privacy",
            Self::Hardware => "hardware",
            Self::Busy => "busy",
            Self::KeyUnknown => "key-unknown",
            Self::UserAuthRequired => "user-auth-required",
            Self::NotTrusted => "not-trusted",
            Self::StaleDocument => "stale-document",
            Self::BadData => "bad-data",
            Self::Policy => "policy",
        }
    }

    /// The reader status the reason is sent with; `moved` says that the bolt has moved already.
    pub const fn status(self, moved: bool) -> Status {
        match self {
            Self::Granted if moved => Status::UNSECURED,
            Self::Granted => Status::ENTERING_UNSECURED,
            Self::Expired | Self::StaleDocument => Status::KEY_EXPIRED,
            Self::Revoked | Self::NotTrusted => Status::KEY_NOT_TRUSTED,
            Self::Hardware => Status::HARDWARE,
            Self::Busy => Status::FAILURE,
            Self::KeyUnknown => Status::KEY_NOT_FOUND,
            Self::BadData => Status::DATA_FORMAT,
            Self::NotYetValid
            | Self::OutsideSchedule
            | Self::WrongLock
            | Self::NoPermission
            | Self::UseLimit
            | Self::ClockUnknown
            | Self::LockedDown
            | Self::Privacy
            | Self::UserAuthRequired
            | Self::Policy => Status::ACCESS_RIGHTS,
        }
    }

    /// How long the phone waits before it retries by itself.
    pub const fn retry_after(self) -> RetryAfter {
        match self {
            Self::Granted
            | Self::Expired
            | Self::ClockUnknown
            | Self::KeyUnknown
            | Self::UserAuthRequired
            | Self::StaleDocument => RetryAfter::AT_ONCE,
            Self::LockedDown => RetryAfter(60),
            Self::Privacy => RetryAfter(30),
            Self::Hardware => RetryAfter(5),
            Self::Busy => RetryAfter(2),
            Self::NotYetValid
            | Self::Revoked
            | Self::OutsideSchedule
            | Self::WrongLock
            | Self::NoPermission
            | Self::UseLimit
            | Self::NotTrusted
            | Self::BadData
            | Self::Policy => RetryAfter::NEVER,
        }
    }
}

/// A reason as it was received: a known one, or a code of a later version, to be judged by the status alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReasonCode(pub u8);

impl ReasonCode {
    /// The known reason; `None` for codes of later versions.
    pub fn known(self) -> Option<Reason> {
        Reason::from_code(self.0)
    }

    /// The reader status of the reason; "failure, no information" for codes of later versions.
    pub const fn status(self, moved: bool) -> Status {
        let mut at = 0;
        while at < Reason::ALL.len() {
            #[allow(clippy::indexing_slicing)] // bounded by the loop; iterators are not const
            let reason = Reason::ALL[at];
            if reason.code() == self.0 {
                return reason.status(moved);
            }
            at += 1;
        }
        Status::FAILURE
    }
}

impl From<Reason> for ReasonCode {
    fn from(reason: Reason) -> Self {
        Self(reason.code())
    }
}

/// Seconds until a phone may retry by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RetryAfter(pub u16);

impl RetryAfter {
    /// At once (after whatever the reason asks for).
    pub const AT_ONCE: Self = Self(0);
    /// Not without a new user action.
    pub const NEVER: Self = Self(0xFFFF);
}

/// The two bytes of the reader status, tag 97.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status {
    /// 00 red, 01 green.
    pub s1: u8,
    /// What exactly.
    pub s2: u8,
}

impl Status {
    /// Failure, no information.
    pub const FAILURE: Self = Self { s1: 0, s2: 0x00 };
    /// Public key not found.
    pub const KEY_NOT_FOUND: Self = Self { s1: 0, s2: 0x01 };
    /// Public key expired.
    pub const KEY_EXPIRED: Self = Self { s1: 0, s2: 0x02 };
    /// Public key not trusted.
    pub const KEY_NOT_TRUSTED: Self = Self { s1: 0, s2: 0x03 };
    /// Invalid device signature.
    pub const DEVICE_SIGNATURE: Self = Self { s1: 0, s2: 0x04 };
    /// Invalid data format.
    pub const DATA_FORMAT: Self = Self { s1: 0, s2: 0x06 };
    /// Invalid access rights.
    pub const ACCESS_RIGHTS: Self = Self { s1: 0, s2: 0x25 };
    /// Hardware fault.
    pub const HARDWARE: Self = Self { s1: 0, s2: 0x26 };
    /// Version not supported.
    pub const VERSION: Self = Self { s1: 0, s2: 0x27 };
    /// The lock is locked.
    pub const SECURED: Self = Self { s1: 1, s2: 0x00 };
    /// The lock is open.
    pub const UNSECURED: Self = Self { s1: 1, s2: 0x01 };
    /// The lock is being locked.
    pub const ENTERING_SECURED: Self = Self { s1: 1, s2: 0x80 };
    /// The lock is being opened.
    pub const ENTERING_UNSECURED: Self = Self { s1: 1, s2: 0x81 };

    /// Reads s1 and s2.
    pub const fn from_bytes([s1, s2]: [u8; 2]) -> Self {
        Self { s1, s2 }
    }

    /// s1 and s2.
    pub const fn to_bytes(self) -> [u8; 2] {
        [self.s1, self.s2]
    }

    /// Tells green from red; only the first byte decides.
    pub const fn is_granted(self) -> bool {
        self.s1 == 1
    }
}
