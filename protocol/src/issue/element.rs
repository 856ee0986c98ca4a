//! Writes the values of elements: access rules and revocation lists.

use super::{EncodeResult, VecEncoder, count};
use crate::document::{
    AccessData, RevocationEntry, VENDOR,
    access::{EXTENSION_INTERFACES, EXTENSION_SITE, EXTENSION_USER, EXTENSION_USES},
    schedule::{Rule, Schedule},
};

/// Writes an `AccessData`.
pub(super) fn access_data(e: &mut VecEncoder, data: &AccessData) -> EncodeResult {
    let extensions = extensions(data);
    let present = [
        data.access_id.is_some(),
        !data.rules.rules.is_empty(),
        !data.rules.schedules.is_empty(),
        extensions.iter().any(Option::is_some),
    ];
    e.map(1 + count(present.iter().filter(|present| **present).count()))?.u8(0)?.u8(1)?;
    if let Some(id) = &data.access_id {
        e.u8(1)?.bytes(id.as_bytes())?;
    }
    if !data.rules.rules.is_empty() {
        e.u8(2)?.array(count(data.rules.rules.len()))?;
        data.rules.rules.iter().try_for_each(|item| rule(e, item))?;
    }
    if !data.rules.schedules.is_empty() {
        e.u8(3)?.array(count(data.rules.schedules.len()))?;
        data.rules.schedules.iter().try_for_each(|item| schedule(e, item))?;
    }
    let written = extensions.iter().flatten().count();
    if written > 0 {
        e.u8(6)?.map(1)?.u32(VENDOR)?.array(count(written))?;
        for (id, len, content) in extensions.iter().flatten() {
            e.array(4)?.u8(0)?.u64(*id)?.u8(1)?.bytes(content.get(..*len).unwrap_or_default())?;
        }
    }
    Ok(())
}

/// The access extensions in the order of their numbers: number, length, content.
fn extensions(data: &AccessData) -> [Option<(u64, usize, [u8; 16])>; 4] {
    let padded = |bytes: &[u8]| {
        let mut out = [0; 16];
        out.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        out
    };
    let restrictions = &data.restrictions;
    [
        restrictions.site.map(|group| (EXTENSION_SITE, 16, group.0)),
        restrictions.use_limit.map(|uses| (EXTENSION_USES, 2, padded(&uses.to_be_bytes()))),
        restrictions.user_authentication.then_some((EXTENSION_USER, 0, [0; 16])),
        restrictions.interfaces.map(|interfaces| (EXTENSION_INTERFACES, 1, padded(&[interfaces.0]))),
    ]
}

fn rule(e: &mut VecEncoder, rule: &Rule) -> EncodeResult {
    e.map(1 + u64::from(rule.allow.is_some()) + u64::from(rule.deny.is_some()))?.u8(0)?.u8(rule.capabilities.0)?;
    if let Some(mask) = rule.allow {
        e.u8(1)?.u32(mask.0)?;
    }
    if let Some(mask) = rule.deny {
        e.u8(2)?.u32(mask.0)?;
    }
    Ok(())
}

fn schedule(e: &mut VecEncoder, schedule: &Schedule) -> EncodeResult {
    e.map(2 + u64::from(schedule.end.is_some()) + u64::from(schedule.recurrence.is_some()))?;
    e.u8(0)?.u32(schedule.start.0)?;
    if let Some(end) = schedule.end {
        e.u8(1)?.u32(end.0)?;
    }
    if let Some(r) = &schedule.recurrence {
        e.u8(2)?.array(5)?.u32(r.duration)?.u32(r.mask)?.u8(r.pattern)?.u8(r.interval)?.i8(r.ordinal)?;
    }
    e.u8(3)?.u8(u8::from(schedule.utc))?;
    Ok(())
}

/// Writes a `RevocationData` that replaces the list held.
pub(super) fn revocation_data(e: &mut VecEncoder, entries: &[RevocationEntry]) -> EncodeResult {
    e.map(3)?.u8(0)?.u8(1)?.u8(1)?.u8(0)?.u8(2)?.array(count(entries.len()))?;
    for entry in entries {
        let fields = [entry.key_hash.is_some(), entry.access_id.is_some(), entry.expires.is_some()];
        e.map(count(fields.iter().filter(|present| **present).count()))?;
        if let Some(hash) = &entry.key_hash {
            e.u8(0)?.bytes(hash)?;
        }
        if let Some(id) = &entry.access_id {
            e.u8(1)?.bytes(id.as_bytes())?;
        }
        if let Some(time) = entry.expires {
            e.u8(2)?.tag(minicbor::data::Tag::new(1))?.u32(time.0)?;
        }
    }
    Ok(())
}
