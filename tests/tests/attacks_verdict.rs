//! Must-fail cases of `docs/PROTOCOL.md` section 24, and the phone's half of framing and chaining: nothing but the lock's
//! own sealed verdict is shown as opened.
#![allow(clippy::unwrap_used)]

use keybutton::{
    error::ErrorCode,
    outcome::{Cause, Outcome},
};
use keybutton_protocol::{
    apdu::Ins,
    crypto::Crypto,
    ids::{AeadKey, Interface, UnlockId},
    message::{Kind, LockState, state_payload},
    profile::AID_EXPEDITED,
    verdict::{AuditHead, Reason, ReasonCode, Report, Status, Verdict},
};
use keybutton_tests::pair::{
    dialog::Dialog,
    keys::{crypto, signer},
    raw_lock::{RawLock, command, verdict, verdict_of},
    tlv::{find, tlv},
};

const PRESS: UnlockId = UnlockId([0xB2; 16]);
const NOT_SATISFIED: &[u8] = &[0x69, 0x82];

/// A phone that has authenticated to the real lock and waits for its verdict.
fn waiting_for_verdict() -> (Dialog, RawLock) {
    let mut dialog = Dialog::new();
    let a5 = dialog.meet(PRESS);
    let lock = authenticated(&mut dialog, &a5);
    (dialog, lock)
}

fn authenticated(dialog: &mut Dialog, a5: &[u8]) -> RawLock {
    let mut lock = RawLock::new(&dialog.site, 7, 901);
    let auth0 = lock.auth0(Interface::Ble, a5);
    let response = dialog.command(&auth0).unwrap();
    lock.auth0_answer(&response);
    let auth1 = lock.auth1();
    let response = dialog.command(&auth1).unwrap();
    assert!(lock.auth1_answer(&response).verified);
    lock
}

/// Asserts that the press ends as one that the lock has not answered.
#[track_caller]
fn assert_no_answer(dialog: &mut Dialog) {
    dialog.to_end();
    assert!(matches!(dialog.phone.outcome(), Outcome::Unconfirmed(_)), "{:?}", dialog.phone.outcome());
    assert_eq!(
        dialog.phone.keyring.fast_key(dialog.site.reader_id(7)),
        None,
        "nothing is kept of a lock that did not answer"
    );
}

#[test]
fn p_tag_replay() {
    // Somebody replays the tag of lock 7, without its key: at most a link, no signature, no verdict.
    for certificate in [true, false] {
        let mut dialog = Dialog::new();
        let a5 = dialog.meet(PRESS);
        let mut impostor = RawLock::new(&dialog.site, 7, 902);
        impostor.signer = signer("an impostor");
        if !certificate {
            impostor.certificate = None;
        }
        let auth0 = impostor.auth0(Interface::Ble, &a5);
        let response = dialog.command(&auth0).unwrap();
        impostor.auth0_answer(&response);
        let auth1 = impostor.auth1();
        assert_eq!(dialog.command(&auth1).unwrap(), NOT_SATISFIED);
        assert_eq!(dialog.phone.signatures, 0);
        assert!(dialog.closed);
        // Whatever it says after that, the press has ended.
        dialog.message(Kind::Command, &command(Ins::Exchange, &verdict(Reason::Granted, PRESS)));
        dialog.to_end();
        assert_eq!(dialog.phone.refusal(), ErrorCode::LockNotRecognised);
    }
    // A verdict right after AUTH0, in the hope that the phone forgets what comes between.
    let mut dialog = Dialog::new();
    let a5 = dialog.meet(PRESS);
    let mut impostor = RawLock::new(&dialog.site, 7, 903);
    let auth0 = impostor.auth0(Interface::Ble, &a5);
    let _ = dialog.command(&auth0).unwrap();
    let response = dialog.command(&command(Ins::Exchange, &verdict(Reason::Granted, PRESS))).unwrap();
    assert_ne!(response[response.len() - 2..], [0x90, 0x00]);
    dialog.to_end();
    assert!(matches!(dialog.phone.outcome(), Outcome::Refused(_)), "the lock was never asked");
}

