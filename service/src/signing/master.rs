//! The master key: from the environment, or from a file that only its owner can read.

use std::{
    fmt, fs,
    io::Write,
    path::{Path, PathBuf},
};

use keybutton_protocol::ids::AeadKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::random;

/// Seals every private key of the service. 32 bytes, written as 64 hex digits.
#[derive(Clone)]
pub struct MasterKey(AeadKey);

/// Why there is no usable master key.
#[derive(Debug, Error)]
pub enum MasterKeyError {
    /// The text is not a key.
    #[error("master key in {place} is not 64 hex digits")]
    Malformed {
        /// Where it stands.
        place: String,
    },
    /// The file can't be read or made.
    #[error("master key file {path} can't be used: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Others may read the file.
    #[error("master key file {path} is readable by others (mode {mode:o}); run: chmod 600 {path}")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The database exists, but its key is gone.
    #[error(
        "master key file {path} is missing, but the database was sealed with it; restore it from a backup or set KEYBUTTON_MASTER_KEY"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The database was sealed with another key.
    #[error("database was sealed under another master key; use the key it was made with")]
    Wrong,
    /// The random source failed.
    #[error("random source failed")]
    Random,
}

impl MasterKey {
    /// Takes over a key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(AeadKey::new(bytes))
    }

    /// Makes a key.
    pub fn generate() -> Result<Self, MasterKeyError> {
        random::bytes().map(Self::from_bytes).map_err(|_| MasterKeyError::Random)
    }

    /// Reads a key from 64 hex digits; `place` names where they stand.
    pub fn parse(text: &str, place: &str) -> Result<Self, MasterKeyError> {
        let malformed = || MasterKeyError::Malformed { place: place.to_owned() };
        let text = text.trim().as_bytes();
        if text.len() != 64 {
            return Err(malformed());
        }
        let mut bytes = Zeroizing::new([0_u8; 32]);
        for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |at: usize| digits.get(at).and_then(|d| char::from(*d).to_digit(16)).ok_or_else(malformed);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).map_err(|_| malformed())?;
        }
        Ok(Self::from_bytes(*bytes))
    }

    /// Reads the key file; makes one when it is missing and `create` is set.
    pub fn from_file(path: &Path, create: bool) -> Result<Self, MasterKeyError> {
        let failed = |error: std::io::Error| MasterKeyError::File { path: path.to_owned(), reason: error.to_string() };
        match fs::read_to_string(path) {
            Ok(text) => {
                check_permissions(path)?;
                Self::parse(&Zeroizing::new(text), &path.display().to_string())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => {
                let key = Self::generate()?;
                let text = Zeroizing::new(random::hex(key.expose().expose()) + "\n");
                let mut options = fs::OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let mut file = options.open(path).map_err(failed)?;
                file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
                Ok(key)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(MasterKeyError::Missing { path: path.to_owned() })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Exposes the key to the vault.
    pub(super) const fn expose(&self) -> &AeadKey {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}

#[cfg(unix)]
fn check_permissions(path: &Path) -> Result<(), MasterKeyError> {
    use std::os::unix::fs::PermissionsExt;

    let failed = |error: std::io::Error| MasterKeyError::File { path: path.to_owned(), reason: error.to_string() };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(MasterKeyError::Permissions { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_permissions(_path: &Path) -> Result<(), MasterKeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(matches!(MasterKey::from_file(&path, false), Err(MasterKeyError::Missing { .. })));
        let made = MasterKey::from_file(&path, true).unwrap();
        let read = MasterKey::from_file(&path, false).unwrap();
        assert!(made.0 == read.0);
        assert_eq!(format!("{made:?}"), "MasterKey(redacted)");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::from_file(&path, true).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = MasterKey::from_file(&path, true).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn keys_are_64_hex_digits() {
        assert!(MasterKey::parse(&"0f".repeat(32), "x").unwrap().0 == AeadKey::new([0x0F; 32]));
        for bad in ["", "00", &"0g".repeat(32), &"é".repeat(32), &"+1".repeat(32)] {
            let error = MasterKey::parse(bad, "the environment").unwrap_err();
            assert_eq!(error.to_string(), "master key in the environment is not 64 hex digits");
        }
    }
}
