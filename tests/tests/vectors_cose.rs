//! COSE_Sign1 against the examples of the COSE working group.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybutton_protocol::{
    cbor::CborError,
    cose::{CoseError, Sign1},
    crypto::{Crypto, ring::Ring, rustcrypto::RustCrypto},
    ids::PublicKey,
};
use keybutton_tests::{external, fixed_rng::FixedRng};
use serde_json::Value;

/// What the example's message is worth.
#[derive(PartialEq, Eq, Debug)]
enum Judged {
    Good,
    Decoding(CborError),
    Refused(CoseError),
}

fn base64url(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => panic!("not base64url"),
    };
    let bits = text.bytes().fold((Vec::new(), 0_u32, 0), |(mut out, value, bits), c| {
        let (value, bits) = (value << 6 | u32::from(digit(c)), bits + 6);
        if bits < 8 {
            return (out, value, bits);
        }
        out.push((value >> (bits - 8)) as u8);
        (out, value & ((1 << (bits - 8)) - 1), bits - 8)
    });
    bits.0
}

/// Judges an example as a verifier that takes an optional tag 18 (which our own messages never have) would.
fn judge(crypto: &impl Crypto, example: &Value) -> Judged {
    judge_with(example, |message, key, aad| message.verify(crypto, key, aad))
}

fn judge_with(
    example: &Value,
    verify: impl for<'a> FnOnce(&Sign1<'a>, &PublicKey, &[u8]) -> Result<&'a [u8], CoseError>,
) -> Judged {
    let bytes = external::hex(&example["output"]["cbor"]);
    let untagged = bytes.strip_prefix(&[0xD2]).unwrap_or(&bytes);
    let key = &example["input"]["sign0"]["key"];
    // Keys of larger curves stand for one that verifies nothing: such messages are refused before it is used.
    let coordinate = |name: &str| base64url(key[name].as_str().unwrap()).try_into().unwrap_or([0; 32]);
    let key = PublicKey::from_xy(&coordinate("x"), &coordinate("y"));
    let aad = example["input"]["sign0"]["external"].as_str().map(external::unhex).unwrap_or_default();
    let message = match Sign1::parse(untagged) {
        Ok(message) => message,
        Err(error) => return Judged::Decoding(error),
    };
    match verify(&message, &key, &aad) {
        Ok(payload) => {
            assert_eq!(payload, b"This is the content.");
            Judged::Good
        }
        Err(error) => Judged::Refused(error),
    }
}

fn check(file: &str, expected: &Judged) {
    let Some(example) = external::json(&format!("cose/{file}.json")) else { return };
    assert_eq!(&judge(&Ring::new(), &example), expected, "{file}, ring");
    assert_eq!(&judge(&RustCrypto::new(FixedRng::default()), &example), expected, "{file}, RustCrypto");
}

#[test]
fn sign1_tests() {
    // The algorithm stands in the unprotected header only: valid COSE, refused by us (L_DOC_ALG).
    check("sign1-tests/sign-pass-01", &Judged::Refused(CoseError::Algorithm));
    check("sign1-tests/sign-pass-02", &Judged::Good);
    check("sign1-tests/sign-pass-03", &Judged::Good);
    // CBOR tag 998 in place of 18; the signature itself is right.
    check("sign1-tests/sign-fail-01", &Judged::Decoding(CborError::Unexpected));
    check("sign1-tests/sign-fail-02", &Judged::Refused(CoseError::Signature));
    check("sign1-tests/sign-fail-03", &Judged::Refused(CoseError::Algorithm));
    check("sign1-tests/sign-fail-04", &Judged::Refused(CoseError::Algorithm));
    check("sign1-tests/sign-fail-06", &Judged::Refused(CoseError::Algorithm));
    check("sign1-tests/sign-fail-07", &Judged::Refused(CoseError::Signature));
}

#[test]
fn ecdsa_examples() {
    // A further protected header (content type): our documents never have one.
    check("ecdsa-examples/ecdsa-sig-01", &Judged::Refused(CoseError::Algorithm));
    if let Some(example) = external::json("cose/ecdsa-examples/ecdsa-sig-01.json") {
        assert_eq!(judge_with(&example, |m, key, aad| m.verify_es256(&Ring::new(), key, aad)), Judged::Good);
    }
    // ES384, ES512 with longer signatures; ES512 on P-256.
    check("ecdsa-examples/ecdsa-sig-02", &Judged::Decoding(CborError::Unexpected));
    check("ecdsa-examples/ecdsa-sig-03", &Judged::Decoding(CborError::Unexpected));
    check("ecdsa-examples/ecdsa-sig-04", &Judged::Refused(CoseError::Algorithm));
}

#[test]
fn failures_stay_failures_when_further_headers_are_allowed() {
    for file in ["sign-fail-02", "sign-fail-03", "sign-fail-04", "sign-fail-06", "sign-fail-07", "sign-pass-01"] {
        let Some(example) = external::json(&format!("cose/sign1-tests/{file}.json")) else { return };
        let judged = judge_with(&example, |m, key, aad| m.verify_es256(&Ring::new(), key, aad));
        assert!(!matches!(judged, Judged::Good), "{file}");
    }
}
