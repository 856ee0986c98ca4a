//! The mobile security object: what an issuer signs about a document (`docs/PROTOCOL.md` section 10.1).

use crate::{
    cbor::{CborError, Reader},
    ids::{PublicKey, UnixTime},
    tdate,
};

/// When a document was signed and when it counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Validity {
    /// When it was signed: also a time a lock may learn from.
    pub signed: UnixTime,
    /// From when it counts, inclusive.
    pub valid_from: UnixTime,
    /// Until when it counts, inclusive.
    pub valid_until: UnixTime,
    /// When a newer one is to be expected.
    pub expected_update: Option<UnixTime>,
    /// The issuer's iteration.
    pub iteration: Option<u32>,
}

/// A decoded mobile security object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mso<'a> {
    digests: &'a [u8],
    pub(crate) device_key: Option<PublicKey>,
    pub(crate) doc_type: &'a str,
    pub(crate) validity: Validity,
    pub(crate) time_verification_required: bool,
}

impl<'a> Mso<'a> {
    /// Decodes the payload of the signature, `#6.24(bstr .cbor MSO)`.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, CborError> {
        let (_, inner) = Reader::new(payload)?.embedded()?;
        let mut reader = Reader::new(inner)?;
        let (mut version, mut digest, mut digests, mut device_key) = (None, None, None, None);
        let (mut doc_type, mut validity, mut time_verification_required) = (None, None, None);
        for _ in 0..reader.map()? {
            match reader.str()? {
                "1" => version = Some(reader.str()?),
                "2" => digest = Some(reader.str()?),
                "3" => digests = Some(reader.item()?),
                "4" => device_key = Some(read_device_key(&mut reader)?),
                "5" => doc_type = Some(reader.str()?),
                "6" => validity = Some(read_validity(&mut reader)?),
                "7" => time_verification_required = Some(reader.bool()?),
                _ => reader.skip()?,
            }
        }
        let (Some("1.0"), Some("SHA-256")) = (version, digest) else { return Err(CborError::Unexpected) };
        match (digests, doc_type, validity, time_verification_required) {
            (Some(digests), Some(doc_type), Some(validity), Some(time_verification_required)) => {
                Ok(Self { digests, device_key, doc_type, validity, time_verification_required })
            }
            _ => Err(CborError::Unexpected),
        }
    }

    /// The digest the issuer signed for an item.
    pub(crate) fn digest(&self, name_space: &str, digest_id: u64) -> Result<Option<[u8; 32]>, CborError> {
        let mut found = None;
        let mut reader = Reader::checked(self.digests);
        for _ in 0..reader.map()? {
            let here = reader.str()? == name_space;
            for _ in 0..reader.map()? {
                let id = reader.u64()?;
                let digest = reader.byte_array()?;
                if here && id == digest_id {
                    found = Some(digest);
                }
            }
        }
        Ok(found)
    }
}

fn read_device_key(reader: &mut Reader<'_>) -> Result<PublicKey, CborError> {
    let mut key = None;
    for _ in 0..reader.map()? {
        match reader.str()? {
            "1" => key = Some(read_cose_key(reader)?),
            _ => reader.skip()?,
        }
    }
    key.ok_or(CborError::Unexpected)
}

/// Reads `{ 1: 2, -1: 1, -2: x, -3: y }`, a P-256 key.
fn read_cose_key(reader: &mut Reader<'_>) -> Result<PublicKey, CborError> {
    let (mut kind, mut curve, mut x, mut y) = (None, None, None, None);
    for _ in 0..reader.map()? {
        match reader.i64()? {
            1 => kind = Some(reader.u64()?),
            -1 => curve = Some(reader.u64()?),
            -2 => x = Some(reader.byte_array()?),
            -3 => y = Some(reader.byte_array()?),
            _ => reader.skip()?,
        }
    }
    match (kind, curve, x, y) {
        (Some(2), Some(1), Some(x), Some(y)) => Ok(PublicKey::from_xy(&x, &y)),
        _ => Err(CborError::Unexpected),
    }
}

fn read_validity(reader: &mut Reader<'_>) -> Result<Validity, CborError> {
    let (mut signed, mut valid_from, mut valid_until) = (None, None, None);
    let (mut expected_update, mut iteration) = (None, None);
    for _ in 0..reader.map()? {
        match reader.str()? {
            "1" => signed = Some(read_tdate(reader)?),
            "2" => valid_from = Some(read_tdate(reader)?),
            "3" => valid_until = Some(read_tdate(reader)?),
            "4" => expected_update = Some(read_tdate(reader)?),
            "5" => iteration = Some(reader.u32()?),
            _ => reader.skip()?,
        }
    }
    match (signed, valid_from, valid_until) {
        (Some(signed), Some(valid_from), Some(valid_until)) => {
            Ok(Validity { signed, valid_from, valid_until, expected_update, iteration })
        }
        _ => Err(CborError::Unexpected),
    }
}

fn read_tdate(reader: &mut Reader<'_>) -> Result<UnixTime, CborError> {
    reader.tag(0)?;
    tdate::parse(reader.str()?.as_bytes()).ok_or(CborError::Unexpected)
}
