//! Documents, tokens, certificate and audit of the worked transactions: issued byte for byte, verified by both back
//! ends, read back.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybutton_protocol::{
    audit::{Checkpoint, Head, Record, RecordType, genesis, record_hash, verify_chain},
    certificate::{self, COMPRESSED_MAX, Certificate, CertificateRequest, TBS_MAX},
    cose,
    crypto::{
        Crypto, Signer,
        ring::Ring,
        rustcrypto::{RustCrypto, RustSigner},
    },
    document::{
        AccessData, DeviceRequest, DeviceResponse, DocRequest, DocType, Document, Expected, RevocationEntry,
        RevocationMode, credential_id, issuer_kid,
        list::List,
        request::write_device_request,
        response::answer,
        revocation::key_hash,
        schedule::{Capabilities, InRange, Mask, Recurrence, Rule, Schedule},
        session::{self, Form},
        verify, verify_with_certificate,
    },
    ids::{AccessId, GroupId, Interface, Kid, PublicKey, ReaderId, Signature, UnixTime, UnlockId},
    issue::{AccessDocument, AccessElement, IssuedValidity, Issuer, RevocationDocument},
    tdate,
    token::{ACK_AAD, AckToken, TIME_AAD, TimeToken},
};
use keybutton_tests::{
    external::{self, hex},
    fixed_rng::FixedRng,
};
use serde_json::Value;

