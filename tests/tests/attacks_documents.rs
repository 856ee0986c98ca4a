//! Must-fail cases of `docs/PROTOCOL.md` section 24: what a lock does about documents that are
//! forged, altered, for somebody else or malformed.
#![allow(clippy::unwrap_used)]

use keybutton_protocol::{
    ids::{Intent, PublicKey},
    verdict::Reason,
};
use keybutton_tests::pair::{
    bench::{Bench, assert_chain, assert_refused, floors, rights},
    cbor::Value,
    document::{AccessSpec, DocumentSpec, RuleSpec, SignedDocument, VENDOR, item},
    keys::signer,
    site::{ITERATION, Member, NOW},
};

/// Shows this document at a fresh lock and asserts the refusal: reason, nothing moved, nothing learned but the record
/// of the refusal, session over.
#[track_caller]
fn refused(document: &SignedDocument, reason: Reason, detail: u8) {
    let mut bench = Bench::new();
    bench.phone.documents = vec![document.encode()];
    press_and_assert(&mut bench, reason, detail);
}

#[track_caller]
fn press_and_assert(bench: &mut Bench, reason: Reason, detail: u8) {
    let (before, records) = (rights(&bench.lock), assert_chain(&bench.lock));
    let talk = bench.press();
    assert_refused(&bench.lock, &bench.phone, reason, detail);
    assert_eq!(rights(&bench.lock), before, "an invalid document has changed what is stored");
    assert_eq!(assert_chain(&bench.lock), records + 1, "the refusal is on record");
    assert!(talk.closed, "the session is over");
    // The lock has learned nothing: the same phone with its real document is let in, by step-up.
    bench.phone.documents = vec![bench.site.document(&bench.member)];
    bench.press_anew(Intent::Unlock);
    bench.assert_granted();
    assert!(bench.phone.seen.device_request.is_some(), "the phone was a stranger");
}

fn spec() -> DocumentSpec {
    let bench = Bench::new();
    bench.site.access(&bench.member, &bench.site.access_spec(&bench.member))
}

fn signed(spec: &DocumentSpec) -> SignedDocument {
    spec.sign(&mut Bench::new().site.issuer())
}

#[test]
fn a_good_document_opens() {
    let mut bench = Bench::new();
    bench.phone.documents = vec![signed(&spec()).encode()];
    let talk = bench.press();
    bench.assert_granted();
    assert_eq!(bench.lock.verdicts(), [(Reason::Granted, 0, false)]);
    assert!(talk.events.is_empty());
}

#[test]
fn l_key_mismatch() {
    // The victim's document, shown by somebody with a device key of his own.
    let mut bench = Bench::new();
    let victim = Member::new("victim");
    bench.phone.documents = vec![bench.site.document(&victim)];
    press_and_assert(&mut bench, Reason::NotTrusted, 3);
}

#[test]
fn l_doc_sig() {
    let good = signed(&spec());
    for bit in [0, 255, 256, 511] {
        let mut altered = good.clone();
        altered.signature[bit / 8] ^= 1 << (bit % 8);
        refused(&altered, Reason::NotTrusted, 2);
    }
    // The payload: one digit of validUntil.
    let mut altered = good.clone();
    let at = altered.payload.windows(4).rposition(|window| window == b"2030").unwrap();
    altered.payload[at + 3] = b'9';
    refused(&altered, Reason::NotTrusted, 2);
    // Signed by a stranger under the issuer's kid.
    refused(&spec().sign(&mut signer("a stranger")), Reason::NotTrusted, 2);
}

#[test]
fn l_doc_alg() {
    let with = |protected: &[u8], unprotected: Option<(Value, Value)>| {
        let mut spec = spec();
        spec.protected = protected.to_vec();
        spec.unprotected.extend(unprotected);
        signed(&spec)
    };
    // ES384, EdDSA, none at all, an empty header, and ES256 with company. Each of them signed as it stands.
    for protected in [&[0xA1, 0x01, 0x38, 0x22][..], &[0xA1, 0x01, 0x27], &[0xA0], &[], &[0xA2, 1, 0x26, 3, 0x26]] {
        refused(&with(protected, None), Reason::NotTrusted, 2);
    }
    // ES256 where the signature does not cover it.
    let alg = (Value::Uint(1), Value::Negative(6));
    refused(&with(&[], Some(alg.clone())), Reason::NotTrusted, 2);
    refused(&with(&[0xA0], Some(alg)), Reason::NotTrusted, 2);
}

