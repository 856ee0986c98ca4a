//! Use limits: how often each access identifier has opened this lock (`docs/PROTOCOL.md` section 13, extension 2).
//!
//! A use is counted, durably, before the bolt moves.

use keybutton_protocol::{
    crypto::Crypto,
    ids::{AccessId, Kid, UnixTime},
};

use crate::store::{
    Record, Store, StoreError,
    codec::{Decoder, Encoder},
};

/// Whose uses are counted: the issuer and its access identifier, as a digest.
pub(crate) type UseKey = [u8; 16];

/// The digest under which the uses of an access identifier are counted.
pub(crate) fn use_key<C: Crypto>(crypto: &C, kid: Kid, access_id: &AccessId) -> UseKey {
    let digest = crypto.sha256(&[b"keybutton/uses", &kid.0, access_id.as_bytes()]);
    let mut key = [0; 16];
    key.copy_from_slice(digest.split_at(16).0);
    key
}

/// The uses counted for one access identifier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UseCount {
    key: UseKey,
    uses: u16,
    /// The end of the longest validity seen: after it nothing is left to count.
    until: UnixTime,
}

/// The use counters, as they are stored.
pub(crate) struct UseCounters<'a>(pub(crate) &'a mut [Option<UseCount>]);

impl UseCounters<'_> {
    /// Reads the counters. A damaged one fails: forgetting it would give uses back.
    pub(crate) fn load<T: Store>(&mut self, store: &mut T) -> Result<(), StoreError> {
        for (slot, entry) in (0u8..).zip(self.0.iter_mut()) {
            let record = Record::Uses(slot);
            let mut value = [0; Record::Uses(0).max_len()];
            *entry = match store.read(record, &mut value)? {
                None => None,
                Some(len) => Some(value.get(..len).and_then(UseCount::decode).ok_or(StoreError::Damaged(record))?),
            };
        }
        Ok(())
    }

    /// Counts one more use. Fails without counting when there is no room: nothing may open then.
    pub(crate) fn count<T: Store>(
        &mut self,
        store: &mut T,
        key: UseKey,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let slot = self.slot_for(&key, now).ok_or(StoreError::Full)?;
        let entry = self.0.get_mut(slot).ok_or(StoreError::Full)?;
        let before = entry.filter(|count| count.key == key);
        let next = UseCount {
            key,
            uses: before.map_or(0, |count| count.uses).saturating_add(1),
            until: before.map_or(until, |count| count.until.max(until)),
        };
        let record = Record::Uses(u8::try_from(slot).map_err(|_| StoreError::Full)?);
        store.write(record, &next.encode())?;
        *entry = Some(next);
        Ok(())
    }

    fn slot_for(&self, key: &UseKey, now: UnixTime) -> Option<usize> {
        let position = |test: &dyn Fn(&Option<UseCount>) -> bool| self.0.iter().position(test);
        position(&|entry| entry.is_some_and(|count| count.key == *key))
            .or_else(|| position(&|entry| entry.is_none()))
            .or_else(|| position(&|entry| entry.is_some_and(|count| count.until < now)))
    }
}

/// How often `key` was used.
pub(crate) fn uses(counters: &[Option<UseCount>], key: &UseKey) -> u16 {
    counters.iter().flatten().find(|count| count.key == *key).map_or(0, |count| count.uses)
}

impl UseCount {
    fn encode(&self) -> [u8; 22] {
        let mut out = [0; 22];
        Encoder::new(&mut out).bytes(&self.key).u16(self.uses).u32(self.until.0);
        out
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(value);
        let count = Self { key: decoder.array()?, uses: decoder.u16()?, until: UnixTime(decoder.u32()?) };
        decoder.end().map(|()| count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    type Small = MemoryStore<1, 1, 2, 16>;

    #[test]
    fn counts_survive_a_restart() {
        let mut store = Small::new();
        let mut slots = [None; 2];
        let mut counters = UseCounters(&mut slots);
        counters.count(&mut store, [1; 16], UnixTime(100), UnixTime(50)).unwrap();
        counters.count(&mut store, [1; 16], UnixTime(90), UnixTime(50)).unwrap();
        let mut slots = [None; 2];
        let mut counters = UseCounters(&mut slots);
        counters.load(&mut store).unwrap();
        assert_eq!(uses(counters.0, &[1; 16]), 2);
        assert_eq!(uses(counters.0, &[2; 16]), 0);
    }

    #[test]
    fn only_ended_counters_make_room() {
        let mut store = Small::new();
        let mut slots = [None; 2];
        let mut counters = UseCounters(&mut slots);
        counters.count(&mut store, [1; 16], UnixTime(100), UnixTime(50)).unwrap();
        counters.count(&mut store, [2; 16], UnixTime(200), UnixTime(50)).unwrap();
        assert_eq!(counters.count(&mut store, [3; 16], UnixTime(300), UnixTime(100)), Err(StoreError::Full));
        counters.count(&mut store, [3; 16], UnixTime(300), UnixTime(101)).unwrap();
        assert_eq!((uses(counters.0, &[1; 16]), uses(counters.0, &[2; 16]), uses(counters.0, &[3; 16])), (0, 1, 1));
    }

    #[test]
    fn a_damaged_counter_is_an_error() {
        let mut store = Small::new();
        store.write(Record::Uses(0), &[1, 2, 3]).unwrap();
        let mut slots = [None; 2];
        assert_eq!(UseCounters(&mut slots).load(&mut store), Err(StoreError::Damaged(Record::Uses(0))));
    }
}
