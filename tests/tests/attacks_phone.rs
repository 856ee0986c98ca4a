//! Must-fail cases of `docs/PROTOCOL.md` section 24: locks that lie to a phone, and others that would like to
//! know whose phone it is. Each over Bluetooth and by tap where both can be.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use keybutton::{
    device_key::{DeviceKey, SignatureAnswer},
    error::ErrorCode,
    outcome::Outcome,
    unlock::Input,
};
use keybutton_protocol::{
    apdu::Ins,
    crypto::Crypto,
    document::DeviceResponse,
    ids::{Intent, Interface, PublicKey, Signature, TransactionId},
    keys::{AuthenticationData, Usage},
    profile::AID_EXPEDITED,
    verdict::Reason,
};
use keybutton_tests::pair::{
    dialog::Dialog,
    keys::{public, signer},
    meeting::{BOTH, CONDITIONS, Meeting, NOT_SATISFIED, OK, PRESS, WRONG_DATA},
    phone::TestPhone,
    raw_lock::{RawLock, command, verdict},
    site::{Member, Site},
    tlv::{find, tlv},
};

#[test]
fn an_honest_lock_opens() {
    for interface in BOTH {
        let mut meeting = Meeting::new(interface);
        let identity = meeting.authenticate();
        assert!(identity.verified);
        assert_eq!(identity.key, meeting.dialog.phone.public_key());
        let response = meeting.exchange(&verdict(Reason::Granted, PRESS));
        assert_eq!(meeting.lock.exchange_answer(&response), [0x00, 0x02, 0x00, 0x00]);
        assert!(matches!(meeting.dialog.phone.outcome(), Outcome::Opened(report) if report.open_time_ds == 50));
    }
}

#[test]
fn p_unknown_group() {
    for interface in BOTH {
        for parameters in [0, 1] {
            let mut meeting = Meeting::new(interface);
            let foreign = Site::new("elsewhere");
            meeting.lock = RawLock::new(&foreign, 7, 900);
            meeting.lock.parameters = parameters;
            let auth0 = meeting.auth0();
            assert_eq!(
                auth0.len(),
                if parameters == 1 { 67 + 66 + 2 } else { 67 + 2 },
                "answered as for a known group"
            );
            assert!(auth0.ends_with(OK));
            let auth1 = meeting.auth1();
            assert_eq!(auth1, NOT_SATISFIED);
            meeting.assert_unknown(&[&auth0, &auth1]);
            meeting.assert_refused(ErrorCode::WrongLock);
        }
    }
    // A tap without a door chosen meets whatever lock there is.
    let mut dialog = Dialog::new();
    let options = keybutton::unlock::UnlockOptions { door: None, tap: true, ..dialog.options() };
    let mut phone = std::mem::replace(&mut dialog.phone, TestPhone::new(&dialog.site, &Member::new("ada"), &[7]));
    let _ = phone.press(dialog.micros, PRESS, options);
    dialog.phone = phone;
    let fci = dialog.apdu(&command(Ins::Select, AID_EXPEDITED));
    let fci = find(&fci[..fci.len() - 2], 0x6F).unwrap();
    let a5 = tlv(0xA5, &find(&fci, 0xA5).unwrap());
    let lock = RawLock::new(&Site::new("elsewhere"), 7, 900);
    let mut meeting = Meeting { dialog, lock, interface: Interface::Nfc, a5 };
    meeting.auth0();
    assert_eq!(meeting.auth1(), NOT_SATISFIED);
    meeting.assert_unknown(&[]);
    meeting.assert_refused(ErrorCode::LockNotRecognised);
}

#[test]
fn p_bad_lock_sig() {
    for interface in BOTH {
        for bit in [0, 7, 255, 256, 511] {
            let mut meeting = Meeting::new(interface);
            let auth0 = meeting.auth0();
            let mut signature = meeting.lock.signature();
            signature.0[bit / 8] ^= 1 << (bit % 8);
            let command = meeting.lock.auth1_with(&signature);
            let auth1 = meeting.send(&command);
            assert_eq!(auth1, NOT_SATISFIED);
            meeting.assert_unknown(&[&auth0, &auth1]);
            meeting.assert_refused(ErrorCode::LockNotRecognised);
        }
    }
    // Zeros, and the signature of another key with the right certificate.
    let mut meeting = Meeting::new(Interface::Ble);
    meeting.auth0();
    let command = meeting.lock.auth1_with(&Signature([0; 64]));
    assert_eq!(meeting.send(&command), NOT_SATISFIED);
    meeting.assert_unknown(&[]);
    let mut meeting = Meeting::new(Interface::Ble);
    meeting.lock.signer = signer("an impostor");
    meeting.auth0();
    assert_eq!(meeting.auth1(), NOT_SATISFIED);
    meeting.assert_unknown(&[]);
}

