//! `RevocationData`: device keys and access identifiers that count no more (`docs/PROTOCOL.md` section 10.6).

use crate::{
    cbor::{CborError, Reader},
    crypto::Crypto,
    document::access::ElementError,
    ids::{AccessId, PublicKey, UnixTime},
};

/// The most entries an issuer of ours writes.
pub const ISSUED_MAX: usize = 32;

/// How a list combines with the one a lock holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RevocationMode {
    /// Forget all, then take the entries.
    Overwrite,
    /// Take the entries, then drop those to remove.
    Append,
}

/// One revoked device key or access identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RevocationEntry {
    /// SHA-256 of a device key (65 bytes).
    pub key_hash: Option<[u8; 32]>,
    /// An access identifier.
    pub access_id: Option<AccessId>,
    /// After this time the entry may be dropped.
    pub expires: Option<UnixTime>,
}

impl RevocationEntry {
    /// Whether the entry is about this key or this access identifier.
    pub fn matches(&self, key_hash: &[u8; 32], access_id: Option<&AccessId>) -> bool {
        self.key_hash.as_ref() == Some(key_hash) || access_id.is_some_and(|id| self.access_id.as_ref() == Some(id))
    }

    /// Whether the other entry is about the same key and access identifier.
    pub fn is_about_same(&self, other: &Self) -> bool {
        self.key_hash == other.key_hash && self.access_id == other.access_id
    }
}

/// Derives what stands for a device key in revocation entries.
pub fn key_hash<C: Crypto>(crypto: &C, key: &PublicKey) -> [u8; 32] {
    crypto.sha256(&[key.as_bytes()])
}

/// The list of a revocation document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RevocationData<'a> {
    mode: RevocationMode,
    add: Option<&'a [u8]>,
    remove: Option<&'a [u8]>,
}

impl<'a> RevocationData<'a> {
    /// Decodes the value of an `aliro-r` element; every entry is checked now.
    pub fn parse(value: &'a [u8]) -> Result<Self, ElementError> {
        let mut reader = Reader::new(value)?;
        let (mut version, mut mode, mut add, mut remove) = (None, None, None, None);
        for _ in 0..reader.map()? {
            match reader.u64()? {
                0 => version = Some(reader.u64()?),
                1 => mode = Some(reader.u64()?),
                2 => add = Some(read_entries(&mut reader)?),
                3 => remove = Some(read_entries(&mut reader)?),
                4 => reader.skip()?,
                _ => return Err(CborError::Unexpected.into()),
            }
        }
        if version != Some(1) {
            return Err(ElementError::Version);
        }
        let mode = match (mode, remove) {
            (Some(0), None) => RevocationMode::Overwrite,
            (Some(1), _) => RevocationMode::Append,
            _ => return Err(CborError::Unexpected.into()),
        };
        Ok(Self { mode, add, remove })
    }

    /// How the list combines with the one held.
    pub fn mode(&self) -> RevocationMode {
        self.mode
    }

    /// The entries to take, in order.
    pub fn additions(&self) -> impl Iterator<Item = RevocationEntry> + use<'a> {
        entries(self.add)
    }

    /// The entries to drop, after the additions.
    pub fn removals(&self) -> impl Iterator<Item = RevocationEntry> + use<'a> {
        entries(self.remove)
    }
}

fn read_entries<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], CborError> {
    let list = reader.item()?;
    let mut reader = Reader::checked(list);
    for _ in 0..reader.array()? {
        read_entry(&mut reader)?;
    }
    Ok(list)
}

fn entries<'a>(list: Option<&'a [u8]>) -> impl Iterator<Item = RevocationEntry> + use<'a> {
    let mut reader = Reader::checked(list.unwrap_or(&[0x80]));
    let count = reader.array().unwrap_or_default();
    (0..count).map_while(move |_| read_entry(&mut reader).ok())
}

