//! Strict decoding of the deterministic CBOR that documents and tokens are made of.
//!
//! [`check`] walks a whole message before anything reads it: definite lengths, shortest forms, no duplicate keys, at
//! most [`MAX_DEPTH`] levels, nothing behind the item, and no claimed length beyond the bytes that are there. Values
//! are then read with `minicbor`; nothing is ever allocated. See `docs/PROTOCOL.md` section 10.1.

use minicbor::Decoder;
use thiserror::Error;

/// The deepest nesting of arrays, maps and tags that is accepted (`docs/PROTOCOL.md` section 10.1).
pub const MAX_DEPTH: u8 = 8;

/// Above this many entries a map's keys have to be sorted, so that the search for duplicates stays short.
const UNSORTED_MAX: u64 = 64;

/// Why bytes are not the CBOR they should be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum CborError {
    /// An item, or a length it claims, reaches past the end.
    #[error("CBOR item reaches past the end")]
    Truncated,
    /// An indefinite length or a break.
    #[error("CBOR item has an indefinite length")]
    Indefinite,
    /// An integer, length or tag is not in its shortest form.
    #[error("CBOR integer or length is not in its shortest form")]
    NotShortest,
    /// A map has the same key twice, or too many unsorted keys to tell.
    #[error("CBOR map has a duplicate key")]
    DuplicateKey,
    /// More than [`MAX_DEPTH`] levels.
    #[error("CBOR is nested too deeply")]
    TooDeep,
    /// Bytes behind the item.
    #[error("bytes follow the CBOR item")]
    Trailing,
    /// A text string is not UTF-8.
    #[error("CBOR text is not UTF-8")]
    Utf8,
    /// A floating-point number, reserved or simple value: none of them occurs here.
    #[error("CBOR type does not occur in this protocol")]
    Unsupported,
    /// An item of another type, or out of its range.
    #[error("CBOR item has an unexpected type or value")]
    Unexpected,
}

/// Checks that `bytes` are exactly one well-formed, deterministic item.
pub fn check(bytes: &[u8]) -> Result<(), CborError> {
    let mut walker = Walker { rest: bytes, unchecked: true };
    walker.item(0)?;
    if walker.rest.is_empty() { Ok(()) } else { Err(CborError::Trailing) }
}

/// Reads values out of checked CBOR; borrows everything.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'b> {
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    /// Checks a whole message and begins reading it.
    pub(crate) fn new(bytes: &'b [u8]) -> Result<Self, CborError> {
        check(bytes)?;
        Ok(Self::checked(bytes))
    }

    /// Begins reading a part of a message that was checked as a whole.
    pub(crate) fn checked(bytes: &'b [u8]) -> Self {
        Self { decoder: Decoder::new(bytes) }
    }

    /// Reads a map's head; returns how many entries follow.
    pub(crate) fn map(&mut self) -> Result<u64, CborError> {
        self.decoder.map().map_err(unexpected)?.ok_or(CborError::Indefinite)
    }

    /// Reads an array's head; returns how many items follow.
    pub(crate) fn array(&mut self) -> Result<u64, CborError> {
        self.decoder.array().map_err(unexpected)?.ok_or(CborError::Indefinite)
    }

    /// Reads the head of an array of exactly `len` items.
    pub(crate) fn array_of(&mut self, len: u64) -> Result<(), CborError> {
        if self.array()? == len { Ok(()) } else { Err(CborError::Unexpected) }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CborError> {
        self.decoder.u8().map_err(unexpected)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CborError> {
        self.decoder.u32().map_err(unexpected)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, CborError> {
        self.decoder.u64().map_err(unexpected)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, CborError> {
        self.decoder.i64().map_err(unexpected)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, CborError> {
        self.decoder.bool().map_err(unexpected)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], CborError> {
        self.decoder.bytes().map_err(unexpected)
    }

    /// Reads a byte string of exactly `N` bytes.
    pub(crate) fn byte_array<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        self.bytes()?.try_into().map_err(|_| CborError::Unexpected)
    }

    pub(crate) fn str(&mut self) -> Result<&'b str, CborError> {
        self.decoder.str().map_err(unexpected)
    }

    /// Reads the tag `number`.
    pub(crate) fn tag(&mut self, number: u64) -> Result<(), CborError> {
        let tag = self.decoder.tag().map_err(unexpected)?;
        if tag.as_u64() == number { Ok(()) } else { Err(CborError::Unexpected) }
    }

    /// Steps over one item and returns its bytes.
    pub(crate) fn item(&mut self) -> Result<&'b [u8], CborError> {
        let whole = self.decoder.input();
        let from = whole.get(self.decoder.position()..).ok_or(CborError::Truncated)?;
        let mut walker = Walker { rest: from, unchecked: false };
        walker.item(0)?;
        let len = from.len() - walker.rest.len();
        self.decoder.set_position(self.decoder.position() + len);
        from.get(..len).ok_or(CborError::Truncated)
    }

    /// Steps over one item.
    pub(crate) fn skip(&mut self) -> Result<(), CborError> {
        self.item().map(|_| ())
    }

    /// Reads `#6.24(bstr)`; returns the whole item (what digests cover) and the embedded bytes.
    pub(crate) fn embedded(&mut self) -> Result<(&'b [u8], &'b [u8]), CborError> {
        let whole = self.item()?;
        let mut inner = Reader::checked(whole);
        inner.tag(24)?;
        Ok((whole, inner.bytes()?))
    }
}

#[allow(clippy::needless_pass_by_value)] // the signature `map_err` wants
fn unexpected(_: minicbor::decode::Error) -> CborError {
    CborError::Unexpected
}

/// Walks over items without reading their values.
struct Walker<'b> {
    rest: &'b [u8],
    /// Keys were not compared yet. Comparing again on the way back over maps in maps would cost exponential time.
    unchecked: bool,
}

