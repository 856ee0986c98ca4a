//! Writes whole documents: elements, their digests, and the issuer's signature.

use alloc::vec::Vec;
use core::str;

use minicbor::data::Tag;

use super::{EncodeResult, IssueError, Issuer, VecEncoder, count, element, encode};
use crate::{
    crypto::{Crypto, Signer},
    document::{
        AccessData, DocType, ELEMENT_REVOCATION, ELEMENTS_MAX, RevocationEntry,
        revocation::ISSUED_MAX,
        schedule::{RULES_MAX, SCHEDULES_MAX, Schedule},
    },
    ids::{PublicKey, UnixTime},
    tdate,
};

/// The longest revocation document, bytes: with an access document of one element it still fits into one message.
pub const REVOCATION_LEN_MAX: usize = 1_500;

/// When an issued document counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IssuedValidity {
    /// When it is signed.
    pub signed: UnixTime,
    /// From when it counts, inclusive.
    pub valid_from: UnixTime,
    /// Until when it counts, inclusive.
    pub valid_until: UnixTime,
    /// The issuer's iteration for this kind of document.
    pub iteration: u32,
    /// A lock without a usable clock has to refuse it.
    pub time_verification_required: bool,
}

/// One element of an access document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessElement<'a> {
    /// The element's name, `site`, `zXXXX` or `lXXXX`.
    pub name: &'a str,
    /// Fresh random bytes: they hide the element's content behind its digest.
    pub random: [u8; 16],
    /// What it allows.
    pub data: AccessData,
}

/// What an access document is to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessDocument<'a> {
    /// The device key it is for.
    pub device_key: &'a PublicKey,
    /// When it counts.
    pub validity: IssuedValidity,
    /// Its elements, 1 to 16.
    pub elements: &'a [AccessElement<'a>],
}

/// What a revocation document is to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RevocationDocument<'a> {
    /// When it counts.
    pub validity: IssuedValidity,
    /// Fresh random bytes.
    pub random: [u8; 16],
    /// Everything that is revoked, at most 32 entries; together they have to fit [`REVOCATION_LEN_MAX`].
    pub entries: &'a [RevocationEntry],
}

pub(super) fn access<S: Signer, C: Crypto>(
    issuer: &mut Issuer<S>,
    crypto: &C,
    document: &AccessDocument<'_>,
) -> Result<Vec<u8>, IssueError> {
    if !(1..=ELEMENTS_MAX).contains(&document.elements.len()) {
        return Err(IssueError::Content);
    }
    let mut items = Vec::with_capacity(document.elements.len());
    for (index, element) in document.elements.iter().enumerate() {
        let repeated = document.elements.iter().take(index).any(|before| before.name == element.name);
        if element.name.is_empty() || element.name.len() > 32 || repeated {
            return Err(IssueError::Content);
        }
        check_rules(&element.data)?;
        let value = |e: &mut VecEncoder| element::access_data(e, &element.data);
        items.push(item(index + 1, &element.random, element.name, value)?);
    }
    write(issuer, crypto, DocType::Access, &document.validity, Some(document.device_key), &items)
}

pub(super) fn revocation<S: Signer, C: Crypto>(
    issuer: &mut Issuer<S>,
    crypto: &C,
    document: &RevocationDocument<'_>,
) -> Result<Vec<u8>, IssueError> {
    let named = |entry: &RevocationEntry| entry.key_hash.is_some() || entry.access_id.is_some();
    if document.entries.len() > ISSUED_MAX || !document.entries.iter().all(named) {
        return Err(IssueError::Content);
    }
    let value = |e: &mut VecEncoder| element::revocation_data(e, document.entries);
    let item = item(1, &document.random, ELEMENT_REVOCATION, value)?;
    let written = write(issuer, crypto, DocType::Revocation, &document.validity, None, &[item])?;
    if written.len() > REVOCATION_LEN_MAX { Err(IssueError::TooLarge) } else { Ok(written) }
}

