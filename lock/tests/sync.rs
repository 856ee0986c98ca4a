//! What travels after the verdict: audit, acknowledgements, time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use keybutton_lock::{Event, store::Record};
use keybutton_protocol::{
    audit::{Envelope, Head, Record as AuditRecord, RecordType, open, verify_chain},
    crypto::Signer,
    exchange::SyncKind,
    ids::{Intent, ReaderId, UnixTime},
    token::AckToken,
};

fn reader_id() -> ReaderId {
    ReaderId::new(GROUP, SUB)
}

/// Opens an envelope as the service does.
fn opened(world: &World, envelope: &[u8], head: Head) -> (Vec<AuditRecord>, Head) {
    let mut envelope = envelope.to_vec();
    let plaintext = open(&world.audit.0, &reader_id(), &mut envelope).unwrap();
    let parsed = Envelope::parse(plaintext).unwrap();
    let after = parsed.verify(&world.crypto, reader_id(), &signer(30).public_key(), head).unwrap();
    let records = verify_chain(&world.crypto, head, parsed.records).map(|step| step.unwrap().0).collect();
    (records, after)
}

fn acknowledge(world: &mut World, number: u32, hash: [u8; 32]) -> Vec<u8> {
    let token = AckToken { reader: reader_id(), number, hash, time: UnixTime(NOW.0) };
    world.issuer.ack_token(&token).unwrap()
}

#[test]
fn audit_reaches_the_service_and_its_acknowledgement_comes_back_with_any_phone() {
    let mut world = World::new();
    let (mut one, mut two) = (world.member(1), world.member(2));
    let first = world.press(&mut one, Intent::Unlock);
    assert_eq!(first.handed_over, 1);
    let genesis = Head::genesis(&world.crypto, &reader_id());
    let (records, head) = opened(&world, &one.envelopes[0], genesis);
    let types: Vec<RecordType> = records.iter().map(|record| record.record_type).collect();
    assert_eq!(
        types,
        [RecordType::Configuration, RecordType::Start, RecordType::TimeSet, RecordType::Verdict],
        "since the lock was claimed"
    );
    let report = first.verdict.unwrap().report.unwrap();
    assert_eq!((report.audit.number, report.audit.hash), (head.number, head.hash));

    // Only what is new goes with the next phone.
    world.press(&mut two, Intent::Unlock);
    let (records, later) = opened(&world, &two.envelopes[0], head);
    assert_eq!(records.len(), 1);

    // A forged acknowledgement frees nothing, the real one does.
    let mut wrong = later.hash;
    wrong[0] ^= 1;
    one.ack_token = Some(acknowledge(&mut world, later.number, wrong));
    let log = world.press(&mut one, Intent::Unlock);
    assert!(log.asked.contains(&SyncKind::AckToken));
    assert_eq!(world.store.value(Record::AuditMark), None);
    two.ack_token = Some(acknowledge(&mut world, later.number, later.hash));
    world.press(&mut two, Intent::Unlock);
    assert_eq!(world.store.value(Record::AuditMark), Some(later.number.to_be_bytes().to_vec()));
    assert!(world.events.contains(&Event::AuditAcknowledged { number: later.number }));
}

#[test]
fn unacknowledged_records_are_handed_over_again_later() {
    let mut world = World::new();
    let (mut one, mut two) = (world.member(1), world.member(2));
    world.press(&mut one, Intent::Unlock);
    world.pass(601_000);
    world.press(&mut two, Intent::Unlock);
    let (records, _) = opened(&world, &two.envelopes[0], Head::genesis(&world.crypto, &reader_id()));
    assert_eq!(records.len(), 5);
}

#[test]
fn an_acknowledgement_for_another_lock_is_ignored() {
    let mut world = World::new();
    let mut phone = world.member(1);
    world.press(&mut phone, Intent::Unlock);
    let (_, head) = opened(&world, &phone.envelopes[0], Head::genesis(&world.crypto, &reader_id()));
    let token = AckToken { reader: ReaderId([1; 32]), number: head.number, hash: head.hash, time: NOW };
    phone.ack_token = Some(world.issuer.ack_token(&token).unwrap());
    world.press(&mut phone, Intent::Unlock);
    assert_eq!(world.store.value(Record::AuditMark), None);
}

#[test]
fn a_repeated_verdict_makes_no_record() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let press = phone.press(Intent::Unlock);
    world.press_with(&mut phone, press, 185, &mut |_, _| {});
    world.press_with(&mut phone, press, 185, &mut |_, _| {});
    let (records, _) = opened(&world, &phone.envelopes[0], Head::genesis(&world.crypto, &reader_id()));
    assert_eq!(records.iter().filter(|record| record.record_type == RecordType::Verdict).count(), 1);
    assert_eq!(phone.envelopes.len(), 1, "nothing new to hand over");
}

#[test]
fn more_records_than_an_envelope_holds_go_with_several_phones() {
    let mut world = World::new();
    let mut phone = world.member(1);
    phone.profile.vendor_a5 = false;
    for _ in 0..30 {
        // A phone without our profile carries nothing.
        assert!(world.press(&mut phone, Intent::Unlock).is_granted());
        world.pass(3_000);
    }
    let (mut two, mut three) = (world.member(2), world.member(3));
    world.press(&mut two, Intent::Unlock);
    let (records, head) = opened(&world, &two.envelopes[0], Head::genesis(&world.crypto, &reader_id()));
    assert_eq!(records.len(), 18);
    world.press(&mut three, Intent::Unlock);
    let (records, _) = opened(&world, &three.envelopes[0], head);
    assert!(records.len() > 10);
}

#[test]
fn refusals_are_recorded_with_their_reason() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(!log.is_granted());
    let (records, _) = opened(&world, &phone.envelopes[0], Head::genesis(&world.crypto, &reader_id()));
    let last = records.last().unwrap();
    assert_eq!((last.record_type, last.reason, last.status), (RecordType::Verdict, 0x1C, 0x01));
}

#[test]
fn a_lock_without_a_clock_asks_before_the_verdict() {
    let mut world = World::with(LockOptions { set_time: false, ..LockOptions::default() });
    let (mut one, mut two) = (world.member(1), world.member(2));
    one.time_token = Some(world.time_token(GROUP, NOW));
    two.time_token = one.time_token.clone();
    let first = world.press(&mut one, Intent::Unlock);
    assert_eq!(first.asked.first(), Some(&SyncKind::TimeToken));
    assert_eq!(first.reason(), Some(keybutton_protocol::verdict::Reason::ClockUnknown));
    let second = world.press(&mut two, Intent::Unlock);
    assert!(second.is_granted(), "two keys agree: {second:?}");

    let mut options = LockOptions { set_time: false, ..LockOptions::default() };
    options.policy.accept_lower_bound = true;
    let mut world = World::with(options);
    let mut phone = world.member(1);
    phone.time_token = Some(world.time_token(GROUP, NOW));
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
}

#[test]
fn a_revocation_document_may_also_come_after_the_verdict() {
    // A phone that the lock knows by the fast phase only hands it over in step-up; nothing is asked for twice.
    let mut world = World::new();
    let mut phone = world.member(1);
    world.press(&mut phone, Intent::Unlock);
    world.pass(5_000);
    world.revoke(&mut phone, 9, &[]);
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(log.stepped_up);
    assert!(!log.asked.contains(&SyncKind::RevocationDocument));
    assert!(world.events.contains(&Event::RevocationApplied));
}
