//! BER-TLV as the transaction uses it: one- or two-byte tags, shortest lengths up to 65,535 (`docs/PROTOCOL.md` section 3).

use thiserror::Error;

use crate::buf::{Full, Writer};

/// One element: tag, value, and the element as it stood in the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tlv<'a> {
    /// The tag; two-byte tags such as `7F66` as they are written.
    pub tag: u16,
    /// The value.
    pub value: &'a [u8],
    /// Tag, length and value, byte for byte.
    pub raw: &'a [u8],
}

/// Walks over the elements of a template. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// Starts at the first element of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = split_first(self.rest);
        self.rest = parsed.map_or(&[], |(_, rest)| rest);
        Some(parsed.map(|(tlv, _)| tlv))
    }
}

/// What a template says about one tag.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    tag: u16,
    min: usize,
    max: usize,
    required: bool,
}

impl Field {
    /// Must be there, with exactly `len` bytes.
    pub const fn required(tag: u16, len: usize) -> Self {
        Self { tag, min: len, max: len, required: true }
    }

    /// Must be there, with `min` to `max` bytes.
    pub const fn required_between(tag: u16, min: usize, max: usize) -> Self {
        Self { tag, min, max, required: true }
    }

    /// May be there, with exactly `len` bytes.
    pub const fn optional(tag: u16, len: usize) -> Self {
        Self { tag, min: len, max: len, required: false }
    }

    /// May be there, with `min` to `max` bytes.
    pub const fn optional_between(tag: u16, min: usize, max: usize) -> Self {
        Self { tag, min, max, required: false }
    }
}

/// Reads a template: known tags in the given order, at most once, with the right length; others are skipped.
pub fn fields<'a, const N: usize>(bytes: &'a [u8], known: &[Field; N]) -> Result<[Option<Tlv<'a>>; N], TlvError> {
    let mut found = [None; N];
    let mut next = 0;
    for tlv in Tlvs::new(bytes) {
        let tlv = tlv?;
        let Some(at) = known.iter().position(|field| field.tag == tlv.tag) else { continue };
        if at < next {
            return Err(TlvError::Sequence);
        }
        next = at + 1;
        if let (Some(field), Some(slot)) = (known.get(at), found.get_mut(at)) {
            if !(field.min..=field.max).contains(&tlv.value.len()) {
                return Err(TlvError::ValueLength);
            }
            *slot = Some(tlv);
        }
    }
    let complete = known.iter().zip(&found).all(|(field, slot)| !field.required || slot.is_some());
    if complete { Ok(found) } else { Err(TlvError::Missing) }
}

/// The value of an optional field as a fixed-size array; `None` when absent or of another size.
pub fn array<const N: usize>(field: Option<Tlv<'_>>) -> Option<[u8; N]> {
    field.and_then(|tlv| tlv.value.try_into().ok())
}

/// Writes one element.
pub fn put(out: &mut Writer<'_>, tag: u16, value: &[u8]) -> Result<(), Full> {
    put_header(out, tag, value.len())?;
    out.put(value)
}

/// Writes tag and length of an element whose `len` value bytes follow.
pub fn put_header(out: &mut Writer<'_>, tag: u16, len: usize) -> Result<(), Full> {
    let [hi, lo] = tag.to_be_bytes();
    if hi != 0 {
        out.put(&[hi])?;
    }
    out.put(&[lo])?;
    match (len, u16::try_from(len).map_err(|_| Full)?.to_be_bytes()) {
        (0..=0x7F, [_, lo]) => out.put(&[lo]),
        (0x80..=0xFF, [_, lo]) => out.put(&[0x81, lo]),
        (_, [hi, lo]) => out.put(&[0x82, hi, lo]),
    }
}

/// The number of bytes [`put`] writes for a value of `len` bytes.
pub const fn encoded_len(tag: u16, len: usize) -> usize {
    let tag_len = if tag > 0xFF { 2 } else { 1 };
    let length_len = match len {
        0..=0x7F => 1,
        0x80..=0xFF => 2,
        _ => 3,
    };
    tag_len + length_len + len
}

/// Why a template was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TlvError {
    /// An element claims more bytes than there are.
    #[error("element runs past the end")]
    Truncated,
    /// A tag has more than two bytes.
    #[error("tag too long")]
    Tag,
    /// A length is indefinite, too long, or not in its shortest form.
    #[error("length not in its shortest form")]
    Length,
    /// A known tag came twice or out of order.
    #[error("known tag twice or out of order")]
    Sequence,
    /// A known tag has a value of the wrong length.
    #[error("known tag with a value of the wrong length")]
    ValueLength,
    /// A required tag is missing.
    #[error("required tag missing")]
    Missing,
}

