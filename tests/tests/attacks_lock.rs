//! Must-fail cases of `docs/PROTOCOL.md` section 24: phones that lie to a lock, and others
//! that alter what passes between them.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use keybutton_lock::{Failure, Input, LinkId};
use keybutton_protocol::{
    apdu::Ins,
    ids::{Intent, Interface, UnlockId},
    keys::Usage,
    message::{Event, EventError},
    verdict::{Reason, Status, Verdict},
};
use keybutton_tests::pair::{
    bench::{Bench, detail, press_with, reason, rights, tap},
    keys::signer,
    raw_phone::{RawPhone, press_a5},
    site::Member,
    store::Snapshot,
    talk::{BleLink, Talk},
    tlv::{position, tlv},
};

/// What CONTROL FLOW says by NFC: failure, no information.
const FAILED: &[u8] = &[0x41, 0x01, 0x00, 0x42, 0x01, 0x00];

/// Asserts that a transaction ended in silence: CONTROL FLOW 00 00 (on BLE: event 01/00), closed, nothing stored.
#[track_caller]
fn assert_unheard(bench: &Bench, talk: &Talk, interface: Interface, before: &Snapshot) {
    match interface {
        Interface::Ble => assert_eq!(talk.events, [Event::Error(EventError::Unknown)]),
        Interface::Nfc => assert_eq!(talk.control_flow, [FAILED]),
    }
    assert!(talk.closed || interface == Interface::Nfc, "the session is over");
    assert_eq!(bench.phone.seen.verdict, None, "a stranger is told a verdict");
    assert!(bench.phone.seen.exchanges.is_empty());
    assert_eq!(bench.lock.movements(), 0);
    assert_eq!(&bench.lock.snapshot(), before, "something was stored, the audit included");
    assert!(bench.lock.verdicts().is_empty());
}

/// Runs the same attack by both interfaces.
#[track_caller]
fn unheard(attack: impl Fn(&mut RawPhone)) {
    for interface in [Interface::Ble, Interface::Nfc] {
        let mut bench = Bench::new();
        attack(&mut bench.phone);
        let before = bench.lock.snapshot();
        let talk = match interface {
            Interface::Ble => bench.press(),
            Interface::Nfc => tap(&mut bench.lock, &mut bench.phone),
        };
        assert_unheard(&bench, &talk, interface, &before);
    }
}

/// Changes the answer to one command.
fn altered(phone: &mut RawPhone, when: Ins, change: impl Fn(&mut Vec<u8>) + 'static) {
    phone.tamper = Some(Box::new(move |ins, response| {
        if ins == when {
            change(response);
        }
    }));
}

#[test]
fn l_auth0_off_curve() {
    unheard(|phone| altered(phone, Ins::Auth0, |response| response[2 + 64] ^= 1));
    unheard(|phone| altered(phone, Ins::Auth0, |response| response[3..67].fill(0)));
    unheard(|phone| altered(phone, Ins::Auth0, |response| response[3..35].fill(0xFF)));
    unheard(|phone| altered(phone, Ins::Auth0, |response| response[2] = 0x02));
    // Wrong length: one byte too few, one too many.
    unheard(|phone| {
        altered(phone, Ins::Auth0, |response| {
            response[1] = 0x40;
            response.remove(66);
        });
    });
    unheard(|phone| {
        altered(phone, Ins::Auth0, |response| {
            response[1] = 0x42;
            response.insert(67, 0);
        });
    });
    // No key, and no success.
    unheard(|phone| altered(phone, Ins::Auth0, |response| *response = vec![0x90, 0x00]));
    unheard(|phone| altered(phone, Ins::Auth0, |response| *response = vec![0x69, 0x85]));
    unheard(|phone| altered(phone, Ins::Auth0, |response| *response = vec![0x90]));
}

#[test]
fn l_unasked_cryptogram() {
    unheard(|phone| phone.cryptogram = Some(vec![7; 64]));
}

#[test]
fn l_auth1_tag() {
    unheard(|phone| {
        altered(phone, Ins::Auth1, |response| {
            let last = response.len() - 3;
            response[last] ^= 1;
        });
    });
    unheard(|phone| altered(phone, Ins::Auth1, |response| response[0] ^= 0x80));
    unheard(|phone| altered(phone, Ins::Auth1, |response| drop(response.drain(..1))));
    unheard(|phone| altered(phone, Ins::Auth1, |response| drop(response.drain(..170))));
    // Without what has to be in it.
    for tag in [0x5A, 0x9E, 0x5E] {
        unheard(move |phone| {
            phone.tamper_identity = Some(Box::new(move |plaintext| {
                let value = position(plaintext, tag).unwrap();
                plaintext.drain(value.start - 2..value.end);
            }));
        });
    }
    // A device key that is not a point.
    unheard(|phone| phone.tamper_identity = Some(Box::new(|plaintext| plaintext[3..67].fill(0))));
}

