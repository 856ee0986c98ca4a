//! Ready-made parts of a [`Platform`](crate::Platform), for hosts that have none of their own.

use std::sync::Arc;

use thiserror::Error;

use crate::{
    client::TapLink,
    clock::{Clock, SystemClock},
    device_key::DeviceKey,
    http::Http,
    log::{LogLevel, LogLine, LogSink},
    radio::Radio,
    vault::{Vault, VaultError},
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

/// Why a part can't be had.
#[derive(Debug, Error, uniffi::Error)]
#[uniffi(flat_error)]
#[allow(dead_code, reason = "the surface is the same whatever is built in")]
pub enum PartError {
    /// This native library was built without it: those for phones have only what phones use.
    #[error("this native library was built without the feature {0}")]
    NotBuiltIn(&'static str),
    /// The folder can't be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The simulated air can't be joined.
    #[error("{0}")]
    Air(String),
}

/// An encrypted vault in the folder `folder`, its key in a file beside it that only the owner may read: for desktops
/// and tests. Phones have better.
#[uniffi::export]
#[cfg_attr(not(feature = "desktop"), expect(unused_variables, reason = "every build has the same surface"))]
pub fn file_vault(folder: String) -> Result<Arc<dyn Vault>, PartError> {
    #[cfg(not(feature = "desktop"))]
    return Err(PartError::NotBuiltIn("desktop"));
    #[cfg(feature = "desktop")]
    Ok(Arc::new(crate::vault::FileVault::in_folder(folder.as_ref())?))
}

/// A device key in software, kept in `vault`: for desktops and tests. Phones have better.
#[uniffi::export]
#[cfg_attr(not(feature = "desktop"), expect(unused_variables, reason = "every build has the same surface"))]
pub fn software_device_key(vault: Arc<dyn Vault>) -> Result<Arc<dyn DeviceKey>, PartError> {
    #[cfg(not(feature = "desktop"))]
    return Err(PartError::NotBuiltIn("desktop"));
    #[cfg(feature = "desktop")]
    Ok(Arc::new(crate::device_key::SoftwareDeviceKey::new(vault)))
}

/// The core's own HTTP: rustls with the system's trust store.
#[uniffi::export]
pub fn core_http() -> Result<Arc<dyn Http>, PartError> {
    #[cfg(not(feature = "http"))]
    return Err(PartError::NotBuiltIn("http"));
    #[cfg(feature = "http")]
    Ok(Arc::new(crate::http::ReqwestHttp::new()))
}

/// A phone's radio on the simulated air at `address` (`127.0.0.1:PORT`, as `keybutton serve` and `keybutton stage` print
/// it): the phone is called `name` and stands at (`x`, `y`) metres. Dropping the radio leaves the air.
#[uniffi::export]
#[cfg_attr(not(feature = "air"), expect(unused_variables, reason = "every build has the same surface"))]
pub fn air_radio(address: String, name: String, x: f32, y: f32) -> Result<Arc<dyn Radio>, PartError> {
    #[cfg(not(feature = "air"))]
    return Err(PartError::NotBuiltIn("air"));
    #[cfg(feature = "air")]
    {
        use crate::radio::air::{AirRadio, Endpoint, Participant};

        let broker = address.parse().map_err(|_| PartError::Air(format!("{address} is not HOST:PORT")))?;
        let radio = AirRadio::join_apart(&Endpoint::Tcp(broker), &Participant::named(name).at(x, y));
        radio.map(|radio| Arc::new(radio) as Arc<dyn Radio>).map_err(|error| PartError::Air(error.to_string()))
    }
}

/// The application identifier that locks' readers select: what a `HostApduService` is to be registered for.
#[uniffi::export]
pub fn tap_application_id() -> Vec<u8> {
    TapLink::application_id().to_vec()
}
