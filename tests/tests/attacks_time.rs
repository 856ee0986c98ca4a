//! Must-fail cases of `docs/PROTOCOL.md` section 24: who tells a lock the time, and what of its audit has arrived.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use keybutton_lock::{Event, store::Record};
use keybutton_protocol::{
    audit::{Envelope, Head, genesis, open},
    crypto::Signer,
    exchange::SyncKind,
    ids::{GroupId, Intent, UnixTime},
    token::{ACK_AAD, TIME_AAD},
    verdict::{ClockState, Reason},
};
use keybutton_tests::pair::{
    bench::{Bench, assert_refused, press_with, reason},
    cbor::Value,
    document::sign1,
    keys::crypto,
    lock::Did,
    site::{Member, NOW, Site},
};

const DAY: u32 = 86_400;

/// A lock that has heard of the time once: state 1, at `NOW`. It serves by the lower bound, so that it goes on working.
fn lower_bound() -> Bench {
    let mut bench = Bench::without_clock(|config| config.policy.accept_lower_bound = true);
    let token = bench.site.time_token(NOW);
    bring(&mut bench, "first", &token);
    assert_eq!(clock(&bench), (NOW, ClockState::LowerBound));
    bench
}

fn clock(bench: &Bench) -> (UnixTime, ClockState) {
    let clock = bench.lock.clock().expect("the lock has a time");
    (clock.now, clock.state)
}

/// Somebody opens and hands this token over when asked for the time.
fn bring(bench: &mut Bench, who: &str, token: &[u8]) -> Option<Reason> {
    let mut phone = bench.phone_of(who);
    phone.objects = vec![(SyncKind::TimeToken, token.to_vec())];
    press_with(&mut bench.lock, &mut phone, 20);
    reason(&phone)
}

#[test]
fn l_time_back() {
    let mut bench = lower_bound();
    for back in [1_000, DAY, 400 * DAY] {
        let old = bench.site.time_token(UnixTime(NOW.0 - back));
        let before = bench.lock.store.0.borrow().get(Record::Clock).map(<[u8]>::to_vec);
        bring(&mut bench, "second", &old);
        assert_eq!(clock(&bench), (NOW, ClockState::LowerBound), "{back} s back");
        assert_eq!(bench.lock.store.0.borrow().get(Record::Clock).map(<[u8]>::to_vec), before);
        bench.lock.advance(Duration::ZERO);
    }
    // A running clock, which asks again after an hour.
    let mut bench = Bench::new();
    bench.lock.advance(Duration::from_secs(3_700));
    let (before, state) = clock(&bench);
    let old = bench.site.time_token(UnixTime(NOW.0 - 100));
    bring(&mut bench, "second", &old);
    assert_eq!(clock(&bench), (before, state));
    assert!(before.0 >= NOW.0 + 3_699);
}

#[test]
fn l_time_forward_needs_no_trust_in_one() {
    // One device moves a lower bound, but does not start the clock; two that agree do.
    let mut bench = lower_bound();
    let later = bench.site.time_token(UnixTime(NOW.0 + 60));
    bring(&mut bench, "first", &later);
    assert_eq!(clock(&bench), (UnixTime(NOW.0 + 60), ClockState::LowerBound));
    bring(&mut bench, "second", &later);
    assert_eq!(clock(&bench), (UnixTime(NOW.0 + 60), ClockState::Running));
}