#[test]
fn l_auth1_replay() {
    for interface in [Interface::Ble, Interface::Nfc] {
        // An answer that was good a moment ago, from the same phone to the same lock.
        let mut bench = Bench::new();
        let run = |bench: &mut Bench| match interface {
            Interface::Ble => bench.press(),
            Interface::Nfc => tap(&mut bench.lock, &mut bench.phone),
        };
        run(&mut bench);
        bench.assert_granted();
        let at = bench.phone.seen.instructions.iter().position(|ins| *ins == Ins::Auth1 as u8).unwrap();
        let recorded = bench.phone.seen.responses[at].clone();
        bench.lock.advance(Duration::from_secs(61));
        bench.phone.seen.kpersistent = None;
        bench.phone.press(Intent::Unlock);
        altered(&mut bench.phone, Ins::Auth1, move |response| response.clone_from(&recorded));
        let (before, movements, verdicts) =
            (bench.lock.snapshot(), bench.lock.movements(), bench.lock.verdicts().len());
        let talk = run(&mut bench);
        match interface {
            Interface::Ble => assert_eq!(talk.events, [Event::Error(EventError::Unknown)]),
            Interface::Nfc => assert_eq!(talk.control_flow, [FAILED]),
        }
        assert!(bench.phone.seen.instructions.contains(&(Ins::Auth1 as u8)));
        assert_eq!(bench.phone.seen.verdict, None);
        assert_eq!((bench.lock.movements(), bench.lock.verdicts().len()), (movements, verdicts));
        assert_eq!(bench.lock.snapshot(), before);
    }
}

/// Asserts the sealed `97 00 04`, without report and without movement.
#[track_caller]
fn assert_bad_signature(bench: &Bench, talk: &Talk, before: &Snapshot) {
    assert_eq!(bench.phone.seen.exchanges, [vec![0x97, 0x02, 0x00, 0x04]]);
    assert_eq!(bench.phone.seen.verdict, Some(Verdict::bare(Status::DEVICE_SIGNATURE)));
    assert_eq!(bench.lock.movements(), 0);
    assert_eq!(&rights(&bench.lock), before);
    assert!(talk.closed);
    assert_eq!(bench.lock.failures(), [Failure::DeviceSignature]);
}

#[test]
fn l_device_sig() {
    let mut bench = Bench::new();
    // The victim's key and document, signed for by somebody else.
    bench.phone.signer = signer("a thief");
    let before = rights(&bench.lock);
    let talk = bench.press();
    assert_bad_signature(&bench, &talk, &before);
    // Also when the lock knows the victim already.
    let mut bench = Bench::new();
    bench.press();
    bench.assert_granted();
    let (before, openings) = (rights(&bench.lock), bench.lock.movements());
    bench.phone.seen.kpersistent = None;
    bench.phone.signer = signer("a thief");
    bench.lock.advance(Duration::from_secs(30));
    bench.phone.press(Intent::Unlock);
    bench.press();
    assert_eq!(bench.phone.seen.exchanges, [vec![0x97, 0x02, 0x00, 0x04]]);
    assert_eq!(rights(&bench.lock), before);
    let own_return = bench.lock.movements() - openings;
    assert!(own_return <= 1 && bench.lock.openings() == 1, "only the bolt's own return after the first opening");
}

#[test]
fn l_device_sig_usage() {
    for usage in [Usage::Lock, Usage::Enrolment, Usage::Claim] {
        let mut bench = Bench::new();
        bench.phone.usage = usage;
        let before = rights(&bench.lock);
        let talk = bench.press();
        assert_bad_signature(&bench, &talk, &before);
    }
}

#[test]
fn l_a5_altered() {
    let id = UnlockId([0x11; 16]);
    // The unlock id, the intent, and the whole vendor field.
    for sent in [
        press_a5(UnlockId([0x12; 16]), Intent::Status),
        press_a5(id, Intent::HoldOpen),
        press_a5(id, Intent::Unlock),
        vec![0xA5, 0x08, 0x80, 0x02, 0x00, 0x00, 0x5C, 0x02, 0x01, 0x00],
    ] {
        unheard(move |phone| {
            phone.press_as(id, Intent::Status);
            phone.a5_sent = Some(sent.clone());
        });
    }
}

