//! The key schedule: what goes in, and the keys that come out (`docs/PROTOCOL.md` section 8).

mod authentication;
mod transcript;

pub use authentication::{AuthenticationData, Usage};
pub use transcript::{A5_CAP, EXTENSIONS_CAP, Transcript};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    crypto::{Crypto, CryptoError},
    ids::{AeadKey, Kpersistent, PublicKey, SharedSecret, TransactionId},
};

/// The keys of one channel, by direction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelKeys {
    /// Lock to phone.
    pub reader: AeadKey,
    /// Phone to lock.
    pub device: AeadKey,
}

/// What the standard phase derives. The URSK, which nothing here uses, is erased.
#[derive(Debug)]
pub struct StandardKeys {
    /// The expedited channel.
    pub expedited: ChannelKeys,
    /// The step-up channel, for documents.
    pub step_up: ChannelKeys,
    /// The channel of BLE messages other than type 0.
    pub ble: ChannelKeys,
}

/// What the fast phase derives. There is no step-up channel: documents need AUTH1.
#[derive(Debug)]
pub struct FastKeys {
    /// Seals the cryptogram.
    pub cryptogram: AeadKey,
    /// The expedited channel.
    pub expedited: ChannelKeys,
    /// The channel of BLE messages other than type 0.
    pub ble: ChannelKeys,
}

/// The intermediate secret of the standard phase: SHA-256(Z || 00000001 || transaction identifier).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kdh(AeadKey);

impl Kdh {
    /// Derives it from the ECDH agreement.
    pub fn derive(crypto: &impl Crypto, z: &SharedSecret, transaction: &TransactionId) -> Self {
        let digest = Zeroizing::new(crypto.sha256(&[z.expose(), &[0, 0, 0, 1], transaction.as_bytes()]));
        Self(AeadKey::new(*digest))
    }

    /// Exposes the secret to a back end.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// Derives the standard block and the channels under it.
pub fn standard(crypto: &impl Crypto, transcript: &Transcript, kdh: &Kdh) -> Result<StandardKeys, CryptoError> {
    let salt = transcript.salt_volatile();
    let mut block = Zeroizing::new([0; 160]);
    crypto.hkdf(&salt, kdh.expose(), &transcript.info(), &mut block[..])?;
    let [reader, device, step_up, ble, _ursk] = split(&block);
    Ok(StandardKeys {
        expedited: ChannelKeys { reader, device },
        step_up: step_up_keys(crypto, &step_up)?,
        ble: ble_keys(crypto, &ble)?,
    })
}

/// Derives the secret that lets the two meet in the fast phase next time.
pub fn persistent(
    crypto: &impl Crypto,
    transcript: &Transcript,
    kdh: &Kdh,
    device_key: &PublicKey,
) -> Result<Kpersistent, CryptoError> {
    let salt = transcript.salt_persistent(device_key);
    let mut key = Zeroizing::new([0; 32]);
    crypto.hkdf(&salt, kdh.expose(), &transcript.info(), &mut key[..])?;
    Ok(Kpersistent::new(*key))
}

/// Derives the fast block of the running AUTH0 and the channels under it.
pub fn fast(
    crypto: &impl Crypto,
    transcript: &Transcript,
    persistent: &Kpersistent,
    device_key: &PublicKey,
) -> Result<FastKeys, CryptoError> {
    let salt = transcript.salt_fast(device_key);
    let mut block = Zeroizing::new([0; 160]);
    crypto.hkdf(&salt, persistent.expose(), &transcript.info(), &mut block[..])?;
    let [cryptogram, reader, device, ble, _ursk] = split(&block);
    Ok(FastKeys { cryptogram, expedited: ChannelKeys { reader, device }, ble: ble_keys(crypto, &ble)? })
}

/// Derives only the key of the cryptogram: the first 32 bytes of the fast block, all that a search needs.
pub fn cryptogram_key(
    crypto: &impl Crypto,
    transcript: &Transcript,
    persistent: &Kpersistent,
    device_key: &PublicKey,
) -> Result<AeadKey, CryptoError> {
    let salt = transcript.salt_fast(device_key);
    let mut key = Zeroizing::new([0; 32]);
    crypto.hkdf(&salt, persistent.expose(), &transcript.info(), &mut key[..])?;
    Ok(AeadKey::new(*key))
}

/// Derives the step-up channel from StepUpSK.
pub fn step_up_keys(crypto: &impl Crypto, step_up: &AeadKey) -> Result<ChannelKeys, CryptoError> {
    pair(crypto, &[], step_up, b"SKReader", b"SKDevice")
}

/// The salt of the BLE channel: versions the lock offers, then the one the phone chose. Only 1.0 exists.
pub const BLE_VERSIONS: [u8; 4] = [1, 0, 1, 0];

/// Derives the BLE channel from BleSK.
pub fn ble_keys(crypto: &impl Crypto, ble: &AeadKey) -> Result<ChannelKeys, CryptoError> {
    pair(crypto, &BLE_VERSIONS, ble, b"BleSKReader", b"BleSKDevice")
}

fn pair(
    crypto: &impl Crypto,
    salt: &[u8],
    ikm: &AeadKey,
    reader_info: &[u8],
    device_info: &[u8],
) -> Result<ChannelKeys, CryptoError> {
    let derive = |info: &[u8]| {
        let mut key = Zeroizing::new([0; 32]);
        crypto.hkdf(salt, ikm.expose(), info, &mut key[..])?;
        Ok(AeadKey::new(*key))
    };
    Ok(ChannelKeys { reader: derive(reader_info)?, device: derive(device_info)? })
}

fn split(block: &[u8; 160]) -> [AeadKey; 5] {
    core::array::from_fn(|at| {
        let mut key = [0; 32];
        if let Some(part) = block.get(at * 32..at * 32 + 32) {
            key.copy_from_slice(part);
        }
        let wrapped = AeadKey::new(key);
        key.zeroize();
        wrapped
    })
}
