//! L_POWER_LOSS: power is cut at every single write of a day's work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use keybutton_lock::{
    Lockdown, Maintenance,
    store::{Record, Store},
};
use keybutton_protocol::{
    audit::{Envelope, Head, Record as AuditRecord, record_hash},
    document::Restrictions,
    ids::{Intent, ReaderId, UnixTime},
    token::AckToken,
    verdict::Reason,
};

fn reader_id() -> ReaderId {
    ReaderId::new(GROUP, SUB)
}

/// Who plays a part.
struct Cast {
    member: Phone,
    limited: Phone,
    revoked: Phone,
    carrier: Phone,
}

/// What outsiders have been told for certain so far: none of it may be lost.
#[derive(Default)]
struct Promises {
    /// The service has acknowledged up to here, and the lock has taken it.
    acknowledged: u32,
    /// Verdicts named these heads.
    heads: Vec<(u32, [u8; 32])>,
    granted_limited: u32,
    revocation_applied: bool,
    locked_down: bool,
}

fn cast(world: &mut World) -> Cast {
    let member = world.member(1);
    let mut limited = world.phone(2);
    let mut data = access_data(2);
    data.restrictions = Restrictions { use_limit: Some(2), ..data.restrictions };
    world.grant(&mut limited, 42, data);
    let revoked = world.member(3);
    let mut carrier = world.phone(4);
    world.grant(&mut carrier, 47, access_data(4));
    Cast { member, limited, revoked, carrier }
}

fn note(promises: &mut Promises, log: &Log) {
    if let Some(report) = log.verdict.and_then(|verdict| verdict.report) {
        promises.heads.push((report.audit.number, report.audit.hash));
    }
}

/// A day's work: first openings, fast phase, use limits, revocation, floors, time, acknowledgement, lockdown.
fn day(world: &mut World, cast: &mut Cast) -> Promises {
    let mut promises = Promises::default();
    let logs = [world.press(&mut cast.member, Intent::Unlock), world.press(&mut cast.member, Intent::Unlock)];
    logs.iter().for_each(|log| note(&mut promises, log));
    let log = world.press(&mut cast.revoked, Intent::Unlock);
    note(&mut promises, &log);
    for _ in 0..2 {
        let log = world.press(&mut cast.limited, Intent::Unlock);
        note(&mut promises, &log);
        promises.granted_limited += u32::from(log.is_granted());
    }
    let entry = world.entry(&cast.revoked);
    world.revoke(&mut cast.carrier, 9, &[entry]);
    let log = world.press(&mut cast.carrier, Intent::Unlock);
    note(&mut promises, &log);
    promises.revocation_applied = world.events.contains(&keybutton_lock::Event::RevocationApplied);
    world.pass(2 * 3_600_000);
    cast.member.time_token = Some(world.time_token(GROUP, UnixTime(NOW.0 + 3 * 3_600)));
    if let Some(envelope) = cast.carrier.envelopes.last() {
        let mut envelope = envelope.clone();
        let plaintext = keybutton_protocol::audit::open(&world.audit.0, &reader_id(), &mut envelope).unwrap();
        let last = Envelope::parse(plaintext).unwrap().records.as_chunks::<96>().0.last().copied().unwrap();
        let record = AuditRecord::from_bytes(&last).unwrap();
        let hash = record_hash(&world.crypto, &last);
        let token = AckToken { reader: reader_id(), number: record.number, hash, time: NOW };
        cast.member.ack_token = Some(world.issuer.ack_token(&token).unwrap());
    }
    let log = world.press(&mut cast.member, Intent::Unlock);
    note(&mut promises, &log);
    promises.acknowledged = world
        .events
        .iter()
        .filter_map(|event| match event {
            keybutton_lock::Event::AuditAcknowledged { number } => Some(*number),
            _ => None,
        })
        .max()
        .unwrap_or(0);
    world.input(keybutton_lock::Input::Maintenance(Maintenance::Lockdown(Lockdown::Site)));
    let acknowledged = keybutton_lock::feedback::Signal::Acknowledged;
    promises.locked_down = world.feedback.last().is_some_and(|feedback| feedback.signal == acknowledged);
    promises
}

/// The numbers that never decrease, as the store has them.
fn numbers(store: &TestStore) -> Vec<u64> {
    let number = |record: Record, at: usize, len: usize| {
        let value = store.value(record).unwrap_or_default();
        value.get(at..at + len).unwrap_or_default().iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte))
    };
    vec![
        number(Record::Floors, 9, 4),
        number(Record::Revocations, 9, 4),
        number(Record::Clock, 0, 4),
        number(Record::AuditMark, 0, 4),
        (0..64).map(|slot| number(Record::Uses(slot), 16, 2)).sum(),
    ]
}

/// Every audit record in the store, by number; checks that they are one chain.
fn chain(world: &World) -> Vec<AuditRecord> {
    let slots = world.store.audit_slots();
    let mut records: Vec<[u8; 96]> =
        (0..slots).filter_map(|slot| world.store.value(Record::Audit(slot))?.try_into().ok()).collect();
    records.sort_by_key(|bytes| AuditRecord::from_bytes(bytes).unwrap().number);
    let mut head: Option<Head> = None;
    for bytes in &records {
        let record = AuditRecord::from_bytes(bytes).unwrap();
        if let Some(before) = head {
            assert_eq!((record.number, record.previous), (before.number + 1, before.hash));
        }
        head = Some(Head { number: record.number, hash: record_hash(&world.crypto, bytes) });
    }
    records.iter().map(|bytes| AuditRecord::from_bytes(bytes).unwrap()).collect()
}