#[test]
fn l_time_jump() {
    let ahead = UnixTime(NOW.0 + 40 * DAY);
    let mut bench = lower_bound();
    let token = bench.site.time_token(ahead);
    // One device, however often: the clock moves by 0.
    let stored = bench.lock.store.0.borrow().get(Record::Clock).map(<[u8]>::to_vec);
    for _ in 0..3 {
        bring(&mut bench, "ahead", &token);
        assert_eq!(clock(&bench), (NOW, ClockState::LowerBound));
    }
    assert_eq!(bench.lock.store.0.borrow().get(Record::Clock).map(<[u8]>::to_vec), stored);
    // A second one that does not agree within an hour.
    let other = bench.site.time_token(UnixTime(ahead.0 + 3_700));
    bring(&mut bench, "second", &other);
    assert_eq!(clock(&bench).0, NOW);
    // A second one that comes after a day.
    bench.lock.advance(Duration::from_secs(25 * 3_600));
    let (before, _) = clock(&bench);
    let late = bench.site.time_token(UnixTime(ahead.0 + 3_700 + 25 * 3_600));
    bring(&mut bench, "third", &late);
    assert_eq!(clock(&bench).0, before);
    // A second key within the day that agrees.
    let agreeing = bench.site.time_token(UnixTime(ahead.0 + 3_700 + 25 * 3_600 + 30));
    bring(&mut bench, "fourth", &agreeing);
    let (moved, _) = clock(&bench);
    assert!(moved.0 >= ahead.0, "two device keys agree: {moved:?}");
    // 31 days are taken from one.
    let mut bench = lower_bound();
    let token = bench.site.time_token(UnixTime(NOW.0 + 31 * DAY));
    bring(&mut bench, "ahead", &token);
    assert_eq!(clock(&bench).0, UnixTime(NOW.0 + 31 * DAY));
}

#[test]
fn l_time_other_site() {
    let mut bench = lower_bound();
    let other = bench.site.time_token_of(&GroupId([9; 16]), UnixTime(NOW.0 + 500), TIME_AAD);
    bring(&mut bench, "second", &other);
    bring(&mut bench, "third", &other);
    assert_eq!(clock(&bench), (NOW, ClockState::LowerBound), "ignored, and not counted as agreement");
    // Another issuer's.
    let south = Site::new("south");
    let payload = Value::int_map(vec![
        (0, Value::Uint(1)),
        (1, Value::bytes(&bench.site.group.0)),
        (2, Value::Uint((NOW.0 + 500).into())),
        (3, Value::Uint((NOW.0 + DAY).into())),
        (4, Value::bytes(&[1; 8])),
    ])
    .encode();
    for kid in [south.kid, bench.site.kid] {
        let forged = sign1(&mut south.issuer(), kid, TIME_AAD, &payload);
        bring(&mut bench, "second", &forged);
        bring(&mut bench, "third", &forged);
        assert_eq!(clock(&bench), (NOW, ClockState::LowerBound));
    }
    // Unaltered it counts.
    let genuine = sign1(&mut bench.site.issuer(), bench.site.kid, TIME_AAD, &payload);
    bring(&mut bench, "second", &genuine);
    assert_eq!(clock(&bench).0, UnixTime(NOW.0 + 500));
}

#[test]
fn l_token_as_document() {
    // A document whose signature was made as a token's, for either kind of token.
    for external_aad in [TIME_AAD, ACK_AAD] {
        let mut bench = Bench::new();
        let mut document = bench.site.access(&bench.member, &bench.site.access_spec(&bench.member));
        document.external_aad = external_aad.to_vec();
        bench.phone.documents = vec![document.sign(&mut bench.site.issuer()).encode()];
        bench.press();
        assert_refused(&bench.lock, &bench.phone, Reason::NotTrusted, 2);
    }
    // A whole token in the place of a document's signature.
    let mut bench = Bench::new();
    let items = bench.site.access(&bench.member, &bench.site.access_spec(&bench.member)).sign(&mut bench.site.issuer());
    let issuer_signed = Value::text_map(vec![
        (
            "1",
            Value::text_map(vec![(
                "aliro-a",
                Value::Array(items.items.iter().map(|item| Value::Raw(item.clone())).collect()),
            )]),
        ),
        ("2", Value::Raw(bench.site.time_token(NOW))),
    ]);
    bench.phone.documents = vec![Value::text_map(vec![("1", issuer_signed), ("5", Value::text("aliro-a"))]).encode()];
    bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::NotTrusted, 2);
    // The reverse: what was signed as a document, or as the other token, is no token.
    let mut bench = lower_bound();
    for external_aad in [&b""[..], ACK_AAD] {
        let time = bench.site.time_token_of(&bench.site.group, UnixTime(NOW.0 + 500), external_aad);
        bring(&mut bench, "second", &time);
        assert_eq!(clock(&bench), (NOW, ClockState::LowerBound));
    }
    let document = bench.site.document(&Member::new("ada"));
    bring(&mut bench, "second", &document);
    assert_eq!(clock(&bench), (NOW, ClockState::LowerBound));
}

