//! Documents with any field as a test wants it, right or wrong.
//!
//! Written apart from the issuing code of the product, so that the two check each other.

use keybutton_protocol::{
    crypto::{Crypto, Signer},
    ids::{GroupId, Kid, PublicKey, UnixTime},
    tdate,
};

use super::{cbor::Value, keys::crypto};

/// The protected header of ES256.
pub const ES256: [u8; 3] = [0xA1, 0x01, 0x26];
/// The vendor number of the profile's extensions.
pub const VENDOR: u64 = 0x7A_4B42;

/// What a document says, before it is signed.
#[derive(Clone, Debug)]
pub struct DocumentSpec {
    /// The device key it is issued to.
    pub device_key: Option<PublicKey>,
    /// `signed`.
    pub signed: UnixTime,
    /// `validFrom`.
    pub valid_from: UnixTime,
    /// `validUntil`.
    pub valid_until: UnixTime,
    /// The iteration.
    pub iteration: Option<u32>,
    /// Field "7": a lock without a clock has to refuse.
    pub time_required: bool,
    /// The docType the issuer signs.
    pub mso_type: String,
    /// The docType and name space it travels under.
    pub doc_type: String,
    /// The elements: name and value.
    pub elements: Vec<(String, Value)>,
    /// The protected header.
    pub protected: Vec<u8>,
    /// The unprotected header.
    pub unprotected: Vec<(Value, Value)>,
    /// The external data under the signature.
    pub external_aad: Vec<u8>,
}

impl DocumentSpec {
    /// An access document without elements.
    pub fn access(kid: Kid, device_key: PublicKey, signed: UnixTime) -> Self {
        Self {
            device_key: Some(device_key),
            signed,
            valid_from: signed,
            valid_until: UnixTime(signed.0 + 48 * 3_600),
            iteration: Some(42),
            time_required: true,
            mso_type: "aliro-a".to_owned(),
            doc_type: "aliro-a".to_owned(),
            elements: Vec::new(),
            protected: ES256.to_vec(),
            unprotected: vec![(Value::Uint(4), Value::bytes(&kid.0))],
            external_aad: Vec::new(),
        }
    }

    /// A revocation document.
    pub fn revocation(kid: Kid, signed: UnixTime, iteration: u32, data: Value) -> Self {
        Self {
            device_key: None,
            iteration: Some(iteration),
            mso_type: "aliro-r".to_owned(),
            doc_type: "aliro-r".to_owned(),
            elements: vec![("r".to_owned(), data)],
            ..Self::access(kid, PublicKey([4; 65]), signed)
        }
    }

    /// Adds an element.
    #[must_use]
    pub fn element(mut self, name: &str, value: Value) -> Self {
        self.elements.push((name.to_owned(), value));
        self
    }

    /// Signs it.
    pub fn sign(&self, issuer: &mut impl Signer) -> SignedDocument {
        let items: Vec<Vec<u8>> = (1..).zip(&self.elements).map(|(id, (name, value))| item(id, name, value)).collect();
        let payload = Value::embedded(&self.mso(&items)).encode();
        let signed = Value::Array(vec![
            Value::text("Signature1"),
            Value::bytes(&self.protected),
            Value::bytes(&self.external_aad),
            Value::bytes(&payload),
        ]);
        let signature = issuer.sign(&signed.encode()).expect("test keys sign").0.to_vec();
        SignedDocument {
            doc_type: self.doc_type.clone(),
            items,
            protected: self.protected.clone(),
            unprotected: self.unprotected.clone(),
            payload,
            signature,
        }
    }

    fn mso(&self, items: &[Vec<u8>]) -> Value {
        let digests = (1..).zip(items).map(|(id, item)| (id, Value::bytes(&crypto().sha256(&[item])))).collect();
        let mut fields = vec![
            ("1", Value::text("1.0")),
            ("2", Value::text("SHA-256")),
            ("3", Value::text_map(vec![(&*self.doc_type, Value::int_map(digests))])),
        ];
        if let Some(key) = &self.device_key {
            fields.push(("4", Value::text_map(vec![("1", cose_key(key))])));
        }
        fields.extend([
            ("5", Value::text(&self.mso_type)),
            ("6", self.validity()),
            ("7", Value::Bool(self.time_required)),
        ]);
        Value::text_map(fields)
    }

    fn validity(&self) -> Value {
        let mut fields = vec![("1", tdate(self.signed)), ("2", tdate(self.valid_from)), ("3", tdate(self.valid_until))];
        if let Some(iteration) = self.iteration {
            fields.push(("5", Value::Uint(iteration.into())));
        }
        Value::text_map(fields)
    }
}

