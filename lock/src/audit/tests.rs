use std::{convert::Infallible, vec::Vec};

use keybutton_protocol::{audit::verify_chain, crypto::rustcrypto::RustCrypto};
use rand_core::{TryCryptoRng, TryRng};

use super::*;
use crate::store::MemoryStore;

type Small = MemoryStore<1, 1, 1, 16>;

const READER: ReaderId = ReaderId([7; 32]);

/// The chain needs no randomness.
struct NoRng;

impl TryRng for NoRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("no randomness is needed here")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("no randomness is needed here")
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        panic!("no randomness is needed here")
    }
}

impl TryCryptoRng for NoRng {}

fn entry(n: u8) -> Entry {
    Entry {
        record_type: RecordType::Verdict,
        reason: n,
        status: 0,
        time: UnixTime(1_000),
        clock_state: 2,
        interface: None,
        battery: 0xFF,
        flags: 0,
        credential: CredentialId([n; 16]),
        access_id: [n; 16],
        unlock_id: UnlockId([n; 16]),
    }
}

struct Ring {
    ring: AuditRing,
    store: Small,
    crypto: RustCrypto<NoRng>,
}

impl Ring {
    fn new() -> Self {
        let (mut store, crypto) = (Small::new(), RustCrypto::new(NoRng));
        Self { ring: AuditRing::load(&mut store, &crypto, &READER).unwrap(), store, crypto }
    }

    fn append(&mut self, count: u8) {
        for n in 0..count {
            self.ring.append(&mut self.store, &self.crypto, &entry(n)).unwrap();
        }
    }

    fn reload(&mut self) {
        self.ring = AuditRing::load(&mut self.store, &self.crypto, &READER).unwrap();
    }

    fn acknowledge(&mut self, number: u32, hash: &[u8; 32]) -> bool {
        self.ring.acknowledge(&mut self.store, &self.crypto, number, hash).unwrap()
    }

    /// The records that must be kept, in order.
    fn kept(&mut self) -> Vec<Record> {
        (self.ring.first..=self.ring.head.number)
            .map(|number| read_slot(&mut self.store, number % 16).unwrap().unwrap())
            .map(|bytes| Record::from_bytes(&bytes).unwrap())
            .collect()
    }

    /// Checks that what is kept is one unbroken chain up to the head.
    fn verify(&mut self) {
        let kept = self.kept();
        let bytes: Vec<u8> = kept.iter().flat_map(Record::to_bytes).collect();
        let Some(first) = kept.first() else { return };
        let before = Head { number: first.number - 1, hash: first.previous };
        let walked: Vec<_> = verify_chain(&self.crypto, before, &bytes).collect();
        assert_eq!(walked.last().unwrap().unwrap().1, self.ring.head);
        assert!(walked.iter().all(Result::is_ok));
    }
}

#[test]
fn numbers_start_at_one_and_the_chain_survives_a_restart() {
    let mut ring = Ring::new();
    assert_eq!(ring.ring.head(), Head::genesis(&ring.crypto, &READER));
    ring.append(5);
    ring.verify();
    let head = ring.ring.head();
    ring.reload();
    assert_eq!(ring.ring.head(), head);
    assert_eq!(ring.kept().len(), 5);
    ring.append(1);
    ring.verify();
}

#[test]
fn l_ack_wrong_hash() {
    let mut ring = Ring::new();
    ring.append(5);
    let third = ring.kept()[2].to_bytes();
    let hash = record_hash(&ring.crypto, &third);
    let mut wrong = hash;
    wrong[31] ^= 1;
    assert!(!ring.acknowledge(3, &wrong));
    assert!(!ring.acknowledge(4, &hash));
    assert!(!ring.acknowledge(6, &hash));
    assert_eq!(ring.kept().len(), 5);
    assert!(ring.acknowledge(3, &hash));
    assert_eq!(ring.kept().len(), 2);
    assert!(!ring.acknowledge(3, &hash), "twice");
    ring.reload();
    assert_eq!(ring.kept().len(), 2);
    ring.verify();
}

#[test]
fn a_full_ring_gives_up_the_oldest_and_says_how_many() {
    let mut ring = Ring::new();
    ring.append(16);
    assert_eq!(ring.kept().len(), 16);
    ring.append(1);
    let kept = ring.kept();
    // Two records went (one in eight); in their place came the record that says so, and the new one.
    assert_eq!(kept.len(), 16);
    assert_eq!(kept[0].number, 3);
    let lost = kept.iter().find(|record| record.record_type == RecordType::Lost).unwrap();
    assert_eq!(lost.credential.0[..4], 2_u32.to_be_bytes());
    ring.verify();
    ring.reload();
    assert_eq!(ring.kept(), kept);
    ring.append(200);
    ring.verify();
    ring.reload();
    ring.verify();
}

#[test]
fn an_acknowledged_ring_loses_nothing() {
    let mut ring = Ring::new();
    for _ in 0..20 {
        ring.append(10);
        let head = ring.ring.head();
        assert!(ring.acknowledge(head.number, &head.hash));
        assert!(ring.kept().is_empty());
        ring.reload();
        assert_eq!(ring.ring.head(), head);
    }
    assert_eq!(ring.ring.head().number, 200);
}

#[test]
fn what_is_handed_over_is_handed_over_again_without_acknowledgement() {
    let mut ring = Ring::new();
    ring.append(5);
    assert_eq!(ring.ring.waiting(), 5);
    assert!(!ring.ring.awaits_acknowledgement());
    ring.ring.handed_over(5, Uptime(0));
    assert_eq!(ring.ring.waiting(), 0);
    assert!(ring.ring.awaits_acknowledgement());
    ring.ring.expire_hand_over(Uptime(599_999));
    assert_eq!(ring.ring.waiting(), 0);
    ring.ring.expire_hand_over(Uptime(600_000));
    assert_eq!(ring.ring.waiting(), 5);
}

#[test]
fn a_mark_without_records_is_damage() {
    let mut ring = Ring::new();
    ring.append(3);
    let head = ring.ring.head();
    ring.acknowledge(head.number, &head.hash);
    for slot in 0..16 {
        ring.store.erase(store::Record::Audit(slot)).unwrap();
    }
    let loaded = AuditRing::load(&mut ring.store, &ring.crypto, &READER);
    assert_eq!(loaded.err(), Some(StoreError::Damaged(store::Record::AuditMark)));
}
