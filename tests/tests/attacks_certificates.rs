//! Must-fail cases of `docs/PROTOCOL.md` section 24: reader certificates that prove nothing.
#![allow(clippy::unwrap_used)]

use keybutton::error::ErrorCode;
use keybutton_protocol::{
    apdu::Ins,
    crypto::Signer,
    ids::{Interface, UnixTime},
};
use keybutton_tests::pair::{
    keys::{public, signer},
    meeting::{BOTH, Meeting, NOT_SATISFIED, OK},
    raw_lock::command,
    site::{NOW, Site, issue_certificate, subject},
    tlv::{find, tlv},
};

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
    let foreign =
        issue_certificate(&mut signer("another CA"), &public("an impostor"), &name, UnixTime(NOW.0 + 1_000_000));
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
        changed(&|fields| fields.insert(0, tlv(0x81, b"issuer"))),
        changed(&|fields| fields.insert(0, tlv(0x82, b"200101000000Z"))),
        changed(&|fields| fields.insert(0, tlv(0x83, b"490101000000Z"))),
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
        issue_certificate(&mut site.ca(), &key, &subject(&site.sub(7)), UnixTime(not_after))
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
