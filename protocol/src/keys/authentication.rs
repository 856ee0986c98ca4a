//! The only bytes a device key or a reader key signs in a transaction (`docs/PROTOCOL.md` section 7).

use crate::ids::{PublicKey, ReaderId, TransactionId};

/// What a signature over [`AuthenticationData`] is for: its last value, tag 93.
///
/// Values differ, so that a signature made for one purpose is worth nothing for another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Usage {
    /// The lock proves itself to a phone.
    Lock,
    /// The phone proves itself to a lock.
    Phone,
    /// The phone proves to the access service that it holds the device key.
    Enrolment,
    /// A lock proves to the access service that it holds the reader key it asks a certificate for.
    Claim,
}

impl Usage {
    /// The four bytes of tag 93.
    pub const fn to_bytes(self) -> [u8; 4] {
        match self {
            Self::Lock => [0x41, 0x5D, 0x95, 0x69],
            Self::Phone => [0x4E, 0x88, 0x7B, 0x4C],
            Self::Enrolment => *b"kBEN",
            Self::Claim => *b"kBCL",
        }
    }
}

/// Data to be signed: reader identifier, both ephemeral x coordinates, transaction identifier, usage. 126 bytes.
///
/// Its bytes cannot be chosen freely, therefore nobody who may ask for a signature can have other bytes signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthenticationData {
    bytes: [u8; Self::LEN],
    usage: Usage,
}

impl AuthenticationData {
    /// The length in bytes.
    pub const LEN: usize = 126;

    /// What a lock signs in a transaction.
    pub fn for_lock(reader: &ReaderId, device: &PublicKey, lock: &PublicKey, transaction: &TransactionId) -> Self {
        Self::new(reader.as_bytes(), &device.x(), &lock.x(), transaction.as_bytes(), Usage::Lock)
    }

    /// What a phone signs in a transaction.
    pub fn for_phone(reader: &ReaderId, device: &PublicKey, lock: &PublicKey, transaction: &TransactionId) -> Self {
        Self::new(reader.as_bytes(), &device.x(), &lock.x(), transaction.as_bytes(), Usage::Phone)
    }

    /// What a phone signs to enrol its device key: the access service's nonce, in the reader identifier's place.
    pub fn for_enrolment(nonce: &[u8; 32]) -> Self {
        Self::new(nonce, &[0; 32], &[0; 32], &[0; 16], Usage::Enrolment)
    }

    /// What a lock signs to claim itself: the hash of its claim code, in the reader identifier's place.
    pub fn for_claim(code_hash: &[u8; 32]) -> Self {
        Self::new(code_hash, &[0; 32], &[0; 32], &[0; 16], Usage::Claim)
    }

    /// The bytes to sign or to verify against.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }

    /// What the signature is for.
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    fn new(reader: &[u8; 32], device: &[u8; 32], lock: &[u8; 32], transaction: &[u8; 16], usage: Usage) -> Self {
        let mut bytes = [0; Self::LEN];
        let mut rest = &mut bytes[..];
        let parts: [(u8, &[u8]); 5] =
            [(0x4D, reader), (0x86, device), (0x87, lock), (0x4C, transaction), (0x93, &usage.to_bytes())];
        for (tag, value) in parts {
            let Some((room, tail)) = rest.split_at_mut_checked(2 + value.len()) else { break };
            if let [first, second, value_room @ ..] = room {
                *first = tag;
                *second = value.len() as u8;
                value_room.copy_from_slice(value);
            }
            rest = tail;
        }
        Self { bytes, usage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_never_share_bytes() {
        let nonce = [7; 32];
        let key = PublicKey([0; 65]);
        let transaction = TransactionId([0; 16]);
        let all = [
            AuthenticationData::for_lock(&ReaderId(nonce), &key, &key, &transaction),
            AuthenticationData::for_phone(&ReaderId(nonce), &key, &key, &transaction),
            AuthenticationData::for_enrolment(&nonce),
            AuthenticationData::for_claim(&nonce),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.as_bytes()[..2], [0x4D, 32]);
            assert_eq!(one.as_bytes()[120..122], [0x93, 4]);
            assert_eq!(one.as_bytes()[122..], one.usage().to_bytes());
            assert!(all[at + 1..].iter().all(|other| other.as_bytes() != one.as_bytes()));
        }
    }
}
