//! The audit ring: a chain of records that only an acknowledged hash makes the lock forget (`docs/PROTOCOL.md` section 19).

use core::time::Duration;

use keybutton_protocol::{
    audit::{Checkpoint, Head, RECORD_LEN, RECORDS_MAX, Record, RecordType, record_hash, seal, write_plaintext},
    crypto::{Crypto, Signer},
    ids::{CredentialId, Interface, PublicKey, ReaderId, UnixTime, UnlockId},
};

use crate::{
    env::Env,
    store::{
        self, Store, StoreError,
        codec::{Decoder, Encoder},
    },
    uptime::Uptime,
};

/// Records that were handed over are handed to another phone when no acknowledgement came for this long.
const HAND_OVER_AGAIN: Duration = Duration::from_secs(600);
/// A full ring gives up one in this many of its records at once, so that not every record brings one about lost ones.
const GIVE_UP: u32 = 8;

/// The fields of a record that are not the chain's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) record_type: RecordType,
    pub(crate) reason: u8,
    pub(crate) status: u8,
    pub(crate) time: UnixTime,
    pub(crate) clock_state: u8,
    pub(crate) interface: Option<Interface>,
    pub(crate) battery: u8,
    pub(crate) flags: u8,
    pub(crate) credential: CredentialId,
    pub(crate) access_id: [u8; 16],
    pub(crate) unlock_id: UnlockId,
}

/// For whom and as whom an envelope is sealed.
pub(crate) struct SealFor<'a> {
    pub(crate) reader: ReaderId,
    pub(crate) audit_key: &'a PublicKey,
    pub(crate) time: UnixTime,
}

/// Working memory for an envelope.
pub(crate) struct EnvelopeRoom<'a> {
    /// At least 18 records.
    pub(crate) records: &'a mut [u8],
    /// At least the longest envelope.
    pub(crate) out: &'a mut [u8],
}

/// Why an envelope could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HandOverError {
    Store(StoreError),
    /// The crypto engine, the audit key or the buffers.
    Seal,
}

/// The ring's ends. The records themselves are in the store, by number modulo its slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuditRing {
    head: Head,
    /// The oldest record that must be kept.
    first: u32,
    acknowledged: u32,
    handed: u32,
    handed_at: Uptime,
    slots: u32,
}

impl AuditRing {
    /// Finds the ends of the ring in the store, and checks the chain between them.
    pub(crate) fn load<C: Crypto, T: Store>(store: &mut T, crypto: &C, reader: &ReaderId) -> Result<Self, StoreError> {
        let slots = store.audit_slots().max(1);
        let acknowledged = read_mark(store)?;
        let (mut newest, mut given_up) = (None::<Record>, 0);
        for slot in 0..slots {
            let Some(record) = read_slot(store, slot)?.and_then(|bytes| Record::from_bytes(&bytes)) else { continue };
            if record.number % slots != slot {
                continue;
            }
            if record.record_type == RecordType::Lost {
                given_up = given_up.max(last_lost(&record));
            }
            if newest.is_none_or(|newest| newest.number < record.number) {
                newest = Some(record);
            }
        }
        let Some(newest) = newest else {
            // An acknowledged number without its record: the store lost what it had promised to keep.
            return match acknowledged {
                0 => Ok(Self::empty(Head::genesis(crypto, reader), slots)),
                _ => Err(StoreError::Damaged(store::Record::AuditMark)),
            };
        };
        let head = Head { number: newest.number, hash: record_hash(crypto, &newest.to_bytes()) };
        let oldest = acknowledged.max(given_up).saturating_add(1);
        let mut ring = Self { acknowledged, handed: acknowledged, ..Self::empty(head, slots) };
        ring.first = ring.walk_back(store, crypto, newest, oldest)?;
        Ok(ring)
    }

    /// A ring that nothing is ever written to: a lock in setup mode.
    pub(crate) fn unused() -> Self {
        Self::empty(Head { number: 0, hash: [0; 32] }, 1)
    }

