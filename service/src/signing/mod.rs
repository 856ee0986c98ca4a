//! The service's own keys: issuers and CA of each site, audit key of each organization.
//!
//! Private halves live behind [`KeyVault`]. The software vault seals them with AES-256-GCM under a master key and keeps the
//! sealed bytes in the store; an HSM or a cloud KMS would keep its own key's name there instead.

mod master;
mod software;

use std::{fmt, sync::Arc};

use keybutton_protocol::{
    crypto::{CryptoError, Signer},
    ids::{PublicKey, ReaderId, Signature},
};
use thiserror::Error;

pub use self::{
    master::{MasterKey, MasterKeyError},
    software::SoftwareVault,
};

/// Keeps private keys and other small secrets.
pub trait KeyVault: Send + Sync + 'static {
    /// Makes a signing key; `label` binds the handle to its place, so that sealed keys can't be swapped.
    fn create_signing_key(&self, label: &str) -> Result<NewKey, VaultError>;

    /// Finds a signing key again.
    fn signing_key(&self, label: &str, key: &PublicKey, handle: &[u8]) -> Result<SharedSigner, VaultError>;

    /// Makes a key pair that audit envelopes are sealed to.
    fn create_audit_key(&self, label: &str) -> Result<NewKey, VaultError>;

    /// Opens an audit envelope; returns its plaintext.
    fn open_audit(&self, label: &str, handle: &[u8], reader: &ReaderId, envelope: &[u8])
    -> Result<Vec<u8>, VaultError>;

    /// Seals a small secret to be kept in the store.
    fn seal(&self, label: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError>;

    /// Opens a small secret.
    fn unseal(&self, label: &str, sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, VaultError>;
}

/// A key the vault has just made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewKey {
    /// The public half.
    pub public_key: PublicKey,
    /// What the vault finds the private half by; goes into the store.
    pub handle: Vec<u8>,
}

/// Why the vault fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum VaultError {
    /// A sealed secret does not open: another master key, another place, or altered.
    #[error("sealed key does not open under this master key")]
    Sealed,
    /// An audit envelope does not open.
    #[error("audit envelope does not open")]
    Envelope,
    /// Making a key, signing or sealing failed.
    #[error("key vault failed")]
    Failed,
}

/// Signs with a shared reference, from any thread.
pub trait Sign: Send + Sync {
    /// The public half.
    fn public_key(&self) -> PublicKey;

    /// Signs a message with ECDSA P-256/SHA-256.
    fn sign(&self, message: &[u8]) -> Result<Signature, CryptoError>;
}

/// A signing key in use. Clones share it.
#[derive(Clone)]
pub struct SharedSigner(Arc<dyn Sign>);

impl SharedSigner {
    /// Takes a signing key into shared use.
    pub fn new(key: impl Sign + 'static) -> Self {
        Self(Arc::new(key))
    }
}

impl Signer for SharedSigner {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&mut self, message: &[u8]) -> Result<Signature, CryptoError> {
        self.0.sign(message)
    }
}

impl fmt::Debug for SharedSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedSigner").field(&self.0.public_key()).finish()
    }
}
