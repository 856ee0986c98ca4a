//! The phone's and the service's back end: `ring`.

use std::fmt;

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey},
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey as PeerKey, agree_ephemeral},
    digest, hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey},
};
use zeroize::Zeroizing;

use super::{Crypto, CryptoError, Signer};
use crate::ids::{AeadKey, PublicKey, SharedSecret, Signature};

/// The `ring` back end over the system's random source.
#[derive(Clone, Debug)]
pub struct Ring {
    random: SystemRandom,
}

impl Ring {
    /// Makes a back end.
    pub fn new() -> Self {
        Self { random: SystemRandom::new() }
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

impl Crypto for Ring {
    type Ephemeral = EphemeralPrivateKey;

    fn generate_ephemeral(&mut self) -> Result<(EphemeralPrivateKey, PublicKey), CryptoError> {
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &self.random).map_err(|_| CryptoError::Random)?;
        let public = own.compute_public_key().map_err(|_| CryptoError::Engine)?;
        Ok((own, PublicKey::from_slice(public.as_ref()).ok_or(CryptoError::Engine)?))
    }

    fn agree(&mut self, own: EphemeralPrivateKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
        agree_ephemeral(own, &PeerKey::new(&ECDH_P256, peer.as_bytes()), SharedSecret::from_slice)
            .ok()
            .flatten()
            .ok_or(CryptoError::InvalidPoint)
    }

    fn check_point(&self, key: &PublicKey) -> Result<(), CryptoError> {
        // `ring` checks points only in the course of an agreement or a verification, either of which costs more.
        p256::PublicKey::from_sec1_bytes(key.as_bytes()).map(|_| ()).map_err(|_| CryptoError::InvalidPoint)
    }

    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), CryptoError> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.as_bytes())
            .verify(message, signature.as_bytes())
            .map_err(|_| CryptoError::BadSignature)
    }

    fn seal(&self, key: &AeadKey, iv: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> Result<[u8; 16], CryptoError> {
        let tag = cipher(key)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(*iv), Aad::from(aad), in_out)
            .map_err(|_| CryptoError::OutOfRange)?;
        tag.as_ref().try_into().map_err(|_| CryptoError::Engine)
    }

    fn open(
        &self,
        key: &AeadKey,
        iv: &[u8; 12],
        aad: &[u8],
        in_out: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        let nonce = Nonce::assume_unique_for_key(*iv);
        cipher(key)?
            .open_in_place_separate_tag(nonce, Aad::from(aad), Tag::from(*tag), in_out, 0..)
            .map(|_| ())
            .map_err(|_| CryptoError::Unauthentic)
    }

    fn hkdf(&self, salt: &[u8], ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(ikm)
            .expand(&[info], Length(out.len()))
            .and_then(|okm| okm.fill(out))
            .map_err(|_| CryptoError::OutOfRange)
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        parts.iter().for_each(|part| mac.update(part));
        array(mac.sign().as_ref())
    }

    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        parts.iter().for_each(|part| hash.update(part));
        array(hash.finish().as_ref())
    }

    fn random(&mut self, out: &mut [u8]) -> Result<(), CryptoError> {
        self.random.fill(out).map_err(|_| CryptoError::Random)
    }
}

/// A P-256 signing key in software, with random nonces.
pub struct RingSigner {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl RingSigner {
    /// Takes over a private key in PKCS#8 form, as [`RingSigner::generate_pkcs8`] makes them.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, CryptoError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
            .map_err(|_| CryptoError::OutOfRange)?;
        Ok(Self { pair, random })
    }

    /// Takes over a private key: a scalar, big-endian. Fails when it is zero or not below the order.
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<Self, CryptoError> {
        let random = SystemRandom::new();
        let public = p256::SecretKey::from_slice(scalar).map_err(|_| CryptoError::OutOfRange)?.public_key();
        let public = p256::elliptic_curve::sec1::ToSec1Point::to_sec1_point(&public, false);
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, public.as_bytes(), &random)
            .map_err(|_| CryptoError::OutOfRange)?;
        Ok(Self { pair, random })
    }

    /// Makes a fresh private key in PKCS#8 form, for a store.
    pub fn generate_pkcs8() -> Result<Zeroizing<std::vec::Vec<u8>>, CryptoError> {
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map(|pkcs8| Zeroizing::new(pkcs8.as_ref().to_vec()))
            .map_err(|_| CryptoError::Random)
    }

    /// Signs without exclusive access: several threads may share the key.
    pub fn sign_shared(&self, message: &[u8]) -> Result<Signature, CryptoError> {
        let signature = self.pair.sign(&self.random, message).map_err(|_| CryptoError::Engine)?;
        Signature::from_slice(signature.as_ref()).ok_or(CryptoError::Engine)
    }
}

impl Signer for RingSigner {
    fn public_key(&self) -> PublicKey {
        PublicKey(array(self.pair.public_key().as_ref()))
    }

    fn sign(&mut self, message: &[u8]) -> Result<Signature, CryptoError> {
        self.sign_shared(message)
    }
}

impl fmt::Debug for RingSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingSigner(redacted)")
    }
}

/// The output length of an HKDF expansion.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn cipher(key: &AeadKey) -> Result<LessSafeKey, CryptoError> {
    UnboundKey::new(&AES_256_GCM, key.expose()).map(LessSafeKey::new).map_err(|_| CryptoError::Engine)
}

/// Copies output whose length its algorithm fixes.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}
