//! Must-fail cases of `docs/PROTOCOL.md` section 24: whoever was here before is let in without a signature only
//! while nothing has changed.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use keybutton_lock::{Path, store::Record};
use keybutton_protocol::{
    apdu::Ins,
    ids::{Intent, Kpersistent, UnixTime},
    verdict::Reason,
};
use keybutton_tests::pair::{
    bench::{Bench, press_with, reason, tap},
    document::RevokedSpec,
    lock::Did,
    site::{ITERATION, Member, NOW},
};

/// A bench whose phone has opened once, and a second time by the fast phase.
fn known() -> Bench {
    let mut bench = Bench::new();
    bench.press();
    bench.assert_granted();
    assert_eq!(entries(&bench), 1);
    bench.press_anew(Intent::Unlock);
    bench.assert_granted();
    assert!(!signed(&bench), "the second press is by the fast phase");
    assert_eq!(path(&bench), Path::Fast);
    bench
}

fn entries(bench: &Bench) -> usize {
    bench.lock.snapshot().keys().filter(|record| matches!(record, Record::Fast(_))).count()
}

/// Whether AUTH1 was demanded in the last transaction.
fn signed(bench: &Bench) -> bool {
    bench.phone.seen.instructions.contains(&(Ins::Auth1 as u8))
}

/// Whether documents were asked for in the last transaction.
fn stepped_up(bench: &Bench) -> bool {
    bench.phone.seen.instructions.contains(&(Ins::Envelope as u8))
}

fn path(bench: &Bench) -> Path {
    let verdict = bench.lock.log.iter().rev().find_map(|(_, did)| match did {
        Did::Event(keybutton_lock::Event::Verdict { path, .. }) => Some(*path),
        _ => None,
    });
    verdict.unwrap()
}

#[test]
fn l_fast_expired() {
    let mut bench = known();
    // The document is signed at NOW - 1 h and counts for 48 h.
    bench.lock.set_time(UnixTime(NOW.0 + 47 * 3_600 + 1));
    let openings = bench.lock.openings();
    bench.phone.press(Intent::Unlock);
    bench.press();
    assert!(signed(&bench), "AUTH1 is demanded");
    assert_eq!(bench.reason(), Some(Reason::Expired));
    assert_eq!(entries(&bench), 0, "the entry is erased");
    assert_eq!(bench.lock.openings(), openings);
    // The last second counts.
    let mut bench = known();
    bench.show(|_| {});
    bench.lock.set_time(UnixTime(NOW.0 + 47 * 3_600));
    bench.phone.press(Intent::Unlock);
    bench.press();
    assert!(!signed(&bench));
    assert!(matches!(bench.reason(), Some(Reason::Granted)));
    // The operator's offline limit ends an entry as well.
    let mut bench = Bench::with(|config| config.policy.offline_limit_s = 24 * 3_600);
    bench.press();
    bench.assert_granted();
    bench.lock.set_time(UnixTime(NOW.0 + 23 * 3_600 + 1));
    bench.phone.press(Intent::Unlock);
    bench.press();
    assert!(signed(&bench) && stepped_up(&bench), "AUTH1, and the document anew");
}

#[test]
fn l_fast_revoked() {
    for entry in [RevokedSpec::key(&Member::new("ada").key), RevokedSpec::id(&Member::new("ada").access_id)] {
        let mut bench = known();
        let mut carrier = bench.phone_of("carrier");
        carrier.revocation_signed = Some(UnixTime(NOW.0 - 7_199));
        carrier.documents.push(bench.site.revocation(1, &[entry]));
        press_with(&mut bench.lock, &mut carrier, 2);
        assert_eq!(reason(&carrier), Some(Reason::Granted));
        assert_eq!(entries(&bench), 1, "the member's entry is erased at once, the carrier has one");
        let openings = bench.lock.openings();
        bench.press_anew(Intent::Unlock);
        assert!(signed(&bench), "AUTH1 is demanded");
        assert_eq!(bench.reason(), Some(Reason::Revoked));
        assert_eq!(bench.lock.openings(), openings);
    }
}

#[test]
fn l_fast_iteration() {
    let mut bench = known();
    let member = Member::new("grace");
    let mut phone = bench.phone_of("grace");
    let mut newer = bench.site.access(&member, &bench.site.access_spec(&member));
    newer.iteration = Some(ITERATION + 8);
    phone.documents = vec![newer.sign(&mut bench.site.issuer()).encode()];
    press_with(&mut bench.lock, &mut phone, 2);
    assert_eq!(reason(&phone), Some(Reason::Granted));
    assert_eq!(entries(&bench), 1, "only hers is left");
    let openings = bench.lock.openings();
    bench.press_anew(Intent::Unlock);
    assert!(signed(&bench), "AUTH1 is demanded");
    assert_eq!(bench.reason(), Some(Reason::StaleDocument));
    assert_eq!(bench.lock.openings(), openings);
}

