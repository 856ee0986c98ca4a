use std::vec::Vec;

use super::*;
use crate::{
    cbor::CborError,
    crypto::rustcrypto::{RustCrypto, RustSigner},
    document::{
        AccessData, DeviceRequest, DeviceResponse, DocRequest, DocType, Document, DocumentError, Expected, Interfaces,
        RevocationEntry, RevocationMode,
        access::ElementError,
        list::List,
        request::write_device_request,
        response::answer,
        revocation::key_hash,
        schedule::{Capabilities, Mask, Recurrence, Rule, Schedule},
        verify,
    },
    ids::{AccessId, GroupId, ReaderId, UnixTime},
    testing::{SeededRng, signer},
    token::TokenError,
};

type TestCrypto = RustCrypto<SeededRng>;

fn crypto() -> TestCrypto {
    crate::testing::crypto(1)
}

const NOW: UnixTime = UnixTime(1_893_491_100);

fn issuer() -> Issuer<RustSigner> {
    Issuer::new(&crypto(), signer("issuer"))
}

fn device_key() -> PublicKey {
    signer("device").public_key()
}

fn validity() -> IssuedValidity {
    IssuedValidity {
        signed: NOW,
        valid_from: NOW,
        valid_until: UnixTime(NOW.0 + 172_800),
        iteration: 42,
        time_verification_required: true,
    }
}

fn workdays() -> AccessData {
    let mut data = AccessData { access_id: AccessId::from_slice(&[7; 8]), ..AccessData::default() };
    data.rules.schedules = List::from_slice(&[Schedule {
        start: UnixTime(1_893_481_200),
        end: Some(UnixTime(1_900_652_400)),
        recurrence: Some(Recurrence::weekly(43_200, 0b001_1111)),
        utc: true,
    }])
    .unwrap();
    data.rules.rules = List::from_slice(&[Rule {
        capabilities: Capabilities::MOMENTARY.and(Capabilities::UNSECURE),
        allow: Some(Mask(1)),
        deny: None,
    }])
    .unwrap();
    data.restrictions.site = Some(GroupId([9; 16]));
    data
}

fn access_document(names: &[&str]) -> Vec<u8> {
    let elements: Vec<_> = names.iter().map(|name| AccessElement { name, random: [3; 16], data: workdays() }).collect();
    let document = AccessDocument { device_key: &device_key(), validity: validity(), elements: &elements };
    issuer().access_document(&crypto(), &document).unwrap()
}

fn revocation_document(entries: &[RevocationEntry]) -> Result<Vec<u8>, IssueError> {
    let document = RevocationDocument { validity: validity(), random: [4; 16], entries };
    issuer().revocation_document(&crypto(), &document)
}

fn known_issuer(kid: &Kid) -> Option<PublicKey> {
    (*kid == issuer().kid()).then(|| issuer().public_key())
}

fn check<'a>(
    crypto: &TestCrypto,
    bytes: &'a [u8],
    expected: Expected<'_>,
) -> Result<crate::document::Verified<'a>, DocumentError> {
    verify(crypto, &Document::parse(bytes)?, known_issuer, expected)
}

/// Asks a phone that stores `documents` for `elements` and returns its answer.
fn ask(kind: DocType, elements: &[&str], documents: &[&[u8]]) -> Vec<u8> {
    let mut request = [0; 512];
    let len = write_device_request(&[DocRequest { doc_type: kind, elements }], &mut request).unwrap();
    let mut out = [0; 2_048];
    let len = answer(&DeviceRequest::parse(&request[..len]).unwrap(), documents, &mut out).unwrap();
    out[..len].to_vec()
}

#[test]
fn an_issued_document_verifies_and_reads_back() {
    let (crypto, bytes) = (crypto(), access_document(&["z0003", "site"]));
    let key = device_key();
    let verified = check(&crypto, &bytes, Expected::Access { device_key: &key }).unwrap();
    assert_eq!(verified.access_data("z0003"), Some(Ok(workdays())));
    assert_eq!(verified.access_data("site"), Some(Ok(workdays())));
    assert_eq!(verified.access_data("l0001"), None);
    assert!(verified.revocation_data().is_none());
    assert_eq!(verified.kid(), issuer().kid());
    assert_eq!(verified.validity().iteration, Some(42));
    assert_eq!(verified.check_iteration(42), Ok(42));
}

