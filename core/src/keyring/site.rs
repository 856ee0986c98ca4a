use std::fmt;

use keybutton_protocol::{
    api::{AckToken as AckRecord, DoorId, SiteId, SiteKeys, SiteLock},
    crypto::Crypto,
    document::{AccessData, Document, ElementName, Expected, Validity, Verified, issuer_kid, verify},
    ids::{GroupId, GroupResolvingKey, Kid, LockNumber, PublicKey, ReaderId, SubId, UnixTime},
    token::{AckToken, TimeToken},
};
use zeroize::Zeroize;

use crate::{
    error::{ErrorCode, KeyError},
    pairs::Pairs,
};

/// A lock of a site, as the phone's table has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lock {
    /// The door it is on.
    pub door: DoorId,
    /// The door's name, to be shown.
    pub name: String,
    /// Its number in the rotating tag.
    pub number: LockNumber,
    /// Its sub identifier.
    pub sub: SubId,
    /// The phone has to be held to the lock.
    pub tap_hint: bool,
    /// The member's key names this lock.
    pub opens: bool,
}

/// What the phone holds for one site. Everything signed in it has been verified.
pub struct Site {
    record: SiteKeys,
    group: GroupId,
    ca_key: PublicKey,
    resolving_key: GroupResolvingKey,
    issuer: (Kid, PublicKey),
    locks: Vec<Lock>,
    elements: Vec<(ElementName, AccessData)>,
    validity: Validity,
    revocation: Option<Validity>,
    time_token: TimeToken,
    acks: Pairs<SubId, (u32, Vec<u8>)>,
}

impl Site {
    /// Verifies what the service sent for one site, against the issuer key in it and this phone's device key.
    ///
    /// # Errors
    ///
    /// `service-failed` when anything is missing, malformed, not signed by the issuer, or for another phone or site.
    pub(super) fn verify<C: Crypto>(record: SiteKeys, device_key: &PublicKey, crypto: &C) -> Result<Self, KeyError> {
        Self::read(record, device_key, crypto).ok_or_else(|| ErrorCode::ServiceFailed.into())
    }

    fn read<C: Crypto>(record: SiteKeys, device_key: &PublicKey, crypto: &C) -> Option<Self> {
        let group = GroupId::from_slice(&record.group_id.0)?;
        let ca_key = read_point(&record.ca_key.0, crypto)?;
        let issuer_key = read_point(&record.issuer_key.0, crypto)?;
        let kid = Kid::from_slice(&record.kid.0)?;
        if issuer_kid(crypto, &issuer_key) != kid {
            return None;
        }
        let by_kid = |named: &Kid| (*named == kid).then_some(issuer_key);

        let document = Document::parse(&record.document.0).ok()?;
        let document = verify(crypto, &document, by_kid, Expected::Access { device_key }).ok()?;
        let validity = document.validity();
        let announced = (UnixTime(record.signed), UnixTime(record.valid_from), UnixTime(record.valid_until));
        if (validity.signed, validity.valid_from, validity.valid_until) != announced || validity.iteration.is_none() {
            return None;
        }
        let elements = read_elements(&document, group, &record.access_id.0)?;

        let revocation = match &record.revocation_document {
            Some(bytes) => {
                let document = Document::parse(&bytes.0).ok()?;
                let document = verify(crypto, &document, by_kid, Expected::Revocation).ok()?;
                document.revocation_data()?.ok()?;
                document.validity().iteration?;
                Some(document.validity())
            }
            None => None,
        };
        let (_, time_token) = TimeToken::open(crypto, &record.time_token.0, by_kid).ok()?;
        let acks = record.ack_tokens.iter().map(|ack| read_ack(ack, group, by_kid, crypto)).collect::<Option<_>>()?;
        if time_token.group != group {
            return None;
        }
        Some(Self {
            group,
            ca_key,
            resolving_key: GroupResolvingKey::from_slice(&record.group_resolving_key.0)?,
            issuer: (kid, issuer_key),
            locks: record.locks.iter().map(read_lock).collect::<Option<_>>()?,
            elements,
            validity,
            revocation,
            time_token,
            acks,
            record,
        })
    }

    /// Identifies the site at the service.
    pub fn id(&self) -> &SiteId {
        &self.record.site
    }

    /// The site's name, to be shown.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// The site's group identifier.
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The trust anchor of the site's locks.
    pub const fn ca_key(&self) -> &PublicKey {
        &self.ca_key
    }

    /// Recognises the site's advertisements.
    pub const fn resolving_key(&self) -> &GroupResolvingKey {
        &self.resolving_key
    }

    /// The site's locks.
    pub fn locks(&self) -> &[Lock] {
        &self.locks
    }

    /// The lock of a door.
    pub fn lock_of(&self, door: &DoorId) -> Option<&Lock> {
        self.locks.iter().find(|lock| lock.door == *door)
    }

    /// The lock with this number in the tag.
    pub fn lock_number(&self, number: LockNumber) -> Option<&Lock> {
        self.locks.iter().find(|lock| lock.number == number)
    }

    /// The lock with this sub identifier.
    pub fn lock_sub(&self, sub: SubId) -> Option<&Lock> {
        self.locks.iter().find(|lock| lock.sub == sub)
    }

