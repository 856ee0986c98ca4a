//! Must-fail cases of `docs/PROTOCOL.md` section 24: rights that have ended, have not begun, were
//! withdrawn, or do not reach this far.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use keybutton_lock::store::Record;
use keybutton_protocol::{
    ids::{Intent, UnixTime},
    verdict::Reason,
};
use keybutton_tests::pair::{
    bench::{Bench, assert_refused, detail, press_with, reason, rights, rights_without_clock},
    document::{DocumentSpec, RevokedSpec, RuleSpec, revocation_data},
    raw_phone::RawPhone,
    site::{ITERATION, Member, NOW},
};

const HOUR: u32 = 3_600;

/// The member's document with other dates or numbers.
fn show(bench: &mut Bench, alter: impl FnOnce(&mut DocumentSpec)) {
    let mut document = bench.site.access(&bench.member, &bench.site.access_spec(&bench.member));
    alter(&mut document);
    bench.phone.access_signed = Some(document.signed);
    bench.phone.documents = vec![document.sign(&mut bench.site.issuer()).encode()];
}

/// The access iteration S as it is stored: the last four bytes of the one issuer's entry.
fn stored_floor(bench: &Bench) -> Option<u32> {
    let store = bench.lock.store.0.borrow();
    let value = store.get(Record::Floors)?.to_vec();
    let at = value.windows(8).position(|window| window == bench.site.kid.0)? + 8;
    Some(u32::from_be_bytes(value[at..at + 4].try_into().unwrap()))
}

#[test]
fn l_expired() {
    for ended in [1, HOUR, 30 * 86_400] {
        let mut bench = Bench::new();
        show(&mut bench, |document| {
            document.signed = UnixTime(NOW.0 - 40 * 86_400);
            document.valid_from = document.signed;
            document.valid_until = UnixTime(NOW.0 - ended);
        });
        let before = rights_without_clock(&bench.lock);
        let talk = bench.press();
        assert_refused(&bench.lock, &bench.phone, Reason::Expired, 0);
        assert_eq!(rights_without_clock(&bench.lock), before, "an expired document raises nothing and is not kept");
        assert!(talk.closed);
    }
    // The last second counts.
    let mut bench = Bench::new();
    show(&mut bench, |document| document.valid_until = NOW);
    bench.press();
    bench.assert_granted();
}

#[test]
fn l_early() {
    for begins in [1, HOUR, 400 * 86_400] {
        let mut bench = Bench::new();
        show(&mut bench, |document| {
            document.valid_from = UnixTime(NOW.0 + begins);
            document.valid_until = UnixTime(NOW.0 + begins + HOUR);
        });
        let before = rights_without_clock(&bench.lock);
        bench.press();
        assert_refused(&bench.lock, &bench.phone, Reason::NotYetValid, 0);
        assert_eq!(rights_without_clock(&bench.lock), before);
    }
    let mut bench = Bench::new();
    show(&mut bench, |document| document.valid_from = NOW);
    bench.press();
    bench.assert_granted();
}

#[test]
fn l_no_clock() {
    // State 0 becomes 1 by the document's own `signed`: not enough either.
    let mut bench = Bench::without_clock(|_| {});
    let before = rights_without_clock(&bench.lock);
    bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::ClockUnknown, 1);
    assert_eq!(rights_without_clock(&bench.lock), before);
    assert_eq!(
        bench.phone.seen.verdict.unwrap().report.unwrap().lock_time,
        None,
        "a time that is not usable is not told"
    );
    // Again, now in state 1.
    bench.press_anew(Intent::Unlock);
    assert_refused(&bench.lock, &bench.phone, Reason::ClockUnknown, 1);
    // A document that does not insist opens.
    let mut bench = Bench::without_clock(|_| {});
    show(&mut bench, |document| document.time_required = false);
    bench.show_rules_without_schedule();
    bench.press();
    bench.assert_granted();
}

trait WithoutSchedule {
    fn show_rules_without_schedule(&mut self);
}

