//! The primitives the transaction needs, behind one trait that a back end implements.
//!
//! Back ends: [`RustCrypto`](rustcrypto::RustCrypto) (portable, no heap; the lock's default) and `ring`
//! (phone and service). A board with a crypto engine implements [`Crypto`] and [`Signer`] itself.

#[cfg(feature = "ring")]
pub mod ring;
#[cfg(feature = "rustcrypto")]
pub mod rustcrypto;

use thiserror::Error;

use crate::ids::{AeadKey, PublicKey, SharedSecret, Signature};

/// A back end: P-256, AES-256-GCM, HKDF, HMAC, SHA-256 and randomness.
///
/// Implementations must run ECDH, tag comparison and signing in constant time.
pub trait Crypto {
    /// An ephemeral private key: consumed by its only use and wiped on drop.
    type Ephemeral;

    /// Makes a fresh ephemeral key pair.
    fn generate_ephemeral(&mut self) -> Result<(Self::Ephemeral, PublicKey), CryptoError>;

    /// Agrees on the x coordinate of the shared point, 32 bytes.
    ///
    /// Refuses a peer key that is not a point of the curve with [`CryptoError::InvalidPoint`].
    fn agree(&mut self, own: Self::Ephemeral, peer: &PublicKey) -> Result<SharedSecret, CryptoError>;

    /// Checks that `key` is a point of the curve.
    fn check_point(&self, key: &PublicKey) -> Result<(), CryptoError>;

    /// Verifies an ECDSA P-256/SHA-256 signature `r || s` over `message`.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), CryptoError>;

    /// Encrypts `in_out` in place with AES-256-GCM and returns the tag.
    fn seal(&self, key: &AeadKey, iv: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> Result<[u8; 16], CryptoError>;

    /// Decrypts `in_out` in place; on [`CryptoError::Unauthentic`] its content must not be used.
    fn open(
        &self,
        key: &AeadKey,
        iv: &[u8; 12],
        aad: &[u8],
        in_out: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError>;

    /// HKDF-SHA-256 (RFC 5869), extract and expand, into `out` (at most 8,160 bytes).
    fn hkdf(&self, salt: &[u8], ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError>;

    /// HMAC-SHA-256 over the joined `parts`.
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];

    /// SHA-256 over the joined `parts`.
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32];

    /// Fills `out` with random bytes fit for keys.
    fn random(&mut self, out: &mut [u8]) -> Result<(), CryptoError>;
}

/// A long-term P-256 key that signs and never leaves its place.
pub trait Signer {
    /// The public half.
    fn public_key(&self) -> PublicKey;

    /// Signs `message` (not its digest) with ECDSA P-256/SHA-256.
    fn sign(&mut self, message: &[u8]) -> Result<Signature, CryptoError>;
}

/// Why a primitive failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CryptoError {
    /// A public key is not a point of the curve.
    #[error("public key is not on the curve")]
    InvalidPoint,
    /// A signature does not verify.
    #[error("signature does not verify")]
    BadSignature,
    /// A sealed message does not open.
    #[error("sealed message does not open")]
    Unauthentic,
    /// A private key or an output length is out of range.
    #[error("key or length out of range")]
    OutOfRange,
    /// The random source failed.
    #[error("random source failed")]
    Random,
    /// The key store or crypto engine failed.
    #[error("key store failed")]
    Engine,
}
