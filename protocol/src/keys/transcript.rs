//! Everything both sides must agree on for their keys to be equal.

use crate::{
    buf::{Buf, Full},
    ids::{Interface, PublicKey, ReaderId, TransactionId},
};

/// The cap on an A5 template, tag and length included.
pub const A5_CAP: usize = 128;
/// The cap on the vendor extensions B1 and B2 together, tags and lengths included.
pub const EXTENSIONS_CAP: usize = 258;

const SALT_CAP: usize = 131 + A5_CAP + 32;
const INFO_CAP: usize = 32 + EXTENSIONS_CAP;

/// The inputs of the key schedule that travel in clear.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// The x coordinate of the group's trust anchor: the site CA key, or the reader key where there is no certificate.
    pub anchor_x: [u8; 32],
    /// The reader identifier of AUTH0.
    pub reader: ReaderId,
    /// The interface the transaction runs over.
    pub interface: Interface,
    /// The chosen version, `0100`.
    pub version: [u8; 2],
    /// The lock's ephemeral key.
    pub lock_ephemeral: PublicKey,
    /// The phone's ephemeral key.
    pub device_ephemeral: PublicKey,
    /// The transaction identifier of AUTH0.
    pub transaction: TransactionId,
    /// Tag 41 of AUTH0.
    pub parameters: u8,
    /// Tag 42 of AUTH0.
    pub policy: u8,
    /// The A5 template as the phone sent it.
    pub a5: Buf<A5_CAP>,
    /// The vendor extensions B1 and B2 as they were sent, joined. Empty between two of ours.
    pub extensions: Buf<EXTENSIONS_CAP>,
}

impl Transcript {
    /// The salt of the standard block.
    pub fn salt_volatile(&self) -> Buf<SALT_CAP> {
        self.salt(b"Volatile****", None)
    }

    /// The salt of Kpersistent.
    pub fn salt_persistent(&self, device_key: &PublicKey) -> Buf<SALT_CAP> {
        self.salt(b"Persistent**", Some(device_key))
    }

    /// The salt of the fast block.
    pub fn salt_fast(&self, device_key: &PublicKey) -> Buf<SALT_CAP> {
        self.salt(b"VolatileFast", Some(device_key))
    }

    /// The info of all three.
    pub fn info(&self) -> Buf<INFO_CAP> {
        let mut info = Buf::new();
        // Caps add up: neither push can fail.
        let _: Result<(), Full> =
            info.push(&self.device_ephemeral.x()).and_then(|()| info.push(self.extensions.as_slice()));
        info
    }

    fn salt(&self, label: &[u8; 12], device_key: Option<&PublicKey>) -> Buf<SALT_CAP> {
        let mut salt = Buf::new();
        let device_x = device_key.map(PublicKey::x);
        let parts: [&[u8]; 10] = [
            &self.anchor_x,
            label,
            self.reader.as_bytes(),
            &[self.interface.salt_byte(), 0x5C, 0x02],
            &self.version,
            &self.lock_ephemeral.x(),
            self.transaction.as_bytes(),
            &[self.parameters, self.policy],
            &self.a5,
            device_x.as_ref().map_or(&[], |x| x),
        ];
        // The cap is the sum of the parts' caps: no push can fail.
        let _: Result<(), Full> = parts.iter().try_for_each(|part| salt.push(part));
        salt
    }
}