#[test]
fn every_restriction_reads_back() {
    let mut data = workdays();
    data.restrictions.use_limit = Some(2);
    data.restrictions.user_authentication = true;
    data.restrictions.interfaces = Some(Interfaces::NFC);
    data.rules.rules =
        List::from_slice(&[Rule { capabilities: Capabilities::SECURE, allow: None, deny: Some(Mask(1)) }]).unwrap();
    let elements = [AccessElement { name: "l0001", random: [3; 16], data }];
    let document = AccessDocument { device_key: &device_key(), validity: validity(), elements: &elements };
    let (crypto, key) = (crypto(), device_key());
    let bytes = issuer().access_document(&crypto, &document).unwrap();
    let verified = check(&crypto, &bytes, Expected::Access { device_key: &key }).unwrap();
    assert_eq!(verified.access_data("l0001"), Some(Ok(data)));
}

#[test]
fn what_our_locks_would_not_evaluate_is_not_issued() {
    let try_with = |change: fn(&mut AccessData)| {
        let mut data = workdays();
        change(&mut data);
        let elements = [AccessElement { name: "site", random: [3; 16], data }];
        let document = AccessDocument { device_key: &device_key(), validity: validity(), elements: &elements };
        issuer().access_document(&crypto(), &document).map(|_| ())
    };
    assert_eq!(try_with(|_| ()), Ok(()));
    assert_eq!(try_with(|data| data.rules.rules = List::new()), Err(IssueError::Content));
    assert_eq!(try_with(|data| data.rules.schedules = List::new()), Err(IssueError::Content));
    assert_eq!(try_with(|data| data.reader_rules = true), Err(IssueError::Content));
    assert_eq!(
        try_with(|data| {
            let local = Schedule { utc: false, ..data.rules.schedules[0] };
            data.rules.schedules = List::from_slice(&[local]).unwrap();
        }),
        Err(IssueError::Schedule)
    );
    assert_eq!(
        try_with(|data| {
            let recurrence = Recurrence { interval: 2, ..Recurrence::daily(60) };
            let other = Schedule { recurrence: Some(recurrence), ..data.rules.schedules[0] };
            data.rules.schedules = List::from_slice(&[other]).unwrap();
        }),
        Err(IssueError::Schedule)
    );
}

#[test]
fn content_out_of_range_is_not_issued() {
    let key = device_key();
    let element = AccessElement { name: "site", random: [3; 16], data: workdays() };
    let mut backwards = validity();
    backwards.valid_until = UnixTime(backwards.valid_from.0 - 1);
    for document in [
        AccessDocument { device_key: &key, validity: validity(), elements: &[] },
        AccessDocument { device_key: &key, validity: validity(), elements: &[element, element] },
        AccessDocument { device_key: &key, validity: backwards, elements: &[element] },
    ] {
        assert_eq!(issuer().access_document(&crypto(), &document), Err(IssueError::Content));
    }
    let nothing = RevocationEntry { key_hash: None, access_id: None, expires: None };
    assert_eq!(revocation_document(&[nothing]), Err(IssueError::Content));
    let one = RevocationEntry { access_id: AccessId::from_slice(&[1]), ..nothing };
    assert_eq!(revocation_document(&[one; 33]), Err(IssueError::Content));
    assert!(revocation_document(&[one; 32]).is_ok());
    let long = RevocationEntry { key_hash: Some([1; 32]), expires: Some(NOW), ..one };
    assert_eq!(revocation_document(&[long; 32]), Err(IssueError::TooLarge));
}

#[test]
fn l_key_mismatch() {
    let bytes = access_document(&["site"]);
    let other = signer("other device").public_key();
    let error = check(&crypto(), &bytes, Expected::Access { device_key: &other }).unwrap_err();
    assert_eq!(error, DocumentError::DeviceKey);
    assert_eq!(error.reason(), (crate::verdict::Reason::NotTrusted, 3));
}

