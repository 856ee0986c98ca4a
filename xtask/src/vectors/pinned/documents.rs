//! Documents, tokens, certificate, audit and advertising.

use keybutton_protocol::{
    advert::{self, AdvertFlags, ServiceData},
    audit::{self, Checkpoint, Head, PLAINTEXT_MAX, Record, RecordType, SEAL_OVERHEAD, write_plaintext},
    certificate::{self, COMPRESSED_MAX, Certificate, CertificateRequest, TBS_MAX},
    cose::{self, Sign1},
    document::{
        AccessData, DeviceRequest, DocRequest, DocType, Document, RevocationEntry, credential_id,
        list::List,
        request::write_device_request,
        response::answer,
        revocation::key_hash,
        schedule::{Capabilities, Mask, Recurrence, Rule, Schedule},
    },
    ids::{AccessId, Interface, LockNumber, UnixTime, UnlockId},
    issue::{AccessDocument, AccessElement, IssuedValidity, Issuer, RevocationDocument},
    token::{ACK_AAD, AckToken, TIME_AAD, TimeToken},
};

use super::{
    Numbers,
    identities::{
        LOCK_NUMBER, NOW, bytes, crypto, crypto_with, group, group_resolving_key, private, public, reader, signer, sub,
    },
};

/// What an issuer signed: the parts, and the whole.
pub(super) struct Signed {
    name: &'static str,
    parts: Numbers,
    pub(super) whole: Vec<u8>,
}

impl Signed {
    pub(super) fn numbers(&self) -> Numbers {
        self.parts.clone().bytes(self.name, &self.whole)
    }
}

fn issuer() -> Issuer<keybutton_protocol::crypto::rustcrypto::RustSigner> {
    Issuer::new(&crypto(), signer("issuer"))
}

fn sig_structure(message: &Sign1<'_>, aad: &[u8]) -> Vec<u8> {
    let mut out = [0; 2_112];
    cose::sig_structure(aad, message.payload(), &mut out).unwrap().to_vec()
}

/// The elements the lock asks for.
const ELEMENTS: [&str; 3] = ["l002a", "z0003", "site"];

/// Writes the lock's request.
pub(super) fn device_request() -> Vec<u8> {
    let mut out = [0; 256];
    let request = DocRequest { doc_type: DocType::Access, elements: &ELEMENTS };
    let len = write_device_request(&[request], &mut out).unwrap();
    out[..len].to_vec()
}

/// Writes the phone's answer to [`device_request`].
pub(super) fn device_response() -> Vec<u8> {
    let mut out = [0; 2_048];
    let request = device_request();
    let len = answer(&DeviceRequest::parse(&request).unwrap(), &[&access().whole], &mut out).unwrap();
    out[..len].to_vec()
}

pub(super) fn access_id() -> AccessId {
    AccessId::from_slice(&bytes::<8>("access identifier")).unwrap()
}

/// Weekdays 07:00 to 19:00 UTC in one zone, for 48 hours.
pub(super) fn access() -> Signed {
    let mut data = AccessData { access_id: Some(access_id()), ..AccessData::default() };
    let rule = Rule {
        capabilities: Capabilities::UNSECURE.and(Capabilities::MOMENTARY),
        allow: Some(Mask::first(1)),
        deny: None,
    };
    let schedule = Schedule {
        start: UnixTime(1_893_481_200),
        end: Some(UnixTime(1_901_257_200)),
        recurrence: Some(Recurrence::weekly(43_200, 0b001_1111)),
        utc: true,
    };
    data.rules.rules = List::from_slice(&[rule]).unwrap();
    data.rules.schedules = List::from_slice(&[schedule]).unwrap();
    data.restrictions.site = Some(group());
    let validity = IssuedValidity {
        signed: UnixTime(NOW.0 - 3_600),
        valid_from: UnixTime(NOW.0 - 3_600),
        valid_until: UnixTime(NOW.0 - 3_600 + 172_800),
        iteration: 42,
        time_verification_required: true,
    };
    let elements = [AccessElement { name: "z0003", random: bytes("access random"), data }];
    let document = AccessDocument { device_key: &public("device"), validity, elements: &elements };
    let whole = issuer().access_document(&crypto(), &document).unwrap();
    let parts = document_parts(&whole);
    Signed { name: "access document", parts, whole }
}