#[test]
fn p_lock_sig_wrong_usage() {
    for usage in [Usage::Phone, Usage::Enrolment, Usage::Claim] {
        for interface in BOTH {
            let mut meeting = Meeting::new(interface);
            meeting.lock.usage = usage;
            let auth0 = meeting.auth0();
            let auth1 = meeting.auth1();
            assert_eq!(auth1, NOT_SATISFIED);
            meeting.assert_unknown(&[&auth0, &auth1]);
            meeting.assert_refused(ErrorCode::LockNotRecognised);
        }
    }
}

#[test]
fn p_version() {
    for interface in BOTH {
        for version in [[1, 1], [0, 9], [0, 0], [2, 0]] {
            let mut meeting = Meeting::new(interface);
            meeting.lock.version = version;
            assert_eq!(meeting.auth0(), CONDITIONS);
            meeting.assert_unknown(&[]);
            meeting.assert_over();
        }
    }
}

#[test]
fn p_auth1_twice() {
    for interface in BOTH {
        let mut meeting = Meeting::new(interface);
        let _ = meeting.authenticate();
        let again = meeting.lock.auth1();
        assert_eq!(meeting.send(&again), CONDITIONS);
        assert_eq!(meeting.dialog.phone.signatures, 1);
        meeting.assert_over();
    }
}

#[test]
fn p_auth1_without_auth0() {
    for interface in BOTH {
        let mut meeting = Meeting::new(interface);
        let mut data = tlv(0x41, &[1]);
        data.extend(tlv(0x9E, &[7; 64]));
        assert_eq!(meeting.send(&command(Ins::Auth1, &data)), CONDITIONS);
        meeting.assert_unknown(&[]);
        meeting.assert_over();
    }
}

#[test]
fn p_eph_off_curve() {
    let mut flipped = public("some point");
    flipped.0[64] ^= 1;
    let zero = PublicKey::from_xy(&[0; 32], &[0; 32]);
    // x = p, which is 0 modulo p, and the largest number of 32 bytes.
    let mut p = [0xFF; 32];
    p[4..20].fill(0);
    p[7] = 1;
    let mut compressed = public("some point");
    compressed.0[0] = 0x02;
    let above = [PublicKey::from_xy(&p, &[1; 32]), PublicKey::from_xy(&[0xFF; 32], &[1; 32])];
    for key in [flipped, zero, PublicKey([4; 65]), compressed].into_iter().chain(above) {
        for interface in BOTH {
            let mut meeting = Meeting::new(interface);
            meeting.lock.ephemeral = Some(key);
            assert_eq!(meeting.auth0(), WRONG_DATA, "{key}");
            meeting.assert_unknown(&[]);
            meeting.assert_over();
        }
    }
}

#[test]
fn p_auth0_malformed() {
    let mut meeting = Meeting::new(Interface::Ble);
    let good = meeting.lock.auth0(Interface::Ble, &meeting.a5.clone());
    let data = &good[5..good.len() - 1];
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut data = data.to_vec();
        change(&mut data);
        command(Ins::Auth0, &data)
    };
    let malformed = [
        (changed(&|data| drop(data.drain(..3))), WRONG_DATA),
        (changed(&|data| data.extend([0x41, 1, 0])), WRONG_DATA),
        (changed(&|data| data[1] = 0x81), WRONG_DATA),
        (changed(&|data| data.truncate(data.len() - 1)), WRONG_DATA),
        (changed(&|data| data[5] = 9), WRONG_DATA),
        (good[..good.len() - 4].to_vec(), &[0x67, 0x00][..]),
        (command(Ins::Auth0, &[]), &[0x67, 0x00]),
    ];
    for (number, (command, status)) in malformed.iter().enumerate() {
        for interface in BOTH {
            let mut meeting = Meeting::new(interface);
            let response = meeting.send(command);
            assert_eq!(response.len(), 2, "variant {number}");
            assert!(response == *status || response == WRONG_DATA, "variant {number}: {response:02x?}");
            meeting.assert_unknown(&[]);
            meeting.assert_over();
        }
    }
}

