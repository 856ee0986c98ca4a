//! `AccessData`: what an element of an access document allows (`docs/PROTOCOL.md` sections 10.3 and 13).

use thiserror::Error;

use crate::{
    cbor::{CborError, Reader},
    document::{
        VENDOR,
        list::List,
        schedule::{Capabilities, Mask, Recurrence, Rule, Rules, Schedule},
    },
    ids::{AccessId, GroupId, Interface, UnixTime},
};

/// Extension number: the site the element counts at.
pub(crate) const EXTENSION_SITE: u64 = 1;
/// Extension number: how often the access identifier may be used.
pub(crate) const EXTENSION_USES: u64 = 2;
/// Extension number: the user has to be authenticated.
pub(crate) const EXTENSION_USER: u64 = 3;
/// Extension number: the interfaces the element counts at.
pub(crate) const EXTENSION_INTERFACES: u64 = 4;

/// Why an element's content is invalid. Such an element allows nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum ElementError {
    /// It does not decode, or a value is out of range.
    #[error("element does not decode: {0}")]
    Malformed(#[from] CborError),
    /// Its version is not 1.
    #[error("element has an unknown version")]
    Version,
    /// It has an access extension that is not known here; all of them count.
    #[error("element has an unknown access extension")]
    UnknownExtension,
    /// It has more rules or schedules than there may be.
    #[error("element has too many rules or schedules")]
    TooMany,
}

/// The interfaces an element counts at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Interfaces(pub u8);

impl Interfaces {
    /// Only a tap.
    pub const NFC: Self = Self(1);
    /// Only Bluetooth.
    pub const BLE: Self = Self(2);

    /// Whether `interface` is among them.
    pub const fn include(self, interface: Interface) -> bool {
        match interface {
            Interface::Nfc => self.0 & Self::NFC.0 != 0,
            Interface::Ble => self.0 & Self::BLE.0 != 0,
        }
    }
}

/// What else has to hold for an element to count; our extensions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Restrictions {
    /// The site's group identifier; every element of ours has it.
    pub site: Option<GroupId>,
    /// How many times the access identifier may be used at one lock.
    pub use_limit: Option<u16>,
    /// The user has to be authenticated on the phone.
    pub user_authentication: bool,
    /// The interfaces it counts at; `None` is all.
    pub interfaces: Option<Interfaces>,
}

/// What an element allows. Plain data, to be kept by locks that know a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AccessData {
    /// Names the right that was issued.
    pub access_id: Option<AccessId>,
    /// Rules and schedules.
    pub rules: Rules,
    /// Reader rule identifiers are present: a lock without reader rules refuses.
    pub reader_rules: bool,
    /// What else has to hold.
    pub restrictions: Restrictions,
}

impl AccessData {
    /// Decodes the value of an `aliro-a` element.
    pub fn parse(value: &[u8]) -> Result<Self, ElementError> {
        let mut reader = Reader::new(value)?;
        let mut data = Self::default();
        let mut version = None;
        for _ in 0..reader.map()? {
            match reader.u64()? {
                0 => version = Some(reader.u64()?),
                1 => data.access_id = Some(AccessId::from_slice(reader.bytes()?).ok_or(CborError::Unexpected)?),
                2 => read_list(&mut reader, &mut data.rules.rules, read_rule)?,
                3 => read_list(&mut reader, &mut data.rules.schedules, read_schedule)?,
                4 => {
                    data.reader_rules = true;
                    reader.skip()?;
                }
                5 => reader.skip()?,
                6 => data.restrictions = read_extensions(&mut reader)?,
                _ => return Err(CborError::Unexpected.into()),
            }
        }
        if version == Some(1) { Ok(data) } else { Err(ElementError::Version) }
    }
}

