//! `SessionData`, what an ENVELOPE carries: `{ "data": ciphertext }`, bare or wrapped in tag 53.
//!
//! Receivers look at the first byte and answer in the form they were asked in (`docs/PROTOCOL.md` section 9).

use minicbor::{Encoder, encode::write::Cursor};

use crate::cbor::{CborError, Reader};

/// The form of a `SessionData`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Form {
    /// In a TLV with tag 53, as over NFC.
    Wrapped,
    /// Without, as over BLE.
    Bare,
}

const WRAP: u8 = 0x53;
const MAP_OF_ONE: u8 = 0xA1;
const KEY: &str = "data";

/// The most bytes that wrapping adds to a ciphertext: TLV head, map, key, length.
pub const OVERHEAD_MAX: usize = 4 + 1 + 5 + 3;

/// Takes the ciphertext (with its tag) out of a `SessionData`.
pub fn unwrap(bytes: &[u8]) -> Result<(Form, &[u8]), CborError> {
    match bytes.first() {
        Some(&MAP_OF_ONE) => Ok((Form::Bare, data(bytes)?)),
        Some(&WRAP) => Ok((Form::Wrapped, data(tlv_value(bytes)?)?)),
        _ => Err(CborError::Unexpected),
    }
}

/// Writes `ciphertext` as a `SessionData`; returns its length, `None` when `out` is too small.
pub fn wrap(form: Form, ciphertext: &[u8], out: &mut [u8]) -> Option<usize> {
    let begin = begin(form, ciphertext.len(), out)?;
    let end = begin.checked_add(ciphertext.len())?;
    out.get_mut(begin..end)?.copy_from_slice(ciphertext);
    Some(end)
}

/// Writes what stands before a ciphertext of `len` bytes; returns where the ciphertext begins.
///
/// For those who encrypt in place.
pub fn begin(form: Form, len: usize, out: &mut [u8]) -> Option<usize> {
    let head = 1
        + 1
        + KEY.len()
        + if len < 24 {
            1
        } else if len < 0x100 {
            2
        } else {
            3
        };
    let [high, low] = u16::try_from(head + len).ok()?.to_be_bytes();
    let tlv: &[u8] = match (form, high, low) {
        (Form::Bare, ..) => &[],
        (Form::Wrapped, 0, 0..=0x7F) => &[WRAP, low],
        (Form::Wrapped, 0, _) => &[WRAP, 0x81, low],
        (Form::Wrapped, ..) => &[WRAP, 0x82, high, low],
    };
    out.get_mut(..tlv.len())?.copy_from_slice(tlv);
    let mut encoder = Encoder::new(Cursor::new(out.get_mut(tlv.len()..)?));
    encoder.map(1).and_then(|e| e.str(KEY)).and_then(|e| e.bytes_len(u64::try_from(len).unwrap_or(u64::MAX))).ok()?;
    Some(tlv.len() + encoder.writer().position())
}

fn data(bytes: &[u8]) -> Result<&[u8], CborError> {
    let mut reader = Reader::new(bytes)?;
    if reader.map()? != 1 || reader.str()? != KEY {
        return Err(CborError::Unexpected);
    }
    reader.bytes()
}

/// The value of the one TLV that `bytes` are.
fn tlv_value(bytes: &[u8]) -> Result<&[u8], CborError> {
    let (len, value) = match bytes {
        [_, len @ 0..=0x7F, value @ ..] => (usize::from(*len), value),
        [_, 0x81, len @ 0x80..=0xFF, value @ ..] => (usize::from(*len), value),
        [_, 0x82, high @ 1..=0xFF, low, value @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), value),
        [_, 0x81 | 0x82, _, _, ..] => return Err(CborError::NotShortest),
        _ => return Err(CborError::Truncated),
    };
    match value.len() {
        found if found < len => Err(CborError::Truncated),
        found if found > len => Err(CborError::Trailing),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_are_told_by_the_first_byte() {
        let mut out = [0; 64];
        let len = wrap(Form::Bare, &[7; 20], &mut out).unwrap();
        assert_eq!(out[..7], [0xA1, 0x64, b'd', b'a', b't', b'a', 0x54]);
        assert_eq!(unwrap(&out[..len]), Ok((Form::Bare, &[7; 20][..])));
        let len = wrap(Form::Wrapped, &[7; 20], &mut out).unwrap();
        assert_eq!(out[..2], [0x53, 27]);
        assert_eq!(unwrap(&out[..len]), Ok((Form::Wrapped, &[7; 20][..])));
        assert_eq!(unwrap(&[0x54, 0]), Err(CborError::Unexpected));
        assert_eq!(unwrap(&[]), Err(CborError::Unexpected));
    }

    #[test]
    fn wrong_tlv_lengths_are_refused() {
        assert_eq!(unwrap(&[0x53, 0x81, 0x05, 0, 0, 0, 0, 0]), Err(CborError::NotShortest));
        assert_eq!(unwrap(&[0x53, 0x80]), Err(CborError::Truncated));
        assert_eq!(unwrap(&[0x53, 0x05, 0xA1]), Err(CborError::Truncated));
        assert_eq!(unwrap(&[0x53, 0x01, 0xA0, 0x00]), Err(CborError::Trailing));
    }

    proptest! {
        #[test]
        fn every_length_round_trips(len in 0usize..2_030, wrapped in any::<bool>()) {
            let form = if wrapped { Form::Wrapped } else { Form::Bare };
            let (ciphertext, mut out) = (vec![0x5A; len], vec![0; len + OVERHEAD_MAX]);
            let end = wrap(form, &ciphertext, &mut out).unwrap();
            prop_assert_eq!(unwrap(&out[..end]), Ok((form, &ciphertext[..])));
            prop_assert_eq!(wrap(form, &ciphertext, &mut vec![0; end - 1]), None);
        }

        #[test]
        fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = unwrap(&bytes);
        }
    }
}
