use jsonwebtoken::{EncodingKey, Header, encode};
use proptest::prelude::*;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use super::*;
use crate::auth::install_provider;

const NOW: u32 = 1_780_000_000;

struct Signer {
    pkcs8: Vec<u8>,
    jwk: Value,
}

fn base64(bytes: &[u8]) -> String {
    let json = serde_json::to_string(&keybutton_protocol::api::Bytes(bytes.to_vec())).unwrap();
    json.trim_matches('"').to_owned()
}

fn signer(kid: &str) -> Signer {
    install_provider();
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref();
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig",
        "x": base64(&point[1..33]), "y": base64(&point[33..]),
    });
    Signer { pkcs8: pkcs8.as_ref().to_vec(), jwk }
}

impl Signer {
    fn token(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &EncodingKey::from_ec_der(&self.pkcs8)).unwrap()
    }
}

fn claims() -> Value {
    json!({ "sub": "ada", "iss": "https://issuer", "aud": "doors", "exp": NOW + 600 })
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[field] = value;
    claims
}

fn without(field: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(field);
    claims
}

fn verifier(keys: &[&Value]) -> AppVerifier {
    AppVerifier::new(&json!({ "keys": keys }).to_string(), "https://issuer", "doors").unwrap()
}

#[test]
fn a_good_token_names_the_member() {
    let signer = signer("k1");
    let verified = verifier(&[&signer.jwk]).verify(&signer.token(Some("k1"), &claims()), NOW).unwrap();
    assert_eq!(verified, VerifiedToken { subject: "ada".into(), expires: u64::from(NOW) + 660 });
}

#[test]
fn claims_are_checked() {
    let signer = signer("k1");
    let verifier = verifier(&[&signer.jwk]);
    let verify = |claims: &Value| verifier.verify(&signer.token(Some("k1"), claims), NOW).map(drop);
    assert_eq!(verify(&with("iss", json!("https://other"))), Err(TokenError::Issuer));
    assert_eq!(verify(&with("aud", json!("other"))), Err(TokenError::Audience));
    assert_eq!(verify(&with("aud", json!(["other", "doors"]))), Ok(()));
    assert_eq!(verify(&with("exp", json!(NOW - 61))), Err(TokenError::Expired));
    assert_eq!(verify(&with("exp", json!(NOW - 59))), Ok(()));
    assert_eq!(verify(&with("nbf", json!(NOW + 61))), Err(TokenError::Early));
    assert_eq!(verify(&with("nbf", json!(NOW + 59))), Ok(()));
    for field in ["sub", "iss", "aud", "exp"] {
        assert_eq!(verify(&without(field)), Err(TokenError::Claims), "{field}");
    }
    assert_eq!(verify(&with("sub", json!(""))), Err(TokenError::Claims));
    assert_eq!(verify(&with("sub", json!(7))), Err(TokenError::Claims));
}

#[test]
fn the_key_id_chooses_the_key() {
    let (one, two, stranger) = (signer("k1"), signer("k2"), signer("k1"));
    let both = verifier(&[&one.jwk, &two.jwk]);
    both.verify(&one.token(Some("k1"), &claims()), NOW).unwrap();
    both.verify(&two.token(Some("k2"), &claims()), NOW).unwrap();
    assert_eq!(both.verify(&one.token(Some("k2"), &claims()), NOW), Err(TokenError::Signature));
    assert_eq!(both.verify(&stranger.token(Some("k1"), &claims()), NOW), Err(TokenError::Signature));
    assert_eq!(both.verify(&one.token(Some("k3"), &claims()), NOW), Err(TokenError::Untrusted));
    assert_eq!(both.verify(&one.token(None, &claims()), NOW), Err(TokenError::Untrusted));
    verifier(&[&one.jwk]).verify(&one.token(None, &claims()), NOW).unwrap();
}