#[test]
fn l_doc_kid() {
    let with = |unprotected: Vec<(Value, Value)>| {
        let mut spec = spec();
        spec.unprotected = unprotected;
        signed(&spec)
    };
    refused(&with(vec![(Value::Uint(4), Value::bytes(&[9; 8]))]), Reason::NotTrusted, 1);
    refused(&with(Vec::new()), Reason::NotTrusted, 1);
    refused(&with(vec![(Value::Uint(4), Value::bytes(&[9; 7]))]), Reason::NotTrusted, 1);
    // A certificate in place of the kid.
    refused(&with(vec![(Value::Uint(33), Value::bytes(&[0x30, 0x00]))]), Reason::NotTrusted, 1);
    // Another issuer's document, by its own kid.
    let mut other = spec();
    let south = keybutton_tests::pair::site::Site::new("south");
    other.unprotected = vec![(Value::Uint(4), Value::bytes(&south.kid.0))];
    refused(&other.sign(&mut south.issuer()), Reason::NotTrusted, 1);
}

#[test]
fn l_digest() {
    let good = signed(&spec());
    // One byte of the item's random, and one of its value.
    for at in [20, good.items[0].len() - 20] {
        let mut altered = good.clone();
        altered.items[0][at] ^= 1;
        refused(&altered, Reason::BadData, 3);
    }
    // A digest id the issuer has not signed.
    let value = Bench::new().site.access_spec(&Bench::new().member).value();
    let mut altered = good.clone();
    altered.items[0] = item(2, "z0003", &value);
    refused(&altered, Reason::BadData, 3);
    // An element of one's own beside the issuer's.
    let mut altered = good.clone();
    altered.items.push(item(9, "site", &value));
    refused(&altered, Reason::BadData, 3);
    // The name of another element over a good digest id.
    let mut altered = good;
    altered.items[0] = item(1, "site", &value);
    refused(&altered, Reason::BadData, 3);
}

#[test]
fn l_doctype() {
    let mut other = spec();
    other.mso_type = "aliro-r".to_owned();
    refused(&signed(&other), Reason::BadData, 4);
}

#[test]
fn l_document_without_device_key_is_bad_data() {
    let mut other = spec();
    other.device_key = None;
    refused(&signed(&other), Reason::BadData, 5);
    // A key that is not a point is not the phone's key either.
    let mut other = spec();
    other.device_key = Some(PublicKey([4; 65]));
    refused(&signed(&other), Reason::NotTrusted, 3);
}

#[test]
fn l_unknown_extension() {
    for (vendor, criticality, id, version) in
        [(VENDOR, 0, 99, 1), (VENDOR, 1, 99, 1), (VENDOR, 0, 2, 2), (0x0012_3456, 0, 1, 1), (VENDOR, 7, 4, 1)]
    {
        let mut bench = Bench::new();
        bench.show(|spec| spec.restrictions.push((vendor, criticality, id, version, vec![3])));
        bench.press();
        assert_refused(&bench.lock, &bench.phone, Reason::BadData, 8);
    }
    // Under key 5 nothing restricts, whatever it is.
    let mut bench = Bench::new();
    bench.show(|spec| {
        let note = Value::Array(vec![Value::Uint(99), Value::Uint(1), Value::bytes(b"note")]);
        spec.notes.push((0x0012_3456, Value::Array(vec![note])));
    });
    bench.press();
    bench.assert_granted();
}

#[test]
fn l_accessdata_version() {
    for version in [0, 2, 3] {
        let mut bench = Bench::new();
        bench.show(|spec| spec.version = version);
        bench.press();
        assert_refused(&bench.lock, &bench.phone, Reason::BadData, 8);
    }
}

