//! A site with its CA, its issuer, its locks and its members: what a service would hand out, with fixed keys.

use keybutton_lock::config::{DocumentRules, Issuer, LockConfig, Policy};
use keybutton_protocol::{
    api::{self, Bytes, DoorId, KeyBundle, SiteId, SiteKeys, SiteLock},
    audit::generate_audit_key,
    buf::Buf,
    certificate::{self, CertificateRequest},
    crypto::{Signer, rustcrypto::RustSigner},
    document::{ElementName, issuer_kid, list::List},
    ids::{GroupId, GroupResolvingKey, Kid, LockNumber, PublicKey, ReaderId, SubId, UnixTime},
    profile::Profile,
    token::{ACK_AAD, TIME_AAD},
};

use super::{
    cbor::Value,
    document::{AccessSpec, DocumentSpec, RevokedSpec, ScheduleSpec, revocation_data, sign1},
    keys::{self, crypto, public, signer},
};

/// A Tuesday, 2030-01-01T09:45:00Z: the time at which tests begin.
pub const NOW: UnixTime = UnixTime(1_893_491_100);
/// The Monday before, 07:00: where weekly schedules start.
pub const MONDAY: u32 = 1_893_394_800;
/// The iteration of documents and locks, unless a test wants another.
pub const ITERATION: u32 = 42;

/// The dates that a compressed certificate leaves out: from 2020 to 2049.
const CERTIFICATE_FROM: UnixTime = UnixTime(1_577_836_800);
const CERTIFICATE_UNTIL: UnixTime = UnixTime(2_493_072_000);

/// A site.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name; all keys follow from it.
    pub label: String,
    /// Its group identifier.
    pub group: GroupId,
    /// The kid of its issuer.
    pub kid: Kid,
}

/// A member's phone, as far as locks know it: a device key.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name; the key follows from it.
    pub label: String,
    /// The device key's public half.
    pub key: PublicKey,
    /// The access identifier of the member's right.
    pub access_id: Vec<u8>,
}

impl Member {
    /// The member of this name.
    pub fn new(label: &str) -> Self {
        let access_id = keys::bytes::<8>(&format!("access id of {label}")).to_vec();
        Self { label: label.to_owned(), key: public(&format!("device of {label}")), access_id }
    }

    /// The device key.
    pub fn signer(&self) -> RustSigner {
        signer(&format!("device of {}", self.label))
    }
}

impl Site {
    /// The site of this name.
    pub fn new(label: &str) -> Self {
        let group = GroupId(keys::bytes(&format!("group of {label}")));
        let kid = issuer_kid(&crypto(), &public(&format!("issuer of {label}")));
        Self { label: label.to_owned(), group, kid }
    }

    /// The site's CA.
    pub fn ca(&self) -> RustSigner {
        signer(&format!("CA of {}", self.label))
    }

    /// The site's issuer.
    pub fn issuer(&self) -> RustSigner {
        signer(&format!("issuer of {}", self.label))
    }

    /// The site's group resolving key.
    pub fn resolving_key(&self) -> GroupResolvingKey {
        GroupResolvingKey::new(keys::bytes(&format!("resolving key of {}", self.label)))
    }

    /// The sub identifier of a lock.
    pub fn sub(&self, number: u16) -> SubId {
        SubId(keys::bytes(&format!("lock {number} of {}", self.label)))
    }

    /// The reader identifier of a lock.
    pub fn reader_id(&self, number: u16) -> ReaderId {
        ReaderId::new(self.group, self.sub(number))
    }

    /// The reader key of a lock.
    pub fn reader_key(&self, number: u16) -> RustSigner {
        signer(&format!("reader {number} of {}", self.label))
    }

    /// The door that a lock belongs to.
    pub fn door(&self, number: u16) -> DoorId {
        DoorId(format!("{}-door-{number}", self.label))
    }

    /// The key that audit is sealed to: private and public half.
    pub fn audit_key(&self) -> ([u8; 32], PublicKey) {
        let (private, public) = generate_audit_key(&mut keys::seeded_crypto(7)).expect("test randomness does not fail");
        (*private, public)
    }

    /// The certificate of a lock, compressed.
    pub fn certificate(&self, number: u16) -> Vec<u8> {
        self.certificate_for(&self.reader_key(number).public_key(), &subject(&self.sub(number)))
    }

    /// A certificate of the site's CA for any key and subject.
    pub fn certificate_for(&self, key: &PublicKey, subject: &str) -> Vec<u8> {
        issue_certificate(&mut self.ca(), key, subject, CERTIFICATE_UNTIL)
    }

    /// What a claim gives a lock.
    pub fn lock_config(&self, number: u16) -> LockConfig {
        let issuer = Issuer {
            kid: self.kid,
            key: self.issuer().public_key(),
            access_iteration: ITERATION,
            revocation_iteration: 0,
        };
        LockConfig {
            group: self.group,
            sub: self.sub(number),
            number: LockNumber(number),
            group_resolving_key: self.resolving_key(),
            anchor: self.ca().public_key(),
            certificate: Some(Buf::from_slice(&self.certificate(number)).expect("certificates fit")),
            issuers: List::from_slice(&[issuer]).expect("one issuer fits"),
            elements: List::from_slice(&[ElementName::lock(number), ElementName::zone(3), ElementName::SITE])
                .expect("three elements fit"),
            audit_key: None,
            claimed_at: UnixTime(NOW.0 - 86_400),
            policy: Policy::default(),
            documents: DocumentRules::default(),
            profile: Profile::PRODUCT,
        }
    }

