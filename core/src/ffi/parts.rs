//! Ready-made parts of a [`Platform`](crate::Platform), for hosts that have none of their own.

use std::sync::Arc;

use crate::{
    client::TapLink,
    clock::{Clock, SystemClock},
    device_key::{DeviceKey, SoftwareDeviceKey},
    log::{LogLevel, LogLine, LogSink},
    vault::{FileVault, Vault, VaultError},
};

/// The system's clocks.
#[uniffi::export]
pub fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// A log that keeps nothing.
#[uniffi::export]
pub fn no_log() -> Arc<dyn LogSink> {
    Arc::new(NoLog)
}

struct NoLog;

impl LogSink for NoLog {
    fn level(&self) -> LogLevel {
        LogLevel::Error
    }

    fn line(&self, _: LogLine) {}
}

/// An encrypted vault in the folder `folder`, its key in a file beside it that only the owner may read: for desktops
/// and tests. Phones have better.
#[uniffi::export]
pub fn file_vault(folder: String) -> Result<Arc<dyn Vault>, VaultError> {
    Ok(Arc::new(FileVault::in_folder(folder.as_ref())?))
}

/// A device key in software, kept in `vault`: for desktops and tests. Phones have better.
#[uniffi::export]
pub fn software_device_key(vault: Arc<dyn Vault>) -> Arc<dyn DeviceKey> {
    Arc::new(SoftwareDeviceKey::new(vault))
}

/// The application identifier that locks' readers select: what a `HostApduService` is to be registered for.
#[uniffi::export]
pub fn tap_application_id() -> Vec<u8> {
    TapLink::application_id().to_vec()
}

/// The core's own HTTP: rustls with the system's trust store.
#[cfg(feature = "http")]
#[uniffi::export]
pub fn core_http() -> Arc<dyn crate::http::Http> {
    Arc::new(crate::http::ReqwestHttp::new())
}
