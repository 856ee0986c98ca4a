//! The A5 template by which a phone opens: versions, limits, and what the user wants (`docs/PROTOCOL.md` sections 4 and 16).

use thiserror::Error;

use crate::{
    buf::{Buf, Full, Writer},
    ids::{Intent, UnlockId},
    keys::A5_CAP,
    tlv::{self, Field, TlvError},
};

/// The one version offered and accepted, 1.0.
pub const VERSION: [u8; 2] = [1, 0];

/// The vendor number of our own TLVs: locally administered.
pub const VENDOR: [u8; 3] = [0x7A, 0x4B, 0x42];

const TAG_A5: u16 = 0xA5;
const TAG_TYPE: u16 = 0x80;
const TAG_VERSIONS: u16 = 0x5C;
const TAG_LIMITS: u16 = 0x7F66;
const TAG_VENDOR: u16 = 0xB3;

/// A phone's A5 template: the bytes it sent, which enter every key, and what they say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct A5 {
    bytes: Buf<A5_CAP>,
    speaks_ours: bool,
    limits: Option<Limits>,
    press: Option<PressInfo>,
}

impl A5 {
    /// Builds a phone's template.
    pub fn build(press: Option<PressInfo>, limits: Option<Limits>) -> Result<Self, Full> {
        let mut fields = [0; A5_CAP];
        let mut writer = Writer::new(&mut fields);
        tlv::put(&mut writer, TAG_TYPE, &[0, 0])?;
        tlv::put(&mut writer, TAG_VERSIONS, &VERSION)?;
        if let Some(limits) = limits {
            let [ch, cl] = limits.command.to_be_bytes();
            let [rh, rl] = limits.response.to_be_bytes();
            tlv::put(&mut writer, TAG_LIMITS, &[0x02, 0x02, ch, cl, 0x02, 0x02, rh, rl])?;
        }
        if let Some(press) = &press {
            tlv::put_header(&mut writer, TAG_VENDOR, PressInfo::LEN)?;
            tlv::put(&mut writer, 0xC0, &VENDOR)?;
            tlv::put(&mut writer, 0xC1, &[1])?;
            tlv::put(&mut writer, 0xC2, press.unlock_id.as_bytes())?;
            tlv::put(&mut writer, 0xC3, &[press.intent])?;
        }
        let len = writer.len();
        let mut bytes = Buf::new();
        let mut writer = Writer::new(bytes.storage());
        tlv::put(&mut writer, TAG_A5, fields.get(..len).ok_or(Full)?)?;
        let len = writer.len();
        bytes.set_len(len)?;
        Ok(Self { bytes, speaks_ours: true, limits, press })
    }

    /// Reads a phone's template, tag and length included; nothing may follow it.
    pub fn parse(bytes: &[u8]) -> Result<Self, A5Error> {
        let [a5] = tlv::fields(bytes, &[Field::required_between(TAG_A5, 0, A5_CAP)])?;
        let a5 = a5.filter(|a5| a5.raw.len() == bytes.len()).ok_or(A5Error::Template(TlvError::Sequence))?;
        let known = [
            Field::required(TAG_TYPE, 2),
            Field::required_between(TAG_VERSIONS, 2, A5_CAP),
            Field::optional(TAG_LIMITS, 8),
            Field::optional_between(TAG_VENDOR, 0, 127),
        ];
        let [kind, versions, limits, vendor] = tlv::fields(a5.value, &known)?;
        if tlv::array(kind) != Some([0, 0]) {
            return Err(A5Error::Type);
        }
        let (versions, odd) = versions.map_or(&[][..], |tlv| tlv.value).as_chunks::<2>();
        if !odd.is_empty() {
            return Err(A5Error::Template(TlvError::ValueLength));
        }
        Ok(Self {
            bytes: Buf::from_slice(a5.raw).map_err(|Full| A5Error::TooLong)?,
            speaks_ours: versions.contains(&VERSION),
            limits: limits.map(|tlv| Limits::parse(tlv.value)).transpose()?,
            press: vendor.map_or(Ok(None), |tlv| PressInfo::parse(tlv.value))?,
        })
    }

    /// The template as the phone sent it.
    pub const fn bytes(&self) -> &Buf<A5_CAP> {
        &self.bytes
    }

    /// Tells whether the phone lists the version we speak.
    pub const fn has_common_version(&self) -> bool {
        self.speaks_ours
    }

    /// The longest APDUs the phone takes in extended form; `None`: short form only.
    pub const fn limits(&self) -> Option<Limits> {
        self.limits
    }

    /// The press, where the phone speaks our profile.
    pub const fn press(&self) -> Option<PressInfo> {
        self.press
    }
}

