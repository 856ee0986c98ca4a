//! The worked numbers of `docs/PROTOCOL.md` and the pinned vectors, computed anew.
//!
//! `cargo xtask vectors` writes both with the same code. What they are worth beyond that: the numbers of the page are
//! also taken from its text and put together by the rules the page states, with the other crypto back end.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use keybutton_protocol::{
    audit::{Checkpoint, Head, verify_chain},
    certificate::Certificate,
    crypto::{Crypto, ring::Ring},
    document::{Document, Expected, issuer_kid, verify},
    ids::{AeadKey, GroupResolvingKey, PublicKey, ReaderId, Signature, UnixTime},
    token::{AckToken, TimeToken},
};
use keybutton_tests::external::unhex;

#[allow(dead_code)]
#[path = "../../xtask/src/vectors/pinned/mod.rs"]
mod pinned;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/PROTOCOL.md")).unwrap()
}

#[test]
fn the_page_has_the_numbers_that_are_computed() {
    let page = page();
    let filled = pinned::fill(&page).unwrap();
    let different = page.lines().zip(filled.lines()).find(|(there, computed)| there != computed);
    assert_eq!(different, None, "run `cargo xtask vectors` and see whether the change was wanted");
    assert_eq!(page, filled);
}

#[test]
fn the_pinned_vectors_are_those_that_are_computed() {
    for (name, computed) in pinned::files() {
        let file = root().join("tests/vectors").join(name).with_extension("json");
        let there: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert!(there == computed, "{name}.json: run `cargo xtask vectors` and see whether the change was wanted");
    }
}

/// The numbers of a block of the page: name to bytes.
fn block(name: &str) -> BTreeMap<String, Vec<u8>> {
    let page = page();
    let mut lines = page.lines().skip_while(|line| *line != format!("```text worked:{name}")).skip(1);
    let mut numbers = BTreeMap::new();
    let mut current = String::new();
    for line in lines.by_ref().take_while(|line| *line != "```") {
        match line.strip_prefix("  ") {
            Some(hex) => numbers.get_mut(&current).map(|bytes: &mut Vec<u8>| bytes.extend(unhex(hex))).unwrap(),
            None => {
                // Lines without a length are plain numbers, not bytes.
                let Some((item, _)) = line.rsplit_once(" (") else { continue };
                current = item.to_owned();
                numbers.insert(current.clone(), Vec::new());
            }
        }
    }
    numbers
}

/// Must-fail names on the page, section 24.
fn must_fail_names() -> Vec<String> {
    let page = page();
    let section = page.split_once("\n## 24.").unwrap().1.split_once("\n## 25.").unwrap().0;
    let rows = section.lines().filter(|line| line.starts_with("| P_") || line.starts_with("| L_"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split(',')).map(|name| name.trim().to_owned()).collect()
}

/// All Rust sources of the parts of a transaction and of the tests, joined.
fn sources() -> String {
    let mut folders: Vec<_> = ["protocol", "lock", "core", "tests"].map(|name| root().join(name)).into();
    let mut sources = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &fs::read_to_string(path).unwrap();
            }
        }
    }
    sources
}

#[test]
fn section_24_every_case_has_a_test_of_its_name() {
    let (names, sources) = (must_fail_names(), sources());
    assert!(names.len() > 65, "{}", names.len());
    let tests: Vec<_> =
        sources.lines().filter_map(|line| line.trim_start().strip_prefix("fn ")?.split('(').next()).collect();
    let untested: Vec<_> =
        names.iter().filter(|name| !tests.iter().any(|test| test.contains(&name.to_lowercase()))).collect();
    assert!(untested.is_empty(), "{untested:?}");
}

fn array<const N: usize>(block: &BTreeMap<String, Vec<u8>>, name: &str) -> [u8; N] {
    block.get(name).unwrap_or_else(|| panic!("{name}")).clone().try_into().unwrap()
}

fn public(name: &str) -> PublicKey {
    PublicKey(array(&block("identities"), &format!("{name} public")))
}

fn reader() -> ReaderId {
    ReaderId(array(&block("identities"), "reader identifier"))
}

