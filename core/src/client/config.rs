//! What a host gives the core at the start.

use std::{fmt, sync::Arc};

use keybutton_protocol::api::AppId;
use thiserror::Error;

use crate::{
    clock::Clock,
    device_key::DeviceKey,
    error::{ErrorCode, KeyError},
    http::{Http, InvalidServiceUrl},
    log::LogSink,
    radio::Radio,
    vault::{Vault, VaultError},
    vendor::VendorUnlock,
};

const PLATFORMS: [&str; 5] = ["ios", "android", "linux", "macos", "windows"];

/// What one Branded App on one device is.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Config {
    /// Where the access service answers: `https://HOST[:PORT][/PATH]`; `http://` only to the same machine.
    pub service_url: String,
    /// The Branded App, as its operator registered it.
    pub app: AppId,
    /// What the member sees in the list of devices, 1 to 64 characters.
    pub device_name: String,
    /// `ios`, `android`, `linux`, `macos` or `windows`.
    pub platform: String,
}

/// What the host supplies: everything that differs between phones, desktops and tests.
#[derive(Clone)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Platform {
    /// Bluetooth.
    pub radio: Arc<dyn Radio>,
    /// The network.
    pub http: Arc<dyn Http>,
    /// Secure storage.
    pub vault: Arc<dyn Vault>,
    /// The device key.
    pub device_key: Arc<dyn DeviceKey>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where log lines go.
    pub log: Arc<dyn LogSink>,
    /// The phone can answer a reader by NFC and the host passes readers' commands on, see
    /// [`MobileKeys::tap`](crate::MobileKeys::tap).
    #[cfg_attr(feature = "uniffi", uniffi(default = false))]
    pub nfc: bool,
    /// Opens the doors that a vendor's SDK opens, where the app has one.
    #[cfg_attr(feature = "uniffi", uniffi(default = None))]
    pub vendor: Option<Arc<dyn VendorUnlock>>,
}

impl Platform {
    /// What a desktop has: an encrypted vault and a software device key under `state`, reqwest, the system's clocks
    /// and the process's `tracing` subscriber, and no NFC. Only the radio has to be chosen.
    #[cfg(feature = "http")]
    pub fn desktop(radio: Arc<dyn Radio>, state: &std::path::Path) -> Result<Self, VaultError> {
        use crate::{
            clock::SystemClock,
            device_key::SoftwareDeviceKey,
            http::ReqwestHttp,
            log::{LogLevel, TracingLog},
            vault::FileVault,
        };
        let vault: Arc<dyn Vault> = Arc::new(FileVault::in_folder(state)?);
        Ok(Self {
            radio,
            http: Arc::new(ReqwestHttp::new()),
            vault: vault.clone(),
            device_key: Arc::new(SoftwareDeviceKey::new(vault)),
            clock: Arc::new(SystemClock::new()),
            log: Arc::new(TracingLog(LogLevel::Trace)),
            nfc: false,
            vendor: None,
        })
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").finish_non_exhaustive()
    }
}

/// Why the core can't start. The texts are for a person: they name the file and the remedy.
#[cfg_attr(feature = "uniffi", derive(uniffi::Error), uniffi(flat_error))]
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StartError {
    /// The service's address is not usable.
    #[error(transparent)]
    ServiceUrl(#[from] InvalidServiceUrl),
    /// The Branded App's id, the device's name or the platform is not usable.
    #[error("{0} is empty, too long or has characters that are not allowed")]
    Config(
        /// Which one.
        &'static str,
    ),
    /// The vault can't be read. It was left as it is; its owner may restore it or call
    /// [`Vault::wipe`](crate::vault::Vault::wipe), which signs out.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// An entry of the vault opens but makes no sense to this version.
    #[error("the vault's entry `{entry}` is damaged; restore the vault from a backup, or wipe it and sign in again")]
    VaultEntry {
        /// The entry.
        entry: &'static str,
    },
}

impl From<&StartError> for KeyError {
    fn from(error: &StartError) -> Self {
        match error {
            StartError::ServiceUrl(_) | StartError::Config(_) => ErrorCode::InvalidRequest.into(),
            StartError::Vault(error) => error.into(),
            StartError::VaultEntry { .. } => ErrorCode::VaultDamaged.into(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let name = self.device_name.chars().count();
        if !(1..=64).contains(&name) || self.device_name.chars().any(char::is_control) {
            return Err(StartError::Config("the device name"));
        }
        if self.app.0.is_empty() || self.app.0.len() > 128 || !self.app.0.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(StartError::Config("the app id"));
        }
        if !PLATFORMS.contains(&self.platform.as_str()) {
            return Err(StartError::Config("the platform"));
        }
        Ok(())
    }

    /// The platform, once checked.
    pub(crate) fn platform_name(&self) -> &'static str {
        PLATFORMS.into_iter().find(|name| *name == self.platform).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_checked() {
        let good = Config {
            service_url: "https://keys.example".into(),
            app: AppId("app".into()),
            device_name: "Ann's phone".into(),
            platform: "linux".into(),
        };
        assert_eq!(good.check(), Ok(()));
        let bad = [
            Config { app: AppId("a b".into()), ..good.clone() },
            Config { app: AppId(String::new()), ..good.clone() },
            Config { device_name: String::new(), ..good.clone() },
            Config { device_name: "x".repeat(65), ..good.clone() },
            Config { device_name: "a\nb".into(), ..good.clone() },
            Config { platform: "beos".into(), ..good },
        ];
        for config in bad {
            assert!(matches!(config.check(), Err(StartError::Config(_))), "{config:?}");
        }
    }
}
