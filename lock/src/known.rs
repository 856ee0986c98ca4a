//! Known keys: device keys whose access document the lock has verified and need not see again for a while
//! (`docs/PROTOCOL.md` section 19).

use keybutton_protocol::{
    buf::Buf,
    ids::{CredentialId, Kid, PublicKey, UnixTime},
};

use crate::store::{
    Record, Store, StoreError,
    codec::{Decoder, Encoder},
};

/// The longest access data that is kept; a document with longer ones is shown anew for every press.
pub(crate) const ACCESS_DATA_MAX: usize = 256;

/// A device key and what its access document said.
#[derive(Clone)]
pub(crate) struct KnownKey {
    pub(crate) credential: CredentialId,
    pub(crate) device_key: PublicKey,
    pub(crate) kid: Kid,
    pub(crate) iteration: u32,
    pub(crate) has_iteration: bool,
    pub(crate) signed: UnixTime,
    pub(crate) valid_from: UnixTime,
    pub(crate) valid_until: UnixTime,
    pub(crate) time_required: bool,
    /// The document had further elements for this lock: a refusal by this one is not the last word.
    pub(crate) partial: bool,
    /// The access data of the element that counted, as CBOR.
    pub(crate) access_data: Buf<ACCESS_DATA_MAX>,
}

/// A slot for a known key, with its place in the order of use.
#[derive(Clone, Default)]
pub(crate) struct KnownSlot {
    key: Option<KnownKey>,
    used: u32,
}

impl KnownSlot {
    pub(crate) const EMPTY: Self = Self { key: None, used: 0 };
}

/// The known keys, as they are stored. The order of use is kept in memory alone.
pub(crate) struct KnownKeys<'a> {
    pub(crate) slots: &'a mut [KnownSlot],
    pub(crate) turn: &'a mut u32,
}

impl KnownKeys<'_> {
    /// Reads the known keys. A damaged one is dropped: its phone shows its document again.
    pub(crate) fn load<T: Store>(&mut self, store: &mut T) -> Result<(), StoreError> {
        for (slot, entry) in (0u8..).zip(self.slots.iter_mut()) {
            let mut value = [0; Record::Known(0).max_len()];
            let len = store.read(Record::Known(slot), &mut value)?;
            *entry = KnownSlot { key: len.and_then(|len| KnownKey::decode(value.get(..len)?)), used: 0 };
        }
        Ok(())
    }

    /// The known key with this device key; counts as a use of it.
    pub(crate) fn find(&mut self, device_key: &PublicKey) -> Option<&KnownKey> {
        let slot = self.slots.iter_mut().find(|slot| slot.key.as_ref().is_some_and(|k| k.device_key == *device_key))?;
        *self.turn = self.turn.wrapping_add(1);
        slot.used = *self.turn;
        slot.key.as_ref()
    }

    /// Keeps a key in place of an older record of it, else of the least recently used.
    pub(crate) fn put<T: Store>(&mut self, store: &mut T, key: KnownKey) -> Result<(), StoreError> {
        let same = |slot: &KnownSlot| slot.key.as_ref().is_some_and(|k| k.device_key == key.device_key);
        let turn = *self.turn;
        let chosen = self.slots.iter().position(same).or_else(|| {
            let age = |slot: &KnownSlot| if slot.key.is_none() { u32::MAX } else { turn.wrapping_sub(slot.used) };
            (0..self.slots.len()).rev().max_by_key(|slot| self.slots.get(*slot).map(age))
        });
        let (Some(slot), Some(entry)) = (chosen, chosen.and_then(|slot| self.slots.get_mut(slot))) else {
            return Ok(());
        };
        let mut value = [0; Record::Known(0).max_len()];
        let value = key.encode(&mut value).ok_or(StoreError::Full)?;
        store.write(Record::Known(u8::try_from(slot).map_err(|_| StoreError::Full)?), value)?;
        *self.turn = turn.wrapping_add(1);
        *entry = KnownSlot { key: Some(key), used: *self.turn };
        Ok(())
    }

    /// Removes the keys for which `gone` holds.
    pub(crate) fn remove<T: Store>(
        &mut self,
        store: &mut T,
        gone: impl Fn(&KnownKey) -> bool,
    ) -> Result<(), StoreError> {
        for (slot, entry) in (0u8..).zip(self.slots.iter_mut()) {
            if entry.key.as_ref().is_some_and(&gone) {
                // Out of memory first: whatever becomes of the write, the key is not served from here again.
                *entry = KnownSlot::EMPTY;
                store.erase(Record::Known(slot))?;
            }
        }
        Ok(())
    }
}