impl WithoutSchedule for Bench {
    fn show_rules_without_schedule(&mut self) {
        let mut spec = self.site.access_spec(&self.member);
        spec.rules = vec![RuleSpec(0x0A, None, None)];
        spec.schedules.clear();
        let mut document = self.site.access(&self.member, &spec);
        document.time_required = false;
        self.phone.documents = vec![document.sign(&mut self.site.issuer()).encode()];
    }
}

#[test]
fn l_iteration_8() {
    let at_50 = || {
        Bench::with(|config| {
            let mut issuer = config.issuers[0];
            issuer.access_iteration = 50;
            config.issuers = keybutton_protocol::document::list::List::from_slice(&[issuer]).unwrap();
        })
    };
    let mut bench = at_50();
    show(&mut bench, |document| document.iteration = Some(42));
    let before = rights_without_clock(&bench.lock);
    bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::StaleDocument, 0);
    assert_eq!(rights_without_clock(&bench.lock), before);

    let mut bench = at_50();
    show(&mut bench, |document| document.iteration = Some(43));
    bench.press();
    bench.assert_granted();
    assert!(stored_floor(&bench).is_none_or(|floor| floor == 50), "S stays 50");
    // And 42 is still too old.
    let mut other = bench.phone_of("grace");
    let member = Member::new("grace");
    let mut old = bench.site.access(&member, &bench.site.access_spec(&member));
    old.iteration = Some(42);
    other.documents = vec![old.sign(&mut bench.site.issuer()).encode()];
    press_with(&mut bench.lock, &mut other, 2);
    assert_eq!(reason(&other), Some(Reason::StaleDocument));
}

#[test]
fn l_iteration_raises_the_floor() {
    let mut bench = Bench::new();
    show(&mut bench, |document| document.iteration = Some(ITERATION + 8));
    bench.press();
    bench.assert_granted();
    assert_eq!(stored_floor(&bench), Some(ITERATION + 8));
    // Whoever was let in by the older number is not any more, after a power cut as well.
    bench.lock.restart();
    bench.lock.set_time(NOW);
    let mut other = bench.phone_of("grace");
    press_with(&mut bench.lock, &mut other, 2);
    assert_eq!(reason(&other), Some(Reason::StaleDocument));
    assert_eq!(bench.lock.movements(), 0);
}

#[test]
fn l_iteration_jump() {
    let mut bench = Bench::with(|config| {
        let mut issuer = config.issuers[0];
        issuer.access_iteration = 50;
        config.issuers = keybutton_protocol::document::list::List::from_slice(&[issuer]).unwrap();
    });
    for iteration in [2_000, 50 + 1_025, u32::MAX] {
        show(&mut bench, |document| document.iteration = Some(iteration));
        let before = rights_without_clock(&bench.lock);
        bench.phone.press(Intent::Unlock);
        bench.press();
        assert_refused(&bench.lock, &bench.phone, Reason::BadData, 7);
        assert_eq!(rights_without_clock(&bench.lock), before, "S stays");
    }
    show(&mut bench, |document| document.iteration = Some(50));
    bench.phone.press(Intent::Unlock);
    bench.press();
    bench.assert_granted();
}

/// Has somebody else carry a revocation document to the lock, and open it.
fn carry(bench: &mut Bench, document: Vec<u8>, iteration: u32) -> RawPhone {
    let mut carrier = bench.phone_of(&format!("carrier {iteration}"));
    carrier.revocation_signed = Some(UnixTime(NOW.0 - 7_200 + iteration));
    carrier.documents.push(document);
    bench.lock.advance(Duration::from_secs(61));
    bench.lock.set_time(NOW);
    press_with(&mut bench.lock, &mut carrier, 40);
    carrier
}

/// Presses at once, keeping the member's phone as it is.
fn press_now(bench: &mut Bench) -> Option<Reason> {
    bench.lock.advance(Duration::from_secs(61));
    bench.lock.set_time(NOW);
    bench.phone.press(Intent::Unlock);
    bench.press();
    bench.reason()
}