/// Where `needle` begins in `bytes`.
fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn l_doc_sig() {
    let key = device_key();
    let good = access_document(&["site"]);
    let signature = Document::parse(&good).unwrap().issuer_auth().signature().0;
    for place in [find(&good, &signature) + 10, find(&good, b"SHA-256"), find(&good, b"1.0") + 2] {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        let error = check(&crypto(), &bytes, Expected::Access { device_key: &key }).unwrap_err();
        assert_eq!(error, DocumentError::Signature, "byte {place}");
        assert_eq!(error.reason(), (crate::verdict::Reason::NotTrusted, 2));
    }
}

#[test]
fn l_doc_alg() {
    let key = device_key();
    let good = access_document(&["site"]);
    let protected = find(&good, &[0x43, 0xA1, 0x01, 0x26]);
    // ES384 in the protected header; an empty one; the algorithm only in the unprotected header.
    let mut other = good.clone();
    other.splice(protected..protected + 4, [0x44, 0xA1, 0x01, 0x38, 0x22]);
    let mut empty = good.clone();
    empty.splice(protected..protected + 4, [0x40]);
    let mut unprotected = good.clone();
    unprotected.splice(protected..protected + 5, [0x40, 0xA2, 0x01, 0x26]);
    for bytes in [other, empty, unprotected] {
        let error = check(&crypto(), &bytes, Expected::Access { device_key: &key }).unwrap_err();
        assert_eq!(error, DocumentError::Signature);
    }
}

#[test]
fn l_doc_kid() {
    let key = device_key();
    let good = access_document(&["site"]);
    let header = find(&good, &[0xA1, 0x04, 0x48]);
    let mut unknown = good.clone();
    unknown[header + 3] ^= 1;
    let mut missing = good.clone();
    missing.splice(header..header + 11, [0xA0]);
    let mut certificate = good.clone();
    certificate.splice(header..header + 2, [0xA1, 0x18, 33]);
    for bytes in [unknown, missing, certificate] {
        let error = check(&crypto(), &bytes, Expected::Access { device_key: &key }).unwrap_err();
        assert_eq!(error, DocumentError::UnknownIssuer);
        assert_eq!(error.reason(), (crate::verdict::Reason::NotTrusted, 1));
    }
}

#[test]
fn l_digest() {
    let key = device_key();
    let good = access_document(&["site"]);
    let random = find(&good, &[3; 16]);
    let mut altered = good.clone();
    altered[random] ^= 1;
    let mut other_digest = good.clone();
    let id = find(&good, &[0xA4, 0x61, b'1', 0x01]);
    other_digest[id + 3] = 2;
    for bytes in [altered, other_digest] {
        let error = check(&crypto(), &bytes, Expected::Access { device_key: &key }).unwrap_err();
        assert_eq!(error, DocumentError::Digest);
        assert_eq!(error.reason(), (crate::verdict::Reason::BadData, 3));
    }
}

#[test]
fn l_doctype() {
    let revocation = revocation_document(&[]).unwrap();
    let key = device_key();
    // Issued as a revocation document, shown as an access document.
    let mut shown = revocation.clone();
    let place = shown.len() - 1;
    shown[place] = b'a';
    let error = check(&crypto(), &shown, Expected::Access { device_key: &key }).unwrap_err();
    assert_eq!(error, DocumentError::DocType);
    assert_eq!(error.reason(), (crate::verdict::Reason::BadData, 4));
    let access = access_document(&["site"]);
    assert_eq!(check(&crypto(), &access, Expected::Revocation).unwrap_err(), DocumentError::DocType);
    assert!(check(&crypto(), &revocation, Expected::Revocation).is_ok());
}

#[test]
fn l_expired_l_early_l_no_clock() {
    let (crypto, key, bytes) = (crypto(), device_key(), access_document(&["site"]));
    let verified = check(&crypto, &bytes, Expected::Access { device_key: &key }).unwrap();
    assert_eq!(verified.check_time(Some(UnixTime(NOW.0 - 1))), Err(DocumentError::NotYetValid));
    assert_eq!(verified.check_time(Some(NOW)), Ok(()));
    assert_eq!(verified.check_time(Some(UnixTime(NOW.0 + 172_800))), Ok(()));
    assert_eq!(verified.check_time(Some(UnixTime(NOW.0 + 172_801))), Err(DocumentError::Expired));
    assert_eq!(verified.check_time(None), Err(DocumentError::ClockUnknown));
}