fn read_entry(reader: &mut Reader<'_>) -> Result<RevocationEntry, CborError> {
    let mut entry = RevocationEntry { key_hash: None, access_id: None, expires: None };
    for _ in 0..reader.map()? {
        match reader.u64()? {
            0 => entry.key_hash = Some(reader.byte_array()?),
            1 => entry.access_id = Some(AccessId::from_slice(reader.bytes()?).ok_or(CborError::Unexpected)?),
            2 => {
                reader.tag(1)?;
                entry.expires = Some(UnixTime(reader.u32()?));
            }
            _ => return Err(CborError::Unexpected),
        }
    }
    if entry.key_hash.is_some() || entry.access_id.is_some() { Ok(entry) } else { Err(CborError::Unexpected) }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;

    /// `{ 0: version, 1: mode, 2: [ids], ? 3: [ids] }`, entries by access identifier.
    fn list(version: u8, mode: u8, add: &[u8], remove: Option<&[u8]>) -> Vec<u8> {
        let entries = |key: u8, ids: &[u8]| {
            let mut bytes = vec![key, 0x80 | u8::try_from(ids.len()).unwrap()];
            ids.iter().for_each(|id| bytes.extend([0xA1, 0x01, 0x41, *id]));
            bytes
        };
        let mut bytes = vec![0xA3 + u8::from(remove.is_some()), 0x00, version, 0x01, mode];
        bytes.extend(entries(2, add));
        bytes.extend(remove.map(|ids| entries(3, ids)).unwrap_or_default());
        bytes
    }

    fn ids(entries: impl Iterator<Item = RevocationEntry>) -> Vec<u8> {
        entries.map(|entry| entry.access_id.unwrap().as_bytes()[0]).collect()
    }

    #[test]
    fn additions_and_removals_are_read_in_order() {
        let bytes = list(1, 1, &[1, 2], Some(&[1]));
        let data = RevocationData::parse(&bytes).unwrap();
        assert_eq!(data.mode(), RevocationMode::Append);
        assert_eq!((ids(data.additions()), ids(data.removals())), (vec![1, 2], vec![1]));
    }

    #[test]
    fn overwriting_takes_no_removals() {
        assert!(RevocationData::parse(&list(1, 0, &[], None)).is_ok());
        assert_eq!(
            RevocationData::parse(&list(1, 0, &[1], Some(&[]))),
            Err(ElementError::Malformed(CborError::Unexpected))
        );
    }

    #[test]
    fn other_versions_and_modes_are_refused() {
        assert_eq!(RevocationData::parse(&list(2, 0, &[], None)), Err(ElementError::Version));
        assert_eq!(RevocationData::parse(&list(1, 2, &[], None)), Err(ElementError::Malformed(CborError::Unexpected)));
    }

    #[test]
    fn entries_about_nothing_or_out_of_range_are_refused() {
        let with_entry = |entry: &[u8]| {
            let bytes = [&[0xA3, 0x00, 0x01, 0x01, 0x00, 0x02, 0x81][..], entry].concat();
            RevocationData::parse(&bytes).map(|_| ())
        };
        let unexpected = Err(ElementError::Malformed(CborError::Unexpected));
        assert_eq!(with_entry(&[0xA1, 0x01, 0x41, 0x07]), Ok(()));
        assert_eq!(with_entry(&[0xA0]), unexpected);
        assert_eq!(with_entry(&[0xA1, 0x02, 0xC1, 0x07]), unexpected, "only an expiry");
        assert_eq!(with_entry(&[0xA2, 0x01, 0x41, 0x07, 0x02, 0x07]), unexpected, "expiry without tag");
        assert_eq!(with_entry(&[0xA1, 0x00, 0x41, 0x07]), unexpected, "a hash of another length");
        let long = [&[0xA1, 0x01, 0x51][..], &[7; 17]].concat();
        assert_eq!(with_entry(&long), unexpected, "17 bytes");
    }
}
