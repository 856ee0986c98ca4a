//! The audit envelope: a checkpoint and the records up to it, sealed to the service (`docs/PROTOCOL.md` section 19).
//!
//! HPKE (RFC 9180) base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The lock seals in place without a
//! heap; the phone that carries the envelope can neither read nor alter it.

use thiserror::Error;

use super::{
    checkpoint::Checkpoint,
    record::{ChainError, Head, RECORD_LEN, verify_chain},
};
use crate::{
    crypto::Crypto,
    ids::{PublicKey, ReaderId, Signature, UnixTime},
};

/// The most records of one envelope.
pub const RECORDS_MAX: usize = 18;
/// Checkpoint signature, time and count before the records.
const HEAD_LEN: usize = 64 + 4 + 2;
/// The longest plaintext.
pub const PLAINTEXT_MAX: usize = HEAD_LEN + RECORDS_MAX * RECORD_LEN;
/// The longest envelope on the wire, bytes.
pub const ENVELOPE_MAX: usize = 1_900;

/// Why an envelope can't be sealed, opened or believed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum EnvelopeError {
    /// It is too long, too short, or its count is wrong.
    #[error("audit envelope has a wrong length")]
    Length,
    /// The audit key is not a P-256 key.
    #[error("audit key is not a P-256 key")]
    Key,
    /// It was not sealed to this key, or for this lock, or was altered.
    #[error("audit envelope does not open")]
    Unauthentic,
    /// The random source failed.
    #[error("random source failed")]
    Random,
    /// The records do not continue the chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The lock did not sign the last record.
    #[error("audit checkpoint's signature does not verify")]
    Checkpoint,
}

/// Writes the plaintext of an envelope; returns its length.
pub fn write_plaintext<'r>(
    checkpoint: &Signature,
    time: UnixTime,
    records: impl ExactSizeIterator<Item = &'r [u8; RECORD_LEN]>,
    out: &mut [u8],
) -> Result<usize, EnvelopeError> {
    let count = records.len();
    let len = HEAD_LEN + count * RECORD_LEN;
    if count > RECORDS_MAX {
        return Err(EnvelopeError::Length);
    }
    let (head, body) =
        out.get_mut(..len).and_then(|out| out.split_at_mut_checked(HEAD_LEN)).ok_or(EnvelopeError::Length)?;
    let (signature, rest) = head.split_at_mut(64);
    signature.copy_from_slice(checkpoint.as_bytes());
    let (seconds, number) = rest.split_at_mut(4);
    seconds.copy_from_slice(&time.0.to_be_bytes());
    number.copy_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
    for (place, record) in body.chunks_exact_mut(RECORD_LEN).zip(records) {
        place.copy_from_slice(record);
    }
    Ok(len)
}

/// An opened envelope; its records are not believed before [`Envelope::verify`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// The lock's signature over the last record.
    pub checkpoint: Signature,
    /// The lock's time when it signed.
    pub time: UnixTime,
    /// The records, 96 bytes each, oldest first.
    pub records: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads an opened envelope's plaintext.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, EnvelopeError> {
        let (checkpoint, rest) = plaintext.split_first_chunk::<64>().ok_or(EnvelopeError::Length)?;
        let (time, rest) = rest.split_first_chunk().ok_or(EnvelopeError::Length)?;
        let (count, records) = rest.split_first_chunk().ok_or(EnvelopeError::Length)?;
        let count = usize::from(u16::from_be_bytes(*count));
        if count > RECORDS_MAX || records.len() != count * RECORD_LEN {
            return Err(EnvelopeError::Length);
        }
        Ok(Self { checkpoint: Signature(*checkpoint), time: UnixTime(u32::from_be_bytes(*time)), records })
    }

    /// Verifies that the records continue the chain from `head` and that the lock signed the last one.
    ///
    /// Returns the chain's new head, which an ACK token acknowledges.
    pub fn verify<C: Crypto>(
        &self,
        crypto: &C,
        reader: ReaderId,
        reader_key: &PublicKey,
        head: Head,
    ) -> Result<Head, EnvelopeError> {
        let mut head = head;
        for step in verify_chain(crypto, head, self.records) {
            head = step?.1;
        }
        let checkpoint = Checkpoint { reader, head, time: self.time };
        checkpoint.verify(crypto, reader_key, &self.checkpoint).map_err(|_| EnvelopeError::Checkpoint)?;
        Ok(head)
    }

    /// The number of the oldest record, or `None` without records; tells where to continue from.
    pub fn first_number(&self) -> Option<u32> {
        let number = self.records.get(4..8)?;
        number.try_into().ok().map(u32::from_be_bytes)
    }
}

#[cfg(feature = "envelope")]
pub use sealed::{SEAL_OVERHEAD, generate_audit_key, open, seal};

#[cfg(feature = "envelope")]
mod sealed {
    use core::convert::Infallible;