#[test]
fn l_power_loss() {
    // How many writes a day has, and what the numbers are along the way.
    let mut world = World::new();
    let mut people = cast(&mut world);
    let first = world.store.writes();
    let promises = day(&mut world, &mut people);
    assert!(promises.revocation_applied && promises.locked_down && promises.acknowledged > 0);
    assert_eq!(promises.granted_limited, 2);
    let writes = world.store.writes() - first;
    assert!(writes > 25, "{writes}");
    let complete = numbers(&world.store);

    for cut in 0..writes {
        for written in [false, true] {
            one_cut(cut, written, &complete);
        }
    }
}

fn one_cut(cut: usize, written: bool, complete: &[u64]) {
    let place = format!("cut at write {cut}, written: {written}");
    let mut world = World::new();
    let mut people = cast(&mut world);
    let before = numbers(&world.store);
    world.store.cut_after(cut, written);
    let promises = day(&mut world, &mut people);
    assert!(world.store.restore(), "{place}");
    let at_cut = numbers(&world.store);
    let bolts_before = world.bolts.len();
    world.options.set_time = false;
    world.restart();

    // Old value or new value, never lower, never beyond what the day does.
    let after = numbers(&world.store);
    for n in 0..after.len() {
        assert!(after[n] >= before[n] && after[n] >= at_cut[n] && after[n] <= complete[n], "{place}: number {n}");
    }
    // A start moves nothing.
    assert!(world.bolts.is_empty() && bolts_before < 10, "{place}");

    // The chain verifies, and every head a phone was told is in it (or acknowledged).
    let records = chain(&world);
    for (number, hash) in &promises.heads {
        let kept = records.iter().find(|record| record.number == *number);
        let kept = kept.unwrap_or_else(|| panic!("{place}: record {number} is lost"));
        assert_eq!(record_hash(&world.crypto, &kept.to_bytes()), *hash, "{place}");
    }
    assert!(records.iter().any(|record| record.number >= promises.acknowledged), "{place}");

    world.options.set_time = true;
    world.restart();
    if promises.locked_down {
        let log = world.press(&mut people.member, Intent::Unlock);
        assert_eq!(log.reason(), Some(Reason::LockedDown), "{place}");
    }
    world.input(keybutton_lock::Input::Maintenance(Maintenance::Lockdown(Lockdown::Off)));
    world.bolts.clear();

    // A revocation that was in force stays in force, also for what was known before.
    let log = world.press(&mut people.revoked, Intent::Unlock);
    if promises.revocation_applied {
        assert_eq!(log.reason(), Some(Reason::Revoked), "{place}");
        assert!(!log.fast, "{place}");
    }
    // Uses are never given back.
    let mut opened = promises.granted_limited;
    for _ in 0..3 {
        opened += u32::from(world.press(&mut people.limited, Intent::Unlock).is_granted());
    }
    assert!(opened <= 2, "{place}: {opened}");
    assert_eq!(world.press(&mut people.limited, Intent::Unlock).reason(), Some(Reason::UseLimit), "{place}");
    // The lock still works.
    assert!(world.press(&mut people.member, Intent::Unlock).is_granted(), "{place}");
    chain(&world);
}

#[test]
fn nothing_opens_while_the_store_fails() {
    let mut world = World::new();
    let mut phone = world.member(1);
    world.store.cut_after(0, false);
    let log = world.press(&mut phone, Intent::Unlock);
    assert_eq!((log.reason(), log.detail()), (Some(Reason::Hardware), Some(4)), "{log:?}");
    assert!(world.bolts.is_empty());
    assert!(world.events.contains(&keybutton_lock::Event::StoreFailed));
    world.store.restore();
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
}

#[test]
fn a_start_finishes_what_a_revocation_began() {
    let mut world = World::new();
    let mut phone = world.member(1);
    world.press(&mut phone, Intent::Unlock);
    world.press(&mut phone, Intent::Unlock);
    let (known, fast) = (world.store.value(Record::Known(0)).unwrap(), world.store.value(Record::Fast(0)).unwrap());
    let mut carrier = world.member(2);
    let entry = world.entry(&phone);
    world.revoke(&mut carrier, 9, &[entry]);
    world.press(&mut carrier, Intent::Unlock);
    // As if the power had gone between the list and what it revokes.
    world.store.overwrite(Record::Known(7), &known);
    world.store.overwrite(Record::Fast(7), &fast);
    world.restart();
    assert_eq!((world.store.value(Record::Known(7)), world.store.value(Record::Fast(7))), (None, None));
}

#[test]
fn another_provisioning_forgets_keys_but_no_floors() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    world.grant(&mut phone, 60, access_data(1));
    world.press(&mut phone, Intent::Unlock);
    world.press(&mut phone, Intent::Unlock);
    world.options.policy.offline_limit_s = 24 * 3_600;
    world.restart();
    assert_eq!((world.store.value(Record::Known(0)), world.store.value(Record::Fast(0))), (None, None));
    let mut old = world.phone(2);
    world.grant(&mut old, 52, access_data(2));
    assert_eq!(world.press(&mut old, Intent::Unlock).reason(), Some(Reason::StaleDocument));
}