pub(super) fn revocation() -> Signed {
    let expires = Some(UnixTime(NOW.0 + 30 * 86_400));
    let entries = [
        RevocationEntry { key_hash: Some(key_hash(&crypto(), &public("revoked device"))), access_id: None, expires },
        RevocationEntry {
            key_hash: None,
            access_id: AccessId::from_slice(&bytes::<8>("revoked access identifier")),
            expires,
        },
    ];
    let validity = IssuedValidity {
        signed: UnixTime(NOW.0 - 600),
        valid_from: UnixTime(NOW.0 - 600),
        valid_until: UnixTime(NOW.0 + 60 * 86_400),
        iteration: 9,
        time_verification_required: false,
    };
    let document = RevocationDocument { validity, random: bytes("revocation random"), entries: &entries };
    let whole = issuer().revocation_document(&crypto(), &document).unwrap();
    let parts = document_parts(&whole);
    Signed { name: "revocation document", parts, whole }
}

/// The steps of section 10.1 that lead to a document.
fn document_parts(whole: &[u8]) -> Numbers {
    let document = Document::parse(whole).unwrap();
    let message = document.issuer_auth();
    // Item and value stand in the document; the digest covers the item with its tag.
    let (_, item) = document.items().next().unwrap();
    let digest = keybutton_protocol::crypto::Crypto::sha256(&crypto(), &[item.whole]);
    Numbers::default()
        .bytes("element", item.value)
        .bytes("item", item.whole)
        .bytes("digest", digest)
        .bytes("payload", message.payload())
        .bytes("signed", sig_structure(message, &[]))
        .bytes("signature", message.signature().as_bytes())
}

pub(super) fn time_token() -> Signed {
    let token =
        TimeToken { group: group(), time: NOW, expires: UnixTime(NOW.0 + 86_400), serial: bytes("time token serial") };
    token_of("time token", issuer().time_token(&token).unwrap(), TIME_AAD)
}

pub(super) fn ack_token() -> Signed {
    let head = audit().head;
    let token = AckToken { reader: reader(), number: head.number, hash: head.hash, time: UnixTime(NOW.0 + 300) };
    token_of("ack token", issuer().ack_token(&token).unwrap(), ACK_AAD)
}

fn token_of(name: &'static str, whole: Vec<u8>, aad: &[u8]) -> Signed {
    let message = Sign1::parse(&whole).unwrap();
    let parts = Numbers::default()
        .bytes(&format!("{name} payload"), message.payload())
        .bytes(&format!("{name} signed"), sig_structure(&message, aad));
    Signed { name, parts, whole }
}

/// The reader certificate in compressed form.
pub(super) fn compressed_certificate() -> Vec<u8> {
    let (subject, key) = (certificate::display_name(&sub().0), public("reader"));
    let request =
        CertificateRequest { subject: std::str::from_utf8(&subject).unwrap(), ..CertificateRequest::shortest(&key) };
    let mut out = [0; COMPRESSED_MAX];
    let len = certificate::issue(&mut signer("site ca"), &request, &mut out).unwrap();
    out[..len].to_vec()
}

pub(super) fn certificate() -> Numbers {
    let compressed = compressed_certificate();
    let certificate = Certificate::parse(&compressed).unwrap();
    let mut tbs = [0; TBS_MAX];
    let len = certificate.write_tbs(&public("site ca"), &mut tbs).unwrap();
    let x509 = certificate::write_x509(&certificate, &public("site ca")).unwrap();
    Numbers::default().bytes("compressed", &compressed).bytes("signed DER", &tbs[..len]).bytes("whole X.509", x509)
}

/// A chain of three records, its checkpoint and envelope.
pub(super) struct Audit {
    records: Vec<[u8; 96]>,
    pub(super) head: Head,
}