#[test]
fn p_eph_reflected() {
    for interface in BOTH {
        let mut dialog = Dialog::new();
        dialog.phone.user_unlocks = true;
        let mut first = Meeting::with(interface, dialog);
        first.lock.transaction = Some(TransactionId([0x4C; 16]));
        let auth0 = first.auth0();
        let own = PublicKey::from_slice(&find(&auth0[..auth0.len() - 2], 0x86).unwrap()).unwrap();
        // A second session with the phone's own key and the same transaction identifier.
        let mut second = Meeting::new(interface);
        second.lock.transaction = Some(TransactionId([0x4C; 16]));
        second.lock.ephemeral = Some(own);
        let auth0 = second.auth0();
        assert!(auth0.ends_with(OK), "it works");
        let fresh = PublicKey::from_slice(&find(&auth0[..auth0.len() - 2], 0x86).unwrap()).unwrap();
        assert_ne!(fresh, own, "with a fresh key of its own");
    }
    // One phone, one lock, one transaction identifier: two sessions of the same press.
    let mut meeting = Meeting::new(Interface::Ble);
    meeting.lock.transaction = Some(TransactionId([0x4C; 16]));
    let first = meeting.auth0();
    meeting.dialog.hang_up();
    meeting.dialog.advance(300_000);
    meeting.dialog.hear();
    meeting.a5 = meeting.dialog.link();
    let own = PublicKey::from_slice(&first[2..67]).unwrap();
    meeting.lock.ephemeral = Some(own);
    let second = meeting.auth0();
    assert_eq!(meeting.dialog.connects.len(), 2);
    assert!(second.ends_with(OK));
    assert_ne!(first[2..67], second[2..67]);
}

#[test]
fn p_fast_no_key() {
    let mut cryptograms = Vec::new();
    for interface in BOTH {
        for _ in 0..3 {
            let mut meeting = Meeting::new(interface);
            meeting.lock.parameters = 1;
            let auth0 = meeting.auth0();
            let cryptogram = find(&auth0[..auth0.len() - 2], 0x9D).unwrap();
            assert_eq!(cryptogram.len(), 64);
            cryptograms.push(cryptogram);
            // And the transaction goes on by AUTH1.
            let response = meeting.auth1();
            assert!(meeting.lock.auth1_answer(&response).verified);
        }
    }
    let count = cryptograms.len();
    cryptograms.sort();
    cryptograms.dedup();
    assert_eq!(cryptograms.len(), count, "different every time");
}

#[test]
fn p_fast_key_is_for_one_lock() {
    // What the phone shares with lock 7 makes no cryptogram for lock 8.
    let site = Site::new("north");
    let phone = TestPhone::new(&site, &Member::new("ada"), &[7]);
    let mut meeting = Meeting::with(Interface::Nfc, Dialog::with(site.clone(), phone));
    let identity = meeting.authenticate();
    let _ = meeting.exchange(&verdict(Reason::Granted, PRESS));
    assert_eq!(meeting.dialog.phone.keyring.fast_key(site.reader_id(7)), Some(&identity.kpersistent));
    assert_eq!(meeting.dialog.phone.keyring.fast_key(site.reader_id(8)), None);
    let mut again = Meeting::with(Interface::Nfc, meeting.dialog);
    again.lock.parameters = 1;
    let auth0 = again.auth0();
    let cryptogram = find(&auth0[..auth0.len() - 2], 0x9D).unwrap();
    assert!(again.lock.fast(&identity.kpersistent, &identity.key, &cryptogram).is_some());
    // The same cryptogram is worth nothing in another transaction.
    let mut later = Meeting::with(Interface::Nfc, again.dialog);
    later.lock.parameters = 1;
    later.auth0();
    assert!(later.lock.fast(&identity.kpersistent, &identity.key, &cryptogram).is_none());
}

