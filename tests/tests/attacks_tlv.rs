//! Must-fail cases of `docs/PROTOCOL.md` section 24: templates with wrong lengths, tags nobody knows, and known ones out of
//! place.
#![allow(clippy::unwrap_used)]

use keybutton_protocol::{apdu::Ins, ids::Interface, verdict::Reason};
use keybutton_tests::pair::{
    bench::{Bench, tap},
    tlv::tlv,
};

/// Asserts that an AUTH0 answer with this in front of it ends the session, or goes on.
#[track_caller]
fn tlv_in_auth0(bytes: &[u8], in_front: bool, goes_on: bool) {
    for interface in [Interface::Ble, Interface::Nfc] {
        let mut bench = Bench::new();
        let bytes = bytes.to_vec();
        bench.phone.tamper = Some(Box::new(move |ins, response| {
            if ins == Ins::Auth0 {
                let at = if in_front { 0 } else { response.len() - 2 };
                response.splice(at..at, bytes.iter().copied());
            }
        }));
        match interface {
            Interface::Ble => bench.press(),
            Interface::Nfc => tap(&mut bench.lock, &mut bench.phone),
        };
        assert_eq!(bench.reason() == Some(Reason::Granted), goes_on);
        assert_eq!(bench.lock.openings(), usize::from(goes_on));
        assert_eq!(bench.lock.failures().is_empty(), goes_on);
    }
}

#[test]
fn l_tlv_length_past_end() {
    tlv_in_auth0(&[0xC5, 0x05, 0x00], false, false);
    tlv_in_auth0(&[0xC5, 0x7F], true, false);
    tlv_in_auth0(&[0xC5, 0x82, 0xFF, 0xFF], true, false);
    tlv_in_auth0(&[0xC5], false, false);
}

#[test]
fn l_tlv_long_form_of_a_short_length() {
    tlv_in_auth0(&[0xC5, 0x81, 0x05, 0, 0, 0, 0, 0], true, false);
    tlv_in_auth0(&[0xC5, 0x82, 0x00, 0x05, 0, 0, 0, 0, 0], false, false);
}

#[test]
fn l_tlv_indefinite_length() {
    tlv_in_auth0(&[0xE5, 0x80, 0x00, 0x00], true, false);
    tlv_in_auth0(&[0xE5, 0x80], false, false);
}

#[test]
fn l_tlv_unknown_tag() {
    tlv_in_auth0(&[0xC5, 0x02, 1, 2], true, true);
    tlv_in_auth0(&[0xC5, 0x00], false, true);
    tlv_in_auth0(&[0xDF, 0x01, 0x01, 0x00], true, true);
    // In the A5 template and in the AUTH1 answer too.
    let mut bench = Bench::new();
    let mut fields = tlv(0xC7, &[9]);
    fields.extend(&bench.phone.a5[2..]);
    bench.phone.a5 = tlv(0xA5, &fields);
    bench.phone.tamper_identity = Some(Box::new(|plaintext| {
        let unknown = tlv(0xC7, &[9, 9]);
        plaintext.splice(0..0, unknown.iter().copied());
        plaintext.extend(unknown);
    }));
    bench.press();
    bench.assert_granted();
}

#[test]
fn l_tlv_known_tags_twice_or_out_of_order() {
    let key = {
        let mut bench = Bench::new();
        bench.press();
        bench.phone.seen.responses[0][..67].to_vec()
    };
    tlv_in_auth0(&key, true, false);
    let mut bench = Bench::new();
    bench.phone.tamper_identity = Some(Box::new(|plaintext| {
        let key: Vec<u8> = plaintext.drain(..67).collect();
        plaintext.splice(66..66, key);
    }));
    bench.press();
    assert_eq!(bench.reason(), None);
    assert_eq!(bench.lock.movements(), 0);
}