/// Revokes the member in one way and checks the three ways in: fast, known, step-up.
fn revoked_everywhere(entry: impl Fn(&Bench) -> RevokedSpec) {
    // By the fast phase: the phone has opened before.
    let mut bench = Bench::new();
    bench.press();
    bench.assert_granted();
    assert_eq!(press_now(&mut bench), Some(Reason::Granted));
    assert!(!bench.phone.seen.instructions.contains(&0x81), "the second press is by the fast phase");
    let document = bench.site.revocation(1, &[entry(&bench)]);
    carry(&mut bench, document, 1);
    let stored = rights(&bench.lock);
    assert!(
        stored.keys().filter(|record| matches!(record, Record::Fast(_))).count() <= 1,
        "only the carrier's is left"
    );
    let openings = bench.lock.openings();
    assert_eq!(press_now(&mut bench), Some(Reason::Revoked));
    assert!(bench.phone.seen.instructions.contains(&0x81), "AUTH1 is demanded");
    assert_eq!(bench.phone.seen.verdict.unwrap().status.to_bytes(), [0x00, 0x03]);
    // By a known key: no cryptogram.
    bench.phone.kpersistent = None;
    assert_eq!(press_now(&mut bench), Some(Reason::Revoked));
    // With the document shown anew, after a restart, and with no document at all.
    bench.lock.restart();
    bench.lock.set_time(NOW);
    assert_eq!(press_now(&mut bench), Some(Reason::Revoked));
    assert_eq!(bench.lock.movements(), 0);
    assert!(openings >= 2);
}

#[test]
fn l_revoked_key() {
    revoked_everywhere(|bench| RevokedSpec::key(&bench.member.key));
    // A phone may carry its own revocation: it counts in the same transaction.
    let mut bench = Bench::new();
    let own = bench.site.revocation(1, &[RevokedSpec::key(&bench.member.key)]);
    bench.phone.revocation_signed = Some(UnixTime(NOW.0 - 7_199));
    bench.phone.documents.push(own);
    bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::Revoked, 0);
}

#[test]
fn l_revoked_id() {
    revoked_everywhere(|bench| RevokedSpec::id(&bench.member.access_id));
}

#[test]
fn l_revocation_old() {
    let mut bench = Bench::new();
    let revoking = bench.site.revocation(5, &[RevokedSpec::key(&bench.member.key)]);
    carry(&mut bench, revoking, 5);
    assert_eq!(press_now(&mut bench), Some(Reason::Revoked));
    // An older, empty list: announced as newer than it is, so that the lock asks for it.
    let before = bench.lock.store.0.borrow().get(Record::Revocations).map(<[u8]>::to_vec);
    assert!(before.is_some());
    let empty = bench.site.revocation(4, &[]);
    let mut carrier = bench.phone_of("another carrier");
    carrier.revocation_signed = Some(NOW);
    carrier.documents.push(empty);
    press_with(&mut bench.lock, &mut carrier, 41);
    assert_eq!(reason(&carrier), Some(Reason::Granted), "the carrier's own right is none the worse");
    assert_eq!(bench.lock.store.0.borrow().get(Record::Revocations).map(<[u8]>::to_vec), before, "list unchanged");
    assert_eq!(press_now(&mut bench), Some(Reason::Revoked));
}

#[test]
fn l_revocation_forged() {
    // A list by somebody else, and one without iteration: ignored.
    for alter in [
        (|document: &mut DocumentSpec| document.iteration = None) as fn(&mut DocumentSpec),
        |document| document.protected = vec![0xA0],
        |document| document.device_key = Some(Member::new("ada").key),
        |document| document.external_aad = b"keybutton/time/1".to_vec(),
        |document| document.mso_type = "aliro-a".to_owned(),
    ] {
        let mut bench = Bench::new();
        let data = revocation_data(false, &[RevokedSpec::key(&bench.member.key)], &[]);
        let mut document = DocumentSpec::revocation(bench.site.kid, UnixTime(NOW.0 - 100), 3, data);
        alter(&mut document);
        let bytes = document.sign(&mut bench.site.issuer()).encode();
        let mut carrier = bench.phone_of("carrier");
        carrier.revocation_signed = Some(UnixTime(NOW.0 - 100));
        carrier.documents.push(bytes);
        press_with(&mut bench.lock, &mut carrier, 40);
        assert_eq!(bench.lock.store.0.borrow().get(Record::Revocations), None);
        assert_eq!(press_now(&mut bench), Some(Reason::Granted));
    }
}

