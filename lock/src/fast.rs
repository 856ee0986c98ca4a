//! Entries of the fast phase (`docs/PROTOCOL.md` section 20).
//!
//! An entry lets a phone in without a signature of its device key, so every doubt ends in AUTH1. Who steals an entry's
//! key can pose as the phone until the entry expires: high-security doors keep none.

use keybutton_protocol::ids::{AccessId, Kid, Kpersistent, PublicKey, UnixTime};

use crate::store::{
    Record, Store, StoreError,
    codec::{Decoder, Encoder},
};

/// How often an entry may be used before the phone has to sign again.
pub(crate) const USES: u16 = 256;
/// Uses are taken from the store in blocks of this many, to spare its flash; a start forgets the rest of a block.
const USE_BLOCK: u16 = 16;

/// One phone's entry.
#[derive(Clone)]
pub(crate) struct FastEntry {
    pub(crate) secret: Kpersistent,
    pub(crate) device_key: PublicKey,
    pub(crate) access_id: Option<AccessId>,
    pub(crate) kid: Kid,
    pub(crate) iteration: u32,
    pub(crate) signed: UnixTime,
    pub(crate) expires: UnixTime,
}

/// A slot for an entry.
#[derive(Clone)]
pub(crate) struct FastSlot {
    entry: Option<FastEntry>,
    uses_left: u16,
    /// What a start would find: never more than `uses_left`.
    uses_stored: u16,
    used: u32,
}

impl FastSlot {
    pub(crate) const EMPTY: Self = Self { entry: None, uses_left: 0, uses_stored: 0, used: 0 };
}

/// The entries, as they are stored.
pub(crate) struct FastStore<'a> {
    pub(crate) slots: &'a mut [FastSlot],
    pub(crate) turn: &'a mut u32,
}

