//! The vault: what has to survive a restart, kept secret.
//!
//! A phone's host implements [`Vault`] over the Keychain or the Android Keystore; [`FileVault`] serves desktops and
//! tests.

mod file;

use std::path::PathBuf;

pub use file::{FileVault, VaultKey};
use thiserror::Error;

/// The largest value of an entry, bytes: the largest download, with what the phone adds to it.
pub const MAX_VALUE: usize = 4 << 20;

/// Secure storage for a few small named entries.
///
/// Entry names are ASCII lower-case letters and hyphens. Values are secret and at most [`MAX_VALUE`] long. A store is atomic: after
/// a crash or a power cut an entry has either its old or its new value.
#[cfg_attr(feature = "uniffi", uniffi::export(rust, foreign))]
pub trait Vault: Send + Sync + 'static {
    /// The value of the entry `name`; `None` when it was never stored or was removed.
    fn load(&self, name: String) -> Result<Option<Vec<u8>>, VaultError>;

    /// Stores the entry `name` durably before returning.
    fn store(&self, name: String, value: Vec<u8>) -> Result<(), VaultError>;

    /// Removes the entry `name`; removing what is not there is fine.
    fn remove(&self, name: String) -> Result<(), VaultError>;

    /// Removes every entry, readable or not.
    fn wipe(&self) -> Result<(), VaultError>;
}

/// Why the vault failed. Nothing is ever dropped or overwritten because of one of these.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Error))]
pub enum VaultError {
    /// A file of the vault was altered or cut short.
    #[error("{} is damaged; restore it from a backup, or sign out to wipe the vault and sign in again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A file was written by a newer version of this library.
    #[error("{} has format version {version}, which this version cannot read; update the app", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format version.
        version: u8,
    },
    /// A file was encrypted under another key.
    #[error("{} was encrypted under another key; give the vault the key it was made with, or sign out to wipe it", path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
    /// The key file is missing although the vault has entries.
    #[error("the vault's key file {} is missing; restore it from a backup, or remove the vault's folder and sign in again", path.display())]
    KeyMissing {
        /// The key file.
        path: PathBuf,
    },
    /// The key file does not hold a key.
    #[error("the vault's key file {} is damaged; restore it from a backup, or remove the vault's folder and sign in again", path.display())]
    KeyDamaged {
        /// The key file.
        path: PathBuf,
    },
    /// Others may read the key file.
    #[error("others may read the vault's key file {0}; run `chmod 600 {0}`", path.display())]
    KeyExposed {
        /// The key file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{}: {reason}; check free space and permissions", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The device's secure storage refused, is locked or is gone.
    #[error("the secure storage failed: {reason}")]
    Unavailable {
        /// The host's words, without secrets.
        reason: String,
    },
    /// An entry name or value is not allowed.
    #[error("not a vault entry: {0}", name)]
    InvalidEntry {
        /// The entry's name.
        name: String,
    },
}

impl VaultError {
    fn io(path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self::Io { path: path.into(), reason: error.to_string() }
    }
}
