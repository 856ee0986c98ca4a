//! Must-fail cases of `docs/PROTOCOL.md` section 24: the power goes at any write.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, time::Duration};

use keybutton_lock::{
    Input,
    store::{Record, StoreError},
};
use keybutton_protocol::{
    exchange::SyncKind,
    ids::{Intent, UnixTime},
    verdict::Reason,
};
use keybutton_tests::pair::{
    bench::{Bench, assert_chain, press_with, reason},
    document::RevokedSpec,
    lock::TestLock,
    raw_phone::RawPhone,
    site::{ITERATION, Member, NOW, Site},
    store::{PowerCutStore, Snapshot},
};

const USES: u16 = 2;

/// Everything that makes a lock write: openings, the fast phase, use limits, a higher iteration, a revocation, time, and
/// audit that is handed over and acknowledged. Returns how often a phone was told that the door opens.
fn scenario(lock: &mut TestLock, site: &Site) -> usize {
    let mut granted = 0;
    let mut seed = 500;
    let mut phone = |who: &str| {
        seed += 1;
        RawPhone::new(site, &Member::new(who), seed)
    };
    let mut press = |lock: &mut TestLock, phone: &mut RawPhone, link: u16| {
        press_with(lock, phone, link);
        granted += usize::from(phone.seen.verdict.is_some_and(|verdict| verdict.is_granted()));
        lock.advance(Duration::from_secs(61));
    };
    let mut ada = phone("ada");
    press(lock, &mut ada, 1);
    ada.press(Intent::Unlock);
    press(lock, &mut ada, 1);

    let mut limited = limited_phone(site, &mut phone);
    for _ in 0..3 {
        limited.press(Intent::Unlock);
        press(lock, &mut limited, 2);
    }

    // Grace carries a newer document, a revocation of Ada, the time two hours later and takes the audit along.
    let mut grace = phone("grace");
    let member = Member::new("grace");
    let mut newer = site.access(&member, &site.access_spec(&member));
    newer.iteration = Some(ITERATION + 3);
    grace.documents =
        vec![newer.sign(&mut site.issuer()).encode(), site.revocation(2, &[RevokedSpec::key(&Member::new("ada").key)])];
    grace.revocation_signed = Some(UnixTime(NOW.0 - 7_198));
    grace.objects = vec![(SyncKind::TimeToken, site.time_token(UnixTime(NOW.0 + 7_200)))];
    press(lock, &mut grace, 3);
    lock.advance(Duration::from_secs(3_700));
    grace.press(Intent::Unlock);
    press(lock, &mut grace, 3);
    lock.input(Input::Maintenance(keybutton_lock::Maintenance::Lockdown(keybutton_lock::Lockdown::Door)));
    grace.press(Intent::Unlock);
    press(lock, &mut grace, 3);
    granted
}

/// A phone whose document counts twice.
fn limited_phone(site: &Site, phone: &mut impl FnMut(&str) -> RawPhone) -> RawPhone {
    let member = Member::new("guest");
    let mut limited = phone("guest");
    let spec = site.access_spec(&member).restricted(2, &USES.to_be_bytes());
    limited.documents = vec![site.access(&member, &spec).sign(&mut site.issuer()).encode()];
    limited
}

fn fresh(site: &Site) -> TestLock {
    let (_, audit_key) = site.audit_key();
    TestLock::with(site, 7, |config| config.audit_key = Some(audit_key))
}

/// The numbers that must never go down: S, R, B, every use counter, and the newest audit record.
fn numbers(records: &Snapshot, site: &Site) -> BTreeMap<&'static str, u32> {
    let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let after_kid = |record: Record| {
        let value = records.get(&record)?;
        let at = value.windows(8).position(|window| window == site.kid.0)? + 8;
        Some(word(&value[at..at + 4]))
    };
    let mut numbers = BTreeMap::new();
    numbers.extend(after_kid(Record::Floors).map(|s| ("S", s)));
    numbers.extend(after_kid(Record::Revocations).map(|r| ("R", r)));
    numbers.extend(records.get(&Record::Clock).map(|b| ("B", word(&b[..4]))));
    let uses = records.iter().filter(|(record, _)| matches!(record, Record::Uses(_)));
    numbers.insert("uses", uses.map(|(_, value)| u32::from(u16::from_be_bytes([value[16], value[17]]))).sum());
    let audit = records.iter().filter(|(record, _)| matches!(record, Record::Audit(_)));
    numbers.insert("audit", audit.map(|(_, value)| word(&value[4..8])).max().unwrap_or(0));
    numbers
}

#[track_caller]
fn assert_not_lower(before: &BTreeMap<&'static str, u32>, after: &BTreeMap<&'static str, u32>, what: &str) {
    for (name, value) in before {
        assert!(after.get(name) >= Some(value), "{name} fell from {value} to {:?} {what}", after.get(name));
    }
}

#[test]
fn l_power_loss() {
    let site = Site::new("north");
    let mut whole = fresh(&site);
    let start = whole.snapshot();
    let first = whole.store.0.borrow().writes.len();
    scenario(&mut whole, &site);
    let writes = whole.store.0.borrow().writes.clone();
    let (config, signer) = (whole.config.clone(), site.reader_key(7));
    assert!(writes.len() - first > 20, "the scenario writes");
    for kind in [Record::Floors, Record::Revocations, Record::Clock, Record::Mode] {
        assert!(writes[first..].iter().any(|(record, _)| *record == kind), "the scenario writes {kind:?}");
    }

    let mut records = start;
    let mut before = numbers(&records, &site);
    for at in first..=writes.len() {
        // The power went after `at` writes: each is whole or not there at all.
        let now = numbers(&records, &site);
        assert_not_lower(&before, &now, &format!("at write {at}"));
        before = now;
        let store = PowerCutStore::with(records.clone(), 64);
        let lock = TestLock::try_start(config.clone(), signer.clone(), store, 9).expect("the lock starts");
        assert_not_lower(&before, &numbers(&lock.snapshot(), &site), &format!("by starting after write {at}"));
        assert!(assert_chain(&lock) > 0);
        assert_eq!(lock.movements(), 0, "a start moves nothing");
        if let Some((record, value)) = writes.get(at) {
            match value {
                Some(value) => records.insert(*record, value.clone()),
                None => records.remove(record),
            };
        }
    }
}