    fn empty(head: Head, slots: u32) -> Self {
        Self { head, first: 1, acknowledged: 0, handed: 0, handed_at: Uptime(0), slots }
    }

    /// The oldest record from which the chain runs unbroken to `newest`, not before `oldest`.
    fn walk_back<C: Crypto, T: Store>(
        &self,
        store: &mut T,
        crypto: &C,
        newest: Record,
        oldest: u32,
    ) -> Result<u32, StoreError> {
        let mut at = newest;
        while at.number > oldest {
            let Some(bytes) = read_slot(store, (at.number - 1) % self.slots)? else { break };
            let Some(before) = Record::from_bytes(&bytes) else { break };
            if before.number != at.number - 1 || record_hash(crypto, &bytes) != at.previous {
                break;
            }
            at = before;
        }
        Ok(if oldest > newest.number { newest.number.saturating_add(1) } else { at.number })
    }

    /// The newest record's number and hash.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// Appends a record, durably. A full ring gives up its oldest records and says so first.
    pub(crate) fn append<C: Crypto, T: Store>(
        &mut self,
        store: &mut T,
        crypto: &C,
        entry: &Entry,
    ) -> Result<Head, StoreError> {
        if self.kept() >= self.slots {
            self.give_up(store, crypto, entry)?;
        }
        self.push(store, crypto, entry)?;
        Ok(self.head)
    }

    fn give_up<C: Crypto, T: Store>(&mut self, store: &mut T, crypto: &C, entry: &Entry) -> Result<(), StoreError> {
        let count = (self.slots / GIVE_UP).max(1);
        let last = self.first.saturating_add(count - 1);
        let mut credential = [0; 16];
        let mut access_id = [0; 16];
        Encoder::new(&mut credential).u32(count);
        Encoder::new(&mut access_id).u32(last);
        let lost = Entry {
            record_type: RecordType::Lost,
            reason: 0,
            status: 0,
            interface: None,
            credential: CredentialId(credential),
            access_id,
            unlock_id: UnlockId([0; 16]),
            ..*entry
        };
        // The record takes the slot of the oldest one, which it gives up itself.
        self.push(store, crypto, &lost)?;
        self.first = last.saturating_add(1);
        self.handed = self.handed.max(last);
        Ok(())
    }

    fn push<C: Crypto, T: Store>(&mut self, store: &mut T, crypto: &C, entry: &Entry) -> Result<(), StoreError> {
        let number = self.head.number.checked_add(1).ok_or(StoreError::Full)?;
        let record = Record {
            record_type: entry.record_type,
            reason: entry.reason,
            status: entry.status,
            number,
            time: entry.time,
            clock_state: entry.clock_state,
            interface: entry.interface,
            battery: entry.battery,
            flags: entry.flags,
            credential: entry.credential,
            access_id: entry.access_id,
            unlock_id: entry.unlock_id,
            previous: self.head.hash,
        };
        let bytes = record.to_bytes();
        store.write(store::Record::Audit(number % self.slots), &bytes)?;
        self.head = Head { number, hash: record_hash(crypto, &bytes) };
        Ok(())
    }

    /// How many records must be kept.
    fn kept(&self) -> u32 {
        self.head.number.saturating_add(1).saturating_sub(self.first)
    }

    /// How many records wait to be handed over.
    pub(crate) fn waiting(&self) -> u32 {
        self.head.number.saturating_sub(self.handed.max(self.first.saturating_sub(1)))
    }

    /// Whether records were handed over that are not acknowledged yet.
    pub(crate) fn awaits_acknowledgement(&self) -> bool {
        // Records that were given up are nobody's to acknowledge.
        self.handed >= self.first && self.handed > self.acknowledged
    }

    /// Forgets that records were handed over when no acknowledgement came for long: the phone may never come online.
    pub(crate) fn expire_hand_over(&mut self, now: Uptime) {
        if self.handed > self.acknowledged && now.since(self.handed_at) >= HAND_OVER_AGAIN {
            self.handed = self.acknowledged;
        }
    }