    use hpke::{
        Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm256, inout::InOutBuf, kdf::HkdfSha256,
        kem::DhP256HkdfSha256, single_shot_open_inout_detached, single_shot_seal_inout_detached_with_rng,
    };
    use rand_core::{TryCryptoRng, TryRng, utils::next_word_via_fill};
    use zeroize::Zeroizing;

    use super::{ENVELOPE_MAX, EnvelopeError};
    use crate::{
        crypto::Crypto,
        ids::{PublicKey, ReaderId},
    };

    const INFO: &[u8] = b"keybutton/audit/1";
    const ENC: usize = PublicKey::LEN;
    const TAG: usize = 16;

    /// What sealing adds to a plaintext: the encapsulated key before it, the tag behind.
    pub const SEAL_OVERHEAD: usize = ENC + TAG;

    type PrivateKey = <DhP256HkdfSha256 as Kem>::PrivateKey;

    /// Seals the plaintext that stands at `out[65..65 + len]` in place; returns the envelope's length.
    ///
    /// `out` needs 65 bytes before and 16 bytes behind the plaintext.
    pub fn seal<C: Crypto>(
        crypto: &mut C,
        audit_key: &PublicKey,
        reader: &ReaderId,
        len: usize,
        out: &mut [u8],
    ) -> Result<usize, EnvelopeError> {
        let total =
            len.checked_add(SEAL_OVERHEAD).filter(|total| *total <= ENVELOPE_MAX).ok_or(EnvelopeError::Length)?;
        let out = out.get_mut(..total).ok_or(EnvelopeError::Length)?;
        let (enc, rest) = out.split_at_mut(ENC);
        let (body, tag) = rest.split_at_mut(len);
        let key = Deserializable::from_bytes(audit_key.as_bytes()).map_err(|_| EnvelopeError::Key)?;
        let mut rng = Rng { crypto, failed: false };
        let sealed = single_shot_seal_inout_detached_with_rng::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
            &OpModeS::Base,
            &key,
            INFO,
            InOutBuf::from(body),
            reader.as_bytes(),
            &mut rng,
        );
        if rng.failed {
            return Err(EnvelopeError::Random);
        }
        let (encapsulated, body_tag) = sealed.map_err(|_| EnvelopeError::Key)?;
        enc.copy_from_slice(&encapsulated.to_bytes());
        tag.copy_from_slice(&body_tag.to_bytes());
        Ok(total)
    }

    /// Opens an envelope in place; returns the plaintext's place in `envelope`.
    ///
    /// `audit_key` is the private half, 32 bytes.
    pub fn open<'e>(
        audit_key: &[u8; 32],
        reader: &ReaderId,
        envelope: &'e mut [u8],
    ) -> Result<&'e [u8], EnvelopeError> {
        if envelope.len() > ENVELOPE_MAX {
            return Err(EnvelopeError::Length);
        }
        let (enc, rest) = envelope.split_at_mut_checked(ENC).ok_or(EnvelopeError::Length)?;
        let len = rest.len().checked_sub(TAG).ok_or(EnvelopeError::Length)?;
        let (body, tag) = rest.split_at_mut(len);
        let key = PrivateKey::from_bytes(audit_key).map_err(|_| EnvelopeError::Key)?;
        let enc = Deserializable::from_bytes(enc).map_err(|_| EnvelopeError::Unauthentic)?;
        let tag = Deserializable::from_bytes(tag).map_err(|_| EnvelopeError::Unauthentic)?;
        single_shot_open_inout_detached::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
            &OpModeR::Base,
            &key,
            &enc,
            INFO,
            InOutBuf::from(&mut *body),
            reader.as_bytes(),
            &tag,
        )
        .map_err(|_| EnvelopeError::Unauthentic)?;
        Ok(body)
    }

    /// Makes a key pair to seal audit to; the private half is 32 bytes.
    pub fn generate_audit_key<C: Crypto>(crypto: &mut C) -> Result<(Zeroizing<[u8; 32]>, PublicKey), EnvelopeError> {
        let mut seed = Zeroizing::new([0; 32]);
        crypto.random(&mut *seed).map_err(|_| EnvelopeError::Random)?;
        let (private, public) = DhP256HkdfSha256::derive_keypair(&*seed);
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(&private.to_bytes());
        let public = PublicKey::from_slice(&public.to_bytes()).ok_or(EnvelopeError::Key)?;
        Ok((bytes, public))
    }

    /// A back end's random source as HPKE wants it. A failure can't be reported there, so it is remembered.
    struct Rng<'c, C> {
        crypto: &'c mut C,
        failed: bool,
    }

    impl<C: Crypto> TryRng for Rng<'_, C> {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            next_word_via_fill(self)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            next_word_via_fill(self)
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
            self.failed |= self.crypto.random(out).is_err();
            Ok(())
        }
    }

    impl<C: Crypto> TryCryptoRng for Rng<'_, C> {}
}
