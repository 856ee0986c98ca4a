//! Must-fail cases of `docs/PROTOCOL.md` section 24: asking twice, asking too often, asking without wanting
//! anything to move.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use keybutton_protocol::{
    apdu::Ins,
    ids::{Intent, UnlockId},
    message::Event,
    verdict::Reason,
};
use keybutton_tests::pair::{
    bench::{Bench, assert_chain, detail, press_with, reason, tap},
    lock::Did,
};

#[test]
fn l_repeat_id() {
    let mut bench = Bench::new();
    bench.press();
    bench.assert_granted();
    let first = bench.phone.seen.verdict.unwrap();
    for seconds in [0, 1, 20, 38] {
        bench.lock.advance(Duration::from_secs(seconds));
        let records = assert_chain(&bench.lock);
        bench.phone.again();
        bench.press();
        assert_eq!((reason(&bench.phone), detail(&bench.phone)), (Some(Reason::Granted), Some(1)));
        let verdict = bench.phone.seen.verdict.unwrap();
        assert_eq!(verdict.report.unwrap().audit, first.report.unwrap().audit, "the audit number of the first");
        assert_eq!(verdict.report.unwrap().unlock_id, first.report.unwrap().unlock_id);
        assert_eq!(bench.lock.openings(), 1, "a repetition moves the bolt");
        assert_eq!(assert_chain(&bench.lock), records, "a repetition makes a record");
    }
    // After a minute it is a press of its own.
    bench.lock.advance(Duration::from_secs(2));
    bench.phone.again();
    bench.press();
    assert_eq!((reason(&bench.phone), detail(&bench.phone)), (Some(Reason::Granted), Some(0)));
    assert_eq!(bench.lock.openings(), 2);
}

#[test]
fn l_repeat_id_refusals_are_repeated_too() {
    let mut bench = Bench::new();
    bench.show(|spec| spec.rules.clear());
    bench.press();
    assert_eq!(reason(&bench.phone), Some(Reason::NoPermission));
    let records = assert_chain(&bench.lock);
    bench.phone.again();
    bench.press();
    assert_eq!((reason(&bench.phone), detail(&bench.phone)), (Some(Reason::NoPermission), Some(1)));
    assert_eq!(assert_chain(&bench.lock), records);
}

#[test]
fn l_repeat_id_other_key() {
    let mut bench = Bench::new();
    let id = UnlockId([0x5A; 16]);
    bench.phone.press_as(id, Intent::Unlock);
    bench.press();
    bench.assert_granted();
    let records = assert_chain(&bench.lock);
    let mut other = bench.phone_of("grace");
    other.press_as(id, Intent::Unlock);
    press_with(&mut bench.lock, &mut other, 2);
    assert_eq!((reason(&other), detail(&other)), (Some(Reason::Granted), Some(0)), "evaluated as new");
    assert_eq!(bench.lock.openings(), 2);
    assert_eq!(assert_chain(&bench.lock), records + 1);
    // And a stranger with the same unlock id gets nothing out of the cache.
    let mut stranger = bench.phone_of("mallory");
    stranger.documents.clear();
    stranger.press_as(id, Intent::Unlock);
    press_with(&mut bench.lock, &mut stranger, 3);
    assert_eq!((reason(&stranger), detail(&stranger)), (Some(Reason::KeyUnknown), Some(0)));
}

#[test]
fn one_key_does_not_trigger_twice_within_two_seconds() {
    // A third party's phone has no unlock id; a phone by tap has a new one for each tap.
    let mut bench = Bench::new();
    bench.phone.plain();
    bench.press();
    assert!(bench.phone.seen.verdict.unwrap().is_granted());
    assert_eq!(bench.phone.seen.verdict.unwrap().report, None, "no report without B3");
    bench.phone.again();
    bench.lock.advance(Duration::from_millis(1_900));
    bench.press();
    assert_eq!(bench.lock.openings(), 1);
    bench.lock.advance(Duration::from_millis(200));
    bench.phone.again();
    bench.press();
    assert_eq!(bench.lock.openings(), 2);

    let mut bench = Bench::new();
    tap(&mut bench.lock, &mut bench.phone);
    bench.assert_granted();
    bench.lock.advance(Duration::from_millis(500));
    bench.phone.press(Intent::Unlock);
    tap(&mut bench.lock, &mut bench.phone);
    assert_eq!(bench.lock.openings(), 1, "two taps of one movement of the hand");
}

#[test]
fn l_flood() {
    // Twenty strangers within ten seconds, each as far as AUTH1.
    let mut bench = Bench::new();
    let (mut signatures, mut busy) = (0, 0);
    let begun = bench.lock.log.len();
    for n in 0..20_u16 {
        let mut phone = bench.phone_of(&format!("stranger {n}"));
        phone.tamper = Some(Box::new(|ins, response| {
            if ins == Ins::Auth1 {
                response[0] ^= 1;
            }
        }));
        let talk = press_with(&mut bench.lock, &mut phone, n);
        signatures += phone.seen.instructions.iter().filter(|ins| **ins == Ins::Auth1 as u8).count();
        busy += usize::from(talk.events.contains(&Event::Busy));
        assert!(talk.closed);
        bench.lock.advance(Duration::from_millis(490));
    }
    assert_eq!(signatures, 10, "at most ten signatures");
    assert_eq!(busy, 10, "the others are told that the lock is busy");
    assert_eq!(bench.lock.movements(), 0);
    // The lock never stopped advertising: the last word about it is an advertisement, and a member gets in later.
    let advertised = bench.lock.since(begun).filter(|did| matches!(did, Did::Advertise(_))).count();
    let closed = bench.lock.since(begun).filter(|did| matches!(did, Did::Close(_))).count();
    assert_eq!(closed, 20);
    assert!(advertised < 100, "the advertising is not restarted for every link: {advertised}");
    bench.lock.advance(Duration::from_secs(11));
    bench.press();
    bench.assert_granted();
}

#[test]
fn three_failures_pause_an_address() {
    let mut bench = Bench::new();
    let attempt = |bench: &mut Bench| {
        let mut phone = bench.phone_of("stranger");
        phone.tamper = Some(Box::new(|_, response| *response = vec![0x69, 0x85]));
        press_with(&mut bench.lock, &mut phone, 9);
        phone.seen.commands.len()
    };
    for _ in 0..3 {
        assert_eq!(attempt(&mut bench), 1);
    }
    assert_eq!(attempt(&mut bench), 0, "no AUTH0 during the pause");
    bench.lock.advance(Duration::from_secs(2));
    assert_eq!(attempt(&mut bench), 1);
    // Somebody else is served all the while.
    bench.press();
    bench.assert_granted();
}

#[test]
fn l_intent_status() {
    let mut bench = Bench::new();
    bench.phone.press(Intent::Status);
    bench.press();
    assert_eq!(reason(&bench.phone), Some(Reason::Granted));
    assert_eq!(bench.lock.movements(), 0, "a question has moved the bolt");
    // Also for a known key, by the fast phase, by tap, and for sync.
    bench.press_anew(Intent::Status);
    assert_eq!(reason(&bench.phone), Some(Reason::Granted));
    bench.press_anew(Intent::Sync);
    bench.lock.advance(Duration::from_secs(61));
    bench.phone.press(Intent::Status);
    tap(&mut bench.lock, &mut bench.phone);
    assert_eq!(bench.lock.movements(), 0);
    // What opens is the intent to.
    bench.press_anew(Intent::Unlock);
    bench.assert_granted();
    assert_eq!(bench.lock.openings(), 1);
}