#[test]
fn p_strange_element() {
    let bytes = access_document(&["z0003"]);
    let empty = ask(DocType::Access, &["l0001", "site"], &[&bytes]);
    assert_eq!(empty, [0xA2, 0x61, b'1', 0x63, b'1', b'.', b'0', 0x61, b'3', 0x00]);
    let response = DeviceResponse::parse(&empty).unwrap();
    assert_eq!((response.status(), response.documents().count()), (0, 0));
    assert_eq!(ask(DocType::Revocation, &["z0003"], &[&bytes]), empty);
}

#[test]
fn only_elements_asked_for_are_shown() {
    let (crypto, key) = (crypto(), device_key());
    let bytes = access_document(&["l0001", "z0003", "site"]);
    let shown = ask(DocType::Access, &["z0003", "l0009"], &[&bytes]);
    let response = DeviceResponse::parse(&shown).unwrap();
    let documents: Vec<_> = response.documents().map(Result::unwrap).collect();
    let [document] = documents[..] else { panic!("one document") };
    let verified = verify(&crypto, &document, known_issuer, Expected::Access { device_key: &key }).unwrap();
    assert!(verified.access_data("z0003").is_some());
    assert!(verified.access_data("l0001").is_none() && verified.access_data("site").is_none());
}

#[test]
fn what_does_not_fit_is_left_out_from_the_end() {
    let entry = RevocationEntry { key_hash: None, access_id: AccessId::from_slice(&[1]), expires: None };
    let (access, revocation) = (access_document(&["site"]), revocation_document(&[entry; 32]).unwrap());
    let requests = [
        DocRequest { doc_type: DocType::Access, elements: &["site"] },
        DocRequest { doc_type: DocType::Revocation, elements: &["r"] },
    ];
    let mut request = [0; 512];
    let len = write_device_request(&requests, &mut request).unwrap();
    let request = DeviceRequest::parse(&request[..len]).unwrap();
    let kinds = |room: usize| {
        let mut out = std::vec![0; room];
        let len = answer(&request, &[&revocation, &access], &mut out)?;
        let response = DeviceResponse::parse(&out[..len]).unwrap();
        Some(response.documents().map(|document| document.unwrap().doc_type()).collect::<std::string::String>())
    };
    assert_eq!(kinds(2_000).unwrap(), "aliro-aaliro-r");
    assert_eq!(kinds(access.len() + 20).unwrap(), "aliro-a");
    assert_eq!(kinds(20).unwrap(), "");
    assert_eq!(kinds(9), None);
}

#[test]
fn damaged_stored_documents_are_never_shown() {
    let good = access_document(&["site"]);
    let shown = ask(DocType::Access, &["site"], &[&good[..good.len() - 1], &[], &good]);
    assert_eq!(DeviceResponse::parse(&shown).unwrap().documents().count(), 1);
}

#[test]
fn a_revocation_list_reads_back() {
    let crypto = crypto();
    let entries = [
        RevocationEntry { key_hash: Some(key_hash(&crypto, &device_key())), access_id: None, expires: Some(NOW) },
        RevocationEntry { key_hash: None, access_id: AccessId::from_slice(&[1, 2, 3]), expires: None },
    ];
    let bytes = revocation_document(&entries).unwrap();
    let verified = check(&crypto, &bytes, Expected::Revocation).unwrap();
    let data = verified.revocation_data().unwrap().unwrap();
    assert_eq!(data.mode(), RevocationMode::Overwrite);
    assert!(data.additions().eq(entries));
    assert_eq!(data.removals().count(), 0);
    assert!(entries[0].matches(&key_hash(&crypto, &device_key()), None));
    assert!(entries[1].matches(&[0; 32], AccessId::from_slice(&[1, 2, 3]).as_ref()));
    assert!(!entries[1].matches(&[0; 32], AccessId::from_slice(&[1, 2]).as_ref()));
}