impl FastStore<'_> {
    /// Reads the entries; at most `limit` of them. A damaged one is dropped: its phone signs again.
    pub(crate) fn load<T: Store>(&mut self, store: &mut T, limit: u8) -> Result<(), StoreError> {
        for (slot, place) in (0u8..).zip(self.slots.iter_mut()) {
            let mut value = zeroize::Zeroizing::new([0; Record::Fast(0).max_len()]);
            let len = store.read(Record::Fast(slot), &mut value[..])?;
            let loaded = len.and_then(|len| FastEntry::decode(value.get(..len)?)).filter(|_| slot < limit);
            *place = match loaded {
                Some((entry, uses)) => FastSlot { entry: Some(entry), uses_left: uses, uses_stored: uses, used: 0 },
                None => FastSlot::EMPTY,
            };
            if len.is_some() && place.entry.is_none() {
                store.erase(Record::Fast(slot))?;
            }
        }
        Ok(())
    }

    /// Whether there is an entry to try.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.entry.is_none())
    }

    /// The entries with their slots, the one used last first, each of them once.
    pub(crate) fn by_use(&self) -> impl Iterator<Item = (u8, &FastEntry)> {
        let turn = *self.turn;
        let age = move |slot: &FastSlot| turn.wrapping_sub(slot.used);
        let key = move |(n, slot): &(u8, &FastSlot)| (age(slot), *n);
        let slots: &[FastSlot] = self.slots;
        let filled = move || (0u8..).zip(slots.iter()).filter(|(_, slot)| slot.entry.is_some());
        core::iter::successors(filled().min_by_key(key), move |last| {
            filled().filter(|next| key(next) > key(last)).min_by_key(key)
        })
        .filter_map(|(n, slot)| slot.entry.as_ref().map(|entry| (n, entry)))
    }

    /// The entry in a slot.
    pub(crate) fn get(&self, slot: u8) -> Option<&FastEntry> {
        self.slots.get(usize::from(slot))?.entry.as_ref()
    }

    /// Takes one use of an entry; `false` when none is left.
    pub(crate) fn take_use<T: Store>(&mut self, store: &mut T, slot: u8) -> Result<bool, StoreError> {
        *self.turn = self.turn.wrapping_add(1);
        let turn = *self.turn;
        let Some(place) = self.slots.get_mut(usize::from(slot)) else { return Ok(false) };
        let FastSlot { entry: Some(entry), uses_left, uses_stored, used } = place else { return Ok(false) };
        if *uses_left == 0 {
            return Ok(false);
        }
        if uses_left == uses_stored {
            let stored = uses_left.saturating_sub(USE_BLOCK);
            write(store, slot, entry, stored)?;
            *uses_stored = stored;
        }
        *uses_left -= 1;
        *used = turn;
        Ok(true)
    }

    /// Keeps an entry in place of an older one of the same phone, else of the least recently used of `limit`.
    pub(crate) fn put<T: Store>(&mut self, store: &mut T, entry: FastEntry, limit: u8) -> Result<(), StoreError> {
        let turn = *self.turn;
        let range = self.slots.len().min(limit.into());
        let slots = self.slots.get_mut(..range).unwrap_or_default();
        let same = slots.iter().position(|s| s.entry.as_ref().is_some_and(|e| e.device_key == entry.device_key));
        let oldest = || {
            let age = |s: &FastSlot| if s.entry.is_none() { u32::MAX } else { turn.wrapping_sub(s.used) };
            (0..range).rev().max_by_key(|slot| slots.get(*slot).map(age))
        };
        let Some(slot) = same.or_else(oldest) else { return Ok(()) };
        let Some(place) = slots.get_mut(slot) else { return Ok(()) };
        let stored = USES - USE_BLOCK;
        write(store, u8::try_from(slot).map_err(|_| StoreError::Full)?, &entry, stored)?;
        *self.turn = turn.wrapping_add(1);
        *place = FastSlot { entry: Some(entry), uses_left: USES, uses_stored: stored, used: *self.turn };
        Ok(())
    }

    /// Removes the entry in a slot.
    pub(crate) fn erase<T: Store>(&mut self, store: &mut T, slot: u8) -> Result<(), StoreError> {
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = FastSlot::EMPTY;
        }
        store.erase(Record::Fast(slot))
    }

    /// Removes the entries for which `gone` holds.
    pub(crate) fn remove<T: Store>(
        &mut self,
        store: &mut T,
        gone: impl Fn(&FastEntry) -> bool,
    ) -> Result<(), StoreError> {
        for (slot, place) in (0u8..).zip(self.slots.iter_mut()) {
            if place.entry.as_ref().is_some_and(&gone) {
                *place = FastSlot::EMPTY;
                store.erase(Record::Fast(slot))?;
            }
        }
        Ok(())
    }
}

fn write<T: Store>(store: &mut T, slot: u8, entry: &FastEntry, uses: u16) -> Result<(), StoreError> {
    let mut value = zeroize::Zeroizing::new([0; Record::Fast(0).max_len()]);
    let value = entry.encode(uses, &mut value[..]).ok_or(StoreError::Full)?;
    store.write(Record::Fast(slot), value)
}