impl KnownKey {
    /// Until when the document need not be shown again.
    pub(crate) fn expires(&self, offline_limit_s: u32) -> UnixTime {
        UnixTime(self.signed.0.saturating_add(offline_limit_s)).min(self.valid_until)
    }

    fn encode<'b>(&self, out: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut encoder = Encoder::new(out);
        encoder
            .bytes(&self.credential.0)
            .bytes(&self.device_key.0)
            .bytes(&self.kid.0)
            .u32(self.iteration)
            .u32(self.signed.0)
            .u32(self.valid_from.0)
            .u32(self.valid_until.0)
            .u8(u8::from(self.has_iteration))
            .u8(u8::from(self.time_required))
            .u8(u8::from(self.partial))
            .u16(u16::try_from(self.access_data.len()).ok()?)
            .bytes(&self.access_data);
        encoder.finish()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(value);
        let key = Self {
            credential: CredentialId(decoder.array()?),
            device_key: PublicKey(decoder.array()?),
            kid: Kid(decoder.array()?),
            iteration: decoder.u32()?,
            signed: UnixTime(decoder.u32()?),
            valid_from: UnixTime(decoder.u32()?),
            valid_until: UnixTime(decoder.u32()?),
            has_iteration: decoder.u8()? != 0,
            time_required: decoder.u8()? != 0,
            partial: decoder.u8()? != 0,
            access_data: {
                let len = decoder.u16()?;
                Buf::from_slice(decoder.bytes(len.into())?).ok()?
            },
        };
        decoder.end().map(|()| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    type Small = MemoryStore<3, 1, 1, 16>;

    fn key(n: u8) -> KnownKey {
        KnownKey {
            credential: CredentialId([n; 16]),
            device_key: PublicKey([n; 65]),
            kid: Kid([9; 8]),
            iteration: 42,
            has_iteration: true,
            signed: UnixTime(1_000),
            valid_from: UnixTime(1_000),
            valid_until: UnixTime(5_000),
            time_required: true,
            partial: false,
            access_data: Buf::from_slice(&[n; ACCESS_DATA_MAX]).unwrap(),
        }
    }

    fn with<R>(slots: &mut [KnownSlot], turn: &mut u32, test: impl FnOnce(KnownKeys<'_>) -> R) -> R {
        test(KnownKeys { slots, turn })
    }

    #[test]
    fn the_least_recently_used_goes() {
        let (mut store, mut slots, mut turn) = (Small::new(), [const { KnownSlot::EMPTY }; 3], 0);
        with(&mut slots, &mut turn, |mut known| {
            for n in 1..=3 {
                known.put(&mut store, key(n)).unwrap();
            }
            assert!(known.find(&key(1).device_key).is_some());
            known.put(&mut store, key(4)).unwrap();
            assert!(known.find(&key(2).device_key).is_none());
            assert!([1, 3, 4].iter().all(|n| known.find(&key(*n).device_key).is_some()));
        });
        let mut slots = [const { KnownSlot::EMPTY }; 3];
        with(&mut slots, &mut turn, |mut known| {
            known.load(&mut store).unwrap();
            let found = known.find(&key(4).device_key).unwrap();
            assert_eq!((found.iteration, found.access_data.len()), (42, ACCESS_DATA_MAX));
            assert!(known.find(&key(2).device_key).is_none());
        });
    }

    #[test]
    fn a_key_has_one_record() {
        let (mut store, mut slots, mut turn) = (Small::new(), [const { KnownSlot::EMPTY }; 3], 0);
        with(&mut slots, &mut turn, |mut known| {
            known.put(&mut store, key(1)).unwrap();
            known.put(&mut store, KnownKey { iteration: 43, ..key(1) }).unwrap();
            assert_eq!(known.find(&key(1).device_key).unwrap().iteration, 43);
            known.remove(&mut store, |k| k.credential == CredentialId([1; 16])).unwrap();
            assert!(known.find(&key(1).device_key).is_none());
            known.load(&mut store).unwrap();
            assert!(known.find(&key(1).device_key).is_none());
        });
    }

    #[test]
    fn expiry_is_the_earlier_of_validity_and_offline_limit() {
        assert_eq!(key(1).expires(1_000), UnixTime(2_000));
        assert_eq!(key(1).expires(u32::MAX), UnixTime(5_000));
    }

    #[test]
    fn damaged_records_are_dropped() {
        let (mut store, mut slots, mut turn) = (Small::new(), [const { KnownSlot::EMPTY }; 3], 0);
        store.write(Record::Known(1), &[1; 40]).unwrap();
        with(&mut slots, &mut turn, |mut known| {
            known.load(&mut store).unwrap();
            assert!(known.find(&PublicKey([1; 65])).is_none());
        });
    }
}