#[test]
fn the_token_does_not_choose_the_algorithm() {
    let signer = signer("k1");
    let verifier = verifier(&[&signer.jwk]);
    let good = signer.token(Some("k1"), &claims());
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    for header in [
        json!({ "alg": "none", "kid": "k1" }),
        json!({ "alg": "HS256", "kid": "k1" }),
        json!({ "alg": "RS256", "kid": "k1" }),
        json!({ "alg": "ES384", "kid": "k1" }),
    ] {
        let header = base64(header.to_string().as_bytes());
        let unsigned = format!("{header}.{payload}.");
        assert_eq!(verifier.verify(&unsigned, NOW).map(drop), Err(TokenError::Untrusted));
        // The classic confusion: the public key's bytes as an HMAC secret.
        let message = format!("{header}.{payload}");
        let point = signer.jwk["x"].as_str().unwrap();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, point.as_bytes());
        let forged = format!("{message}.{}", base64(ring::hmac::sign(&key, message.as_bytes()).as_ref()));
        assert_eq!(verifier.verify(&forged, NOW).map(drop), Err(TokenError::Untrusted));
    }
}

#[test]
fn altered_tokens_are_refused() {
    let signer = signer("k1");
    let verifier = verifier(&[&signer.jwk]);
    let good = signer.token(Some("k1"), &claims());
    let other = signer.token(Some("k1"), &with("sub", json!("eve")));
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (a, b) = (parts(&good), parts(&other));
    let swapped = format!("{}.{}.{}", a[0], b[1], a[2]);
    assert_eq!(verifier.verify(&swapped, NOW), Err(TokenError::Signature));
    for bad in ["", ".", "..", "a.b.c", &good[..good.len() - 4], &format!("{good}.x"), &"x".repeat(9000)] {
        assert!(verifier.verify(bad, NOW).is_err(), "{bad}");
    }
}

#[test]
fn key_sets_are_checked() {
    let one = signer("k1").jwk;
    let set = |keys: Value| AppVerifier::new(&json!({ "keys": keys }).to_string(), "i", "a").err();
    assert_eq!(AppVerifier::new("{", "i", "a").err(), Some(KeySetError::Malformed));
    assert_eq!(AppVerifier::new("{}", "i", "a").err(), Some(KeySetError::Malformed));
    assert_eq!(set(json!([])), Some(KeySetError::Unusable));
    assert_eq!(set(json!([{ "kty": "oct", "kid": "h", "k": "c2VjcmV0" }])), Some(KeySetError::Secret));
    let mut private = one.clone();
    private["d"] = json!("AAAA");
    assert_eq!(set(json!([private])), Some(KeySetError::Secret));
    let mut encryption = one.clone();
    encryption["use"] = json!("enc");
    assert_eq!(set(json!([encryption])), Some(KeySetError::Unusable));
    assert_eq!(set(json!([one, one])), Some(KeySetError::Ambiguous));
    assert_eq!(set(json!([one])), None);
}

#[test]
fn rs256_tokens_are_accepted() {
    install_provider();
    // A token and key set in the form of RFC 7515, appendix A.2 (RSA, 2048 bits), whose payload has no claims of ours.
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
             T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB\
             dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia\
             GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p\
             c19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF\
             5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB\
             MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUi\
             pUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let jwks = json!({ "keys": [{ "kty": "RSA", "n": n, "e": "AQAB" }] }).to_string();
    let verifier = AppVerifier::new(&jwks, "joe", "doors").unwrap();
    // The signature verifies: what is missing is only the audience and the subject.
    assert_eq!(verifier.verify(token, NOW).map(drop), Err(TokenError::Claims));
    let altered = token.replace("cC4hiUPo", "cC4hiUPp");
    assert_eq!(verifier.verify(&altered, NOW).map(drop), Err(TokenError::Signature));
}

proptest! {
    #[test]
    fn anything_else_is_refused_without_a_panic(text in ".{0,200}", parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,90}") {
        let signer = signer("k1");
        let verifier = verifier(&[&signer.jwk]);
        prop_assert!(verifier.verify(&text, NOW).is_err());
        prop_assert!(verifier.verify(&parts, NOW).is_err());
        let _ = AppVerifier::new(&text, "issuer", "audience");
    }
}