/// A lock that hands its audit over, and a phone that has taken some.
fn handed_over() -> (Bench, u32, [u8; 32]) {
    let (_, audit_key) = Site::new("north").audit_key();
    let mut bench = Bench::with(|config| config.audit_key = Some(audit_key));
    bench.press();
    bench.assert_granted();
    assert_eq!(bench.phone.seen.envelopes.len(), 1);
    let mut envelope = bench.phone.seen.envelopes[0].clone();
    let reader = bench.lock.config.reader_id();
    let plaintext = open(&bench.site.audit_key().0, &reader, &mut envelope).unwrap();
    let start = Head { number: 0, hash: genesis(&crypto(), &reader) };
    let key = bench.site.reader_key(7).public_key();
    let head = Envelope::parse(plaintext).unwrap().verify(&crypto(), reader, &key, start).unwrap();
    assert_eq!(usize::try_from(head.number).unwrap(), bench.lock.audit().len());
    (bench, head.number, head.hash)
}

/// Another phone brings this acknowledgement when asked for one.
fn acknowledge(bench: &mut Bench, token: Vec<u8>) -> bool {
    let mut phone = bench.phone_of("grace");
    phone.press(Intent::Status);
    phone.objects = vec![(SyncKind::AckToken, token)];
    let start = bench.lock.log.len();
    press_with(&mut bench.lock, &mut phone, 21);
    bench.lock.since(start).any(|did| matches!(did, Did::Event(Event::AuditAcknowledged { .. })))
}

fn mark(bench: &Bench) -> Option<Vec<u8>> {
    bench.lock.store.0.borrow().get(Record::AuditMark).map(<[u8]>::to_vec)
}

#[test]
fn l_ack_wrong_hash() {
    let (mut bench, number, hash) = handed_over();
    let records = bench.lock.audit();
    let mut wrong = hash;
    wrong[31] ^= 1;
    let site = bench.site.clone();
    for token in [
        site.ack_token(7, number, &wrong),
        site.ack_token(7, number - 1, &hash),
        site.ack_token(7, number + 1_000, &hash),
        site.ack_token(7, 0, &[0; 32]),
        // For another lock, under the wrong external data, by another issuer.
        site.ack_token(8, number, &hash),
        site.ack_token_of(7, number, &hash, TIME_AAD),
        site.ack_token_of(7, number, &hash, b""),
        Site::new("south").ack_token(7, number, &hash),
        site.time_token(NOW),
        vec![0; 40],
        Vec::new(),
    ] {
        assert!(!acknowledge(&mut bench, token));
        assert_eq!(mark(&bench), None, "something was dropped");
        assert_eq!(bench.lock.audit()[..records.len()], records);
        // The phone that came has taken the newest records; the others are still waiting for their acknowledgement.
        bench.lock.advance(Duration::from_secs(61));
    }
    assert!(acknowledge(&mut bench, site.ack_token(7, number, &hash)));
    assert_eq!(mark(&bench), Some(number.to_be_bytes().to_vec()));
    // An older acknowledgement takes nothing back.
    assert!(!acknowledge(&mut bench, site.ack_token(7, number, &hash)));
    assert_eq!(mark(&bench), Some(number.to_be_bytes().to_vec()));
}

#[test]
fn audit_envelopes_are_closed_to_the_phones_that_carry_them() {
    let (bench, ..) = handed_over();
    let envelope = &bench.phone.seen.envelopes[0];
    let reader = bench.lock.config.reader_id();
    for record in bench.lock.audit() {
        assert!(!envelope.windows(16).any(|window| window == &record[16..32]), "a record is readable");
    }
    let (private, _) = bench.site.audit_key();
    for at in [0, 64, 65, envelope.len() - 1] {
        let mut altered = envelope.clone();
        altered[at] ^= 1;
        assert!(open(&private, &reader, &mut altered).is_err(), "byte {at}");
    }
    assert!(open(&private, &bench.site.reader_id(8), &mut envelope.clone()).is_err(), "for another lock");
}