#[test]
fn l_revocation_sequence() {
    let mut bench = Bench::new();
    let (one, two) = (Member::new("one"), Member::new("two"));
    let (r1, r2) = (RevokedSpec::key(&one.key), RevokedSpec::id(&two.access_id));
    let steps = [
        (revocation_data(false, std::slice::from_ref(&r1), &[]), [false, true]),
        (revocation_data(true, std::slice::from_ref(&r2), &[]), [false, false]),
        (revocation_data(true, &[], std::slice::from_ref(&r1)), [true, false]),
        (revocation_data(true, std::slice::from_ref(&r1), &[r1.clone(), r2.clone()]), [true, true]),
        (revocation_data(false, std::slice::from_ref(&r2), &[]), [true, false]),
        (revocation_data(false, &[], &[]), [true, true]),
    ];
    for (iteration, (data, let_in)) in (1..).zip(steps) {
        let document = bench.site.revocation_of(iteration, data);
        let carrier = carry(&mut bench, document, iteration);
        assert_eq!(reason(&carrier), Some(Reason::Granted));
        for (member, expected) in ["one", "two"].into_iter().zip(let_in) {
            let mut phone = bench.phone_of(member);
            bench.lock.advance(Duration::from_secs(3));
            press_with(&mut bench.lock, &mut phone, 50);
            let expected = if expected { Reason::Granted } else { Reason::Revoked };
            assert_eq!(reason(&phone), Some(expected), "step {iteration}, key {member}");
        }
    }
}

#[test]
fn l_use_limit() {
    let mut bench = Bench::new();
    bench.show(|spec| *spec = spec.clone().restricted(2, &[0, 2]));
    bench.press();
    bench.assert_granted();
    bench.lock.restart();
    bench.lock.set_time(NOW);
    assert_eq!(press_now(&mut bench), Some(Reason::Granted));
    assert_eq!(bench.lock.openings(), 1);
    // The third, by every way in, before and after a power cut.
    assert_eq!(press_now(&mut bench), Some(Reason::UseLimit));
    assert_eq!(detail(&bench.phone), Some(0));
    assert_eq!(bench.phone.seen.verdict.unwrap().status.to_bytes(), [0x00, 0x25]);
    bench.phone.kpersistent = None;
    assert_eq!(press_now(&mut bench), Some(Reason::UseLimit));
    assert_eq!(bench.lock.openings(), 1);
    bench.lock.restart();
    bench.lock.set_time(NOW);
    assert_eq!(press_now(&mut bench), Some(Reason::UseLimit));
    assert_eq!(bench.lock.movements(), 0);
    // A new document for the same right gives nothing back.
    bench.show(|spec| *spec = spec.clone().restricted(2, &[0, 2]));
    bench.phone.access_signed = Some(NOW);
    assert_eq!(press_now(&mut bench), Some(Reason::UseLimit));
    // Asking takes nothing.
    let mut bench = Bench::new();
    bench.show(|spec| *spec = spec.clone().restricted(2, &[0, 1]));
    bench.phone.press(Intent::Status);
    bench.press();
    assert_eq!(bench.reason(), Some(Reason::Granted));
    assert_eq!(press_now(&mut bench), Some(Reason::Granted));
    assert_eq!(press_now(&mut bench), Some(Reason::UseLimit));
    assert_eq!(bench.lock.openings(), 1);
}