#[test]
fn l_policy_altered() {
    // The lock forces user authentication; on the way to the phone 03 becomes 01.
    let mut bench = Bench::with(|config| config.policy.high_security = true);
    bench.phone.policy = Some(1);
    let before = bench.lock.snapshot();
    let talk = bench.press();
    let auth0 = &bench.phone.seen.commands[0];
    assert_eq!(auth0[5..11], [0x41, 0x01, 0x00, 0x42, 0x01, 0x03], "03 is what the lock asked for");
    assert_unheard(&bench, &talk, Interface::Ble, &before);
    // Unaltered it opens.
    let mut bench = Bench::with(|config| config.policy.high_security = true);
    bench.press();
    bench.assert_granted();
}

#[test]
fn l_interface_altered() {
    // A tap moved to Bluetooth: the phone derives for NFC.
    let mut bench = Bench::new();
    let before = bench.lock.snapshot();
    let mut link = BleLink::connect(&mut bench.lock, 1, 185);
    let a5 = bench.phone.a5.clone();
    link.initiate(&mut bench.lock, &a5);
    while let Some((_, command)) = link.receive() {
        if link.closed {
            break;
        }
        let response = bench.phone.answer(Interface::Nfc, &command).unwrap();
        link.send_kind(&mut bench.lock, keybutton_protocol::message::Kind::Response, &response);
    }
    assert!(link.closed);
    assert_eq!(bench.lock.movements(), 0);
    assert_eq!(bench.lock.snapshot(), before);
    assert_eq!(bench.phone.seen.verdict, None);
}

#[test]
fn no_common_version_is_told() {
    let mut bench = Bench::new();
    bench.phone.a5 = tlv(0xA5, &[0x80, 0x02, 0x00, 0x00, 0x5C, 0x02, 0x00, 0x09]);
    let before = bench.lock.snapshot();
    let talk = tap(&mut bench.lock, &mut bench.phone);
    assert_eq!(talk.control_flow, [[0x41, 0x01, 0x00, 0x42, 0x01, 0x27]]);
    assert_eq!(bench.lock.snapshot(), before);
    let talk = bench.press();
    assert!(talk.closed && !talk.events.is_empty());
    assert!(!bench.phone.seen.instructions.contains(&(Ins::Auth0 as u8)));
}

#[test]
fn a_phone_that_leaves_before_the_decision_leaves_nothing() {
    for answers in 0..3 {
        let mut bench = Bench::new();
        let before = bench.lock.snapshot();
        let mut link = BleLink::connect(&mut bench.lock, 1, 185);
        let a5 = bench.phone.a5.clone();
        link.initiate(&mut bench.lock, &a5);
        for _ in 0..answers {
            let (kind, command) = link.receive().unwrap();
            let response = bench.phone.answer(Interface::Ble, &command).unwrap();
            assert_eq!(kind, keybutton_protocol::message::Kind::Command);
            link.send_kind(&mut bench.lock, keybutton_protocol::message::Kind::Response, &response);
        }
        link.disconnect(&mut bench.lock);
        assert_eq!(bench.lock.movements(), 0);
        assert_eq!(bench.lock.snapshot(), before);
        // The same press is a new one to the lock.
        bench.phone.again();
        bench.press();
        bench.assert_granted();
        assert_eq!(detail(&bench.phone), Some(0));
    }
}

#[test]
fn input_on_links_that_do_not_exist_is_ignored() {
    let mut bench = Bench::new();
    let before = bench.lock.snapshot();
    bench.lock.input(Input::Received { link: LinkId(77), value: &[0xC0, 2, 5, 0, 1, 0] });
    bench.lock.input(Input::Disconnected { link: LinkId(78) });
    bench.lock.input(Input::MtuChanged { link: LinkId(79), mtu: 0 });
    bench.lock.input(Input::NfcResponse { apdu: &[0x90, 0x00] });
    bench.lock.input(Input::NfcLost);
    assert_eq!(bench.lock.movements(), 0);
    assert_eq!(bench.lock.snapshot(), before);
    let mut phone = bench.phone_of("grace");
    press_with(&mut bench.lock, &mut phone, 5);
    assert_eq!(reason(&phone), Some(Reason::Granted));
    assert_ne!(phone.claims, Member::new("ada").key);
}