#[test]
fn l_power_loss_during_a_transaction() {
    // The same scenario, with the store dead from one write on. What was granted was written down before.
    let site = Site::new("north");
    let total = {
        let mut lock = fresh(&site);
        let first = lock.store.0.borrow().writes.len();
        scenario(&mut lock, &site);
        first..lock.store.0.borrow().writes.len()
    };
    for cut in total {
        let mut lock = fresh(&site);
        lock.store.0.borrow_mut().cut_before = Some(cut);
        let granted = scenario(&mut lock, &site);
        let openings = lock.openings();
        assert!(granted >= openings, "the bolt moves for whom it was not granted to");
        lock.store.0.borrow_mut().cut_before = None;
        let records = lock.snapshot();
        let recorded = records
            .iter()
            .filter(|(record, value)| matches!(record, Record::Audit(_)) && value[1] == 1 && value[2] == 0)
            .count();
        assert!(recorded >= openings, "{openings} openings, {recorded} on record, cut at {cut}");
        // After the power is back: the guest gets no more uses than were left, and whoever was revoked stays out.
        let revoked = numbers(&records, &site).contains_key("R");
        lock.restart_with(records);
        lock.set_time(NOW);
        lock.input(Input::Maintenance(keybutton_lock::Maintenance::Lockdown(keybutton_lock::Lockdown::Off)));
        assert_chain(&lock);
        let mut guest = limited_phone(&site, &mut |who| RawPhone::new(&site, &Member::new(who), 700));
        for _ in 0..USES {
            guest.press(Intent::Unlock);
            press_with(&mut lock, &mut guest, 4);
            lock.advance(Duration::from_secs(61));
        }
        let guest_key = keybutton_tests::pair::keys::sha256(&Member::new("guest").key.0)[..16].to_vec();
        let opened_for_guest = lock
            .audit()
            .iter()
            .filter(|record| record[1] == 1 && record[2] == 0 && record[16..32] == guest_key)
            .count();
        assert!(opened_for_guest <= usize::from(USES), "{opened_for_guest} openings of {USES}, cut at {cut}");
        let mut ada = RawPhone::new(&site, &Member::new("ada"), 701);
        press_with(&mut lock, &mut ada, 5);
        if revoked {
            assert_eq!(reason(&ada), Some(Reason::Revoked), "cut at {cut}");
        }
    }
}

#[test]
fn l_store_that_fails_opens_nothing() {
    let mut bench = Bench::new();
    let writes = bench.lock.store.0.borrow().writes.len();
    bench.lock.store.0.borrow_mut().cut_before = Some(writes);
    bench.press();
    assert_eq!(bench.lock.movements(), 0);
    assert_eq!(bench.reason(), Some(Reason::Hardware));
    assert_eq!(keybutton_tests::pair::bench::detail(&bench.phone), Some(4), "storage");
    // It works again: so does the door.
    bench.lock.store.0.borrow_mut().cut_before = None;
    bench.press_anew(Intent::Unlock);
    bench.assert_granted();
}

#[test]
fn l_damaged_records_do_not_give_rights_back() {
    let mut bench = Bench::new();
    bench.press();
    bench.assert_granted();
    let mut carrier = bench.phone_of("carrier");
    carrier.revocation_signed = Some(UnixTime(NOW.0 - 7_199));
    carrier.documents.push(bench.site.revocation(1, &[RevokedSpec::key(&bench.member.key)]));
    press_with(&mut bench.lock, &mut carrier, 2);
    let records = bench.lock.snapshot();
    for record in [Record::Revocations, Record::Floors, Record::Clock] {
        let Some(value) = records.get(&record) else { continue };
        for damaged in [Vec::new(), value[..value.len() - 1].to_vec(), vec![0xFF; value.len().min(3)]] {
            let mut altered = records.clone();
            altered.insert(record, damaged);
            let store = PowerCutStore::with(altered, 64);
            let started =
                TestLock::try_start(bench.lock.config.clone(), bench.site.reader_key(7), store, 3).map(|_| ());
            assert!(matches!(started, Err(StoreError::Damaged(found)) if found == record), "{record:?}: {started:?}");
        }
    }
}

#[test]
fn the_audit_ring_says_what_it_gave_up() {
    // More verdicts than the ring has room for, and nobody takes them along.
    let mut bench = Bench::new();
    for n in 0..150_u32 {
        bench.phone.press(Intent::Status);
        bench.press();
        bench.lock.advance(Duration::from_secs(3));
        if n % 25 == 0 {
            assert_chain(&bench.lock);
        }
    }
    assert_eq!(assert_chain(&bench.lock), 64);
    let lost = bench.lock.audit().iter().filter(|record| record[1] == 7).count();
    assert!(lost > 0, "records of type 7 say how many were given up");
    let newest = bench.lock.audit().last().map(|record| u32::from_be_bytes(record[4..8].try_into().unwrap()));
    bench.lock.restart();
    assert!(bench.lock.audit().last().map(|record| u32::from_be_bytes(record[4..8].try_into().unwrap())) > newest);
}