#[test]
fn p_device_key_misuse() {
    /// Nothing else can be handed to a device key: `keybutton_tests::misuse` shows that other code does not compile.
    fn sign(key: &dyn DeviceKey, data: AuthenticationData, answer: Arc<SignatureAnswer>) {
        key.sign(data, answer);
    }
    let _ = sign;
    let (reader, key) = (Site::new("north").reader_id(7), public("some point"));
    let all = [
        (AuthenticationData::for_lock(&reader, &key, &key, &TransactionId([1; 16])), [0x41, 0x5D, 0x95, 0x69]),
        (AuthenticationData::for_phone(&reader, &key, &key, &TransactionId([1; 16])), [0x4E, 0x88, 0x7B, 0x4C]),
        (AuthenticationData::for_enrolment(&[7; 32]), *b"kBEN"),
        (AuthenticationData::for_claim(&[7; 32]), *b"kBCL"),
    ];
    for (data, usage) in &all {
        let bytes = data.as_bytes();
        // The shape of section 7, whatever the caller chose: nothing of it is free but the values.
        for (at, head) in [(0, [0x4D, 32]), (34, [0x86, 32]), (68, [0x87, 32]), (102, [0x4C, 16]), (120, [0x93, 4])] {
            assert_eq!(bytes[at..at + 2], head);
        }
        assert_eq!(bytes[122..], *usage);
    }
    // A lock gets a signature over its own transaction only, however it fills AUTH1.
    let mut meeting = Meeting::new(Interface::Ble);
    let identity = meeting.authenticate();
    assert!(identity.verified);
    for (data, _) in &all {
        assert!(
            keybutton_tests::pair::keys::crypto().verify(&identity.key, data.as_bytes(), &identity.signature).is_err()
        );
    }
}

