//! What still holds of google/aliro's vectors, which are those of an older draft: ECDH to Kdh, the AUTH0 command, and
//! the reader's signature over the authentication data. The schedules behind Kdh have changed since.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybutton_protocol::{
    apdu::{Command, Ins},
    crypto::{Crypto, ring::Ring, rustcrypto::RustCrypto},
    ids::{PublicKey, ReaderId, Signature, TransactionId},
    keys::{AuthenticationData, Kdh},
    tlv::Tlvs,
};
use keybutton_tests::{
    external::{self, hex},
    fixed_rng::FixedRng,
};
use serde_json::Value;

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

struct Run {
    vectors: Value,
    name: &'static str,
}

impl Run {
    fn all() -> Option<[Self; 2]> {
        let vectors = external::json("google-aliro/test_vectors.json")?;
        Some(["ExpeditedStandard", "ExpeditedFast"].map(|name| Self { vectors: vectors.clone(), name }))
    }

    fn get(&self, field: &str) -> &Value {
        &self.vectors[self.name][field]
    }

    fn key(&self, field: &str) -> PublicKey {
        PublicKey(bytes(self.get(field)))
    }

    fn transaction(&self) -> TransactionId {
        TransactionId(bytes(self.get("TRANSACTION_IDENTIFIER")))
    }

    fn reader(&self) -> ReaderId {
        ReaderId(bytes(&self.vectors["CommonVectors"]["READER_IDENTIFIER"]))
    }
}

#[test]
fn ephemeral_keys_belong_together_and_agree() {
    let Some(runs) = Run::all() else { return };
    for run in runs {
        let agree = |own: &str, own_public: &str, peer: &str| {
            let mut crypto = RustCrypto::new(FixedRng::new(&[&hex(run.get(own))]));
            let (private, public) = crypto.generate_ephemeral().unwrap();
            assert_eq!(public, run.key(own_public), "{}", run.name);
            let z = crypto.agree(private, &run.key(peer)).unwrap();
            Kdh::derive(&crypto, &z, &run.transaction())
        };
        let lock = agree("READER_E_PRIVATE_KEY", "READER_E_PUBLIC_KEY", "DEVICE_E_PUBLIC_KEY");
        let phone = agree("DEVICE_E_PRIVATE_KEY", "DEVICE_E_PUBLIC_KEY", "READER_E_PUBLIC_KEY");
        assert_eq!(lock, phone, "{}", run.name);
        if !run.get("K_DH").is_null() {
            assert_eq!(lock.expose()[..], hex(run.get("K_DH")), "{}", run.name);
        }
    }
}

#[test]
fn auth0_commands_have_our_layout() {
    let Some(runs) = Run::all() else { return };
    for run in runs {
        let apdu = hex(run.get("AUTH0_COMMAND"));
        // The fast run's command has no Le, the standard run's has: both are accepted.
        let command = Command::parse(&apdu).unwrap();
        assert_eq!((command.cla, command.ins), (0x80, Ins::Auth0 as u8), "{}", run.name);
        let fields: Vec<_> = Tlvs::new(command.data).map(|field| field.unwrap()).collect();
        let value = |tag: u16| fields.iter().find(|field| field.tag == tag).unwrap().value;
        assert_eq!(value(0x41), [u8::from(run.name == "ExpeditedFast")], "{}", run.name);
        assert_eq!((value(0x42), value(0x5C)), (&[1][..], &[1, 0][..]), "{}", run.name);
        assert_eq!(value(0x87), run.key("READER_E_PUBLIC_KEY").0, "{}", run.name);
        assert_eq!(value(0x4C), run.transaction().0, "{}", run.name);
        assert_eq!(value(0x4D), run.reader().0, "{}", run.name);
    }
}

#[test]
fn the_readers_signature_is_over_our_authentication_data() {
    let Some([run, _]) = Run::all() else { return };
    let data = AuthenticationData::for_lock(
        &run.reader(),
        &run.key("DEVICE_E_PUBLIC_KEY"),
        &run.key("READER_E_PUBLIC_KEY"),
        &run.transaction(),
    );
    let phone = AuthenticationData::for_phone(
        &run.reader(),
        &run.key("DEVICE_E_PUBLIC_KEY"),
        &run.key("READER_E_PUBLIC_KEY"),
        &run.transaction(),
    );
    let key = PublicKey(bytes(&run.vectors["CommonVectors"]["READER_PUBLIC_KEY"]));
    let signature = Signature(bytes(run.get("READER_SIGNATURE")));
    let ring = Ring::new();
    let rust = RustCrypto::new(FixedRng::default());
    assert_eq!(ring.verify(&key, data.as_bytes(), &signature), Ok(()));
    assert_eq!(rust.verify(&key, data.as_bytes(), &signature), Ok(()));
    assert!(ring.verify(&key, phone.as_bytes(), &signature).is_err());
    // AUTH1 carries it in tag 9E.
    let auth1 = hex(run.get("AUTH1_COMMAND"));
    assert!(auth1.windows(66).any(|window| window[..2] == [0x9E, 0x40] && window[2..] == signature.0));
}