/// The longest APDUs a phone takes; extended length follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Limits {
    /// The longest command, at least 256.
    pub command: u16,
    /// The longest response, at least 257.
    pub response: u16,
}

impl Limits {
    fn parse(value: &[u8]) -> Result<Self, A5Error> {
        match value {
            [0x02, 0x02, ch, cl, 0x02, 0x02, rh, rl] => {
                Ok(Self { command: u16::from_be_bytes([*ch, *cl]), response: u16::from_be_bytes([*rh, *rl]) })
            }
            _ => Err(A5Error::Template(TlvError::ValueLength)),
        }
    }
}

/// What a press tells the lock before anything else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PressInfo {
    /// One user action; an automatic retry carries the same one.
    pub unlock_id: UnlockId,
    /// What is wanted, as the byte it came in: see [`PressInfo::intent`].
    intent: u8,
}

impl PressInfo {
    const LEN: usize = 29;

    /// A press that wants `intent`.
    pub const fn new(unlock_id: UnlockId, intent: Intent) -> Self {
        Self { unlock_id, intent: intent as u8 }
    }

    /// What is wanted; `None` for an intent of a later version, which policy refuses.
    pub const fn intent(&self) -> Option<Intent> {
        Intent::from_byte(self.intent)
    }

    /// `None` when the template is another vendor's.
    fn parse(value: &[u8]) -> Result<Option<Self>, A5Error> {
        let vendor = tlv::Tlvs::new(value).next().transpose()?;
        if !vendor.is_some_and(|tlv| tlv.tag == 0xC0 && tlv.value == VENDOR) {
            return Ok(None);
        }
        let known =
            [Field::required(0xC0, 3), Field::required(0xC1, 1), Field::required(0xC2, 16), Field::required(0xC3, 1)];
        let [_, _, unlock_id, intent] = tlv::fields(value, &known)?;
        let unlock_id = tlv::array(unlock_id).map(UnlockId);
        let intent = tlv::array(intent).map(|[intent]: [u8; 1]| intent);
        Ok(unlock_id.zip(intent).map(|(unlock_id, intent)| Self { unlock_id, intent }))
    }
}

/// Why a template was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum A5Error {
    /// The TLVs are malformed.
    #[error("malformed A5 template")]
    Template(#[from] TlvError),
    /// The type is not 0000.
    #[error("unknown application type")]
    Type,
    /// The template has more than 128 bytes.
    #[error("A5 template too long")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_press_makes_41_bytes() {
        let press = PressInfo::new(UnlockId([7; 16]), Intent::Unlock);
        let a5 = A5::build(Some(press), None).unwrap();
        assert_eq!(a5.bytes().len(), 41);
        assert_eq!(A5::parse(a5.bytes()), Ok(a5));
        assert_eq!(A5::build(None, None).unwrap().bytes().len(), 10);
    }

    #[test]
    fn other_versions_other_vendors_and_limits_are_understood() {
        let other = A5::parse(&[0xA5, 8, 0x80, 2, 0, 0, 0x5C, 2, 0, 9]).unwrap();
        assert!(!other.has_common_version());
        let both = [0xA5, 17, 0x80, 2, 0, 0, 0x5C, 4, 0, 9, 1, 0, 0xB3, 5, 0xC0, 3, 1, 2, 3];
        let both = A5::parse(&both).unwrap();
        assert!(both.has_common_version());
        assert_eq!(both.press(), None);
        let limits = Limits { command: 600, response: 700 };
        assert_eq!(A5::parse(A5::build(None, Some(limits)).unwrap().bytes()).unwrap().limits(), Some(limits));
    }

    #[test]
    fn malformed_templates_are_refused() {
        for bytes in [
            &[0xA5, 4, 0x80, 2, 0, 0][..],
            &[0xA5, 8, 0x80, 2, 0, 1, 0x5C, 2, 1, 0],
            &[0xA5, 8, 0x5C, 2, 1, 0, 0x80, 2, 0, 0],
            &[0xA5, 9, 0x80, 2, 0, 0, 0x5C, 3, 1, 0, 0],
            &[0xA5, 8, 0x80, 2, 0, 0, 0x5C, 2, 1, 0, 0x41, 0],
            &[],
        ] {
            assert!(A5::parse(bytes).is_err(), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
            let _ = A5::parse(&bytes);
        }

        #[test]
        fn any_fields_are_judged_without_panic(fields in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut bytes = std::vec![0xA5, fields.len() as u8];
            bytes.extend(fields);
            if let Ok(a5) = A5::parse(&bytes) {
                prop_assert_eq!(&a5.bytes()[..], &bytes[..]);
            }
        }
    }
}
