//! Both crypto back ends against Project Wycheproof's vectors.
//!
//! `valid` has to pass, `invalid` has to fail; `acceptable` does not occur in the groups used here and is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybutton_protocol::{
    crypto::{Crypto, ring::Ring, rustcrypto::RustCrypto},
    ids::{AeadKey, PublicKey, Signature},
};
use keybutton_tests::{
    external::{self, hex},
    fixed_rng::FixedRng,
};
use serde_json::Value;

/// Calls `test` with each group and case; returns how many there were.
fn cases(file: &str, mut test: impl FnMut(&Value, &Value)) -> Option<usize> {
    let vectors = external::json(&format!("wycheproof/{file}.json"))?;
    let mut count = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            test(group, case);
            count += 1;
        }
    }
    assert_eq!(Some(count), vectors["numberOfTests"].as_u64());
    usize::try_from(count).ok()
}

fn is_valid(case: &Value) -> bool {
    match case["result"].as_str() {
        Some("valid") => true,
        Some("invalid") => false,
        other => panic!("{other:?} in case {}", case["tcId"]),
    }
}

fn rust_crypto() -> RustCrypto<FixedRng> {
    RustCrypto::new(FixedRng::default())
}

fn ecdsa(crypto: &impl Crypto) {
    cases("ecdsa_secp256r1_sha256_p1363_test", |group, case| {
        let key = PublicKey::from_slice(&hex(&group["publicKey"]["uncompressed"])).unwrap();
        // A signature of another length does not even become one.
        let verified = Signature::from_slice(&hex(&case["sig"]))
            .is_some_and(|signature| crypto.verify(&key, &hex(&case["msg"]), &signature).is_ok());
        assert_eq!(verified, is_valid(case), "case {}: {}", case["tcId"], case["comment"]);
    });
}

#[test]
fn ecdsa_rustcrypto() {
    ecdsa(&rust_crypto());
}

#[test]
fn ecdsa_ring() {
    ecdsa(&Ring::new());
}

/// The private scalar in 32 bytes, whatever zeros the vector has in front.
fn scalar(case: &Value) -> [u8; 32] {
    let mut bytes = hex(&case["private"]);
    while bytes.len() > 32 {
        assert_eq!(bytes.remove(0), 0);
    }
    let mut out = [0; 32];
    out[32 - bytes.len()..].copy_from_slice(&bytes);
    out
}

/// Our points are uncompressed only: what else the vectors have does not become a key.
fn point(case: &Value) -> Option<PublicKey> {
    PublicKey::from_slice(&hex(&case["public"])).filter(|key| key.0[0] == 4)
}

#[test]
fn ecdh_rustcrypto() {
    let mut uncompressed = 0;
    cases("ecdh_secp256r1_ecpoint_test", |_, case| {
        let Some(point) = point(case) else { return };
        uncompressed += 1;
        let mut crypto = RustCrypto::new(FixedRng::new(&[&scalar(case)]));
        let (own, _) = crypto.generate_ephemeral().unwrap();
        let agreed = crypto.agree(own, &point);
        let comment = &case["comment"];
        assert_eq!(agreed.is_ok(), is_valid(case), "case {}: {comment}", case["tcId"]);
        assert_eq!(crypto.check_point(&point).is_ok(), is_valid(case), "case {}: {comment}", case["tcId"]);
        if let Ok(secret) = agreed {
            assert_eq!(secret.expose()[..], hex(&case["shared"]), "case {}: {comment}", case["tcId"]);
        }
    });
    if external::read("README.md").is_some() {
        assert!(uncompressed > 200, "{uncompressed}");
    }
}

/// ring does not take private keys for its ephemerals, so only what it makes of the points is compared.
#[test]
fn ecdh_points_ring() {
    let mut crypto = Ring::new();
    cases("ecdh_secp256r1_ecpoint_test", |_, case| {
        let Some(point) = point(case) else { return };
        let (own, _) = crypto.generate_ephemeral().unwrap();
        assert_eq!(crypto.agree(own, &point).is_ok(), is_valid(case), "case {}: {}", case["tcId"], case["comment"]);
        assert_eq!(crypto.check_point(&point).is_ok(), is_valid(case), "case {}", case["tcId"]);
    });
}

fn aes_gcm(crypto: &impl Crypto) {
    let mut ours = 0;
    cases("aes_gcm_test", |group, case| {
        if (&group["keySize"], &group["ivSize"], &group["tagSize"]) != (&256.into(), &96.into(), &128.into()) {
            return;
        }
        ours += 1;
        let key = AeadKey::from_slice(&hex(&case["key"])).unwrap();
        let (iv, tag) = (hex(&case["iv"]).try_into().unwrap(), hex(&case["tag"]).try_into().unwrap());
        let (aad, message, sealed) = (hex(&case["aad"]), hex(&case["msg"]), hex(&case["ct"]));
        let mut opened = sealed.clone();
        let result = crypto.open(&key, &iv, &aad, &mut opened, &tag);
        assert_eq!(result.is_ok(), is_valid(case), "case {}: {}", case["tcId"], case["comment"]);
        if result.is_ok() {
            assert_eq!(opened, message, "case {}", case["tcId"]);
            let mut again = message;
            assert_eq!(crypto.seal(&key, &iv, &aad, &mut again), Ok(tag), "case {}", case["tcId"]);
            assert_eq!(again, sealed, "case {}", case["tcId"]);
        }
    });
    if external::read("README.md").is_some() {
        assert!(ours > 30, "{ours}");
    }
}

#[test]
fn aes_gcm_rustcrypto() {
    aes_gcm(&rust_crypto());
}

#[test]
fn aes_gcm_ring() {
    aes_gcm(&Ring::new());
}

fn hkdf(crypto: &impl Crypto) {
    cases("hkdf_sha256_test", |_, case| {
        let mut out = vec![0; usize::try_from(case["size"].as_u64().unwrap()).unwrap()];
        let result = crypto.hkdf(&hex(&case["salt"]), &hex(&case["ikm"]), &hex(&case["info"]), &mut out);
        assert_eq!(result.is_ok(), is_valid(case), "case {}: {}", case["tcId"], case["comment"]);
        if result.is_ok() {
            assert_eq!(out, hex(&case["okm"]), "case {}: {}", case["tcId"], case["comment"]);
        }
    });
}

#[test]
fn hkdf_rustcrypto() {
    hkdf(&rust_crypto());
}

#[test]
fn hkdf_ring() {
    hkdf(&Ring::new());
}

fn hmac(crypto: &impl Crypto) {
    cases("hmac_sha256_test", |_, case| {
        let message = hex(&case["msg"]);
        let (head, tail) = message.split_at(message.len() / 2);
        let tag = hex(&case["tag"]);
        let matches = crypto.hmac_sha256(&hex(&case["key"]), &[head, tail]).starts_with(&tag);
        assert_eq!(matches, is_valid(case), "case {}: {}", case["tcId"], case["comment"]);
    });
}

#[test]
fn hmac_rustcrypto() {
    hmac(&rust_crypto());
}

#[test]
fn hmac_ring() {
    hmac(&Ring::new());
}