#[test]
fn l_fast_other_doc() {
    // The phone has a newer document than the one the entry was made with: the lock wants to see it.
    let mut bench = known();
    let mut document = bench.site.access(&bench.member, &bench.site.access_spec(&bench.member));
    document.signed = NOW;
    bench.phone.access_signed = Some(NOW);
    bench.phone.documents = vec![document.sign(&mut bench.site.issuer()).encode()];
    bench.press_anew(Intent::Unlock);
    assert!(signed(&bench) && stepped_up(&bench), "AUTH1 and step-up");
    bench.assert_granted();
    // Or none any more.
    let mut bench = known();
    bench.phone.access_signed = None;
    bench.press_anew(Intent::Unlock);
    assert!(signed(&bench));
    // Or a newer revocation document, which has to be seen before anything is decided.
    let mut bench = known();
    bench.phone.revocation_signed = Some(NOW);
    let own = bench.site.revocation(9, &[RevokedSpec::key(&bench.member.key)]);
    bench.phone.documents.push(own);
    bench.press_anew(Intent::Unlock);
    assert!(signed(&bench) && stepped_up(&bench));
    assert_eq!(bench.reason(), Some(Reason::Revoked));
}

#[test]
fn l_fast_schedule_is_evaluated_anew() {
    let mut bench = known();
    let openings = bench.lock.openings();
    bench.lock.set_time(UnixTime(NOW.0 + 12 * 3_600));
    bench.phone.press(Intent::Unlock);
    bench.press();
    assert!(!signed(&bench), "still by the fast phase");
    assert_eq!(bench.reason(), Some(Reason::OutsideSchedule));
    assert_eq!(bench.lock.openings(), openings);
}

#[test]
fn l_fast_secret_of_another() {
    // A secret that nobody shares, the right secret under another device key, and random bytes.
    let mut bench = known();
    let shared = bench.phone.kpersistent.clone().unwrap();
    for (secret, who) in [(Kpersistent::new([9; 32]), "ada"), (shared, "grace")] {
        let mut thief = bench.phone_of(who);
        thief.kpersistent = Some(secret);
        thief.documents.clear();
        thief.access_signed = None;
        bench.lock.advance(Duration::from_secs(61));
        let openings = bench.lock.openings();
        press_with(&mut bench.lock, &mut thief, 3);
        assert!(thief.seen.instructions.contains(&(Ins::Auth1 as u8)), "{who} has to sign");
        assert!(bench.lock.openings() == openings || who == "ada", "a stranger gets in");
    }
}

#[test]
fn l_fast_without_usable_clock() {
    let mut bench = known();
    bench.lock.restart();
    let before = entries(&bench);
    bench.phone.press(Intent::Unlock);
    bench.press();
    assert!(signed(&bench), "without the time nobody is let in without a signature");
    assert_eq!(bench.lock.movements(), 0);
    assert_eq!(before, 1);
    bench.lock.set_time(NOW);
    bench.press_anew(Intent::Unlock);
    bench.assert_granted();
}

#[test]
fn l_fast_off_where_security_is_high() {
    let mut bench = Bench::with(|config| config.policy.high_security = true);
    for _ in 0..2 {
        bench.press_anew(Intent::Unlock);
        assert_eq!(bench.reason(), Some(Reason::Granted));
        assert!(signed(&bench));
        assert_eq!(
            bench.phone.seen.commands[0][5..11],
            [0x41, 0x01, 0x00, 0x42, 0x01, 0x03],
            "no fast, force the user"
        );
    }
    assert_eq!(entries(&bench), 0, "no secret is kept");
}

#[test]
fn l_fast_by_tap() {
    let mut bench = known();
    bench.lock.advance(Duration::from_secs(61));
    bench.phone.press(Intent::Unlock);
    tap(&mut bench.lock, &mut bench.phone);
    assert!(!signed(&bench));
    bench.assert_granted();
}

#[test]
fn l_fast_entries_of_another_provisioning_are_erased() {
    let bench = known();
    let mut records = bench.lock.snapshot();
    let mut site = bench.lock;
    // The certificate changes: a new claim.
    let key = bench.site.reader_key(7);
    let renewed = keybutton_tests::pair::site::issue_certificate(
        &mut bench.site.ca(),
        &keybutton_protocol::crypto::Signer::public_key(&key),
        "renewed",
        UnixTime(NOW.0 + 1_000_000),
    );
    site.config.certificate = Some(keybutton_protocol::buf::Buf::from_slice(&renewed).unwrap());
    site.restart_with(records.clone());
    records = site.snapshot();
    assert!(!records.keys().any(|record| matches!(record, Record::Fast(_) | Record::Known(_))));
}
