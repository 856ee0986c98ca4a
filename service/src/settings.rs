//! Settings of the binary: by flag, else by environment, else by file, else by default.

use std::{fs, net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use thiserror::Error;

use crate::{
    service::{Database, Settings},
    signing::{MasterKey, MasterKeyError},
};

/// The environment variable with the master key: 64 hex digits. There is no flag for it, since flags are visible to others
/// on the machine.
pub const MASTER_KEY_VARIABLE: &str = "KEYBUTTON_MASTER_KEY";

const DEFAULT_DATABASE: &str = "keybutton.db";
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Every setting, each of which may be left out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The database file, or `:memory:` [default: keybutton.db]
    #[arg(long, env = "KEYBUTTON_DATABASE", value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "KEYBUTTON_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The file with the master key, 64 hex digits, mode 0600 [default: the database file's name with .key]
    #[arg(long, env = "KEYBUTTON_MASTER_KEY_FILE", value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,
    /// The largest body of a request, bytes [default: 65536]
    #[arg(long, env = "KEYBUTTON_BODY_LIMIT", value_name = "BYTES")]
    pub body_limit: Option<usize>,
    /// What is logged, such as `info` or `keybutton_service=debug` [default: info]
    #[arg(long, env = "KEYBUTTON_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How it is logged [default: text]
    #[arg(long, env = "KEYBUTTON_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// A TOML file with these settings, for what is given neither by flag nor by environment
    #[arg(long, env = "KEYBUTTON_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings with every default filled in.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What the service is opened with.
    pub service: Settings,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What is logged.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
}

/// Why settings can't be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The settings file can't be read.
    #[error("settings file {path} can't be read: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The settings file is not understood.
    #[error("settings file {path} is not understood: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// The master key can't be used.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
}

impl Options {
    /// Fills in the settings file and the defaults. `master_key` is the value of [`MASTER_KEY_VARIABLE`].
    pub fn resolve(self, master_key: Option<&str>) -> Result<Resolved, SettingsError> {
        let file = self.config.as_ref().map(read).transpose()?.unwrap_or_default();
        let database = self.database.or(file.database).unwrap_or_else(|| DEFAULT_DATABASE.into());
        let key_file = self.master_key_file.or(file.master_key_file);
        let master_key = match (master_key, key_file) {
            (Some(text), _) => Some(MasterKey::parse(text, &format!("the environment ({MASTER_KEY_VARIABLE})"))?),
            (None, Some(path)) => {
                // A new key only for a new database: for an old one it would be the wrong one.
                let fresh = !database.metadata().is_ok_and(|metadata| metadata.len() > 0);
                Some(MasterKey::from_file(&path, fresh)?)
            }
            (None, None) => None,
        };
        let defaults = Settings::memory();
        let database = if database.as_os_str() == ":memory:" { Database::Memory } else { Database::File(database) };
        let body_limit = self.body_limit.or(file.body_limit).unwrap_or(defaults.body_limit);
        Ok(Resolved {
            service: Settings { database, master_key, body_limit, ..defaults },
            listen: self.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN),
            log: self.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

fn read(path: &PathBuf) -> Result<Options, SettingsError> {
    let text = fs::read_to_string(path)
        .map_err(|error| SettingsError::File { path: path.clone(), reason: error.to_string() })?;
    toml::from_str(&text)
        .map_err(|error| SettingsError::Malformed { path: path.clone(), reason: error.message().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str, options: Options) -> Result<Resolved, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, text).unwrap();
        Options { config: Some(path), ..options }.resolve(None)
    }

    #[test]
    fn the_file_fills_what_flags_leave_out() {
        let flags = Options { listen: Some("127.0.0.1:1".parse().unwrap()), ..Options::default() };
        let resolved = with_file(
            "listen = \"127.0.0.1:2\"\nbody_limit = 1000\ndatabase = \":memory:\"\nlog_format = \"json\"",
            flags,
        )
        .unwrap();
        assert_eq!(resolved.listen.port(), 1);
        assert_eq!(resolved.service.body_limit, 1000);
        assert_eq!(resolved.service.database, Database::Memory);
        assert_eq!(resolved.log_format, LogFormat::Json);
        assert_eq!(resolved.log, "info");
    }

    #[test]
    fn defaults_fill_the_rest() {
        let resolved = Options::default().resolve(None).unwrap();
        assert_eq!(resolved.listen, DEFAULT_LISTEN);
        assert_eq!(resolved.service.database, Database::File(DEFAULT_DATABASE.into()));
        assert!(resolved.service.master_key.is_none());
    }

    #[test]
    fn mistakes_in_the_file_are_told() {
        let error = with_file("listne = \"127.0.0.1:2\"", Options::default()).unwrap_err();
        assert!(error.to_string().contains("settings.toml") && error.to_string().contains("listne"), "{error}");
        let missing = Options { config: Some("/nowhere/settings.toml".into()), ..Options::default() };
        assert!(matches!(missing.resolve(None), Err(SettingsError::File { .. })));
    }

    #[test]
    fn a_bad_master_key_is_not_repeated() {
        let error = Options::default().resolve(Some("c0ffee-secret")).unwrap_err().to_string();
        assert!(error.contains("KEYBUTTON_MASTER_KEY") && !error.contains("c0ffee"), "{error}");
    }
}