#[test]
fn lengths_on_the_page_are_those_of_the_numbers() {
    for line in page().lines().filter_map(|line| line.strip_prefix("```text worked:")) {
        for (name, bytes) in block(line) {
            let stated = page().lines().any(|line| line == format!("{name} ({})", bytes.len()));
            assert!(stated, "{line}: {name}");
        }
    }
}

#[test]
fn section_1_kid_and_section_6_certificate() {
    let ring = Ring::new();
    assert_eq!(issuer_kid(&ring, &public("issuer")).0, array(&block("identities"), "kid"));
    let compressed = block("certificate").remove("compressed").unwrap();
    let certificate = Certificate::parse(&compressed).unwrap();
    assert_eq!(certificate.verify(&ring, &public("site ca")), Ok(()));
    assert_eq!(certificate.key, public("reader"));
    assert_eq!(certificate.check_subject(&reader().sub()), Ok(()));
}

#[test]
fn section_8_keys_follow_by_the_rules_on_the_page() {
    let (ring, keys) = (Ring::new(), block("keys"));
    let get = |name: &str| &keys[name][..];
    assert_eq!(ring.sha256(&[get("Z"), &[0, 0, 0, 1], get("transaction identifier")])[..], *get("Kdh"));

    let first = block("first-opening");
    let (auth0, answer) = (&first["lock: AUTH0"], &first["phone: AUTH0 answer"]);
    // Header, APDU head, 41, 42, 5C, then 87 41 04 and x; in the answer: header, 86 41 04 and x.
    let (lock_x, phone_x) = (&auth0[4 + 5 + 3 + 3 + 4 + 3..][..32], &answer[4 + 3..][..32]);
    let salt = |label: &[u8; 12]| {
        let (anchor, reader) = (public("site ca").x(), reader().0);
        let parts =
            [&anchor[..], label, &reader, &[0xC3, 0x5C, 2, 1, 0], lock_x, get("transaction identifier"), &[0, 1]];
        [&parts.concat()[..], get("A5")].concat()
    };
    assert_eq!(salt(b"Volatile****"), get("salt Volatile****"));
    assert_eq!([&salt(b"Persistent**")[..], &public("device").x()].concat(), get("salt Persistent**"));
    assert_eq!(phone_x, get("info"));

    let derive = |salt: &[u8], ikm: &[u8], info: &[u8], len: usize| {
        let mut out = vec![0; len];
        ring.hkdf(salt, ikm, info, &mut out).unwrap();
        out
    };
    let block = derive(get("salt Volatile****"), get("Kdh"), phone_x, 160);
    assert_eq!(block[..32], *get("ExpeditedSKReader"));
    assert_eq!(block[32..64], *get("ExpeditedSKDevice"));
    assert_eq!(derive(&[], &block[64..96], b"SKReader", 32), get("StepUpSKReader"));
    assert_eq!(derive(&[], &block[64..96], b"SKDevice", 32), get("StepUpSKDevice"));
    assert_eq!(derive(&[1, 0, 1, 0], &block[96..128], b"BleSKReader", 32), get("BleSKReader"));
    assert_eq!(derive(&[1, 0, 1, 0], &block[96..128], b"BleSKDevice", 32), get("BleSKDevice"));
    assert_eq!(derive(get("salt Persistent**"), get("Kdh"), phone_x, 32), get("Kpersistent"));
}

/// Opens what stands in a message of the page with a key of the page.
fn open(message: &[u8], head: usize, tail: usize, key: &[u8], iv: [u8; 12]) -> Vec<u8> {
    let sealed = &message[head..message.len() - tail];
    let (body, tag) = sealed.split_at(sealed.len() - 16);
    let mut opened = body.to_vec();
    let key = AeadKey::from_slice(key).unwrap();
    Ring::new().open(&key, &iv, &[], &mut opened, tag.try_into().unwrap()).unwrap();
    opened
}

const fn iv(direction: u8, counter: u8) -> [u8; 12] {
    [0, 0, 0, 0, 0, 0, 0, direction, 0, 0, 0, counter]
}

