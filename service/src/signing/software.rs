//! The vault in software: private keys sealed under the master key.

use keybutton_protocol::{
    audit,
    crypto::{
        Crypto, CryptoError, Signer,
        ring::{Ring, RingSigner},
    },
    ids::{PublicKey, ReaderId, Signature},
};
use zeroize::Zeroizing;

use super::{KeyVault, MasterKey, NewKey, SharedSigner, Sign, VaultError};

const NONCE: usize = 12;
const TAG: usize = 16;

/// A vault that seals with AES-256-GCM under a master key: `nonce 12 || ciphertext || tag 16`, the label as associated
/// data.
#[derive(Debug)]
pub struct SoftwareVault {
    master: MasterKey,
}

impl SoftwareVault {
    /// Makes a vault.
    pub const fn new(master: MasterKey) -> Self {
        Self { master }
    }
}

impl KeyVault for SoftwareVault {
    fn create_signing_key(&self, label: &str) -> Result<NewKey, VaultError> {
        let pkcs8 = RingSigner::generate_pkcs8().map_err(|_| VaultError::Failed)?;
        let public_key = RingSigner::from_pkcs8(&pkcs8).map_err(|_| VaultError::Failed)?.public_key();
        Ok(NewKey { public_key, handle: self.seal(label, &pkcs8)? })
    }

    fn signing_key(&self, label: &str, key: &PublicKey, handle: &[u8]) -> Result<SharedSigner, VaultError> {
        let pkcs8 = self.unseal(label, handle)?;
        let signer = RingSigner::from_pkcs8(&pkcs8).map_err(|_| VaultError::Sealed)?;
        // The public half stands unsealed beside it: a swapped one would have locks trust a stranger.
        if signer.public_key() == *key { Ok(SharedSigner::new(SoftwareKey(signer))) } else { Err(VaultError::Sealed) }
    }

    fn create_audit_key(&self, label: &str) -> Result<NewKey, VaultError> {
        let (private, public_key) = audit::generate_audit_key(&mut Ring::new()).map_err(|_| VaultError::Failed)?;
        Ok(NewKey { public_key, handle: self.seal(label, &private[..])? })
    }

    fn open_audit(
        &self,
        label: &str,
        handle: &[u8],
        reader: &ReaderId,
        envelope: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let private = self.unseal(label, handle)?;
        let private: Zeroizing<[u8; 32]> =
            Zeroizing::new(private.as_slice().try_into().map_err(|_| VaultError::Sealed)?);
        let mut envelope = envelope.to_vec();
        audit::open(&private, reader, &mut envelope).map(<[u8]>::to_vec).map_err(|_| VaultError::Envelope)
    }

    fn seal(&self, label: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut crypto = Ring::new();
        let mut nonce = [0; NONCE];
        crypto.random(&mut nonce).map_err(|_| VaultError::Failed)?;
        let mut sealed = nonce.to_vec();
        sealed.extend_from_slice(secret);
        let tag = crypto
            .seal(self.master.expose(), &nonce, label.as_bytes(), &mut sealed[NONCE..])
            .map_err(|_| VaultError::Failed)?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    fn unseal(&self, label: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(VaultError::Sealed)?;
        let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(VaultError::Sealed)?;
        let mut secret = Zeroizing::new(body.to_vec());
        Ring::new()
            .open(self.master.expose(), nonce, label.as_bytes(), &mut secret, tag)
            .map_err(|_| VaultError::Sealed)?;
        Ok(secret)
    }
}

struct SoftwareKey(RingSigner);

impl Sign for SoftwareKey {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, CryptoError> {
        self.0.sign_shared(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> SoftwareVault {
        SoftwareVault::new(MasterKey::from_bytes([byte; 32]))
    }

    #[test]
    fn keys_come_back_and_sign() {
        let vault = vault(1);
        let made = vault.create_signing_key("issuer of s").unwrap();
        let mut signer = vault.signing_key("issuer of s", &made.public_key, &made.handle).unwrap();
        let signature = Signer::sign(&mut signer, b"message").unwrap();
        Ring::new().verify(&made.public_key, b"message", &signature).unwrap();
    }

    #[test]
    fn sealed_keys_open_only_where_they_belong() {
        let made = vault(1).create_signing_key("issuer of s").unwrap();
        let open = |byte, label, key: &PublicKey, handle: &[u8]| vault(byte).signing_key(label, key, handle).err();
        assert_eq!(open(2, "issuer of s", &made.public_key, &made.handle), Some(VaultError::Sealed));
        assert_eq!(open(1, "issuer of t", &made.public_key, &made.handle), Some(VaultError::Sealed));
        assert_eq!(open(1, "issuer of s", &PublicKey([4; 65]), &made.handle), Some(VaultError::Sealed));
        let mut altered = made.handle.clone();
        altered[20] ^= 1;
        assert_eq!(open(1, "issuer of s", &made.public_key, &altered), Some(VaultError::Sealed));
        assert_eq!(open(1, "issuer of s", &made.public_key, &made.handle[..20]), Some(VaultError::Sealed));
    }

    #[test]
    fn the_private_half_is_not_stored_in_the_clear() {
        let vault = vault(1);
        let sealed = vault.seal("label", b"a very secret secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed, vault.seal("label", b"a very secret secret").unwrap());
        assert_eq!(vault.unseal("label", &sealed).unwrap().as_slice(), b"a very secret secret");
    }
}
