//! Must-fail cases 1 to 18 of `docs/PROTOCOL.md` section 24: locks that lie to a phone, and others that would like to
//! know whose phone it is. Each over Bluetooth and by tap where both can be.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use keybutton::{
    device_key::{DeviceKey, SignatureAnswer},
    error::ErrorCode,
    outcome::Outcome,
    unlock::Input,
};
use keybutton_protocol::{
    apdu::Ins,
    crypto::{Crypto, Signer},
    document::DeviceResponse,
    ids::{Intent, Interface, PublicKey, Signature, TransactionId, UnixTime, UnlockId},
    keys::{AuthenticationData, Usage},
    profile::AID_EXPEDITED,
    verdict::Reason,
};
use keybutton_tests::pair::{
    dialog::Dialog,
    keys::{public, signer},
    phone::TestPhone,
    raw_lock::{Identity, RawLock, command, verdict},
    site::{Member, NOW, Site, issue_certificate, subject},
    tlv::{find, tlv},
};

const PRESS: UnlockId = UnlockId([0xA1; 16]);
const NOT_SATISFIED: &[u8] = &[0x69, 0x82];
const CONDITIONS: &[u8] = &[0x69, 0x85];
const WRONG_DATA: &[u8] = &[0x6A, 0x80];
const OK: &[u8] = &[0x90, 0x00];

/// A phone that has met a lock, by one interface, and the lock that leads it.
struct Meeting {
    dialog: Dialog,
    lock: RawLock,
    interface: Interface,
    a5: Vec<u8>,
}

impl Meeting {
    fn new(interface: Interface) -> Self {
        Self::with(interface, Dialog::new())
    }

    fn with(interface: Interface, mut dialog: Dialog) -> Self {
        let lock = RawLock::new(&dialog.site, 7, 900);
        let a5 = match interface {
            Interface::Ble => dialog.meet(PRESS),
            Interface::Nfc => {
                let fci = dialog.tap(PRESS, &command(Ins::Select, AID_EXPEDITED));
                let fci = find(&fci[..fci.len() - 2], 0x6F).unwrap();
                tlv(0xA5, &find(&fci, 0xA5).unwrap())
            }
        };
        Self { dialog, lock, interface, a5 }
    }

    fn send(&mut self, command: &[u8]) -> Vec<u8> {
        match self.interface {
            Interface::Ble => self.dialog.command(command).expect("every command is answered"),
            Interface::Nfc => self.dialog.apdu(command),
        }
    }

    fn auth0(&mut self) -> Vec<u8> {
        let command = self.lock.auth0(self.interface, &self.a5);
        let response = self.send(&command);
        if response.ends_with(OK) {
            self.lock.auth0_answer(&response);
        }
        response
    }

    fn auth1(&mut self) -> Vec<u8> {
        let command = self.lock.auth1();
        self.send(&command)
    }

    fn authenticate(&mut self) -> Identity {
        assert!(self.auth0().ends_with(OK));
        let response = self.auth1();
        self.lock.auth1_answer(&response)
    }

    fn exchange(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let command = self.lock.exchange(plaintext);
        self.send(&command)
    }

    /// Asserts that nothing that names the phone has left it: it has not even signed.
    #[track_caller]
    fn assert_unknown(&self, responses: &[&[u8]]) {
        assert_eq!(self.dialog.phone.signatures, 0, "the device key has signed");
        let key = self.dialog.phone.public_key();
        for response in responses {
            assert!(!response.windows(32).any(|window| window == key.x()), "the device key leaves the phone");
        }
    }

    /// Asserts how the press ends: refused with this code, and the link closed.
    #[track_caller]
    fn assert_refused(&mut self, code: ErrorCode) {
        if self.interface == Interface::Ble {
            assert!(self.dialog.closed, "the session is over");
        }
        self.dialog.to_end();
        assert_eq!(self.dialog.phone.refusal(), code);
    }

    /// Asserts that the session is over: whatever comes next is refused.
    #[track_caller]
    fn assert_over(&mut self) {
        match self.interface {
            Interface::Ble => assert!(self.dialog.closed, "the link stays up: {:#?}", self.dialog.phone.log),
            Interface::Nfc => {
                let next = self.lock.auth0(self.interface, &self.a5);
                assert_eq!(self.dialog.apdu(&next).len(), 2, "another command is served");
            }
        }
        assert!(!self.dialog.phone.outcomes.iter().any(|press| matches!(press.outcome, Outcome::Opened(_))));
    }
}

const BOTH: [Interface; 2] = [Interface::Ble, Interface::Nfc];

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

/// Presents a certificate by LOAD CERT, where the flag says so, else in AUTH1; returns what LOAD CERT and AUTH1 get.
fn present(interface: Interface, load: bool, certificate: &[u8], key: &str) -> (Option<Vec<u8>>, Vec<u8>, Meeting) {
    let mut meeting = Meeting::new(interface);
    if key != "own" {
        meeting.lock.signer = signer(key);
    }
    meeting.lock.certificate = (!load).then(|| certificate.to_vec());
    meeting.auth0();
    let loaded = load.then(|| meeting.send(&command(Ins::LoadCert, certificate)));
    if loaded.as_ref().is_some_and(|response| response != OK) {
        return (loaded, Vec::new(), meeting);
    }
    let response = meeting.auth1();
    (loaded, response, meeting)
}