#[test]
fn p_verdict_forged() {
    // Not sealed.
    let (mut dialog, _) = waiting_for_verdict();
    let response = dialog.command(&command(Ins::Exchange, &verdict(Reason::Granted, PRESS))).unwrap();
    assert_eq!(response, NOT_SATISFIED);
    assert_no_answer(&mut dialog);
    // Sealed with keys of somebody else.
    let (mut dialog, _) = waiting_for_verdict();
    let mut sealed = verdict(Reason::Granted, PRESS);
    let iv = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let tag = crypto().seal(&AeadKey::new([7; 32]), &iv, &[], &mut sealed).unwrap();
    sealed.extend(tag);
    let response = dialog.command(&command(Ins::Exchange, &sealed)).unwrap();
    assert_eq!(response, NOT_SATISFIED);
    assert_no_answer(&mut dialog);
    // The phone's own direction reflected: the bytes it sent itself.
    let mut dialog = Dialog::new();
    let a5 = dialog.meet(PRESS);
    let mut lock = RawLock::new(&dialog.site, 7, 904);
    let auth0 = lock.auth0(Interface::Ble, &a5);
    let response = dialog.command(&auth0).unwrap();
    lock.auth0_answer(&response);
    let auth1 = lock.auth1();
    let own = dialog.command(&auth1).unwrap();
    let response = dialog.command(&command(Ins::Exchange, &own[..own.len() - 2])).unwrap();
    assert_eq!(response, NOT_SATISFIED);
    assert_no_answer(&mut dialog);
    // One bit of the real one.
    for at in [0, 40, 110] {
        let (mut dialog, mut lock) = waiting_for_verdict();
        let mut sealed = lock.sealed(&verdict(Reason::Granted, PRESS));
        let last = sealed.len() - 1;
        sealed[at.min(last)] ^= 1;
        let response = dialog.command(&command(Ins::Exchange, &sealed)).unwrap();
        assert_eq!(response, NOT_SATISFIED);
        assert_no_answer(&mut dialog);
    }
    // Messages in clear that look like a result: completed, status changed, an event.
    for (kind, payload) in [
        (Kind::Completed, state_payload(0, LockState::Unsecured).to_vec()),
        (Kind::StatusChanged, state_payload(0, LockState::Unsecured).to_vec()),
        (Kind::Event, vec![0x00, 0x00]),
        (Kind::Other { kind: 4, id: 0 }, vec![0x97, 0x02, 0x01, 0x01]),
        (Kind::Response, vec![0x97, 0x02, 0x01, 0x81, 0x90, 0x00]),
    ] {
        let (mut dialog, _) = waiting_for_verdict();
        dialog.message(kind, &payload);
        assert!(dialog.phone.outcomes.is_empty() || matches!(dialog.phone.outcome(), Outcome::Unconfirmed(_)));
        assert_no_answer(&mut dialog);
    }
}

#[test]
fn p_verdict_other_id() {
    let (mut dialog, mut lock) = waiting_for_verdict();
    let granted = lock.exchange(&verdict(Reason::Granted, UnlockId([0x77; 16])));
    let _ = dialog.command(&granted);
    assert!(!matches!(dialog.phone.outcomes.first().map(|press| &press.outcome), Some(Outcome::Opened(_))));
    assert_no_answer(&mut dialog);
    assert_eq!(*dialog.phone.outcome(), Outcome::Unconfirmed(Cause::Unreadable));
    // A refusal for another press is no answer to this one either.
    let (mut dialog, mut lock) = waiting_for_verdict();
    let refused = lock.exchange(&verdict(Reason::Expired, UnlockId([0; 16])));
    let _ = dialog.command(&refused);
    assert_no_answer(&mut dialog);
}