/// A signed document, to be shown as it is or after something was done to it.
#[derive(Clone, Debug)]
pub struct SignedDocument {
    /// The docType and name space it travels under.
    pub doc_type: String,
    /// The items, as their digests cover them.
    pub items: Vec<Vec<u8>>,
    /// The protected header.
    pub protected: Vec<u8>,
    /// The unprotected header.
    pub unprotected: Vec<(Value, Value)>,
    /// What the issuer signed.
    pub payload: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl SignedDocument {
    /// The document as a value.
    pub fn value(&self) -> Value {
        let sign1 = Value::Array(vec![
            Value::bytes(&self.protected),
            Value::Map(self.unprotected.clone()),
            Value::bytes(&self.payload),
            Value::bytes(&self.signature),
        ]);
        let items = self.items.iter().map(|item| Value::Raw(item.clone())).collect();
        let issuer_signed =
            Value::text_map(vec![("1", Value::text_map(vec![(&*self.doc_type, Value::Array(items))])), ("2", sign1)]);
        Value::text_map(vec![("1", issuer_signed), ("5", Value::text(&self.doc_type))])
    }

    /// The document as a phone stores it.
    pub fn encode(&self) -> Vec<u8> {
        self.value().encode()
    }
}

/// A `DeviceResponse` that shows these documents.
pub fn device_response(documents: &[Vec<u8>]) -> Vec<u8> {
    let mut fields = vec![("1", Value::text("1.0"))];
    if !documents.is_empty() {
        fields.push(("2", Value::Array(documents.iter().map(|bytes| Value::Raw(bytes.clone())).collect())));
    }
    fields.push(("3", Value::Uint(0)));
    Value::text_map(fields).encode()
}

/// An item: digest id, 16 random bytes (here fixed by the id), name, value; tagged as its digest covers it.
pub fn item(id: u64, name: &str, value: &Value) -> Vec<u8> {
    let random = crypto().sha256(&[b"item", name.as_bytes(), &id.to_be_bytes()]);
    Value::embedded(&Value::text_map(vec![
        ("1", Value::Uint(id)),
        ("2", Value::bytes(&random[..16])),
        ("3", Value::text(name)),
        ("4", value.clone()),
    ]))
    .encode()
}

fn cose_key(key: &PublicKey) -> Value {
    Value::Map(vec![
        (Value::Uint(1), Value::Uint(2)),
        (Value::Negative(0), Value::Uint(1)),
        (Value::Negative(1), Value::bytes(&key.x())),
        (Value::Negative(2), Value::bytes(&key.y())),
    ])
}

fn tdate(time: UnixTime) -> Value {
    Value::Tag(0, Box::new(Value::Text(String::from_utf8(tdate::format(time).to_vec()).expect("dates are text"))))
}

/// What an access element allows.
#[derive(Clone, Debug)]
pub struct AccessSpec {
    /// The version, 1.
    pub version: u64,
    /// The access identifier.
    pub access_id: Option<Vec<u8>>,
    /// The rules.
    pub rules: Vec<RuleSpec>,
    /// The schedules.
    pub schedules: Vec<ScheduleSpec>,
    /// Reader rule identifiers, which no lock of ours has.
    pub reader_rules: Option<Vec<u64>>,
    /// Extensions that do not restrict (key 5).
    pub notes: Vec<(u64, Value)>,
    /// Extensions that restrict (key 6): vendor, criticality, number, version, content.
    pub restrictions: Vec<(u64, u64, u64, u64, Vec<u8>)>,
}

/// A rule: capabilities, masks of allowing and of denying schedules.
#[derive(Clone, Copy, Debug)]
pub struct RuleSpec(pub u64, pub Option<u64>, pub Option<u64>);

/// A schedule: start, end, `[duration, mask, pattern, interval, ordinal]`, flags.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleSpec {
    /// The first second.
    pub start: u32,
    /// The second after the last.
    pub end: Option<u32>,
    /// Recurring windows in between.
    pub recurrence: Option<[u64; 5]>,
    /// Bit 0: UTC.
    pub flags: u64,
}

impl ScheduleSpec {
    /// The whole of `start..end`.
    pub fn span(start: u32, end: u32) -> Self {
        Self { start, end: Some(end), recurrence: None, flags: 1 }
    }

    /// Weekly windows of `duration` seconds on `weekdays`, from `start` for a year.
    pub fn weekly(start: u32, duration: u32, weekdays: u8) -> Self {
        Self {
            recurrence: Some([duration.into(), weekdays.into(), 2, 1, 0]),
            ..Self::span(start, start + 365 * 86_400)
        }
    }
}

impl AccessSpec {
    /// Momentary unlock and leaving open at any time, at one site.
    pub fn always(group: GroupId, access_id: &[u8]) -> Self {
        Self {
            version: 1,
            access_id: Some(access_id.to_vec()),
            rules: vec![RuleSpec(0x0A, None, None)],
            schedules: Vec::new(),
            reader_rules: None,
            notes: Vec::new(),
            restrictions: vec![(VENDOR, 0, 1, 1, group.0.to_vec())],
        }
    }