impl<'b> Walker<'b> {
    fn take(&mut self, len: u64) -> Result<&'b [u8], CborError> {
        let len = usize::try_from(len).map_err(|_| CborError::Truncated)?;
        let (head, rest) = self.rest.split_at_checked(len).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Reads an item's head: major type and argument.
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let (&first, rest) = self.rest.split_first().ok_or(CborError::Truncated)?;
        self.rest = rest;
        let (major, info) = (first >> 5, first & 0x1F);
        let (len, least) = match info {
            0..=23 => return Ok((major, u64::from(info))),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            31 => return Err(CborError::Indefinite),
            _ => return Err(CborError::Unsupported),
        };
        if major == 7 {
            return Err(CborError::Unsupported);
        }
        let value = self.take(len)?.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        if value < least { Err(CborError::NotShortest) } else { Ok((major, value)) }
    }

    fn item(&mut self, depth: u8) -> Result<(), CborError> {
        let (major, value) = self.head()?;
        if (4..=6).contains(&major) && depth >= MAX_DEPTH {
            return Err(CborError::TooDeep);
        }
        match major {
            0 | 1 => Ok(()),
            2 => self.take(value).map(|_| ()),
            3 => core::str::from_utf8(self.take(value)?).map(|_| ()).map_err(|_| CborError::Utf8),
            4 => {
                self.fits(value)?;
                (0..value).try_for_each(|_| self.item(depth + 1))
            }
            5 => {
                self.fits(value.saturating_mul(2))?;
                self.entries(value, depth + 1)
            }
            6 => self.item(depth + 1),
            _ if (20..=22).contains(&value) => Ok(()),
            _ => Err(CborError::Unsupported),
        }
    }

    /// Refuses a count that the remaining bytes can't hold.
    fn fits(&self, items: u64) -> Result<(), CborError> {
        match usize::try_from(items) {
            Ok(items) if items <= self.rest.len() => Ok(()),
            _ => Err(CborError::Truncated),
        }
    }

    fn entries(&mut self, count: u64, depth: u8) -> Result<(), CborError> {
        let first = self.rest;
        let mut last: &[u8] = &[];
        let mut sorted = true;
        for index in 0..count {
            let before = self.rest;
            self.item(depth)?;
            let key = before.get(..before.len() - self.rest.len()).ok_or(CborError::Truncated)?;
            sorted &= index == 0 || last < key;
            if self.unchecked && !sorted && (count > UNSORTED_MAX || Self::has_key(first, index, key, depth)?) {
                return Err(CborError::DuplicateKey);
            }
            last = key;
            self.item(depth)?;
        }
        Ok(())
    }

    /// Whether `key` is among the first `count` keys of `entries`.
    fn has_key(entries: &[u8], count: u64, key: &[u8], depth: u8) -> Result<bool, CborError> {
        let mut walker = Walker { rest: entries, unchecked: false };
        for _ in 0..count {
            let before = walker.rest;
            walker.item(depth)?;
            if before.get(..before.len() - walker.rest.len()) == Some(key) {
                return Ok(true);
            }
            walker.item(depth)?;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use minicbor::Encoder;
    use proptest::prelude::*;

    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut bytes = vec![0x81; levels];
        bytes.push(0);
        bytes
    }

    #[test]
    fn l_cbor_depth_ends_at_eight() {
        assert_eq!(check(&nested(8)), Ok(()));
        assert_eq!(check(&nested(9)), Err(CborError::TooDeep));
        assert_eq!(check(&nested(2_000)), Err(CborError::TooDeep));
    }

    #[test]
    fn l_cbor_indefinite_lengths_are_refused() {
        for bytes in [&[0x9F, 0xFF][..], &[0xBF, 0xFF], &[0x5F, 0xFF], &[0x7F, 0xFF], &[0xFF]] {
            assert_eq!(check(bytes), Err(CborError::Indefinite), "{bytes:02x?}");
        }
    }

    #[test]
    fn l_cbor_duplicate_keys_are_refused_sorted_or_not() {
        assert_eq!(check(&[0xA2, 1, 0, 1, 0]), Err(CborError::DuplicateKey));
        assert_eq!(check(&[0xA3, 2, 0, 1, 0, 2, 0]), Err(CborError::DuplicateKey));
        assert_eq!(check(&[0xA2, 2, 0, 1, 0]), Ok(()));
        assert_eq!(check(&[0x81, 0xA2, 0x61, b'1', 0, 0x61, b'1', 0]), Err(CborError::DuplicateKey));
    }

    #[test]
    fn l_cbor_trailing_bytes_are_refused() {
        assert_eq!(check(&[0, 0]), Err(CborError::Trailing));
        assert_eq!(check(&[]), Err(CborError::Truncated));
    }

    #[test]
    fn l_cbor_huge_lengths_are_refused_without_allocation() {
        for major in [0x40, 0x60, 0x80, 0xA0] {
            assert_eq!(check(&[major | 0x1B, 0, 0, 0, 1, 0, 0, 0, 0]), Err(CborError::Truncated));
            assert_eq!(check(&[major | 0x1A, 0xFF, 0xFF, 0xFF, 0xFF]), Err(CborError::Truncated));
            assert_eq!(
                check(&[major | 0x1B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
                Err(CborError::Truncated)
            );
        }
    }

    #[test]
    fn longer_forms_than_needed_are_refused() {
        for bytes in [&[0x18, 23][..], &[0x19, 0, 255], &[0x1A, 0, 0, 255, 255], &[0x58, 1, 0], &[0xD8, 1, 0]] {
            assert_eq!(check(bytes), Err(CborError::NotShortest), "{bytes:02x?}");
        }
    }

    #[test]
    fn floats_undefined_and_reserved_heads_are_refused() {
        for bytes in [&[0xF9, 0, 0][..], &[0xFB, 0, 0, 0, 0, 0, 0, 0, 0], &[0xF7], &[0xF8, 0x20], &[0x1C]] {
            assert_eq!(check(bytes), Err(CborError::Unsupported), "{bytes:02x?}");
        }
    }

    #[test]
    fn unsorted_maps_in_maps_are_judged_in_linear_time() {
        // Eight levels, each with 30 unsorted keys behind the nested map: checking keys anew at each level would
        // take 30^8 steps.
        let mut bytes = vec![0xA0];
        for _ in 0..7 {
            let mut outer = vec![0xB8, 30, 0x18, 200];
            outer.append(&mut bytes);
            for key in (100..129).rev() {
                outer.extend([0x18, key, 0]);
            }
            bytes = outer;
        }
        assert_eq!(check(&bytes), Ok(()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            if check(&bytes).is_ok() {
                let mut reader = Reader::checked(&bytes);
                prop_assert_eq!(reader.item(), Ok(&bytes[..]));
            }
        }

        #[test]
        fn what_minicbor_writes_is_accepted(number in any::<u64>(), text in ".{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = [0; 1024];
            let mut encoder = Encoder::new(minicbor::encode::write::Cursor::new(&mut out[..]));
            encoder.map(2).unwrap().u8(1).unwrap().array(3).unwrap().u64(number).unwrap().str(&text).unwrap();
            encoder.bytes(&bytes).unwrap().u8(2).unwrap().bool(true).unwrap();
            let len = encoder.writer().position();
            prop_assert_eq!(check(&out[..len]), Ok(()));
        }
    }
}