fn split_first(bytes: &[u8]) -> Result<(Tlv<'_>, &[u8]), TlvError> {
    let (tag, after_tag) = split_tag(bytes)?;
    let (len, after_length) = split_length(after_tag)?;
    let value = after_length.get(..len).ok_or(TlvError::Truncated)?;
    let rest = after_length.get(len..).ok_or(TlvError::Truncated)?;
    let raw = bytes.get(..bytes.len() - rest.len()).ok_or(TlvError::Truncated)?;
    Ok((Tlv { tag, value, raw }, rest))
}

fn split_tag(bytes: &[u8]) -> Result<(u16, &[u8]), TlvError> {
    match bytes {
        [first, second, rest @ ..] if first & 0x1F == 0x1F => {
            if second & 0x80 != 0 {
                return Err(TlvError::Tag);
            }
            Ok((u16::from_be_bytes([*first, *second]), rest))
        }
        [first, rest @ ..] if first & 0x1F != 0x1F => Ok((u16::from(*first), rest)),
        _ => Err(TlvError::Truncated),
    }
}

fn split_length(bytes: &[u8]) -> Result<(usize, &[u8]), TlvError> {
    match bytes {
        [len @ 0..=0x7F, rest @ ..] => Ok((usize::from(*len), rest)),
        [0x81, len, rest @ ..] if *len >= 0x80 => Ok((usize::from(*len), rest)),
        [0x82, hi, lo, rest @ ..] if *hi != 0 => Ok((usize::from(u16::from_be_bytes([*hi, *lo])), rest)),
        [0x81] | [0x82] | [0x82, _] | [] => Err(TlvError::Truncated),
        _ => Err(TlvError::Length),
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Tlv<'_>>, TlvError> {
        Tlvs::new(bytes).collect()
    }

    // Must-fail case 61, L_TLV_*.
    #[test]
    fn l_tlv_malformed_lengths_are_refused() {
        assert_eq!(all(&[0x41, 0x02, 0x00]), Err(TlvError::Truncated));
        assert_eq!(all(&[0x41, 0x81, 0x05, 1, 2, 3, 4, 5]), Err(TlvError::Length));
        assert_eq!(all(&[0x41, 0x80, 0x00, 0x00]), Err(TlvError::Length));
        assert_eq!(all(&[0x41, 0x82, 0x00, 0x80]), Err(TlvError::Length));
        assert_eq!(all(&[0x41, 0x83, 0x01, 0x00, 0x00]), Err(TlvError::Length));
        assert_eq!(all(&[0x9F, 0x81, 0x01, 0x00]), Err(TlvError::Tag));
        assert_eq!(all(&[0x7F]), Err(TlvError::Truncated));
    }

    #[test]
    fn l_tlv_unknown_tags_are_skipped_wherever_they_stand() {
        let known = [Field::required(0x41, 1), Field::optional(0x42, 1)];
        let found = fields(&[0xDF, 0x01, 0x00, 0x41, 0x01, 7, 0x99, 0x01, 9, 0x42, 0x01, 8], &known).unwrap();
        assert_eq!(found.map(|field| field.unwrap().value[0]), [7, 8]);
    }

    #[test]
    fn known_tags_keep_order_count_and_length() {
        let known = [Field::required(0x41, 1), Field::optional(0x42, 1)];
        assert_eq!(fields(&[0x42, 1, 8, 0x41, 1, 7], &known), Err(TlvError::Sequence));
        assert_eq!(fields(&[0x41, 1, 8, 0x41, 1, 7], &known), Err(TlvError::Sequence));
        assert_eq!(fields(&[0x41, 2, 8, 9], &known), Err(TlvError::ValueLength));
        assert_eq!(fields(&[0x42, 1, 8], &known), Err(TlvError::Missing));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_every_byte(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut seen = 0;
            for tlv in Tlvs::new(&bytes) {
                let Ok(tlv) = tlv else { return Ok(()) };
                prop_assert_eq!(tlv.raw, &bytes[seen..seen + tlv.raw.len()]);
                seen += tlv.raw.len();
            }
            prop_assert_eq!(seen, bytes.len());
        }

        #[test]
        fn written_elements_read_back(
            tag in prop_oneof![0u16..0x1F, Just(0x7F66), Just(0x9F01)],
            value in proptest::collection::vec(any::<u8>(), 0..70_000),
        ) {
            let mut out = std::vec![0; 70_010];
            let mut writer = Writer::new(&mut out);
            let written = put(&mut writer, tag, &value);
            let len = writer.len();
            prop_assert_eq!(written.is_ok(), value.len() <= 0xFFFF);
            if written.is_ok() {
                prop_assert_eq!(len, encoded_len(tag, value.len()));
                let read = all(&out[..len]).unwrap();
                prop_assert_eq!(read.len(), 1);
                prop_assert_eq!((read[0].tag, read[0].value), (tag, &value[..]));
            }
        }
    }
}