#[test]
fn p_verdict_that_contradicts_itself() {
    let report = |reason: Reason| Report::new(reason, PRESS, AuditHead::default());
    for contradiction in [
        Verdict { status: Status::ENTERING_UNSECURED, report: Some(report(Reason::Expired)) },
        Verdict { status: Status::KEY_EXPIRED, report: Some(report(Reason::Granted)) },
    ] {
        let (mut dialog, mut lock) = waiting_for_verdict();
        let exchange = lock.exchange(&verdict_of(&contradiction));
        let _ = dialog.command(&exchange);
        assert_no_answer(&mut dialog);
    }
    // A reason of a later version is judged by the status.
    let later = Report { reason: ReasonCode(0x7F), ..report(Reason::Expired) };
    let (mut dialog, mut lock) = waiting_for_verdict();
    let exchange = lock.exchange(&verdict_of(&Verdict { status: Status::ACCESS_RIGHTS, report: Some(later) }));
    let _ = dialog.command(&exchange);
    dialog.to_end();
    assert!(matches!(dialog.phone.outcome(), Outcome::Refused(_)));
}

#[test]
fn p_verdict_malformed_is_no_answer() {
    for plaintext in
        [&[0x97, 0x02, 0x01][..], &[0x97, 0x01, 0x01], &[0x97, 0x02, 0x01, 0x81, 0xE1, 0x01, 0x00], &[0xE1, 0x00]]
    {
        let (mut dialog, mut lock) = waiting_for_verdict();
        let exchange = lock.exchange(plaintext);
        let _ = dialog.command(&exchange);
        assert_no_answer(&mut dialog);
    }
}

#[test]
fn p_retry_carries_the_same_unlock_id_and_a_repeated_verdict_counts() {
    let (mut dialog, _) = waiting_for_verdict();
    dialog.hang_up();
    dialog.advance(400_000);
    dialog.hear();
    let a5 = dialog.link();
    assert!(a5.windows(16).any(|window| window == PRESS.0), "the same press");
    let mut lock = authenticated(&mut dialog, &a5);
    let mut report = Report::new(Reason::Granted, PRESS, AuditHead::default());
    report.detail = 1;
    let exchange = lock.exchange(&verdict_of(&Verdict::of_report(report, true)));
    assert!(dialog.command(&exchange).is_some());
    assert!(matches!(dialog.phone.outcome(), Outcome::Opened(report) if report.replayed));
}

#[test]
fn p_frag_violations_close_the_link() {
    let good = command(Ins::Exchange, &[0; 40]);
    let value = |header: u8, message: &[u8]| {
        let mut value = vec![header];
        value.extend(message);
        value
    };
    let mut message = vec![0, 0, 0, good.len() as u8];
    message.extend(&good);
    let mut longer = message.clone();
    longer[3] += 1;
    let over = [0, 0, 0x07, 0xFD, 0, 0];
    // The lock's first message has sequence 0.
    for values in [
        vec![value(0x80, &over)],
        vec![value(0xC0, &longer)],
        vec![value(0xC0, &[&message[..], &[0]].concat())],
        vec![value(0xC1, &message)],
        vec![value(0x80, &message[..20]), value(0x81, &message[20..])],
        vec![value(0x40, &message)],
        vec![vec![0xC0]],
        vec![vec![]],
        vec![value(0xC0, &[0x80, 0, 0, 1, 0])],
        vec![value(0xC0, &[0, 0, 0, 0])],
    ] {
        let mut dialog = Dialog::new();
        let _ = dialog.meet(PRESS);
        for value in &values {
            dialog.value(value);
        }
        assert!(dialog.closed, "{values:02x?}");
        assert!(dialog.outbox.is_empty(), "the phone has answered");
        assert_eq!(dialog.phone.signatures, 0);
    }
}

#[test]
fn p_silence() {
    // One second within a message, five for the next command.
    let mut dialog = Dialog::new();
    let _ = dialog.meet(PRESS);
    dialog.value(&[0x80, 0, 0, 0, 200, 1, 2, 3]);
    dialog.advance(999_000);
    assert!(!dialog.closed);
    dialog.advance(1_000);
    assert!(dialog.closed);
    let mut dialog = Dialog::new();
    let _ = dialog.meet(PRESS);
    dialog.advance(4_999_000);
    assert!(!dialog.closed);
    dialog.advance(1_000);
    assert!(dialog.closed);
    // A lock that is always busy does not keep the press from ending.
    let mut dialog = Dialog::new();
    let _ = dialog.meet(PRESS);
    for _ in 0..20 {
        if dialog.closed {
            break;
        }
        dialog.message(Kind::Event, &[0x00, 0x00]);
        dialog.advance(900_000);
    }
    assert!(dialog.closed);
    dialog.to_end();
    assert!(matches!(dialog.phone.outcome(), Outcome::Refused(_)));
}

