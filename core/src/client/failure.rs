//! The one mapping from the host's failures to the SDK's codes.

use crate::{
    device_key::DeviceKeyError,
    error::{ErrorCode, KeyError},
    http::HttpError,
    vault::VaultError,
};

impl From<&VaultError> for KeyError {
    fn from(error: &VaultError) -> Self {
        Self::new(match error {
            VaultError::Damaged { .. }
            | VaultError::NewerFormat { .. }
            | VaultError::WrongKey { .. }
            | VaultError::KeyMissing { .. }
            | VaultError::KeyDamaged { .. } => ErrorCode::VaultDamaged,
            VaultError::KeyExposed { .. } | VaultError::Io { .. } | VaultError::Unavailable { .. } => {
                ErrorCode::VaultUnavailable
            }
            VaultError::InvalidEntry { .. } => ErrorCode::Internal,
        })
    }
}

impl From<HttpError> for KeyError {
    fn from(error: HttpError) -> Self {
        Self::new(match error {
            HttpError::Offline
            | HttpError::Unreachable
            | HttpError::TimedOut
            | HttpError::Untrusted
            | HttpError::Dropped => ErrorCode::ServiceUnreachable,
            HttpError::TooLarge => ErrorCode::ServiceFailed,
            HttpError::NotAllowed => ErrorCode::InvalidRequest,
        })
    }
}

impl From<&DeviceKeyError> for KeyError {
    fn from(error: &DeviceKeyError) -> Self {
        Self::new(match error {
            DeviceKeyError::UserNotAuthenticated => ErrorCode::UserAuthRequired,
            DeviceKeyError::Gone => ErrorCode::DeviceNotEnrolled,
            DeviceKeyError::Failed => ErrorCode::DeviceKeyFailed,
            DeviceKeyError::Vault(error) => return error.into(),
        })
    }
}
