use std::{boxed::Box, vec::Vec};

use keybutton_protocol::ids::PublicKey;

use super::*;
use crate::store::{MAX_RECORD, MemoryStore};

type Small = MemoryStore<1, 1, 1, 16>;

const KID: Kid = Kid([1; 8]);
const OTHER: Kid = Kid([2; 8]);

fn issuer(kid: Kid, access: u32, revocation: u32) -> Issuer {
    Issuer { kid, key: PublicKey([4; 65]), access_iteration: access, revocation_iteration: revocation }
}

/// Writes a list of key hashes as `RevocationData`.
fn data(append: bool, add: &[u8], remove: &[u8]) -> Vec<u8> {
    let list = |hashes: &[u8]| {
        let head = match u8::try_from(hashes.len()).unwrap() {
            count @ 0..24 => std::vec![0x80 | count],
            count => std::vec![0x98, count],
        };
        let entries = hashes.iter().flat_map(|n| {
            let mut entry = std::vec![0xA1, 0x00, 0x58, 0x20];
            entry.extend([*n; 32]);
            entry
        });
        head.into_iter().chain(entries).collect::<Vec<u8>>()
    };
    let mut out = std::vec![if append { 0xA4 } else { 0xA3 }, 0x00, 0x01, 0x01, u8::from(append), 0x02];
    out.extend(list(add));
    if append {
        out.push(0x03);
        out.extend(list(remove));
    }
    out
}

struct Lists {
    current: Box<Revocations>,
    spare: Box<Revocations>,
    store: Box<Small>,
}

impl Lists {
    fn new() -> Self {
        let mut lists = Self {
            current: Box::new(Revocations::EMPTY),
            spare: Box::new(Revocations::EMPTY),
            store: Box::new(Small::new()),
        };
        lists.reload();
        lists
    }

    fn reload(&mut self) {
        let issuers = [issuer(KID, 40, 8), issuer(OTHER, 1, 1)];
        self.current.load(&mut *self.store, &issuers, &mut [0; MAX_RECORD]).unwrap();
    }

    fn apply(&mut self, kid: Kid, iteration: u32, data: &[u8], now: u32) -> Result<(), NoRoom> {
        let data = RevocationData::parse(data).unwrap();
        let (signed, now) = (UnixTime(now), Some(UnixTime(now)));
        self.spare.derive(&self.current, kid, iteration, signed, now, &data)?;
        self.spare.persist(&mut *self.store, &mut [0; MAX_RECORD]).unwrap();
        core::mem::swap(&mut self.current, &mut self.spare);
        Ok(())
    }

    fn allows(&self, key: u8) -> bool {
        !self.current.covers(&[key; 32], None)
    }
}

#[test]
fn l_revocation_sequence() {
    let mut lists = Lists::new();
    type Step = (bool, &'static [u8], &'static [u8], [bool; 2]);
    let steps: [Step; 6] = [
        (false, &[1], &[], [false, true]),
        (true, &[2], &[], [false, false]),
        (true, &[], &[1], [true, false]),
        (true, &[1], &[1, 2], [true, true]),
        (false, &[2], &[], [true, false]),
        (false, &[], &[], [true, true]),
    ];
    for (n, (append, add, remove, expected)) in (0..).zip(steps) {
        lists.apply(KID, 9 + n, &data(append, add, remove), 1_000).unwrap();
        assert_eq!([lists.allows(1), lists.allows(2)], expected, "step {n}");
        lists.reload();
        assert_eq!([lists.allows(1), lists.allows(2)], expected, "step {n}, after a restart");
        assert_eq!(lists.current.floor(&KID), 9 + n);
    }
}

#[test]
fn an_issuer_overwrites_its_own_entries_only() {
    let mut lists = Lists::new();
    lists.apply(KID, 9, &data(false, &[1], &[]), 1_000).unwrap();
    lists.apply(OTHER, 2, &data(false, &[2], &[]), 1_000).unwrap();
    lists.apply(OTHER, 3, &data(false, &[], &[]), 1_000).unwrap();
    assert_eq!([lists.allows(1), lists.allows(2)], [false, true]);
}

