//! A lock's signature over the head of its audit chain (`docs/PROTOCOL.md` section 19).

use super::Head;
use crate::{
    crypto::{Crypto, CryptoError, Signer},
    ids::{PublicKey, ReaderId, Signature, UnixTime},
};

/// The length of the data that is signed.
pub const CHECKPOINT_LEN: usize = 84;

/// Keeps a checkpoint's signature from meaning anything else.
const USAGE: [u8; 4] = [0x21, 0x70, 0xED, 0x39];

/// A chain's head at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Checkpoint {
    /// The lock.
    pub reader: ReaderId,
    /// The newest record.
    pub head: Head,
    /// The lock's time.
    pub time: UnixTime,
}

impl Checkpoint {
    /// Writes the data that is signed.
    pub fn to_bytes(&self) -> [u8; CHECKPOINT_LEN] {
        let mut out = [0; CHECKPOINT_LEN];
        let mut rest = &mut out[..];
        for part in [
            &[0x4D, 0x20][..],
            self.reader.as_bytes(),
            &[0xC8, 0x24],
            &self.head.number.to_be_bytes(),
            &self.head.hash,
            &[0xC4, 0x04],
            &self.time.0.to_be_bytes(),
            &[0x93, 0x04],
            &USAGE,
        ] {
            let (head, tail) = rest.split_at_mut(part.len());
            head.copy_from_slice(part);
            rest = tail;
        }
        out
    }

    /// Signs with the lock's reader key.
    pub fn sign<S: Signer>(&self, reader_key: &mut S) -> Result<Signature, CryptoError> {
        reader_key.sign(&self.to_bytes())
    }

    /// Verifies a signature by the lock's reader key.
    pub fn verify<C: Crypto>(
        &self,
        crypto: &C,
        reader_key: &PublicKey,
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        crypto.verify(reader_key, &self.to_bytes(), signature)
    }
}