    /// Adds an extension of ours that restricts.
    #[must_use]
    pub fn restricted(mut self, id: u64, content: &[u8]) -> Self {
        self.restrictions.push((VENDOR, 0, id, 1, content.to_vec()));
        self
    }

    /// The value of the element.
    pub fn value(&self) -> Value {
        let mut fields = vec![(0, Value::Uint(self.version))];
        if let Some(id) = &self.access_id {
            fields.push((1, Value::bytes(id)));
        }
        if !self.rules.is_empty() {
            fields.push((2, Value::Array(self.rules.iter().map(RuleSpec::value).collect())));
        }
        if !self.schedules.is_empty() {
            fields.push((3, Value::Array(self.schedules.iter().map(ScheduleSpec::value).collect())));
        }
        if let Some(ids) = &self.reader_rules {
            fields.push((4, Value::Array(ids.iter().map(|id| Value::Uint(*id)).collect())));
        }
        if !self.notes.is_empty() {
            fields.push((5, Value::int_map(self.notes.clone())));
        }
        if !self.restrictions.is_empty() {
            fields.push((6, self.restriction_map()));
        }
        Value::int_map(fields)
    }

    fn restriction_map(&self) -> Value {
        let mut vendors: Vec<u64> = self.restrictions.iter().map(|r| r.0).collect();
        vendors.sort_unstable();
        vendors.dedup();
        let of = |vendor: u64| {
            let own = self.restrictions.iter().filter(|r| r.0 == vendor);
            let row = |(_, criticality, id, version, content): &(u64, u64, u64, u64, Vec<u8>)| {
                Value::Array(vec![
                    Value::Uint(*criticality),
                    Value::Uint(*id),
                    Value::Uint(*version),
                    Value::bytes(content),
                ])
            };
            Value::Array(own.map(row).collect())
        };
        Value::int_map(vendors.into_iter().map(|vendor| (vendor, of(vendor))).collect())
    }
}

impl RuleSpec {
    fn value(&self) -> Value {
        let mut fields = vec![(0, Value::Uint(self.0))];
        fields.extend(self.1.map(|mask| (1, Value::Uint(mask))));
        fields.extend(self.2.map(|mask| (2, Value::Uint(mask))));
        Value::int_map(fields)
    }
}

impl ScheduleSpec {
    fn value(&self) -> Value {
        let mut fields = vec![(0, Value::Uint(self.start.into()))];
        fields.extend(self.end.map(|end| (1, Value::Uint(end.into()))));
        fields.extend(self.recurrence.map(|numbers| (2, Value::Array(numbers.map(Value::Uint).to_vec()))));
        fields.push((3, Value::Uint(self.flags)));
        Value::int_map(fields)
    }
}

/// One entry of a revocation list.
#[derive(Clone, Debug)]
pub struct RevokedSpec {
    /// The hash of a device key.
    pub key_hash: Option<[u8; 32]>,
    /// An access identifier.
    pub access_id: Option<Vec<u8>>,
    /// When it may be dropped.
    pub expires: Option<u32>,
}

impl RevokedSpec {
    /// An entry for a device key.
    pub fn key(key: &PublicKey) -> Self {
        Self { key_hash: Some(crypto().sha256(&[&key.0])), access_id: None, expires: None }
    }

    /// An entry for an access identifier.
    pub fn id(id: &[u8]) -> Self {
        Self { key_hash: None, access_id: Some(id.to_vec()), expires: None }
    }

    fn value(&self) -> Value {
        let mut fields = Vec::new();
        fields.extend(self.key_hash.map(|hash| (0, Value::bytes(&hash))));
        fields.extend(self.access_id.as_ref().map(|id| (1, Value::bytes(id))));
        fields.extend(self.expires.map(|time| (2, Value::Tag(1, Box::new(Value::Uint(time.into()))))));
        Value::int_map(fields)
    }
}

/// The value of a revocation element; `append` is mode 1.
pub fn revocation_data(append: bool, add: &[RevokedSpec], remove: &[RevokedSpec]) -> Value {
    let list = |entries: &[RevokedSpec]| Value::Array(entries.iter().map(RevokedSpec::value).collect());
    let mut fields = vec![(0, Value::Uint(1)), (1, Value::Uint(append.into())), (2, list(add))];
    if !remove.is_empty() {
        fields.push((3, list(remove)));
    }
    Value::int_map(fields)
}

/// A COSE_Sign1 of any payload with any external data: a token, or something that poses as one.
pub fn sign1(issuer: &mut impl Signer, kid: Kid, external_aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let signed = Value::Array(vec![
        Value::text("Signature1"),
        Value::bytes(&ES256),
        Value::bytes(external_aad),
        Value::bytes(payload),
    ]);
    let signature = issuer.sign(&signed.encode()).expect("test keys sign");
    Value::Array(vec![
        Value::bytes(&ES256),
        Value::Map(vec![(Value::Uint(4), Value::bytes(&kid.0))]),
        Value::bytes(payload),
        Value::bytes(&signature.0),
    ])
    .encode()
}