    /// Takes in an acknowledgement: records up to `number` may go if `hash` is the one of that record.
    ///
    /// Returns whether it freed any.
    pub(crate) fn acknowledge<C: Crypto, T: Store>(
        &mut self,
        store: &mut T,
        crypto: &C,
        number: u32,
        hash: &[u8; 32],
    ) -> Result<bool, StoreError> {
        if number < self.first || number > self.head.number {
            return Ok(false);
        }
        let own = read_slot(store, number % self.slots)?
            .filter(|bytes| Record::from_bytes(bytes).is_some_and(|record| record.number == number))
            .map(|bytes| record_hash(crypto, &bytes));
        if own.as_ref() != Some(hash) {
            return Ok(false);
        }
        let mut value = [0; 4];
        Encoder::new(&mut value).u32(number);
        store.write(store::Record::AuditMark, &value)?;
        self.acknowledged = number;
        self.first = number.saturating_add(1);
        self.handed = self.handed.max(number);
        Ok(true)
    }

    /// Seals the oldest records that wait into an envelope at the start of `room.out`; returns its length and the last
    /// number in it.
    pub(crate) fn envelope<C: Crypto, S: Signer, T: Store>(
        &self,
        env: &mut Env<C, S, T>,
        seal_for: &SealFor<'_>,
        room: EnvelopeRoom<'_>,
    ) -> Result<Option<(usize, u32)>, HandOverError> {
        let from = self.handed.saturating_add(1).max(self.first);
        let count = self.head.number.saturating_add(1).saturating_sub(from);
        let count = usize::try_from(count).unwrap_or(RECORDS_MAX).min(RECORDS_MAX);
        let (places, _) = room.records.as_chunks_mut::<RECORD_LEN>();
        let places = places.get_mut(..count).ok_or(HandOverError::Seal)?;
        let mut last = from;
        for (number, place) in (from..).zip(places.iter_mut()) {
            let stored = read_slot(&mut env.store, number % self.slots).map_err(HandOverError::Store)?;
            *place = stored.ok_or(HandOverError::Store(StoreError::Io))?;
            last = number;
        }
        let Some(newest) = places.last() else { return Ok(None) };
        let hash = record_hash(&env.crypto, newest);
        let SealFor { reader, audit_key, time } = *seal_for;
        let checkpoint = Checkpoint { reader, head: Head { number: last, hash }, time };
        let signature = checkpoint.sign(&mut env.signer).map_err(|_| HandOverError::Seal)?;
        let plaintext = room.out.get_mut(PublicKey::LEN..).ok_or(HandOverError::Seal)?;
        let len = write_plaintext(&signature, time, places.iter(), plaintext).map_err(|_| HandOverError::Seal)?;
        let sealed = seal(&mut env.crypto, audit_key, &reader, len, room.out).map_err(|_| HandOverError::Seal)?;
        Ok(Some((sealed, last)))
    }

    /// Notes that a phone has stored records up to `number`.
    pub(crate) fn handed_over(&mut self, number: u32, now: Uptime) {
        self.handed = self.handed.max(number);
        self.handed_at = now;
    }
}

fn read_mark<T: Store>(store: &mut T) -> Result<u32, StoreError> {
    let mut value = [0; store::Record::AuditMark.max_len()];
    match store.read(store::Record::AuditMark, &mut value)? {
        None => Ok(0),
        Some(len) => value
            .get(..len)
            .and_then(|value| Decoder::new(value).u32())
            .ok_or(StoreError::Damaged(store::Record::AuditMark)),
    }
}

fn read_slot<T: Store>(store: &mut T, slot: u32) -> Result<Option<[u8; RECORD_LEN]>, StoreError> {
    let mut bytes = [0; RECORD_LEN];
    let len = store.read(store::Record::Audit(slot), &mut bytes)?;
    Ok((len == Some(RECORD_LEN)).then_some(bytes))
}

/// The last number that a record of type 7 gives up.
fn last_lost(record: &Record) -> u32 {
    Decoder::new(&record.access_id).u32().unwrap_or(0)
}

#[cfg(test)]
mod tests;