/// Refuses what our locks would not evaluate.
fn check_rules(data: &AccessData) -> Result<(), IssueError> {
    let (rules, schedules) = (&data.rules.rules, &data.rules.schedules);
    if data.reader_rules || rules.is_empty() || rules.len() > RULES_MAX || schedules.len() > SCHEDULES_MAX {
        return Err(IssueError::Content);
    }
    let beyond =
        |mask: Option<crate::document::schedule::Mask>| mask.is_some_and(|mask| mask.0 >> schedules.len() != 0);
    if rules.iter().any(|rule| beyond(rule.allow) || beyond(rule.deny)) {
        return Err(IssueError::Content);
    }
    if schedules.iter().all(is_evaluated) { Ok(()) } else { Err(IssueError::Schedule) }
}

fn is_evaluated(schedule: &Schedule) -> bool {
    let recurs = |r: &crate::document::schedule::Recurrence| {
        let pattern = match r.pattern {
            1 => r.mask == 0,
            2 => (1..=0x7F).contains(&r.mask),
            _ => false,
        };
        pattern && r.interval == 1 && r.ordinal == 0 && r.duration > 0
    };
    schedule.utc
        && schedule.end.is_none_or(|end| end > schedule.start)
        && schedule.recurrence.as_ref().is_none_or(recurs)
}

/// Writes one item in its `#6.24(bstr)`, which is what its digest covers.
fn item(
    digest_id: usize,
    random: &[u8; 16],
    name: &str,
    value: impl FnOnce(&mut VecEncoder) -> EncodeResult,
) -> Result<Vec<u8>, IssueError> {
    let inner = encode(|e| {
        e.map(4)?.str("1")?.u64(count(digest_id))?.str("2")?.bytes(random)?.str("3")?.str(name)?.str("4")?;
        value(e)
    })?;
    embed(&inner)
}

fn embed(inner: &[u8]) -> Result<Vec<u8>, IssueError> {
    encode(|e| e.tag(Tag::new(24))?.bytes(inner)?.ok())
}

fn write<S: Signer, C: Crypto>(
    issuer: &mut Issuer<S>,
    crypto: &C,
    doc_type: DocType,
    validity: &IssuedValidity,
    device_key: Option<&PublicKey>,
    items: &[Vec<u8>],
) -> Result<Vec<u8>, IssueError> {
    if validity.valid_until < validity.valid_from {
        return Err(IssueError::Content);
    }
    let name = doc_type.as_str();
    let mso = encode(|e| {
        e.map(6 + u64::from(device_key.is_some()))?.str("1")?.str("1.0")?.str("2")?.str("SHA-256")?;
        e.str("3")?.map(1)?.str(name)?.map(count(items.len()))?;
        for (index, item) in items.iter().enumerate() {
            e.u64(count(index + 1))?.bytes(&crypto.sha256(&[item]))?;
        }
        if let Some(key) = device_key {
            e.str("4")?.map(1)?.str("1")?.map(4)?.u8(1)?.u8(2)?.i8(-1)?.u8(1)?;
            e.i8(-2)?.bytes(&key.x())?.i8(-3)?.bytes(&key.y())?;
        }
        e.str("5")?.str(name)?.str("6")?.map(4)?;
        for (key, time) in [("1", validity.signed), ("2", validity.valid_from), ("3", validity.valid_until)] {
            let text = tdate::format(time);
            e.str(key)?.tag(Tag::new(0))?.str(str::from_utf8(&text).unwrap_or_default())?;
        }
        e.str("5")?.u32(validity.iteration)?.str("7")?.bool(validity.time_verification_required)?;
        Ok(())
    })?;
    let signature = issuer.sign1(&[], &embed(&mso)?)?;
    let document = encode(|e| {
        e.map(2)?.str("1")?.map(2)?.str("1")?.map(1)?.str(name)?.array(count(items.len()))?;
        for item in items {
            e.writer_mut().extend_from_slice(item);
        }
        e.str("2")?.writer_mut().extend_from_slice(&signature);
        e.str("5")?.str(name)?;
        Ok(())
    })?;
    Ok(document)
}