    /// What the access key allows, element by element.
    pub fn elements(&self) -> &[(ElementName, AccessData)] {
        &self.elements
    }

    /// When the access key was signed and when it counts.
    pub const fn validity(&self) -> &Validity {
        &self.validity
    }

    /// The access key, as it goes to the lock.
    pub fn document(&self) -> &[u8] {
        &self.record.document.0
    }

    /// The newest Revocation Document and when it was signed.
    pub fn revocation(&self) -> Option<(&[u8], UnixTime)> {
        Some((&self.record.revocation_document.as_ref()?.0, self.revocation?.signed))
    }

    /// The newest time token; `None` once it has expired.
    pub fn time_token(&self, now: UnixTime) -> Option<&[u8]> {
        (now <= self.time_token.expires).then_some(&self.record.time_token.0)
    }

    /// The newest ACK token for a lock.
    pub fn ack_token(&self, sub: SubId) -> Option<&[u8]> {
        self.acks.get(&sub).map(|(_, token)| &token[..])
    }

    /// When the phone should ask for new keys: half of the access key's validity.
    pub fn renew_after(&self) -> UnixTime {
        let (from, until) = (self.validity.valid_from.0, self.validity.valid_until.0);
        UnixTime(from.saturating_add(until.saturating_sub(from) / 2))
    }

    pub(super) const fn record(&self) -> &SiteKeys {
        &self.record
    }

    /// Keeps what the former record knows better: a Revocation Document, a time token and ACK tokens never go back.
    pub(super) fn keep_newest(&mut self, former: &Self) {
        let iteration = |validity: Option<Validity>| validity.and_then(|validity| validity.iteration);
        if self.issuer != former.issuer {
            return;
        }
        if iteration(former.revocation) > iteration(self.revocation) {
            self.revocation = former.revocation;
            self.record.revocation_document = former.record.revocation_document.clone();
        }
        if former.time_token.time > self.time_token.time {
            self.time_token = former.time_token;
            self.record.time_token = former.record.time_token.clone();
        }
        for (sub, (number, token)) in former.acks.iter() {
            self.put_ack(*sub, *number, token.clone());
        }
    }

    /// Whether Kpersistent agreed under the former record is still good: same anchor, same document.
    pub(super) fn keeps_fast_keys_of(&self, former: &Self) -> bool {
        self.ca_key == former.ca_key && self.document() == former.document()
    }

    /// Takes an ACK token over when it verifies, is for a lock of this site, and is newer than the one held.
    pub(super) fn accept_ack<C: Crypto>(&mut self, ack: &AckRecord, crypto: &C) -> bool {
        let (kid, key) = self.issuer;
        let by_kid = |named: &Kid| (*named == kid).then_some(key);
        let Some((sub, (number, token))) = read_ack(ack, self.group, by_kid, crypto) else { return false };
        self.put_ack(sub, number, token)
    }

    fn put_ack(&mut self, sub: SubId, number: u32, token: Vec<u8>) -> bool {
        if self.acks.get(&sub).is_some_and(|(held, _)| *held >= number) {
            return false;
        }
        self.record.ack_tokens.retain(|ack| ack.sub_id.0 != sub.0);
        self.record.ack_tokens.push(AckRecord { sub_id: sub.0.into(), token: (&token).into() });
        self.acks.insert(sub, (number, token));
        true
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.record.group_resolving_key.0.zeroize();
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("locks", &self.locks.len()).finish_non_exhaustive()
    }
}

fn read_point<C: Crypto>(bytes: &[u8], crypto: &C) -> Option<PublicKey> {
    PublicKey::from_slice(bytes).filter(|key| crypto.check_point(key).is_ok())
}

fn read_lock(lock: &SiteLock) -> Option<Lock> {
    Some(Lock {
        door: lock.door.clone(),
        name: lock.name.clone(),
        number: LockNumber(lock.number),
        sub: SubId::from_slice(&lock.sub_id.0)?,
        tap_hint: lock.tap_hint,
        opens: lock.opens,
    })
}

/// Every element of an access key of ours is bound to its site and carries the access identifier announced.
fn read_elements(document: &Verified<'_>, group: GroupId, access_id: &[u8]) -> Option<Vec<(ElementName, AccessData)>> {
    let read = |(name, value)| {
        let data = AccessData::parse(value).ok()?;
        let bound = data.restrictions.site == Some(group);
        let announced = data.access_id.is_some_and(|id| id.as_bytes() == access_id);
        Some((ElementName::parse(name)?, data)).filter(|_| bound && announced)
    };
    document.elements().map(read).collect::<Option<Vec<_>>>().filter(|elements| !elements.is_empty())
}

fn read_ack<C: Crypto>(
    ack: &AckRecord,
    group: GroupId,
    by_kid: impl FnOnce(&Kid) -> Option<PublicKey>,
    crypto: &C,
) -> Option<(SubId, (u32, Vec<u8>))> {
    let sub = SubId::from_slice(&ack.sub_id.0)?;
    let (_, token) = AckToken::open(crypto, &ack.token.0, by_kid).ok()?;
    (token.reader == ReaderId::new(group, sub)).then(|| (sub, (token.number, ack.token.0.clone())))
}
