//! The error table in other languages, and what a host's undeclared exception becomes.

use uniffi::UnexpectedUniFFICallbackError;

use crate::{
    device_key::DeviceKeyError,
    error::{ErrorCode, Retry, Side},
    radio::RadioError,
    vault::VaultError,
};

#[uniffi::export]
impl ErrorCode {
    /// The code, spelled in kebab-case. Never changes.
    #[uniffi::method(name = "code")]
    fn exported_name(&self) -> String {
        self.as_str().to_owned()
    }

    /// What happened, in one sentence, without identifiers or secrets.
    #[uniffi::method(name = "message")]
    fn exported_message(&self) -> String {
        self.message().to_owned()
    }

    /// What a person can do about it.
    #[uniffi::method(name = "remedy")]
    fn exported_remedy(&self) -> String {
        self.remedy().to_owned()
    }

    /// The guilty side.
    #[uniffi::method(name = "side")]
    fn exported_side(&self) -> Side {
        self.side()
    }

    /// Whether trying again is safe.
    #[uniffi::method(name = "retry")]
    fn exported_retry(&self) -> Retry {
        self.retry()
    }
}

/// Every code of the table, in its order.
#[uniffi::export]
pub fn error_codes() -> Vec<ErrorCode> {
    crate::error::TABLE.iter().map(|entry| entry.code).collect()
}

impl From<UnexpectedUniFFICallbackError> for VaultError {
    fn from(_: UnexpectedUniFFICallbackError) -> Self {
        // The host's words may hold what must not be logged.
        Self::Unavailable { reason: "the host's vault threw an undeclared exception".into() }
    }
}

impl From<UnexpectedUniFFICallbackError> for DeviceKeyError {
    fn from(_: UnexpectedUniFFICallbackError) -> Self {
        Self::Failed
    }
}

impl From<UnexpectedUniFFICallbackError> for RadioError {
    fn from(_: UnexpectedUniFFICallbackError) -> Self {
        Self::Unavailable
    }
}