/// Shows a good document that allows nothing here: refused, now and when the lock knows it, and nothing gained by it.
#[track_caller]
fn allows_nothing(alter: impl FnOnce(&mut AccessSpec), reason: Reason) {
    let mut bench = Bench::new();
    bench.show(alter);
    let before = floors(&bench.lock);
    bench.press();
    assert_refused(&bench.lock, &bench.phone, reason, 0);
    bench.press_anew(Intent::Unlock);
    assert_refused(&bench.lock, &bench.phone, reason, 0);
    assert!(bench.phone.seen.instructions.contains(&0x81), "it does not get into the fast phase");
    assert_eq!(floors(&bench.lock), before);
}

#[test]
fn l_reader_rule() {
    allows_nothing(|spec| spec.reader_rules = Some(vec![1]), Reason::NoPermission);
    allows_nothing(|spec| spec.reader_rules = Some(vec![]), Reason::NoPermission);
}

#[test]
fn l_site_binding() {
    allows_nothing(|spec| spec.restrictions[0].4 = vec![9; 16], Reason::WrongLock);
    // Without the binding the document would count at every site of the issuer.
    allows_nothing(|spec| spec.restrictions.clear(), Reason::WrongLock);
}

#[test]
fn l_capability() {
    let mut bench = Bench::new();
    bench.show(|spec| spec.rules = vec![RuleSpec(0x01, None, None)]);
    bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::NoPermission, 0);
    // No rule at all.
    let mut bench = Bench::new();
    bench.show(|spec| spec.rules.clear());
    bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::NoPermission, 0);
    // A moment is not for ever.
    let mut bench = Bench::new();
    bench.show(|spec| spec.rules = vec![RuleSpec(0x08, None, None)]);
    bench.phone.press(Intent::HoldOpen);
    bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::NoPermission, 0);
}

#[test]
fn l_document_without_iteration_is_refused() {
    let mut other = spec();
    other.iteration = None;
    refused(&signed(&other), Reason::BadData, 7);
}

#[test]
fn a_phone_without_a_document_is_unknown() {
    let mut bench = Bench::new();
    bench.phone.documents.clear();
    let before = rights(&bench.lock);
    bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::KeyUnknown, 0);
    assert_eq!(rights(&bench.lock), before);
}

#[test]
fn the_harness_and_the_product_write_the_same_document() {
    use keybutton_protocol::{
        document::{AccessData, Restrictions, schedule::*},
        ids::{AccessId, UnixTime},
        issue::{AccessDocument, AccessElement, IssuedValidity, Issuer},
    };
    use keybutton_tests::pair::{
        keys::{crypto, sha256},
        site::MONDAY,
    };

    let bench = Bench::new();
    let own = spec();
    let mut data = AccessData { access_id: AccessId::from_slice(&bench.member.access_id), ..AccessData::default() };
    let rule = Rule { capabilities: Capabilities(0x0A), allow: Some(Mask(1)), deny: None };
    assert!(data.rules.rules.push(rule));
    let schedule = Schedule {
        start: UnixTime(MONDAY),
        end: Some(UnixTime(MONDAY + 365 * 86_400)),
        recurrence: Some(Recurrence::weekly(12 * 3_600, 0x1F)),
        utc: true,
    };
    assert!(data.rules.schedules.push(schedule));
    data.restrictions = Restrictions { site: Some(bench.site.group), ..Restrictions::default() };
    let mut hashed = b"item".to_vec();
    hashed.extend(b"z0003");
    hashed.extend(1_u64.to_be_bytes());
    let random = sha256(&hashed)[..16].try_into().unwrap();
    let element = AccessElement { name: "z0003", random, data };
    let validity = IssuedValidity {
        signed: own.signed,
        valid_from: own.valid_from,
        valid_until: own.valid_until,
        iteration: ITERATION,
        time_verification_required: true,
    };
    let document = AccessDocument { device_key: &bench.member.key, validity, elements: &[element] };
    let issued = Issuer::new(&crypto(), bench.site.issuer()).access_document(&crypto(), &document).unwrap();
    assert_eq!(issued, signed(&own).encode());
    assert!(own.signed < NOW);
}