impl FastEntry {
    fn encode<'b>(&self, uses: u16, out: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut encoder = Encoder::new(out);
        encoder
            .bytes(self.secret.expose())
            .bytes(&self.device_key.0)
            .bytes(&self.kid.0)
            .u32(self.iteration)
            .u32(self.signed.0)
            .u32(self.expires.0)
            .u16(uses)
            .short(self.access_id.as_ref().map_or(&[], AccessId::as_bytes));
        encoder.finish()
    }

    fn decode(value: &[u8]) -> Option<(Self, u16)> {
        let mut decoder = Decoder::new(value);
        let secret = Kpersistent::from_slice(decoder.bytes(32)?)?;
        let (device_key, kid) = (PublicKey(decoder.array()?), Kid(decoder.array()?));
        let (iteration, signed, expires) = (decoder.u32()?, UnixTime(decoder.u32()?), UnixTime(decoder.u32()?));
        let uses = decoder.u16()?;
        let access_id = match decoder.short()? {
            [] => None,
            id => Some(AccessId::from_slice(id)?),
        };
        decoder.end()?;
        Some((Self { secret, device_key, access_id, kid, iteration, signed, expires }, uses))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::store::MemoryStore;

    type Small = MemoryStore<1, 4, 1, 16>;

    fn entry(n: u8) -> FastEntry {
        FastEntry {
            secret: Kpersistent::new([n; 32]),
            device_key: PublicKey([n; 65]),
            access_id: AccessId::from_slice(&[n; 8]),
            kid: Kid([9; 8]),
            iteration: 42,
            signed: UnixTime(1_000),
            expires: UnixTime(2_000),
        }
    }

    fn order(fast: &FastStore<'_>) -> Vec<u8> {
        fast.by_use().map(|(_, entry)| entry.device_key.0[0]).collect()
    }

    #[test]
    fn tries_the_last_used_first_and_each_once() {
        let (mut store, mut slots, mut turn) = (Small::new(), [const { FastSlot::EMPTY }; 4], 0);
        let mut fast = FastStore { slots: &mut slots, turn: &mut turn };
        for n in 1..=4 {
            fast.put(&mut store, entry(n), 64).unwrap();
        }
        assert_eq!(order(&fast), [4, 3, 2, 1]);
        let (slot, _) = fast.by_use().find(|(_, e)| e.device_key.0[0] == 2).unwrap();
        assert!(fast.take_use(&mut store, slot).unwrap());
        assert_eq!(order(&fast), [2, 4, 3, 1]);
        fast.put(&mut store, entry(5), 64).unwrap();
        assert_eq!(order(&fast), [5, 2, 4, 3]);
    }

    #[test]
    fn holds_no_more_than_the_limit() {
        let (mut store, mut slots, mut turn) = (Small::new(), [const { FastSlot::EMPTY }; 4], 0);
        let mut fast = FastStore { slots: &mut slots, turn: &mut turn };
        for n in 1..=4 {
            fast.put(&mut store, entry(n), 2).unwrap();
        }
        assert_eq!(order(&fast), [4, 3]);
        fast.load(&mut store, 1).unwrap();
        assert_eq!(order(&fast).len(), 1);
    }

    #[test]
    fn uses_run_out_and_are_never_given_back() {
        let (mut store, mut slots, mut turn) = (Small::new(), [const { FastSlot::EMPTY }; 4], 0);
        let mut fast = FastStore { slots: &mut slots, turn: &mut turn };
        fast.put(&mut store, entry(1), 64).unwrap();
        let mut taken = 0;
        while fast.take_use(&mut store, 0).unwrap() {
            taken += 1;
            if taken % 37 == 0 {
                fast.load(&mut store, 64).unwrap();
            }
        }
        assert!(taken <= USES && taken > USES / 2, "{taken}");
        let (mut store, mut slots, mut turn) = (Small::new(), [const { FastSlot::EMPTY }; 4], 0);
        let mut fast = FastStore { slots: &mut slots, turn: &mut turn };
        fast.put(&mut store, entry(1), 64).unwrap();
        assert_eq!((0..).take_while(|_| fast.take_use(&mut store, 0).unwrap()).count(), 256);
    }

    #[test]
    fn removal_reaches_the_store() {
        let (mut store, mut slots, mut turn) = (Small::new(), [const { FastSlot::EMPTY }; 4], 0);
        let mut fast = FastStore { slots: &mut slots, turn: &mut turn };
        fast.put(&mut store, entry(1), 64).unwrap();
        fast.put(&mut store, entry(2), 64).unwrap();
        fast.remove(&mut store, |e| e.device_key.0[0] == 1).unwrap();
        fast.load(&mut store, 64).unwrap();
        assert_eq!(order(&fast), [2]);
        assert!(!fast.is_empty());
    }
}