#[test]
fn l_token_as_document() {
    let (crypto, key) = (crypto(), device_key());
    let token = TimeToken { group: GroupId([9; 16]), time: NOW, expires: UnixTime(NOW.0 + 9), serial: [1; 8] };
    let token = issuer().time_token(&token).unwrap();
    // The token's COSE_Sign1 where a document's is.
    let good = access_document(&["site"]);
    let (begin, end) = (find(&good, &[0x84, 0x43, 0xA1]), good.len() - 10);
    let mut document = good.clone();
    document.splice(begin..end, token.iter().copied());
    let error = check(&crypto, &document, Expected::Access { device_key: &key }).unwrap_err();
    assert_eq!(error, DocumentError::Signature);
    // And the reverse.
    assert_eq!(TimeToken::open(&crypto, &good[begin..end], known_issuer).unwrap_err(), TokenError::Signature);
    assert_eq!(AckToken::open(&crypto, &token, known_issuer).unwrap_err(), TokenError::Signature);
    assert_eq!(TimeToken::open(&crypto, &token, |_| None).unwrap_err(), TokenError::UnknownIssuer);
    assert!(TimeToken::open(&crypto, &token, known_issuer).is_ok());
}

#[test]
fn tokens_read_back() {
    let crypto = crypto();
    let time = TimeToken { group: GroupId([9; 16]), time: NOW, expires: UnixTime(NOW.0 + 86_400), serial: [1; 8] };
    let bytes = issuer().time_token(&time).unwrap();
    assert_eq!(TimeToken::open(&crypto, &bytes, known_issuer), Ok((issuer().kid(), time)));
    let ack = AckToken { reader: ReaderId([8; 32]), number: 77, hash: [6; 32], time: NOW };
    let bytes = issuer().ack_token(&ack).unwrap();
    assert_eq!(AckToken::open(&crypto, &bytes, known_issuer), Ok((issuer().kid(), ack)));
    for len in 0..bytes.len() {
        assert!(AckToken::open(&crypto, &bytes[..len], known_issuer).is_err());
    }
}

#[test]
fn elements_that_are_invalid_are_told_apart_from_those_missing() {
    assert_eq!(DocumentError::from(ElementError::Version).reason(), (crate::verdict::Reason::BadData, 8));
    assert_eq!(DocumentError::from(CborError::TooDeep).reason(), (crate::verdict::Reason::BadData, 0));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Document::parse(&bytes);
            let _ = DeviceRequest::parse(&bytes);
            if let Ok(response) = DeviceResponse::parse(&bytes) {
                response.documents().for_each(drop);
            }
            let _ = TimeToken::open(&crypto(), &bytes, known_issuer);
        }

        #[test]
        fn a_changed_byte_never_verifies(place in any::<prop::sample::Index>(), change in 1u8..) {
            let (crypto, key) = (crypto(), device_key());
            let mut bytes = access_document(&["site"]);
            let place = place.index(bytes.len());
            bytes[place] ^= change;
            let verified = check(&crypto, &bytes, Expected::Access { device_key: &key });
            prop_assert!(verified.is_err() || verified.unwrap().access_data("site").is_none());
        }

        #[test]
        fn requests_read_back(numbers in prop::collection::vec(any::<u16>(), 0..16)) {
            let names: Vec<_> = numbers.iter().map(|n| std::format!("l{n:04x}")).collect();
            let names: Vec<_> = names.iter().map(|name| &name[..]).collect();
            let mut out = [0; 512];
            let len = write_device_request(&[DocRequest { doc_type: DocType::Access, elements: &names }], &mut out).unwrap();
            let request = DeviceRequest::parse(&out[..len]).unwrap();
            let asked = request.documents().next().unwrap();
            prop_assert!(names.iter().all(|name| asked.asks_for("aliro-a", name)));
            prop_assert!(!asked.asks_for("aliro-a", "site") && !asked.asks_for("aliro-r", names.first().unwrap_or(&"")));
        }
    }
}