fn read_list<T: Copy + Default, const N: usize>(
    reader: &mut Reader<'_>,
    list: &mut List<T, N>,
    read: impl Fn(&mut Reader<'_>) -> Result<T, CborError>,
) -> Result<(), ElementError> {
    for _ in 0..reader.array()? {
        if !list.push(read(reader)?) {
            return Err(ElementError::TooMany);
        }
    }
    Ok(())
}

fn read_rule(reader: &mut Reader<'_>) -> Result<Rule, CborError> {
    let mut rule = Rule::default();
    for _ in 0..reader.map()? {
        match reader.u64()? {
            0 => rule.capabilities = Capabilities(reader.u8()?),
            1 => rule.allow = Some(read_mask(reader)?),
            2 => rule.deny = Some(read_mask(reader)?),
            _ => return Err(CborError::Unexpected),
        }
    }
    Ok(rule)
}

/// Reads a mask; bits beyond the 32nd become the 32nd, which is beyond every list just the same.
fn read_mask(reader: &mut Reader<'_>) -> Result<Mask, CborError> {
    let bits = reader.u64()?;
    let beyond = u32::from(bits > u64::from(u32::MAX)) << 31;
    Ok(Mask(u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(u32::MAX) | beyond))
}

fn read_schedule(reader: &mut Reader<'_>) -> Result<Schedule, CborError> {
    let (mut start, mut end, mut recurrence, mut flags) = (None, None, None, None);
    for _ in 0..reader.map()? {
        match reader.u64()? {
            0 => start = Some(UnixTime(reader.u32()?)),
            1 => end = Some(UnixTime(reader.u32()?)).filter(|end| end.0 != 0),
            2 => recurrence = Some(read_recurrence(reader)?),
            3 => flags = Some(reader.u64()?),
            _ => return Err(CborError::Unexpected),
        }
    }
    match (start, flags) {
        (Some(start), Some(flags @ 0..=1)) => Ok(Schedule { start, end, recurrence, utc: flags == 1 }),
        _ => Err(CborError::Unexpected),
    }
}

fn read_recurrence(reader: &mut Reader<'_>) -> Result<Recurrence, CborError> {
    reader.array_of(5)?;
    let recurrence = Recurrence {
        duration: reader.u32()?,
        mask: reader.u32()?,
        pattern: reader.u8()?,
        interval: reader.u8()?,
        ordinal: i8::try_from(reader.i64()?).map_err(|_| CborError::Unexpected)?,
    };
    let valid = recurrence.duration > 0 && recurrence.interval > 0 && (1..=8).contains(&recurrence.pattern);
    if valid { Ok(recurrence) } else { Err(CborError::Unexpected) }
}

fn read_extensions(reader: &mut Reader<'_>) -> Result<Restrictions, ElementError> {
    let mut restrictions = Restrictions::default();
    let mut seen = 0_u8;
    for _ in 0..reader.map()? {
        let vendor = reader.u64()?;
        for _ in 0..reader.array()? {
            reader.array_of(4)?;
            // The sources contradict each other about what criticality 1 means, so every one of them counts.
            let criticality = reader.u64()?;
            let (id, version, content) = (reader.u64()?, reader.u64()?, reader.bytes()?);
            if vendor != u64::from(VENDOR) || version != 1 || criticality > 1 {
                return Err(ElementError::UnknownExtension);
            }
            let bit = match (id, content) {
                (EXTENSION_SITE, group) => {
                    restrictions.site = Some(GroupId::from_slice(group).ok_or(CborError::Unexpected)?);
                    1
                }
                (EXTENSION_USES, &[high, low]) => {
                    restrictions.use_limit = Some(u16::from_be_bytes([high, low]));
                    2
                }
                (EXTENSION_USER, &[]) => {
                    restrictions.user_authentication = true;
                    4
                }
                (EXTENSION_INTERFACES, &[bits]) => {
                    restrictions.interfaces = Some(Interfaces(bits));
                    8
                }
                (EXTENSION_USES | EXTENSION_USER | EXTENSION_INTERFACES, _) => {
                    return Err(CborError::Unexpected.into());
                }
                _ => return Err(ElementError::UnknownExtension),
            };
            if seen & bit != 0 {
                return Err(CborError::DuplicateKey.into());
            }
            seen |= bit;
        }
    }
    Ok(restrictions)
}

#[cfg(test)]
mod tests;
