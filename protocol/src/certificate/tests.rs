use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{
    crypto::rustcrypto::RustCrypto,
    testing::{SeededRng, signer},
};

type TestCrypto = RustCrypto<SeededRng>;

fn crypto() -> TestCrypto {
    crate::testing::crypto(1)
}

const DAY_2030: UnixTime = UnixTime(1_893_456_000);

fn compressed(request: &CertificateRequest<'_>) -> Vec<u8> {
    let mut out = [0; COMPRESSED_MAX];
    let len = issue(&mut signer("ca"), request, &mut out).unwrap();
    out[..len].to_vec()
}

fn request(key: &PublicKey) -> CertificateRequest<'_> {
    CertificateRequest {
        serial: &[0x2A],
        issuer: "825fd4da",
        subject: "d77896f6",
        not_before: DAY_2030,
        not_after: UnixTime(DAY_2030.0 + 365 * DAY),
        key,
    }
}

#[test]
fn what_is_issued_reads_back_and_verifies() {
    let (crypto, ca, key) = (crypto(), signer("ca").public_key(), signer("reader").public_key());
    let bytes = compressed(&request(&key));
    let certificate = Certificate::parse(&bytes).unwrap();
    assert_eq!((certificate.serial, certificate.issuer, certificate.subject), (&[0x2A][..], "825fd4da", "d77896f6"));
    assert_eq!((certificate.not_before, certificate.not_after), (DAY_2030, UnixTime(DAY_2030.0 + 365 * DAY)));
    assert_eq!(certificate.key, key);
    assert_eq!(certificate.verify(&crypto, &ca), Ok(()));
}

#[test]
fn p_cert_other_ca() {
    let (crypto, key) = (crypto(), signer("reader").public_key());
    let bytes = compressed(&request(&key));
    let other = signer("another ca").public_key();
    assert_eq!(Certificate::parse(&bytes).unwrap().verify(&crypto, &other), Err(CertificateError::Signature));
}

#[test]
fn p_cert_expired() {
    let key = signer("reader").public_key();
    let bytes = compressed(&request(&key));
    let certificate = Certificate::parse(&bytes).unwrap();
    let (first, last) = (DAY_2030.0, DAY_2030.0 + 365 * DAY);
    assert_eq!(certificate.check_dates(UnixTime(first - DAY - 1)), Err(CertificateError::NotYetValid));
    assert_eq!(certificate.check_dates(UnixTime(first - DAY)), Ok(()));
    assert_eq!(certificate.check_dates(UnixTime(last + DAY)), Ok(()));
    assert_eq!(certificate.check_dates(UnixTime(last + DAY + 1)), Err(CertificateError::Expired));
}

#[test]
fn p_cert_other_lock() {
    let key = signer("reader").public_key();
    let bytes = compressed(&request(&key));
    let certificate = Certificate::parse(&bytes).unwrap();
    let mut sub = [0; 16];
    sub[..4].copy_from_slice(&[0xD7, 0x78, 0x96, 0xF6]);
    assert_eq!(certificate.check_subject(&SubId(sub)), Ok(()));
    sub[3] ^= 1;
    assert_eq!(certificate.check_subject(&SubId(sub)), Err(CertificateError::OtherLock));
}

#[test]
fn p_cert_malformed() {
    let key = signer("reader").public_key();
    let good = compressed(&request(&key));
    let malformed = |bytes: &[u8]| Certificate::parse(bytes) == Err(CertificateError::Malformed);
    // The body after the outer and inner heads and the profile.
    let fields = |bytes: &[u8]| {
        let (_, body, _) = der::split(bytes).unwrap();
        der::split(&body[PROFILE.len()..]).unwrap().1.to_vec()
    };
    let rebuild = |fields: &[u8]| {
        let mut out = [0; 512];
        let mut writer = DerWriter::new(&mut out);
        let mark = writer.mark();
        writer.put(fields).unwrap();
        writer.wrap(0x30, mark).unwrap();
        writer.put(&PROFILE).unwrap();
        writer.wrap(0x30, mark).unwrap();
        let len = writer.finish();
        out[..len].to_vec()
    };
    let fields = fields(&good);
    assert_eq!(rebuild(&fields), good);
    let key_at = fields.iter().position(|&byte| byte == 0x85).unwrap();
    assert!(malformed(&rebuild(&[&fields[..], &[0x87, 0x00]].concat())), "another tag at the end");
    assert!(malformed(&rebuild(&[&[0x87, 0x00][..], &fields].concat())), "another tag in front");
    assert!(malformed(&rebuild(&[&fields[..key_at], &fields[key_at + 68..]].concat())), "85 missing");
    assert!(malformed(&rebuild(&fields[..key_at + 68])), "86 missing");
    assert!(malformed(&rebuild(&[&[0x80, 0x01, 0x01][..], &fields[3..]].concat())), "serial default spelled out");
    assert!(malformed(&rebuild(&[&[0x80, 0x02, 0x00, 0x2A][..], &fields[3..]].concat())), "serial with leading zero");
    assert!(malformed(&rebuild(&[&fields[..3], &b"\x81\x06issuer"[..], &fields[13..]].concat())), "issuer default");
    assert!(malformed(&[&good[..], &[0]].concat()), "trailing byte");
    for len in 0..good.len() {
        assert!(malformed(&good[..len]), "cut to {len}");
    }
}