/// Where a verdict's record stands in the chain.
pub(super) fn audit() -> Audit {
    let base = Record {
        record_type: RecordType::Start,
        reason: 0,
        status: 0,
        number: 1,
        time: UnixTime(NOW.0 - 60),
        clock_state: 2,
        interface: None,
        battery: 87,
        flags: 0,
        credential: keybutton_protocol::ids::CredentialId([0; 16]),
        access_id: [0; 16],
        unlock_id: UnlockId([0; 16]),
        previous: [0; 32],
    };
    let verdict = Record {
        record_type: RecordType::Verdict,
        interface: Some(Interface::Ble),
        credential: credential_id(&crypto(), &public("device")),
        access_id: *access_id().padded(),
        ..base
    };
    let granted = Record { status: 0x81, time: NOW, unlock_id: UnlockId(bytes("first unlock id")), ..verdict };
    let denied = Record {
        reason: 0x13,
        status: 0x25,
        time: UnixTime(NOW.0 + 60),
        unlock_id: UnlockId(bytes("denied unlock id")),
        ..verdict
    };
    let mut head = Head::genesis(&crypto(), &reader());
    let mut records = Vec::new();
    for record in [base, granted, denied] {
        let bytes = Record { number: head.number + 1, previous: head.hash, ..record }.to_bytes();
        head = head.follow(&crypto(), &bytes).unwrap().1;
        records.push(bytes);
    }
    Audit { records, head }
}

impl Audit {
    pub(super) fn numbers(&self) -> Numbers {
        let genesis = audit::genesis(&crypto(), &reader());
        let mut numbers = Numbers::default().bytes("previous of record 1", genesis);
        for (index, record) in self.records.iter().enumerate() {
            numbers = numbers
                .bytes(&format!("record {}", index + 1), record)
                .bytes(&format!("hash {}", index + 1), audit::record_hash(&crypto(), record));
        }
        let checkpoint = Checkpoint { reader: reader(), head: self.head, time: UnixTime(NOW.0 + 120) };
        let signature = checkpoint.sign(&mut signer("reader")).unwrap();
        let mut out = [0; PLAINTEXT_MAX + SEAL_OVERHEAD];
        let plaintext = &mut out[65..];
        let len = write_plaintext(&signature, checkpoint.time, self.records.iter(), plaintext).unwrap();
        let plaintext = plaintext[..len].to_vec();
        let randomness = bytes::<32>("envelope randomness");
        let sealed = audit::seal(&mut crypto_with(&[&randomness]), &public("audit"), &reader(), len, &mut out).unwrap();
        let mut opened = out[..sealed].to_vec();
        assert_eq!(audit::open(&private("audit"), &reader(), &mut opened).unwrap(), plaintext);
        numbers
            .bytes("checkpoint data", checkpoint.to_bytes())
            .bytes("checkpoint signature", signature.as_bytes())
            .bytes("envelope plaintext", plaintext)
            .bytes("envelope key material (DeriveKeyPair input)", randomness)
            .bytes("envelope", &out[..sealed])
    }
}

pub(super) fn advertising() -> Numbers {
    let random = bytes::<3>("tag random");
    let flags = AdvertFlags::BATTERY_LOW.with(AdvertFlags::WANTS_SYNC);
    let data = ServiceData::make(&crypto(), &group_resolving_key(), random, LockNumber(LOCK_NUMBER), flags);
    let resolved = data.resolve(&crypto(), &group_resolving_key()).unwrap();
    assert_eq!((resolved.lock, resolved.flags), (LockNumber(LOCK_NUMBER), flags));
    Numbers::default()
        .bytes("lock number", LOCK_NUMBER.to_be_bytes())
        .bytes("flags", [flags.0])
        .bytes("random", random)
        .bytes("tag", data.tag.0)
        .bytes("flags on air", [data.masked_flags])
        .bytes("advertising packet", advert::advertisement(4))
        .bytes("scan response", advert::scan_response(&data))
}