#[test]
fn a_list_that_has_no_room_changes_nothing() {
    let mut lists = Lists::new();
    let many: Vec<u8> = (0..60).collect();
    lists.apply(KID, 9, &data(false, &many, &[]), 1_000).unwrap();
    let more: Vec<u8> = (60..70).collect();
    assert_eq!(lists.apply(OTHER, 2, &data(false, &more, &[]), 1_000), Err(NoRoom));
    assert!(!lists.allows(59) && lists.allows(60));
    assert_eq!(lists.current.floor(&OTHER), 1);
    let four: Vec<u8> = (60..64).collect();
    lists.apply(OTHER, 2, &data(false, &four, &[]), 1_000).unwrap();
    lists.reload();
    assert!((0..64).all(|key| !lists.allows(key)));
}

#[test]
fn a_full_list_takes_as_many_as_the_same_document_removes() {
    let mut lists = Lists::new();
    let full: Vec<u8> = (0..64).collect();
    lists.apply(KID, 9, &data(false, &full, &[]), 1_000).unwrap();
    assert_eq!(lists.apply(KID, 10, &data(true, &[64, 65], &[0]), 1_000), Err(NoRoom));
    lists.apply(KID, 10, &data(true, &[64, 65, 66], &[0, 1, 66]), 1_000).unwrap();
    lists.reload();
    assert!(lists.allows(0) && lists.allows(1) && lists.allows(66));
    assert!((2..66).all(|key| !lists.allows(key)));
}

#[test]
fn entries_go_a_day_after_their_expiry() {
    let mut lists = Lists::new();
    let mut expiring = std::vec![0xA3, 0x00, 0x01, 0x01, 0x00, 0x02, 0x81, 0xA2, 0x00, 0x58, 0x20];
    expiring.extend([7; 32]);
    expiring.extend([0x02, 0xC1, 0x19, 0x10, 0x00]);
    lists.apply(KID, 9, &expiring, 1_000).unwrap();
    lists.apply(OTHER, 2, &data(false, &[1], &[]), 0x1000 + GRACE_S).unwrap();
    assert!(!lists.allows(7));
    lists.apply(OTHER, 3, &data(false, &[1], &[]), 0x1001 + GRACE_S).unwrap();
    assert!(lists.allows(7));
}

#[test]
fn floors_start_as_claimed_and_only_rise() {
    let mut store = Small::new();
    let issuers = [issuer(KID, 40, 8)];
    let mut floors = AccessFloors::load(&mut store, &issuers).unwrap();
    assert_eq!(floors.get(&KID), 40);
    floors.raise(&mut store, &KID, 39).unwrap();
    assert_eq!(floors.get(&KID), 40);
    floors.raise(&mut store, &KID, 50).unwrap();
    let floors = AccessFloors::load(&mut store, &issuers).unwrap();
    assert_eq!(floors.get(&KID), 50);
    assert_eq!(AccessFloors::load(&mut store, &[issuer(KID, 60, 8)]).unwrap().get(&KID), 60);
}

#[test]
fn damaged_floors_and_lists_are_errors() {
    let mut store = Small::new();
    store.write(Record::Floors, &[1; 9]).unwrap();
    store.write(Record::Revocations, &[1; 9]).unwrap();
    let issuers = [issuer(KID, 40, 8)];
    assert_eq!(AccessFloors::load(&mut store, &issuers).err(), Some(StoreError::Damaged(Record::Floors)));
    let loaded = Revocations::EMPTY.clone().load(&mut store, &issuers, &mut [0; MAX_RECORD]);
    assert_eq!(loaded, Err(StoreError::Damaged(Record::Revocations)));
}

#[test]
fn the_longest_list_fits_its_record() {
    let mut full = Box::new(Revocations::EMPTY);
    full.floors = [Some(Floor { kid: KID, iteration: 1 }); ISSUERS_MAX];
    let entry = RevocationEntry {
        key_hash: Some([7; 32]),
        access_id: AccessId::from_slice(&[8; 16]),
        expires: Some(UnixTime(9)),
    };
    full.entries = [Some((KID, entry)); REVOCATIONS_MAX];
    let mut buffer = [0; MAX_RECORD];
    let len = full.encode(&mut buffer).unwrap().len();
    let mut read = Box::new(Revocations::EMPTY);
    read.decode(&buffer[..len]).unwrap();
    assert_eq!(read.entries, full.entries);
}