#[test]
fn fields_out_of_range_are_not_issued() {
    let key = signer("reader").public_key();
    let good = request(&key);
    let long = "x".repeat(33);
    for bad in [
        CertificateRequest { serial: &[], ..good },
        CertificateRequest { serial: &[0, 1], ..good },
        CertificateRequest { serial: &[1; 21], ..good },
        CertificateRequest { issuer: "", ..good },
        CertificateRequest { subject: &long, ..good },
    ] {
        let mut out = [0; COMPRESSED_MAX];
        assert_eq!(issue(&mut signer("ca"), &bad, &mut out), Err(CertificateError::Malformed));
    }
}

#[test]
fn the_longest_fields_fit() {
    let (crypto, ca, key) = (crypto(), signer("ca").public_key(), signer("reader").public_key());
    let long = "x".repeat(32);
    let bytes = compressed(&CertificateRequest {
        serial: &[0xFF; 20],
        issuer: &long,
        subject: &long,
        not_before: UnixTime(2_600_000_000),
        not_after: UnixTime(u32::MAX),
        key: &key,
    });
    assert_eq!(Certificate::parse(&bytes).unwrap().verify(&crypto, &ca), Ok(()));
}

#[test]
fn dates_turn_to_four_digits_in_2050() {
    let (before, from) = (UnixTime(2_524_607_999), UnixTime(2_524_608_000));
    assert_eq!(trimmed(&date_text(before)), b"491231235959Z");
    assert_eq!(trimmed(&date_text(from)), b"20500101000000Z");
    assert_eq!((date(b"491231235959Z"), date(b"20500101000000Z")), (Some(before), Some(from)));
}

#[test]
fn signatures_in_der_are_read_strictly() {
    let mut signature = [0; 64];
    signature[0] = 0x80;
    signature[63] = 1;
    let mut out = [0; 72];
    let len = der::write_signature(&signature, &mut out).unwrap();
    assert_eq!(der::read_signature(&out[..len]), Some(signature));
    for bad in [
        &[0x30, 0x06, 0x02, 0x01, 0x81, 0x02, 0x01, 0x01][..],   // negative
        &[0x30, 0x07, 0x02, 0x02, 0x00, 0x01, 0x02, 0x01, 0x01], // padded
        &[0x30, 0x05, 0x02, 0x00, 0x02, 0x01, 0x01],             // empty
        &[0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x00], // trailing
    ] {
        assert_eq!(der::read_signature(bad), None, "{bad:02x?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = Certificate::parse(&bytes);
    }

    #[test]
    fn a_changed_byte_never_verifies(place in any::<prop::sample::Index>(), change in 1u8..) {
        let (ca, key) = (signer("ca").public_key(), signer("reader").public_key());
        let mut bytes = compressed(&request(&key));
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        let verified = Certificate::parse(&bytes).and_then(|certificate| certificate.verify(&crypto(), &ca));
        prop_assert!(verified.is_err());
    }

    #[test]
    fn der_signatures_round_trip(signature in prop::array::uniform32(any::<u8>()), other in prop::array::uniform32(any::<u8>())) {
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&signature);
        whole[32..].copy_from_slice(&other);
        let mut out = [0; 72];
        let len = der::write_signature(&whole, &mut out).unwrap();
        let zero = signature == [0; 32] || other == [0; 32];
        prop_assert!(zero || der::read_signature(&out[..len]) == Some(whole));
    }
}