fn vectors() -> Option<Value> {
    external::json("worked-transactions.json")
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

fn rust() -> RustCrypto<FixedRng> {
    RustCrypto::new(FixedRng::default())
}

fn signer(vectors: &Value, name: &str) -> RustSigner {
    RustSigner::from_bytes(&bytes(&vectors["keys"][name])).unwrap()
}

fn issuer(vectors: &Value) -> Issuer<RustSigner> {
    Issuer::new(&rust(), signer(vectors, "issuer_private"))
}

fn time(value: &Value) -> UnixTime {
    tdate::parse(value.as_str().unwrap().as_bytes()).unwrap()
}

fn group(vectors: &Value) -> GroupId {
    GroupId(bytes(&vectors["keys"]["group_identifier"]))
}

fn reader(vectors: &Value) -> ReaderId {
    ReaderId(bytes(&vectors["keys"]["reader_identifier"]))
}

fn device_key(vectors: &Value) -> PublicKey {
    PublicKey(bytes(&vectors["keys"]["device_public"]))
}

/// The 16 random bytes of an item: `A4 "1" id "2" 50 random`.
fn item_random(item: &[u8]) -> [u8; 16] {
    let at = item.windows(3).position(|window| window == [0x61, b'2', 0x50]).unwrap() + 3;
    item[at..at + 16].try_into().unwrap()
}

/// What the worked access document grants: weekdays 07:00 to 19:00 UTC, at its site.
fn access_data(vectors: &Value) -> AccessData {
    let access_data = hex(&vectors["access_document"]["access_data"]);
    let mut data = AccessData { access_id: AccessId::from_slice(&access_data[5..13]), ..AccessData::default() };
    data.rules.rules = List::from_slice(&[Rule {
        capabilities: Capabilities::UNSECURE.and(Capabilities::MOMENTARY),
        allow: Some(Mask(1)),
        deny: None,
    }])
    .unwrap();
    data.rules.schedules = List::from_slice(&[Schedule {
        start: UnixTime(0x70D3_0070),
        end: Some(UnixTime(0x7149_A770)),
        recurrence: Some(Recurrence::weekly(43_200, 0b001_1111)),
        utc: true,
    }])
    .unwrap();
    data.restrictions.site = Some(group(vectors));
    data
}

fn issued_access_document(vectors: &Value) -> Vec<u8> {
    let worked = &vectors["access_document"];
    let element = AccessElement {
        name: "z0003",
        random: item_random(&hex(&worked["issuer_signed_items"][0])),
        data: access_data(vectors),
    };
    let validity = IssuedValidity {
        signed: time(&worked["signed"]),
        valid_from: time(&worked["valid_from"]),
        valid_until: time(&worked["valid_until"]),
        iteration: 42,
        time_verification_required: true,
    };
    let document = AccessDocument { device_key: &device_key(vectors), validity, elements: &[element] };
    issuer(vectors).access_document(&rust(), &document).unwrap()
}

fn issued_revocation_document(vectors: &Value) -> Vec<u8> {
    let worked = &vectors["revocation_document"];
    let revoked = PublicKey(bytes(&worked["revoked_public_key"]));
    let expires = Some(UnixTime(0x7103_EE9C));
    let entries = [
        RevocationEntry { key_hash: Some(key_hash(&rust(), &revoked)), access_id: None, expires },
        RevocationEntry {
            key_hash: None,
            access_id: AccessId::from_slice(&[0x94, 0x40, 0xB5, 0x8D, 0x75, 0x3E, 0x85, 0x2F]),
            expires,
        },
    ];
    let validity = IssuedValidity {
        signed: tdate::parse(b"2030-01-01T09:35:00Z").unwrap(),
        valid_from: tdate::parse(b"2030-01-01T09:35:00Z").unwrap(),
        valid_until: tdate::parse(b"2030-03-02T09:45:00Z").unwrap(),
        iteration: 9,
        time_verification_required: false,
    };
    let document = RevocationDocument {
        validity,
        random: item_random(&hex(&worked["issuer_signed_items"][0])),
        entries: &entries,
    };
    issuer(vectors).revocation_document(&rust(), &document).unwrap()
}

fn respond(requests: &[DocRequest<'_>], stored: &[&[u8]]) -> Vec<u8> {
    let mut request = [0; 512];
    let len = write_device_request(requests, &mut request).unwrap();
    let mut out = [0; 2_048];
    let len = answer(&DeviceRequest::parse(&request[..len]).unwrap(), stored, &mut out).unwrap();
    out[..len].to_vec()
}

const ACCESS: DocRequest<'static> = DocRequest { doc_type: DocType::Access, elements: &["l002a", "z0003", "site"] };
const REVOCATION: DocRequest<'static> = DocRequest { doc_type: DocType::Revocation, elements: &["r"] };

#[test]
fn issuer_key_identifier() {
    let Some(vectors) = vectors() else { return };
    let key = PublicKey(bytes(&vectors["keys"]["issuer_public"]));
    let kid = Kid(bytes(&vectors["keys"]["issuer_kid"]));
    assert_eq!(issuer_kid(&rust(), &key), kid);
    assert_eq!(issuer_kid(&Ring::new(), &key), kid);
    assert_eq!(issuer(&vectors).public_key(), key);
}

#[test]
fn the_access_document_is_issued_byte_for_byte() {
    let Some(vectors) = vectors() else { return };
    let document = issued_access_document(&vectors);
    let response = respond(&[ACCESS], &[&document]);
    assert_eq!(response, hex(&vectors["access_document"]["device_response"]));
    assert_eq!(response.len(), 478);
    assert!(document.windows(76).any(|window| window == hex(&vectors["access_document"]["access_data"])));
}

#[test]
fn the_request_is_written_byte_for_byte_in_any_order_of_elements() {
    let Some(vectors) = vectors() else { return };
    for elements in [&["l002a", "z0003", "site"][..], &["site", "z0003", "site", "l002a"]] {
        let mut out = [0; 128];
        let len = write_device_request(&[DocRequest { doc_type: DocType::Access, elements }], &mut out).unwrap();
        assert_eq!(out[..len], hex(&vectors["access_document"]["device_request"]));
    }
}

fn the_access_document_verifies(crypto: &impl Crypto) {
    let Some(vectors) = vectors() else { return };
    let response = hex(&vectors["access_document"]["device_response"]);
    let response = DeviceResponse::parse(&response).unwrap();
    let documents: Vec<_> = response.documents().map(Result::unwrap).collect();
    let [document] = documents[..] else { panic!("one document") };
    let (device, known) = (device_key(&vectors), issuer(&vectors));
    let key = |kid: &Kid| (*kid == known.kid()).then(|| known.public_key());
    let verified = verify(crypto, &document, key, Expected::Access { device_key: &device }).unwrap();
    assert_eq!(verified.access_data("z0003"), Some(Ok(access_data(&vectors))));
    assert_eq!(verified.check_iteration(42), Ok(42));
    let now = UnixTime(u32::try_from(vectors["keys"]["now_unix"].as_u64().unwrap()).unwrap());
    assert_eq!(verified.check_time(Some(now)), Ok(()));
    assert_eq!(verified.validity().signed, time(&vectors["access_document"]["signed"]));
    assert!(verified.time_verification_required());
    let schedule = verified.access_data("z0003").unwrap().unwrap().rules.schedules[0];
    assert_eq!(schedule.covers(now, None), InRange::Yes, "a Tuesday, 09:45");
    // Its signature covers what the vectors say it covers.
    let mut out = [0; 512];
    let signed = cose::sig_structure(&[], document.issuer_auth().payload(), &mut out).unwrap();
    assert_eq!(signed, hex(&vectors["access_document"]["sig_structure"]));
    assert_eq!(document.issuer_auth().signature().0[..], hex(&vectors["access_document"]["signature"]));
}

#[test]
fn the_access_document_verifies_rustcrypto() {
    the_access_document_verifies(&rust());
}

#[test]
fn the_access_document_verifies_ring() {
    the_access_document_verifies(&Ring::new());
}

#[test]
fn the_revocation_document_is_issued_byte_for_byte_and_reads_back() {
    let Some(vectors) = vectors() else { return };
    let worked = &vectors["revocation_document"];
    let document = issued_revocation_document(&vectors);
    assert_eq!(document, hex(&worked["document"]));
    let known = issuer(&vectors);
    let parsed = Document::parse(&document).unwrap();
    let verified = verify(&Ring::new(), &parsed, |_| Some(known.public_key()), Expected::Revocation).unwrap();
    let data = verified.revocation_data().unwrap().unwrap();
    assert_eq!(data.mode(), RevocationMode::Overwrite);
    assert_eq!(data.additions().count(), 2);
    let revoked = key_hash(&rust(), &PublicKey(bytes(&worked["revoked_public_key"])));
    assert!(data.additions().any(|entry| entry.matches(&revoked, None)));
    assert_eq!(verified.check_iteration(0), Ok(9));
    assert!(!verified.time_verification_required());
}

#[test]
fn both_documents_travel_in_one_response() {
    let Some(vectors) = vectors() else { return };
    let (access, revocation) = (issued_access_document(&vectors), issued_revocation_document(&vectors));
    let response = respond(&[ACCESS, REVOCATION], &[&revocation, &access]);
    assert_eq!(response, hex(&vectors["revocation_document"]["device_response_with_access_document"]));
}

#[test]
fn session_data_of_the_runs() {
    let Some(vectors) = vectors() else { return };
    for (run, form) in
        [("A_nfc_standard_stepup_no_cert", Form::Wrapped), ("B_ble_standard_stepup_cert_profile", Form::Bare)]
    {
        let run = &vectors[run];
        let (ciphertext, wrapped) = (hex(&run["device_response_ciphertext"]), hex(&run["envelope_response_unchained"]));
        // Status word at the end.
        let wrapped = wrapped.strip_suffix(&[0x90, 0x00]).unwrap_or(&wrapped);
        assert_eq!(session::unwrap(wrapped), Ok((form, &ciphertext[..])));
        let mut out = [0; 600];
        let len = session::wrap(form, &ciphertext, &mut out).unwrap();
        assert_eq!(&out[..len], wrapped);
    }
}

#[test]
fn the_certificate_is_issued_and_expanded_byte_for_byte() {
    let Some(vectors) = vectors() else { return };
    let worked = &vectors["certificate_profile0000"];
    let mut ca = signer(&vectors, "site_ca_private");
    let key = PublicKey(bytes(&worked["subject_public_key"]));
    let request = CertificateRequest {
        serial: &hex(&worked["serial"]),
        issuer: "issuer",
        subject: "subject",
        not_before: tdate::parse(b"2020-01-01T00:00:00Z").unwrap(),
        not_after: tdate::parse(b"2049-01-01T00:00:00Z").unwrap(),
        key: &key,
    };
    let mut compressed = [0; COMPRESSED_MAX];
    let len = certificate::issue(&mut ca, &request, &mut compressed).unwrap();
    assert_eq!(compressed[..len], hex(&worked["compressed"]));
    assert_eq!(len, 154);
    let certificate = Certificate::parse(&compressed[..len]).unwrap();
    let ca = ca.public_key();
    assert_eq!(ca.0[..], hex(&worked["issuer_public_key"]));
    let mut tbs = [0; TBS_MAX];
    let len = certificate.write_tbs(&ca, &mut tbs).unwrap();
    assert_eq!(tbs[..len], hex(&worked["tbs_der"]));
    assert_eq!(certificate::write_x509(&certificate, &ca).unwrap(), hex(&worked["x509_der"]));
    assert_eq!(certificate.verify(&rust(), &ca), Ok(()));
    assert_eq!(certificate.verify(&Ring::new(), &ca), Ok(()));
    assert_eq!(certificate.key, key);
}

#[test]
fn an_issuers_certificate_stands_in_for_the_kid_in_interop_runs_only() {
    let Some(vectors) = vectors() else { return };
    // The worked certificate's subject key is the reader key: it signs the document here.
    let mut issuer = Issuer::new(&rust(), signer(&vectors, "reader_private"));
    let worked = &vectors["access_document"];
    let element = AccessElement { name: "site", random: [1; 16], data: access_data(&vectors) };
    let validity = IssuedValidity {
        signed: time(&worked["signed"]),
        valid_from: time(&worked["valid_from"]),
        valid_until: time(&worked["valid_until"]),
        iteration: 42,
        time_verification_required: true,
    };
    let device = device_key(&vectors);
    let document = AccessDocument { device_key: &device, validity, elements: &[element] };
    let document = issuer.access_document(&rust(), &document).unwrap();
    let certificate = hex(&vectors["certificate_profile0000"]["x509_der"]);
    let kid = document.windows(3).position(|window| window == [0xA1, 0x04, 0x48]).unwrap();
    let mut with_chain = document[..kid].to_vec();
    with_chain.extend([0xA1, 0x18, 33, 0x59]);
    with_chain.extend(u16::try_from(certificate.len()).unwrap().to_be_bytes());
    with_chain.extend(&certificate);
    with_chain.extend(&document[kid + 11..]);
    let parsed = Document::parse(&with_chain).unwrap();
    let (trusted, expected) =
        (signer(&vectors, "site_ca_private").public_key(), Expected::Access { device_key: &device });
    assert!(verify_with_certificate(&Ring::new(), &parsed, &trusted, expected).is_ok());
    assert!(verify_with_certificate(&Ring::new(), &parsed, &issuer.public_key(), expected).is_err());
    assert!(verify(&Ring::new(), &parsed, |_| Some(issuer.public_key()), expected).is_err(), "the product refuses it");
}

#[test]
fn the_time_token_is_issued_byte_for_byte_and_reads_back() {
    let Some(vectors) = vectors() else { return };
    let worked = &vectors["time_token"];
    let token = hex(&worked["cose_sign1"]);
    let known = issuer(&vectors);
    for crypto in [&rust() as &dyn Open, &Ring::new()] {
        assert_eq!(crypto.time(&token, known.public_key()).group, group(&vectors));
    }
    let (kid, read) = TimeToken::open(&Ring::new(), &token, |_| Some(known.public_key())).unwrap();
    assert_eq!((kid, read.time, read.expires), (known.kid(), UnixTime(0x70DC_619C), UnixTime(0x70DD_B31C)));
    assert_eq!(issuer(&vectors).time_token(&read).unwrap(), token);
    let mut out = [0; 256];
    let signed = cose::sig_structure(TIME_AAD, &hex(&worked["payload"]), &mut out).unwrap();
    assert_eq!(signed, hex(&worked["sig_structure"]));
}

#[test]
fn the_ack_token_is_issued_byte_for_byte_and_reads_back() {
    let Some(vectors) = vectors() else { return };
    let worked = &vectors["audit_ack_token"];
    let token = hex(&worked["cose_sign1"]);
    let known = issuer(&vectors);
    for crypto in [&rust() as &dyn Open, &Ring::new()] {
        assert_eq!(crypto.ack(&token, known.public_key()).reader, reader(&vectors));
    }
    let (kid, read) = AckToken::open(&Ring::new(), &token, |_| Some(known.public_key())).unwrap();
    assert_eq!((kid, read.number, read.time), (known.kid(), 2, UnixTime(0x70DC_62C8)));
    assert_eq!(read.hash[..], hex(&vectors["audit"]["records"][1]["hash"]));
    assert_eq!(issuer(&vectors).ack_token(&read).unwrap(), token);
    let mut out = [0; 256];
    let signed = cose::sig_structure(ACK_AAD, &hex(&worked["payload"]), &mut out).unwrap();
    assert_eq!(signed, hex(&worked["sig_structure"]));
}

/// Both back ends under one name.
trait Open {
    fn time(&self, token: &[u8], key: PublicKey) -> TimeToken;
    fn ack(&self, token: &[u8], key: PublicKey) -> AckToken;
}

impl<C: Crypto> Open for C {
    fn time(&self, token: &[u8], key: PublicKey) -> TimeToken {
        TimeToken::open(self, token, |_| Some(key)).unwrap().1
    }

    fn ack(&self, token: &[u8], key: PublicKey) -> AckToken {
        AckToken::open(self, token, |_| Some(key)).unwrap().1
    }
}

#[test]
fn the_audit_chain_is_written_byte_for_byte() {
    let Some(vectors) = vectors() else { return };
    let (crypto, worked) = (rust(), &vectors["audit"]);
    let first = genesis(&crypto, &reader(&vectors));
    assert_eq!(first[..], hex(&worked["genesis_prev"]));
    let raw: Vec<[u8; 96]> = worked["records"].as_array().unwrap().iter().map(|r| bytes(&r["record"])).collect();
    let mut previous = first;
    for (index, (bytes, vector)) in raw.iter().zip(worked["records"].as_array().unwrap()).enumerate() {
        let record = Record::from_bytes(bytes).unwrap();
        // Every field but the unlock id, which the vectors have nowhere else.
        let expected = Record {
            record_type: RecordType::Verdict,
            reason: [0x00, 0x13][index],
            status: [0x01, 0x25][index],
            number: u32::try_from(index).unwrap() + 1,
            time: UnixTime([0x70DC_619C, 0x70DC_61D8][index]),
            clock_state: 2,
            interface: Some(Interface::Ble),
            battery: 0x57,
            flags: 0,
            credential: credential_id(&crypto, &device_key(&vectors)),
            access_id: *access_data(&vectors).access_id.unwrap().padded(),
            unlock_id: UnlockId(record.unlock_id.0),
            previous,
        };
        assert_eq!(record, expected);
        assert_eq!(expected.to_bytes(), *bytes);
        previous = record_hash(&crypto, bytes);
        assert_eq!(previous[..], hex(&vector["hash"]));
    }
    let start = Head::genesis(&crypto, &reader(&vectors));
    let joined = raw.concat();
    let (_, head) = verify_chain(&crypto, start, &joined).last().unwrap().unwrap();
    let checkpoint = Checkpoint { reader: reader(&vectors), head, time: UnixTime(0x70DC_61D8) };
    assert_eq!(checkpoint.to_bytes()[..], hex(&worked["checkpoint_data"]));
    let mut key = signer(&vectors, "reader_private");
    let signature = Signature(bytes(&worked["checkpoint_signature_rfc6979"]));
    assert_eq!(checkpoint.sign(&mut key), Ok(signature));
    assert_eq!(checkpoint.verify(&Ring::new(), &key.public_key(), &signature), Ok(()));
}