#[test]
fn section_25_messages_open_with_the_keys_of_section_8() {
    let (keys, first) = (block("keys"), block("first-opening"));
    // Message header 4 and status 2; ENVELOPE: APDU head 5 and Le 1, `A1 64 "data" 58 LL`; EXCHANGE likewise.
    let auth1 = open(&first["phone: AUTH1 answer"], 4, 2, &keys["ExpeditedSKDevice"], iv(1, 1));
    assert_eq!(auth1[2..67], public("device").0);
    let request = open(&first["lock: ENVELOPE"], 4 + 5 + 8, 1, &keys["StepUpSKReader"], iv(0, 1));
    assert_eq!(request, block("step-up")["DeviceRequest"]);
    let response = open(&first["phone: ENVELOPE answer"], 4 + 9, 2, &keys["StepUpSKDevice"], iv(1, 1));
    assert_eq!(response, block("step-up")["DeviceResponse"]);
    assert_eq!(response.len(), 478);
    let verdict = open(&first["lock: EXCHANGE"], 4 + 5, 1, &keys["StepUpSKReader"], iv(0, 2));
    assert_eq!(verdict, block("verdict")["granted"]);
    let done = open(&first["phone: EXCHANGE answer"], 4, 2, &keys["StepUpSKDevice"], iv(1, 2));
    assert_eq!(done, [0, 2, 0, 0]);
}

#[test]
fn section_10_documents_and_section_19_tokens_verify() {
    let (ring, documents, tokens) = (Ring::new(), block("documents"), block("tokens"));
    let issuer = |_: &_| Some(public("issuer"));
    let device = public("device");
    let access = Document::parse(&documents["access document"]).unwrap();
    let access = verify(&ring, &access, issuer, Expected::Access { device_key: &device }).unwrap();
    assert!(access.access_data("z0003").unwrap().is_ok());
    assert_eq!(ring.sha256(&[&documents["item"]])[..], documents["digest"]);
    let revocation = Document::parse(&documents["revocation: revocation document"]).unwrap();
    let revocation = verify(&ring, &revocation, issuer, Expected::Revocation).unwrap();
    assert_eq!(revocation.revocation_data().unwrap().unwrap().additions().count(), 2);
    assert!(TimeToken::open(&ring, &tokens["time token"], issuer).is_ok());
    let (_, ack) = AckToken::open(&ring, &tokens["ack token"], issuer).unwrap();
    assert_eq!(ack.hash[..], block("audit")["hash 3"]);
}

#[test]
fn section_19_audit_chain_and_checkpoint_verify() {
    let (ring, audit) = (Ring::new(), block("audit"));
    let records = [&audit["record 1"][..], &audit["record 2"], &audit["record 3"]].concat();
    let genesis = Head::genesis(&ring, &reader());
    let (_, head) = verify_chain(&ring, genesis, &records).last().unwrap().unwrap();
    let data = &audit["checkpoint data"];
    let time = UnixTime(u32::from_be_bytes(data[74..78].try_into().unwrap()));
    let checkpoint = Checkpoint { reader: reader(), head, time };
    assert_eq!(checkpoint.to_bytes()[..], data[..]);
    let signature = Signature(array(&audit, "checkpoint signature"));
    assert_eq!(checkpoint.verify(&ring, &public("reader"), &signature), Ok(()));
}

#[test]
fn section_15_tag_follows_by_the_rules_on_the_page() {
    let (ring, tag) = (Ring::new(), block("advertising"));
    let key = GroupResolvingKey::from_slice(&block("identities")["group resolving key"]).unwrap();
    let random = &tag["random"][..];
    let mask = ring.hmac_sha256(key.expose(), &[b"KBT1", random]);
    let number = [tag["lock number"][0] ^ mask[0], tag["lock number"][1] ^ mask[1]];
    let check = ring.hmac_sha256(key.expose(), &[b"KBT2", random, &number]);
    assert_eq!([random, &number, &check[..3]].concat(), tag["tag"]);
    assert_eq!([tag["flags"][0] ^ mask[2]], tag["flags on air"][..]);
}
