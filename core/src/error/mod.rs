//! Every failure of the SDK: one table with a stable code, the guilty side, a retry answer and a remedy.
//!
//! The table is data ([`TABLE`]), so that documents and the Swift and Kotlin packages are made from it and can't
//! drift. Codes are spelled as the lock's verdict and the access service spell them wherever those give the reason.

use std::fmt;

use thiserror::Error;

mod map;
mod table;

pub use self::table::{ErrorCode, TABLE};

/// Who has to act, or who misbehaved.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Side {
    /// The host app called the SDK wrongly, or has to do something.
    App,
    /// The member can put it right.
    Member,
    /// The operator of the organization can put it right.
    Operator,
    /// The lock.
    Lock,
    /// The access service.
    Service,
    /// The way to the access service.
    Network,
    /// The phone or its radio.
    Phone,
    /// This SDK: a defect.
    Keybutton,
}

impl Side {
    /// The side's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Member => "member",
            Self::Operator => "operator",
            Self::Lock => "lock",
            Self::Service => "service",
            Self::Network => "network",
            Self::Phone => "phone",
            Self::Keybutton => "keybutton",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether it is safe to try again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Retry {
    /// Nothing moved; trying again at once is safe and may help.
    Yes,
    /// Nothing moved; trying again can't help before the remedy is followed.
    No,
    /// The door may have opened: only a retry under the same press id is safe.
    SamePressOnly,
}

impl Retry {
    /// The answer's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::SamePressOnly => "same-press-only",
        }
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorEntry {
    /// The code, for matching.
    pub code: ErrorCode,
    /// The code, spelled in kebab-case. Never changes.
    pub name: &'static str,
    /// The guilty side.
    pub side: Side,
    /// Whether trying again is safe.
    pub retry: Retry,
    /// What happened, in one sentence, without identifiers or secrets.
    pub message: &'static str,
    /// What a person can do about it.
    pub remedy: &'static str,
}

/// A failure of the SDK. Carries a code and nothing that identifies anybody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Error))]
pub enum KeyError {
    /// A row of the table.
    #[error("{}", code.message())]
    Failed {
        /// The stable code.
        code: ErrorCode,
    },
}

impl KeyError {
    /// Makes the error for a code.
    pub const fn new(code: ErrorCode) -> Self {
        Self::Failed { code }
    }

    /// The stable code.
    pub const fn code(&self) -> ErrorCode {
        let Self::Failed { code } = self;
        *code
    }

    /// The guilty side.
    pub fn side(&self) -> Side {
        self.code().side()
    }

    /// Whether trying again is safe.
    pub fn retry(&self) -> Retry {
        self.code().retry()
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        self.code().remedy()
    }
}

impl From<ErrorCode> for KeyError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Debug for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyError({})", self.code())
    }
}

#[cfg(test)]
mod tests;
