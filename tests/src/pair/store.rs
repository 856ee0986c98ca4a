//! A store whose power can be cut at any write.

use std::collections::BTreeMap;

use keybutton_lock::store::{Record, Store, StoreError};

/// What a store holds.
pub type Snapshot = BTreeMap<Record, Vec<u8>>;

/// Keeps every record on the heap, notes each write, and forgets its power after as many writes as it is told.
#[derive(Clone, Debug)]
pub struct PowerCutStore {
    records: Snapshot,
    audit_slots: u32,
    /// Every change since the start: the record, and what it became.
    pub writes: Vec<(Record, Option<Vec<u8>>)>,
    /// The power goes before the write of this number (counted from 0): it and everything after it fail.
    pub cut_before: Option<usize>,
    /// Slots for known keys, fast entries and use counters: beyond them the store is full.
    pub slots: u8,
}

impl PowerCutStore {
    /// Makes an empty store with room for `audit_slots` audit records.
    pub fn new(audit_slots: u32) -> Self {
        Self::with(Snapshot::new(), audit_slots)
    }

    /// Makes a store that holds `records`, as it is found after a start.
    pub fn with(records: Snapshot, audit_slots: u32) -> Self {
        Self { records, audit_slots, writes: Vec::new(), cut_before: None, slots: 64 }
    }

    /// What the store holds now.
    pub fn snapshot(&self) -> Snapshot {
        self.records.clone()
    }

    /// One record's value.
    pub fn get(&self, record: Record) -> Option<&[u8]> {
        self.records.get(&record).map(Vec::as_slice)
    }

    /// Whether the power is gone.
    pub fn is_dead(&self) -> bool {
        self.cut_before.is_some_and(|cut| self.writes.len() >= cut)
    }

    fn change(&mut self, record: Record, value: Option<&[u8]>) -> Result<(), StoreError> {
        if self.is_dead() {
            return Err(StoreError::Io);
        }
        let room = match record {
            Record::Known(slot) | Record::Fast(slot) | Record::Uses(slot) => slot < self.slots,
            Record::Audit(slot) => slot < self.audit_slots,
            Record::Setup | Record::Mode | Record::Clock | Record::Floors | Record::Revocations | Record::AuditMark => {
                true
            }
        };
        if !room || value.is_some_and(|value| value.len() > record.max_len()) {
            return Err(StoreError::Full);
        }
        self.writes.push((record, value.map(<[u8]>::to_vec)));
        match value {
            Some(value) => self.records.insert(record, value.to_vec()),
            None => self.records.remove(&record),
        };
        Ok(())
    }
}

impl Store for PowerCutStore {
    fn read(&mut self, record: Record, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        if self.is_dead() && self.cut_before != Some(0) {
            return Err(StoreError::Io);
        }
        let Some(value) = self.records.get(&record) else { return Ok(None) };
        out.get_mut(..value.len()).ok_or(StoreError::Full)?.copy_from_slice(value);
        Ok(Some(value.len()))
    }

    fn write(&mut self, record: Record, value: &[u8]) -> Result<(), StoreError> {
        self.change(record, Some(value))
    }

    fn erase(&mut self, record: Record) -> Result<(), StoreError> {
        if !self.records.contains_key(&record) && !self.is_dead() {
            return Ok(());
        }
        self.change(record, None)
    }

    fn audit_slots(&self) -> u32 {
        self.audit_slots
    }
}