#[test]
fn p_cert_other_ca() {
    let site = Site::new("north");
    let name = subject(&site.sub(7));
    let foreign = issue_certificate(
        &mut signer("another CA"),
        &site.group,
        &public("an impostor"),
        &name,
        UnixTime(NOW.0 + 1_000_000),
    );
    for interface in BOTH {
        for load in [false, true] {
            let (loaded, response, mut meeting) = present(interface, load, &foreign, "an impostor");
            assert_eq!(loaded, load.then(|| OK.to_vec()), "LOAD CERT itself is answered 9000");
            assert_eq!(response, NOT_SATISFIED);
            meeting.assert_unknown(&[&response]);
            meeting.assert_refused(ErrorCode::LockNotRecognised);
        }
    }
    // No certificate at all: the anchor is a CA key, not the lock's.
    let mut meeting = Meeting::new(Interface::Ble);
    meeting.lock.certificate = None;
    meeting.auth0();
    assert_eq!(meeting.auth1(), NOT_SATISFIED);
    meeting.assert_unknown(&[]);
    // The right certificate by LOAD CERT is good.
    let (loaded, response, meeting) = present(Interface::Nfc, true, &site.certificate(7), "own");
    assert_eq!(loaded, Some(OK.to_vec()));
    assert!(response.ends_with(OK));
    assert_eq!(meeting.dialog.phone.signatures, 1);
}

/// Cuts the fields out of a compressed certificate.
fn fields(certificate: &[u8]) -> Vec<Vec<u8>> {
    let outer = find(certificate, 0x30).unwrap();
    let inner = find(&outer, 0x30).unwrap();
    keybutton_protocol::tlv::Tlvs::new(&inner).map(|field| field.unwrap().raw.to_vec()).collect()
}

/// Puts fields together to a compressed certificate.
fn compressed(fields: &[Vec<u8>]) -> Vec<u8> {
    let mut body = tlv(0x04, &[0x00, 0x00]);
    body.extend(tlv(0x30, &fields.concat()));
    tlv(0x30, &body)
}

#[test]
fn p_cert_malformed() {
    let certificate = Site::new("north").certificate(7);
    let good = fields(&certificate);
    assert_eq!(compressed(&good), certificate);
    let at = |tag: u8| good.iter().position(|field| field[0] == tag).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut fields = good.clone();
        change(&mut fields);
        compressed(&fields)
    };
    let mut trailing = certificate.clone();
    trailing.push(0);
    let mut other_profile = certificate.clone();
    let profile = other_profile.windows(4).position(|window| window == [4, 2, 0, 0]).unwrap();
    other_profile[profile + 3] = 1;
    let malformed = [
        changed(&|fields| fields.push(tlv(0x87, &[1]))),
        changed(&|fields| fields.insert(0, tlv(0x9F, &[1]))),
        changed(&|fields| drop(fields.remove(at(0x85)))),
        changed(&|fields| drop(fields.remove(at(0x86)))),
        changed(&|fields| fields.insert(0, tlv(0x80, &[1]))),
        changed(&|fields| fields[at(0x81)] = tlv(0x81, b"issuer")),
        changed(&|fields| fields[at(0x84)] = tlv(0x84, b"subject")),
        changed(&|fields| fields.swap(at(0x84), at(0x85))),
        changed(&|fields| fields.insert(at(0x85), fields[at(0x85)].clone())),
        changed(&|fields| fields[at(0x85)] = tlv(0x85, &[0; 65])),
        changed(&|fields| fields[at(0x84)] = tlv(0x84, &[b'x'; 33])),
        changed(&|fields| fields.insert(0, tlv(0x80, &[0, 1]))),
        changed(&|fields| fields.insert(0, tlv(0x80, &[2; 21]))),
        trailing,
        other_profile,
        certificate[..certificate.len() - 1].to_vec(),
        vec![0x30, 0x80],
    ];
    for (number, malformed) in malformed.iter().enumerate() {
        for interface in BOTH {
            let (loaded, _, mut meeting) = present(interface, true, malformed, "own");
            let loaded = loaded.unwrap();
            assert!(loaded != OK && loaded.len() == 2, "variant {number} is not 9000 at once: {loaded:02x?}");
            meeting.assert_unknown(&[&loaded]);
            meeting.assert_over();
            let (_, response, mut meeting) = present(interface, false, malformed, "own");
            assert_eq!(response.len(), 2, "variant {number} in AUTH1");
            assert_ne!(response, OK);
            meeting.assert_unknown(&[&response]);
            meeting.assert_over();
        }
    }
}

#[test]
fn p_cert_expired() {
    let site = Site::new("north");
    let until = |not_after: u32| {
        let key = site.reader_key(7).public_key();
        issue_certificate(&mut site.ca(), &site.group, &key, &subject(&site.sub(7)), UnixTime(not_after))
    };
    for interface in BOTH {
        let (_, response, mut meeting) = present(interface, false, &until(NOW.0 - 2 * 86_400), "own");
        assert_eq!(response, NOT_SATISFIED);
        meeting.assert_unknown(&[&response]);
        meeting.assert_refused(ErrorCode::LockNotRecognised);
    }
    // A day of slack for the phone's clock, and not more.
    for (not_after, good) in [(NOW.0 - 86_000, true), (NOW.0 - 86_500, false)] {
        let (_, response, _) = present(Interface::Ble, false, &until(not_after), "own");
        assert_eq!(response.ends_with(OK), good);
    }
}

#[test]
fn p_cert_other_lock() {
    // Lock 8 of the same site, with its own key and certificate, speaks for lock 7.
    let site = Site::new("north");
    for interface in BOTH {
        let mut meeting = Meeting::new(interface);
        meeting.lock.signer = site.reader_key(8);
        meeting.lock.certificate = Some(site.certificate(8));
        let auth0 = meeting.auth0();
        let response = meeting.auth1();
        assert_eq!(response, NOT_SATISFIED);
        meeting.assert_unknown(&[&auth0, &response]);
        meeting.assert_refused(ErrorCode::LockNotRecognised);
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
    fn sign(key: &dyn DeviceKey, data: &AuthenticationData, answer: Arc<SignatureAnswer>) {
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
