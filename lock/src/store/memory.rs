//! A store in plain memory: the reference for implementations, and what tests use.

use zeroize::Zeroize;

use super::{Record, Store, StoreError};

/// Keeps every record in memory, without a heap. Forgets everything when dropped, and wipes it.
///
/// `KNOWN`, `FAST`, `USES` and `AUDIT` are the slots for known keys, fast-phase entries, use counters and audit records.
/// Its behaviour is the reference: a store on flash or in files gives the same answers, and keeps them.
#[derive(Clone)]
pub struct MemoryStore<
    const KNOWN: usize = 64,
    const FAST: usize = 64,
    const USES: usize = 64,
    const AUDIT: usize = 256,
> {
    setup: Slot<64>,
    mode: Slot<8>,
    clock: Slot<8>,
    mark: Slot<8>,
    floors: Slot<52>,
    revocations: Slot<3_584>,
    known: [Slot<400>; KNOWN],
    fast: [Slot<160>; FAST],
    uses: [Slot<32>; USES],
    audit: [Slot<96>; AUDIT],
}

impl<const KNOWN: usize, const FAST: usize, const USES: usize, const AUDIT: usize>
    MemoryStore<KNOWN, FAST, USES, AUDIT>
{
    /// Makes an empty store.
    pub const fn new() -> Self {
        Self {
            setup: Slot::EMPTY,
            mode: Slot::EMPTY,
            clock: Slot::EMPTY,
            mark: Slot::EMPTY,
            floors: Slot::EMPTY,
            revocations: Slot::EMPTY,
            known: [const { Slot::EMPTY }; KNOWN],
            fast: [const { Slot::EMPTY }; FAST],
            uses: [const { Slot::EMPTY }; USES],
            audit: [const { Slot::EMPTY }; AUDIT],
        }
    }

    fn slot(&mut self, record: Record) -> Option<&mut dyn Value> {
        match record {
            Record::Setup => Some(&mut self.setup),
            Record::Mode => Some(&mut self.mode),
            Record::Clock => Some(&mut self.clock),
            Record::AuditMark => Some(&mut self.mark),
            Record::Floors => Some(&mut self.floors),
            Record::Revocations => Some(&mut self.revocations),
            Record::Known(slot) => self.known.get_mut(usize::from(slot)).map(as_value),
            Record::Fast(slot) => self.fast.get_mut(usize::from(slot)).map(as_value),
            Record::Uses(slot) => self.uses.get_mut(usize::from(slot)).map(as_value),
            Record::Audit(slot) => self.audit.get_mut(usize::try_from(slot).ok()?).map(as_value),
        }
    }
}

impl<const KNOWN: usize, const FAST: usize, const USES: usize, const AUDIT: usize> Default
    for MemoryStore<KNOWN, FAST, USES, AUDIT>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const KNOWN: usize, const FAST: usize, const USES: usize, const AUDIT: usize> Store
    for MemoryStore<KNOWN, FAST, USES, AUDIT>
{
    fn read(&mut self, record: Record, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let Some(value) = self.slot(record).and_then(|slot| slot.get()) else { return Ok(None) };
        out.get_mut(..value.len()).ok_or(StoreError::Io)?.copy_from_slice(value);
        Ok(Some(value.len()))
    }

    fn write(&mut self, record: Record, value: &[u8]) -> Result<(), StoreError> {
        self.slot(record).ok_or(StoreError::Full)?.set(value)
    }

    fn erase(&mut self, record: Record) -> Result<(), StoreError> {
        if let Some(slot) = self.slot(record) {
            slot.clear();
        }
        Ok(())
    }

    fn audit_slots(&self) -> u32 {
        u32::try_from(AUDIT).unwrap_or(u32::MAX)
    }
}

#[derive(Clone)]
struct Slot<const LEN: usize> {
    len: Option<usize>,
    bytes: [u8; LEN],
}

impl<const LEN: usize> Slot<LEN> {
    const EMPTY: Self = Self { len: None, bytes: [0; LEN] };
}

/// Entries of the fast phase are secret.
impl<const LEN: usize> Drop for Slot<LEN> {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

trait Value {
    fn get(&self) -> Option<&[u8]>;
    fn set(&mut self, value: &[u8]) -> Result<(), StoreError>;
    fn clear(&mut self);
}

impl<const LEN: usize> Value for Slot<LEN> {
    fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.len?)
    }

    fn set(&mut self, value: &[u8]) -> Result<(), StoreError> {
        self.bytes.get_mut(..value.len()).ok_or(StoreError::Full)?.copy_from_slice(value);
        self.len = Some(value.len());
        Ok(())
    }

    fn clear(&mut self) {
        *self = Self::EMPTY;
    }
}

fn as_value<const LEN: usize>(slot: &mut Slot<LEN>) -> &mut dyn Value {
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_and_erased() {
        let mut store = MemoryStore::<2, 2, 2, 16>::new();
        let mut out = [0; 400];
        assert_eq!(store.read(Record::Known(1), &mut out), Ok(None));
        store.write(Record::Known(1), &[1, 2, 3]).unwrap();
        store.write(Record::Known(1), &[4]).unwrap();
        assert_eq!(store.read(Record::Known(1), &mut out), Ok(Some(1)));
        assert_eq!(out[0], 4);
        store.erase(Record::Known(1)).unwrap();
        assert_eq!(store.read(Record::Known(1), &mut out), Ok(None));
    }

    #[test]
    fn slots_and_lengths_are_limited() {
        let mut store = MemoryStore::<2, 2, 2, 16>::new();
        assert_eq!(store.write(Record::Known(2), &[1]), Err(StoreError::Full));
        assert_eq!(store.write(Record::Clock, &[0; 9]), Err(StoreError::Full));
        assert_eq!(store.audit_slots(), 16);
    }

    #[test]
    fn every_record_has_room_for_its_longest_value() {
        let mut store = MemoryStore::<1, 1, 1, 16>::new();
        for record in [
            Record::Setup,
            Record::Mode,
            Record::Clock,
            Record::Floors,
            Record::Revocations,
            Record::AuditMark,
            Record::Known(0),
            Record::Fast(0),
            Record::Uses(0),
            Record::Audit(15),
        ] {
            store.write(record, &[7; super::super::MAX_RECORD][..record.max_len()]).unwrap();
        }
    }
}