#[test]
fn p_stepup_before_auth1() {
    for interface in BOTH {
        let mut meeting = Meeting::new(interface);
        meeting.auth0();
        let early = command(
            Ins::Envelope,
            &[0xA1, 0x64, b'd', b'a', b't', b'a', 0x51, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        );
        assert_eq!(meeting.send(&early), CONDITIONS);
        meeting.assert_unknown(&[]);
        meeting.assert_over();
    }
    // Also in the fast phase, which has no documents.
    let mut meeting = Meeting::new(Interface::Ble);
    meeting.lock.parameters = 1;
    meeting.auth0();
    assert_eq!(meeting.send(&command(Ins::Envelope, &[0xA1; 40])), CONDITIONS);
    meeting.assert_unknown(&[]);
}

#[test]
fn p_exchange_counter() {
    for interface in BOTH {
        // Counter 0.
        let mut meeting = Meeting::new(interface);
        let _ = meeting.authenticate();
        let mut sealed = verdict(Reason::Granted, PRESS);
        let key = meeting.lock.reader_key.clone().unwrap();
        let tag = meeting.lock.crypto.seal(&key, &[0; 12], &[], &mut sealed).unwrap();
        sealed.extend(tag);
        assert_eq!(meeting.send(&command(Ins::Exchange, &sealed)), NOT_SATISFIED);
        meeting.assert_over();
        // A counter ahead.
        let mut meeting = Meeting::new(interface);
        let _ = meeting.authenticate();
        let _ = meeting.lock.sealed(&[0x98, 0x00]);
        assert_eq!(meeting.exchange(&verdict(Reason::Granted, PRESS)), NOT_SATISFIED);
        meeting.assert_over();
        // A counter repeated.
        let mut meeting = Meeting::new(interface);
        let _ = meeting.authenticate();
        let first = meeting.lock.exchange(&[0x98, 0x00]);
        assert!(meeting.send(&first).ends_with(OK));
        assert_eq!(meeting.send(&first), NOT_SATISFIED);
        meeting.assert_over();
    }
    // After the verdict as well.
    let mut meeting = Meeting::new(Interface::Ble);
    let _ = meeting.authenticate();
    let granted = meeting.lock.exchange(&verdict(Reason::Granted, PRESS));
    assert!(meeting.send(&granted).ends_with(OK));
    assert_eq!(meeting.send(&granted), NOT_SATISFIED);
    assert!(meeting.dialog.closed);
    assert!(matches!(meeting.dialog.phone.outcome(), Outcome::Opened(_)), "the verdict stands");
}

#[test]
fn p_strange_element() {
    for interface in BOTH {
        for elements in [&["l9999"][..], &["site"], &["r"], &["z0004", "l0007", "Z0003", "z0003 "]] {
            let mut meeting = Meeting::new(interface);
            let _ = meeting.authenticate();
            if interface == Interface::Nfc {
                let select = command(Ins::Select, keybutton_protocol::profile::AID_STEP_UP);
                assert!(meeting.send(&select).ends_with(OK));
            }
            let envelope = meeting.lock.envelope(elements);
            let response = meeting.send(&envelope);
            let shown = meeting.lock.envelope_answer(&response);
            assert_eq!(DeviceResponse::parse(&shown).unwrap().documents().count(), 0);
            assert_eq!(shown, [0xA2, 0x61, b'1', 0x63, b'1', b'.', b'0', 0x61, b'3', 0x00], "empty, and nothing else");
        }
    }
    // One of two: only that one goes out.
    let mut meeting = Meeting::new(Interface::Ble);
    let _ = meeting.authenticate();
    let envelope = meeting.lock.envelope(&["l0007", "z0003"]);
    let response = meeting.send(&envelope);
    let shown = meeting.lock.envelope_answer(&response);
    assert_eq!(DeviceResponse::parse(&shown).unwrap().documents().count(), 1);
}

#[test]
fn p_no_press() {
    // A lock in range, heard again and again, and no press: the phone never connects.
    let mut dialog = Dialog::new();
    dialog.phone.prepare(PRESS, keybutton::unlock::UnlockOptions::default());
    for _ in 0..50 {
        dialog.hear();
        dialog.advance(200_000);
    }
    assert!(dialog.connects.is_empty());
    // Nor by NFC: a reader is told "no".
    assert_eq!(dialog.apdu(&command(Ins::Select, AID_EXPEDITED)), CONDITIONS);
    // And not after a press has ended, though the lock is still there.
    let mut meeting = Meeting::new(Interface::Ble);
    let _ = meeting.authenticate();
    let _ = meeting.exchange(&verdict(Reason::Granted, PRESS));
    meeting.dialog.to_end();
    for _ in 0..50 {
        meeting.dialog.hear();
        meeting.dialog.advance(200_000);
    }
    assert_eq!(meeting.dialog.connects.len(), 1);
    assert_eq!(meeting.dialog.apdu(&command(Ins::Select, AID_EXPEDITED)), CONDITIONS);
    // Cancelled before anything was heard.
    let mut dialog = Dialog::new();
    dialog.press(PRESS);
    dialog.input(Input::Cancel);
    dialog.hear();
    dialog.advance(5_000_000);
    assert!(dialog.connects.is_empty());
    assert_eq!(dialog.phone.refusal(), ErrorCode::PressCancelled);
}

#[test]
fn p_user_authentication_forced() {
    for policy in [2, 3] {
        let mut dialog = Dialog::new();
        let options = keybutton::unlock::UnlockOptions { user_authenticated: false, ..dialog.options() };
        let wants = dialog.phone.press(dialog.micros, PRESS, options);
        assert!(!wants.is_empty());
        dialog.hear();
        let a5 = dialog.link();
        let lock = RawLock::new(&dialog.site, 7, 900);
        let mut meeting = Meeting { dialog, lock, interface: Interface::Ble, a5 };
        meeting.lock.policy = policy;
        let auth0 = meeting.auth0();
        let auth1 = meeting.auth1();
        assert_eq!(auth1, CONDITIONS, "policy {policy}");
        meeting.assert_unknown(&[&auth0, &auth1]);
        // The phone asks the user and connects anew with the same unlock id.
        meeting.dialog.hear();
        meeting.a5 = meeting.dialog.link();
        assert!(meeting.a5.windows(16).any(|window| window == PRESS.0));
        assert!(meeting.authenticate().verified);
    }
    let mut meeting = Meeting::new(Interface::Ble);
    meeting.dialog.phone.user_unlocks = false;
    assert_eq!(Intent::Unlock as u8, meeting.a5[meeting.a5.len() - 1]);
    assert!(meeting.authenticate().verified, "a user who has unlocked the phone is not asked again");
}
