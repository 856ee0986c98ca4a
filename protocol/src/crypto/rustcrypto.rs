//! The portable back end: RustCrypto's `p256`, `aes-gcm`, `hkdf`, `hmac` and `sha2`. No heap.

use core::fmt;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p256::{
    NistP256,
    ecdh::diffie_hellman,
    ecdsa::{
        Signature as P256Signature, SigningKey, VerifyingKey,
        signature::{Signer as _, Verifier as _},
    },
    elliptic_curve::sec1::ToSec1Point,
};
use rand_core::TryCryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Crypto, CryptoError, Signer};
use crate::ids::{AeadKey, PublicKey, SharedSecret, Signature};

type CurveKey = p256::elliptic_curve::PublicKey<NistP256>;
type SecretKey = p256::elliptic_curve::SecretKey<NistP256>;

/// How often a private key is drawn before the random source is called broken: one draw in 2^32 is out of range.
const DRAWS: usize = 8;

/// The portable back end over a random source.
///
/// A private key is the first in-range 32 bytes the source gives, so that a test that scripts the source reproduces
/// every byte of a transaction.
pub struct RustCrypto<R> {
    rng: R,
}

impl<R> RustCrypto<R> {
    /// Makes a back end that draws from `rng`.
    pub const fn new(rng: R) -> Self {
        Self { rng }
    }
}

impl<R> fmt::Debug for RustCrypto<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustCrypto").finish_non_exhaustive()
    }
}

/// An ephemeral private key. Wiped on drop.
pub struct Ephemeral(SecretKey);

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral(redacted)")
    }
}

impl<R: TryCryptoRng> Crypto for RustCrypto<R> {
    type Ephemeral = Ephemeral;

    fn generate_ephemeral(&mut self) -> Result<(Ephemeral, PublicKey), CryptoError> {
        let mut scalar = Zeroizing::new([0; 32]);
        for _ in 0..DRAWS {
            self.random(&mut scalar[..])?;
            if let Ok(secret) = SecretKey::from_slice(&scalar[..]) {
                let public = encode(&secret.public_key())?;
                return Ok((Ephemeral(secret), public));
            }
        }
        Err(CryptoError::Random)
    }

    fn agree(&mut self, own: Ephemeral, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
        let peer = decode(peer)?;
        let z = diffie_hellman::<NistP256>(own.0.to_nonzero_scalar(), peer.as_affine());
        SharedSecret::from_slice(z.raw_secret_bytes()).ok_or(CryptoError::Engine)
    }

    fn check_point(&self, key: &PublicKey) -> Result<(), CryptoError> {
        decode(key).map(|_| ())
    }

    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), CryptoError> {
        let key = VerifyingKey::from(decode(key)?);
        let signature = P256Signature::from_slice(signature.as_bytes()).map_err(|_| CryptoError::BadSignature)?;
        key.verify(message, &signature).map_err(|_| CryptoError::BadSignature)
    }

    fn seal(&self, key: &AeadKey, iv: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> Result<[u8; 16], CryptoError> {
        let cipher = Aes256Gcm::new(key.expose().into());
        let tag = cipher.encrypt_inout_detached(iv.into(), aad, in_out.into()).map_err(|_| CryptoError::OutOfRange)?;
        Ok(tag.into())
    }

    fn open(
        &self,
        key: &AeadKey,
        iv: &[u8; 12],
        aad: &[u8],
        in_out: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        let cipher = Aes256Gcm::new(key.expose().into());
        cipher.decrypt_inout_detached(iv.into(), aad, in_out.into(), tag.into()).map_err(|_| CryptoError::Unauthentic)
    }

    fn hkdf(&self, salt: &[u8], ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        Hkdf::<Sha256>::new(Some(salt), ikm).expand(info, out).map_err(|_| CryptoError::OutOfRange)
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length; the empty one stands in for an error that cannot happen.
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return [0; 32] };
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize().into()
    }

    fn random(&mut self, out: &mut [u8]) -> Result<(), CryptoError> {
        self.rng.try_fill_bytes(out).map_err(|_| CryptoError::Random)
    }
}

/// A P-256 signing key in software; signatures are deterministic (RFC 6979). Wiped on drop.
#[derive(Clone)]
pub struct RustSigner(SigningKey);

impl RustSigner {
    /// Takes over a private key: a scalar, big-endian. Fails when it is zero or not below the order.
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<Self, CryptoError> {
        SigningKey::from_slice(scalar).map(Self).map_err(|_| CryptoError::OutOfRange)
    }

    /// Makes a fresh key.
    pub fn generate(crypto: &mut impl Crypto) -> Result<Self, CryptoError> {
        let mut scalar = Zeroizing::new([0; 32]);
        for _ in 0..DRAWS {
            crypto.random(&mut scalar[..])?;
            if let Ok(signer) = Self::from_bytes(&scalar) {
                return Ok(signer);
            }
        }
        Err(CryptoError::Random)
    }

    /// Exposes the private key to a store.
    pub fn expose(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }
}

impl Signer for RustSigner {
    fn public_key(&self) -> PublicKey {
        // A signing key's own point is never the one at infinity: it has coordinates.
        encode(&self.0.verifying_key().into()).unwrap_or(PublicKey([0; 65]))
    }

    fn sign(&mut self, message: &[u8]) -> Result<Signature, CryptoError> {
        let signature: P256Signature = self.0.try_sign(message).map_err(|_| CryptoError::Engine)?;
        Ok(Signature(signature.to_bytes().into()))
    }
}

impl fmt::Debug for RustSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RustSigner(redacted)")
    }
}

fn decode(key: &PublicKey) -> Result<CurveKey, CryptoError> {
    CurveKey::from_sec1_bytes(key.as_bytes()).map_err(|_| CryptoError::InvalidPoint)
}

fn encode(key: &CurveKey) -> Result<PublicKey, CryptoError> {
    PublicKey::from_slice(key.to_sec1_point(false).as_bytes()).ok_or(CryptoError::Engine)
}