#[test]
fn p_chain() {
    // Another INS within a chain, and a chain of more than 2,048 bytes.
    let mut dialog = Dialog::new();
    let _ = dialog.tap(PRESS, &command(Ins::Select, AID_EXPEDITED));
    let piece = |cla: u8, ins: Ins, len: usize| {
        let mut apdu = vec![cla, ins as u8, 0, 0, len as u8];
        apdu.extend(vec![0; len]);
        apdu
    };
    assert_eq!(dialog.apdu(&piece(0x90, Ins::Auth1, 200)), [0x90, 0x00]);
    assert_eq!(dialog.apdu(&piece(0x80, Ins::Exchange, 20)), [0x68, 0x83]);
    let next = dialog.apdu(&piece(0x80, Ins::Auth1, 20));
    assert!(next.len() == 2 && next != [0x90, 0x00], "the session is over");

    let mut dialog = Dialog::new();
    let _ = dialog.tap(PRESS, &command(Ins::Select, AID_EXPEDITED));
    let mut answers = Vec::new();
    for _ in 0..9 {
        answers.push(dialog.apdu(&piece(0x90, Ins::Auth1, 255)));
    }
    let refused = answers.iter().position(|answer| *answer != [0x90, 0x00]);
    assert_eq!(refused, Some(8), "2,040 bytes are taken, 2,295 are not");
    assert_eq!(dialog.phone.signatures, 0);
}

#[test]
fn p_unknown_commands_are_refused() {
    for (apdu, status) in [
        (&[0x80, 0x77, 0, 0, 1, 0][..], [0x6D, 0x00]),
        (&[0x00, 0x80, 0, 0, 1, 0], [0x6E, 0x00]),
        (&[0x80, 0x80, 1, 0, 1, 0], [0x6B, 0x00]),
        (&[0x80, 0x80, 0, 0, 9, 0], [0x67, 0x00]),
        (&[0x00, 0xA4, 0x04, 0, 2, 1, 2], [0x6A, 0x82]),
    ] {
        let mut dialog = Dialog::new();
        let select = [0x00, 0xA4, 0x04, 0x00];
        let first = if apdu[..4] == select {
            dialog.tap(PRESS, apdu)
        } else {
            let _ = dialog.tap(PRESS, &command(Ins::Select, AID_EXPEDITED));
            dialog.apdu(apdu)
        };
        assert_eq!(first, status, "{apdu:02x?}");
        assert_eq!(dialog.phone.signatures, 0);
    }
}

#[test]
fn p_unknown_tags_are_skipped() {
    let mut dialog = Dialog::new();
    let a5 = dialog.meet(PRESS);
    let mut lock = RawLock::new(&dialog.site, 7, 905);
    let auth0 = lock.auth0(Interface::Ble, &a5);
    let data = [tlv(0xC7, &[1, 2]), auth0[5..auth0.len() - 1].to_vec(), tlv(0xDF01, &[3])].concat();
    let response = dialog.command(&command(Ins::Auth0, &data)).unwrap();
    assert!(find(&response[..response.len() - 2], 0x86).is_some());
    lock.auth0_answer(&response);
    let auth1 = lock.auth1();
    let (head, tail) = (if auth1[4] == 0 { 7 } else { 5 }, if auth1[4] == 0 { 2 } else { 1 });
    let data = [tlv(0xC7, &[1, 2]), auth1[head..auth1.len() - tail].to_vec()].concat();
    let response = dialog.command(&command(Ins::Auth1, &data)).unwrap();
    assert!(lock.auth1_answer(&response).verified);
}
