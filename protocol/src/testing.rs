//! What unit tests share: a repeatable random source, and keys that belong to labels.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng, utils::next_word_via_fill};
use sha2::{Digest, Sha256};

use crate::crypto::rustcrypto::{RustCrypto, RustSigner};

/// Hashes a seed and a counter: the same bytes in every run.
pub(crate) struct SeededRng {
    seed: u64,
    counter: u64,
}

/// A back end with repeatable randomness.
pub(crate) fn crypto(seed: u64) -> RustCrypto<SeededRng> {
    RustCrypto::new(SeededRng { seed, counter: 0 })
}

/// The signing key that belongs to a label.
pub(crate) fn signer(label: &str) -> RustSigner {
    RustSigner::from_bytes(&Sha256::digest(label).into()).unwrap()
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            let block = Sha256::digest([self.seed.to_le_bytes(), self.counter.to_le_bytes()].concat());
            chunk.copy_from_slice(&block[..chunk.len()]);
            self.counter += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for SeededRng {}