    /// What a member may do by default: momentary unlock and leaving open, weekdays 07:00 to 19:00.
    pub fn access_spec(&self, member: &Member) -> AccessSpec {
        let mut spec = AccessSpec::always(self.group, &member.access_id);
        spec.schedules = vec![ScheduleSpec::weekly(MONDAY, 12 * 3_600, 0x1F)];
        spec.rules[0].1 = Some(1);
        spec
    }

    /// An access document with one element, for a zone that every lock of the site answers to.
    pub fn access(&self, member: &Member, spec: &AccessSpec) -> DocumentSpec {
        let signed = UnixTime(NOW.0 - 3_600);
        DocumentSpec::access(self.kid, member.key, signed).element("z0003", spec.value())
    }

    /// The access document a member holds by default, signed.
    pub fn document(&self, member: &Member) -> Vec<u8> {
        self.access(member, &self.access_spec(member)).sign(&mut self.issuer()).encode()
    }

    /// A revocation document that replaces all before it.
    pub fn revocation(&self, iteration: u32, entries: &[RevokedSpec]) -> Vec<u8> {
        self.revocation_of(iteration, revocation_data(false, entries, &[]))
    }

    /// A revocation document with any content. The iteration is also the second in which it was signed.
    pub fn revocation_of(&self, iteration: u32, data: Value) -> Vec<u8> {
        let signed = UnixTime(NOW.0 - 7_200 + iteration);
        DocumentSpec::revocation(self.kid, signed, iteration, data).sign(&mut self.issuer()).encode()
    }

    /// A time token.
    pub fn time_token(&self, time: UnixTime) -> Vec<u8> {
        self.time_token_of(&self.group, time, TIME_AAD)
    }

    /// A time token for any site, under any external data.
    pub fn time_token_of(&self, group: &GroupId, time: UnixTime, external_aad: &[u8]) -> Vec<u8> {
        let payload = Value::int_map(vec![
            (0, Value::Uint(1)),
            (1, Value::bytes(&group.0)),
            (2, Value::Uint(time.0.into())),
            (3, Value::Uint(u64::from(time.0) + 86_400)),
            (4, Value::bytes(&keys::bytes::<8>("serial"))),
        ]);
        sign1(&mut self.issuer(), self.kid, external_aad, &payload.encode())
    }

    /// An acknowledgement of a lock's audit.
    pub fn ack_token(&self, number: u16, record: u32, hash: &[u8; 32]) -> Vec<u8> {
        self.ack_token_of(number, record, hash, ACK_AAD)
    }

    /// An acknowledgement under any external data.
    pub fn ack_token_of(&self, number: u16, record: u32, hash: &[u8; 32], external_aad: &[u8]) -> Vec<u8> {
        let payload = Value::int_map(vec![
            (0, Value::Uint(1)),
            (1, Value::bytes(&self.reader_id(number).0)),
            (2, Value::Uint(record.into())),
            (3, Value::bytes(hash)),
            (4, Value::Uint(NOW.0.into())),
        ]);
        sign1(&mut self.issuer(), self.kid, external_aad, &payload.encode())
    }

    /// What a member's phone keeps of the site, with the locks `numbers`.
    pub fn keys(&self, member: &Member, numbers: &[u16]) -> SiteKeys {
        let locks = numbers.iter().map(|number| SiteLock {
            door: self.door(*number),
            name: format!("Door {number}"),
            number: *number,
            sub_id: Bytes(self.sub(*number).0.to_vec()),
            tap_hint: false,
            opens: true,
        });
        SiteKeys {
            site: SiteId(self.label.clone()),
            name: self.label.clone(),
            group_id: Bytes(self.group.0.to_vec()),
            ca_key: Bytes(self.ca().public_key().0.to_vec()),
            group_resolving_key: Bytes(self.resolving_key().expose().to_vec()),
            kid: Bytes(self.kid.0.to_vec()),
            issuer_key: Bytes(self.issuer().public_key().0.to_vec()),
            locks: locks.collect(),
            document: Bytes(self.document(member)),
            access_id: Bytes(member.access_id.clone()),
            signed: NOW.0 - 3_600,
            valid_from: NOW.0 - 3_600,
            valid_until: NOW.0 - 3_600 + 48 * 3_600,
            revocation_document: None,
            time_token: Bytes(self.time_token(NOW)),
            ack_tokens: Vec::new(),
        }
    }

    /// A bundle of one site.
    pub fn bundle(&self, keys: SiteKeys) -> KeyBundle {
        KeyBundle { sites: vec![keys], renew_after: NOW.0 + 86_400, now: NOW.0 }
    }

    /// An acknowledgement as the service hands it to phones.
    pub fn api_ack(&self, number: u16, record: u32, hash: &[u8; 32]) -> api::AckToken {
        api::AckToken { sub_id: Bytes(self.sub(number).0.to_vec()), token: Bytes(self.ack_token(number, record, hash)) }
    }
}

/// Has a CA sign a reader certificate that says no more than it must: key, subject and end.
pub fn issue_certificate(ca: &mut impl Signer, key: &PublicKey, subject: &str, not_after: UnixTime) -> Vec<u8> {
    let request =
        CertificateRequest { serial: &[1], issuer: "issuer", subject, not_before: CERTIFICATE_FROM, not_after, key };
    let mut out = [0; certificate::COMPRESSED_MAX];
    let len = certificate::issue(ca, &request, &mut out).expect("the request is in range");
    out[..len].to_vec()
}

/// The subject name that belongs to a lock.
pub fn subject(sub: &SubId) -> String {
    String::from_utf8(certificate::display_name(&sub.0).to_vec()).expect("hex is text")
}
