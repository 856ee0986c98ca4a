//! Newtypes for every identifier and public value that crosses the door.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Declares a fixed-size public byte string with `Debug` in hex.
macro_rules! bytes_newtype {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The length in bytes.
            pub const LEN: usize = $len;

            /// Copies `bytes`; `None` when the length is wrong.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                fmt::Display::fmt(self, f)?;
                f.write_str(")")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

bytes_newtype!(
    /// Identifies a site: the locks that share one site CA. 16 bytes.
    GroupId, 16
);
bytes_newtype!(
    /// Identifies one lock in its group. 16 bytes.
    SubId, 16
);
bytes_newtype!(
    /// Group identifier followed by sub identifier. 32 bytes.
    ReaderId, 32
);
bytes_newtype!(
    /// Names an issuer key: the first 8 bytes of SHA-256(`key-identifier` || public key).
    Kid, 8
);
bytes_newtype!(
    /// Fresh for every AUTH0, made by the lock. 16 random bytes.
    TransactionId, 16
);
bytes_newtype!(
    /// Identifies one user action (a press); a retry of the same action carries the same one. 16 random bytes.
    UnlockId, 16
);
bytes_newtype!(
    /// Stands for a device key where the key itself is not wanted: SHA-256(device key)[0..16].
    CredentialId, 16
);
bytes_newtype!(
    /// A P-256 signature `r || s`. 64 bytes.
    Signature, 64
);
bytes_newtype!(
    /// A P-256 public key in SEC1 uncompressed form, `04 || x || y`. 65 bytes.
    ///
    /// Holding one says nothing about the point being on the curve: back ends check before use.
    PublicKey, 65
);

impl ReaderId {
    /// Joins a site's and a lock's identifier.
    pub fn new(group: GroupId, sub: SubId) -> Self {
        let mut bytes = [0; 32];
        let (head, tail) = bytes.split_at_mut(16);
        head.copy_from_slice(&group.0);
        tail.copy_from_slice(&sub.0);
        Self(bytes)
    }

    /// The site's part.
    pub fn group(&self) -> GroupId {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(self.0.split_at(16).0);
        GroupId(bytes)
    }

    /// The lock's part.
    pub fn sub(&self) -> SubId {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(self.0.split_at(16).1);
        SubId(bytes)
    }
}

impl PublicKey {
    /// The affine x coordinate, 32 bytes.
    pub fn x(&self) -> [u8; 32] {
        let mut x = [0; 32];
        x.copy_from_slice(self.0.split_at(1).1.split_at(32).0);
        x
    }

    /// The affine y coordinate, 32 bytes.
    pub fn y(&self) -> [u8; 32] {
        let mut y = [0; 32];
        y.copy_from_slice(self.0.split_at(33).1);
        y
    }

    /// Joins affine coordinates.
    pub fn from_xy(x: &[u8; 32], y: &[u8; 32]) -> Self {
        let mut bytes = [0; 65];
        let (head, tail) = bytes.split_at_mut(33);
        let (tag, head) = head.split_at_mut(1);
        tag.copy_from_slice(&[4]);
        head.copy_from_slice(x);
        tail.copy_from_slice(y);
        Self(bytes)
    }
}

/// A lock's number within its site, as the rotating tag carries it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LockNumber(pub u16);

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixTime(pub u32);

/// An access identifier: opaque, at most 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccessId {
    len: u8,
    bytes: [u8; 16],
}

impl AccessId {
    /// Copies `bytes`; `None` when there are more than 16.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut padded = [0; 16];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { len: u8::try_from(bytes.len()).ok()?, bytes: padded })
    }

    /// The bytes, without padding.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The bytes, zero-padded to 16, as audit records carry them.
    pub const fn padded(&self) -> &[u8; 16] {
        &self.bytes
    }
}

impl fmt::Debug for AccessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessId(")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The interface a transaction runs over; part of its key schedule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Interface {
    /// Tap.
    Nfc,
    /// Bluetooth Low Energy.
    Ble,
}

impl Interface {
    /// The byte that stands for the interface in the key schedule's salt.
    pub const fn salt_byte(self) -> u8 {
        match self {
            Self::Nfc => 0x5E,
            Self::Ble => 0xC3,
        }
    }
}

/// What the user wants of the lock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Intent {
    /// Open now, lock again by itself.
    Unlock = 1,
    /// Stay open.
    HoldOpen = 2,
    /// Lock.
    Lock = 3,
    /// Report only; never moves anything.
    Status = 4,
    /// Exchange tokens and audit only; never moves anything.
    Sync = 5,
}

impl Intent {
    /// The intent for its byte on the wire.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Unlock),
            2 => Some(Self::HoldOpen),
            3 => Some(Self::Lock),
            4 => Some(Self::Status),
            5 => Some(Self::Sync),
            _ => None,
        }
    }
}

/// Declares a secret byte string: wiped on drop, compared in constant time, never printed.
macro_rules! secret_newtype {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Takes over the secret's bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Copies the secret; `None` when the length is wrong.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Exposes the secret to a back end or a store.
            pub const fn expose(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]).into()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

secret_newtype!(
    /// Recognises a site's advertisements. 16 bytes.
    GroupResolvingKey, 16
);
secret_newtype!(
    /// Lets a phone and a lock that met before use the fast phase. 32 bytes.
    Kpersistent, 32
);
secret_newtype!(
    /// An AES-256-GCM key. 32 bytes.
    AeadKey, 32
);
secret_newtype!(
    /// The x coordinate of an ECDH agreement. 32 bytes.
    SharedSecret, 32
);

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn reader_id_splits_into_its_parts() {
        let id = ReaderId::new(GroupId([1; 16]), SubId([2; 16]));
        assert_eq!(id.group(), GroupId([1; 16]));
        assert_eq!(id.sub(), SubId([2; 16]));
    }

    #[test]
    fn access_id_keeps_its_length() {
        assert!(AccessId::from_slice(&[0; 17]).is_none());
        let id = AccessId::from_slice(&[7; 8]).unwrap();
        assert_eq!(id.as_bytes(), [7; 8]);
        assert_eq!(id.padded()[8..], [0; 8]);
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Kpersistent::new([0x42; 32])), "Kpersistent(redacted)");
    }

    #[test]
    fn unknown_intents_are_refused() {
        assert_eq!((0..=9).filter_map(Intent::from_byte).count(), 5);
    }
}
