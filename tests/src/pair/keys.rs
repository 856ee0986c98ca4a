//! Keys that every run has alike, and the crypto back ends of both sides.

use keybutton_protocol::{
    crypto::{
        Crypto, Signer,
        rustcrypto::{RustCrypto, RustSigner},
    },
    ids::PublicKey,
};
use sha2::{Digest, Sha256};

use super::rng::SeededRng;

/// The lock's crypto back end, with repeatable randomness.
pub type LockCrypto = RustCrypto<SeededRng>;

/// A back end for hashing and verifying, whose randomness does not matter.
pub fn crypto() -> LockCrypto {
    seeded_crypto(0)
}

/// A back end with the randomness of a seed.
pub fn seeded_crypto(seed: u64) -> LockCrypto {
    RustCrypto::new(SeededRng::new(seed))
}

/// The signing key that belongs to a label: the same in every run.
pub fn signer(label: &str) -> RustSigner {
    let scalar: [u8; 32] = Sha256::digest(format!("keybutton tests: {label}")).into();
    RustSigner::from_bytes(&scalar).expect("a digest is a valid scalar")
}

/// The public half of [`signer`].
pub fn public(label: &str) -> PublicKey {
    signer(label).public_key()
}

/// `N` bytes that belong to a label: the same in every run.
pub fn bytes<const N: usize>(label: &str) -> [u8; N] {
    let digest: [u8; 32] = Sha256::digest(format!("keybutton tests, bytes: {label}")).into();
    let mut out = [0; N];
    out.copy_from_slice(&digest[..N]);
    out
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    crypto().sha256(&[bytes])
}
