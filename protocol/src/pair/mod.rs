//! Both halves of the handshake against each other, over both interfaces and both back ends.

mod attacks;
mod flows;
mod link;
mod robust;

use std::{vec, vec::Vec};

pub(crate) use link::Link;

use crate::{
    a5::PressInfo,
    buf::Buf,
    certificate::{self, COMPRESSED_MAX, CertificateRequest},
    crypto::{Crypto, Signer, rustcrypto::RustSigner},
    exchange::{Reply, Request},
    ids::{GroupId, Intent, Interface, Kpersistent, PublicKey, ReaderId, SubId, UnixTime, UnlockId},
    initiator::{self, Auth0Next, Env, InitiatorError, LockTrust, Phone, Secured, SecuredNext, TrustStore},
    message,
    profile::{CertificateCarrier, Profile, UserPolicy},
    reader::{self, Deciding, Failure, Prepared, Setup},
    testing::signer,
    verdict::{AuditHead, Reason, Report, Verdict},
};

pub(crate) const NOW: UnixTime = UnixTime(1_893_491_100);
pub(crate) const PRESS: PressInfo = PressInfo::new(UnlockId([7; 16]), Intent::Unlock);

/// A lock: who it is, and its key.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) profile: Profile,
    pub(crate) reader: ReaderId,
    pub(crate) anchor: PublicKey,
    pub(crate) certificate: Option<Vec<u8>>,
    pub(crate) signer: RustSigner,
}

impl Door {
    /// A lock of the site, with a certificate that names it.
    pub(crate) fn new(profile: Profile) -> Self {
        let reader = ReaderId::new(GroupId([0xAA; 16]), SubId([0xBB; 16]));
        let signer = signer("reader");
        let certificate = issue("site ca", &signer.public_key(), &reader, UnixTime(2_000_000_000));
        let anchor = super::testing::signer("site ca").public_key();
        Self { profile, reader, anchor, certificate: Some(certificate), signer }
    }

    /// A lock whose key phones hold directly.
    pub(crate) fn without_certificate(profile: Profile) -> Self {
        let door = Self::new(profile);
        Self { anchor: door.signer.public_key(), certificate: None, ..door }
    }

    pub(crate) fn setup(&self) -> Setup<'_> {
        Setup {
            profile: &self.profile,
            reader: self.reader,
            anchor: self.anchor,
            certificate: self.certificate.as_deref(),
        }
    }
}

/// A phone: its device key, and what it holds for the lock.
pub(crate) struct Member {
    pub(crate) phone: Phone,
    pub(crate) signer: RustSigner,
    pub(crate) reader: ReaderId,
    pub(crate) trust: LockTrust,
    pub(crate) reader_key: Option<PublicKey>,
    pub(crate) fast_anchor: Option<PublicKey>,
    pub(crate) user_authenticated: bool,
}

/// What a phone holds for the locks of one group.
pub(crate) struct Held {
    group: GroupId,
    trust: LockTrust,
    reader_key: Option<PublicKey>,
    fast_anchor: Option<PublicKey>,
}

impl TrustStore for Held {
    fn find(&self, reader: &ReaderId) -> Option<LockTrust> {
        (reader.group() == self.group).then(|| self.trust.clone())
    }

    fn reader_key(&self, _: &ReaderId) -> Option<PublicKey> {
        self.reader_key
    }

    fn fast_anchor(&self, _: &ReaderId) -> Option<PublicKey> {
        self.fast_anchor
    }
}

impl Member {
    /// A phone that trusts the lock.
    pub(crate) fn of(door: &Door) -> Self {
        let signer = signer("device");
        Self {
            phone: Phone { profile: door.profile, device_key: signer.public_key(), press: PRESS, limits: None },
            signer,
            reader: door.reader,
            trust: LockTrust {
                anchor: door.anchor,
                bind_subject: true,
                persistent: None,
                access_signed: Some(NOW),
                revocation_signed: None,
                user_auth_required: false,
            },
            reader_key: None,
            fast_anchor: None,
            user_authenticated: false,
        }
    }

    pub(crate) fn trust_store(&self) -> Held {
        let Self { reader, trust, reader_key, fast_anchor, .. } = self;
        Held { group: reader.group(), trust: trust.clone(), reader_key: *reader_key, fast_anchor: *fast_anchor }
    }
}

/// A certificate of the CA that belongs to a label.
pub(crate) fn issue(ca: &str, key: &PublicKey, reader: &ReaderId, not_after: UnixTime) -> Vec<u8> {
    let mut out = [0; COMPRESSED_MAX];
    let issuer = certificate::display_name(&reader.group().0);
    let subject = certificate::display_name(&reader.sub().0);
    let request = CertificateRequest {
        serial: &[1],
        issuer: core::str::from_utf8(&issuer).unwrap(),
        subject: core::str::from_utf8(&subject).unwrap(),
        not_before: UnixTime(1_600_000_000),
        not_after,
        key,
    };
    let len = certificate::issue(&mut signer(ca), &request, &mut out).unwrap();
    out[..len].to_vec()
}

pub(crate) fn report(reason: Reason) -> Report {
    Report::new(reason, PRESS.unlock_id, AuditHead { number: 2, hash: [9; 32] })
}

/// One side gave up.
#[derive(Debug)]
pub(crate) enum Broken {
    Lock(Failure),
    Phone(InitiatorError),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Lock(failure)
    }
}

impl From<InitiatorError> for Broken {
    fn from(error: InitiatorError) -> Self {
        Self::Phone(error)
    }
}

/// Both sides under way, with what travels between them.
pub(crate) struct Pair<'a, L: Crypto, P: Crypto> {
    pub(crate) door: &'a Door,
    pub(crate) member: &'a mut Member,
    pub(crate) lock: &'a mut L,
    pub(crate) phone: &'a mut P,
    pub(crate) link: Link,
    /// Changes a command on its way to the phone.
    pub(crate) meddle: fn(&mut Vec<u8>),
}

/// Where the phone stands once the phone is authenticated; in the fast phase the phone still waits for the first EXCHANGE.
#[allow(clippy::large_enum_variant)] // short-lived
pub(crate) enum PhoneState<P: Crypto> {
    Auth0(initiator::Auth0Done<P>),
    Secured(Secured),
}

impl<'a, L: Crypto, P: Crypto> Pair<'a, L, P> {
    pub(crate) fn new(
        interface: Interface,
        door: &'a Door,
        member: &'a mut Member,
        lock: &'a mut L,
        phone: &'a mut P,
    ) -> Self {
        let link = match interface {
            Interface::Nfc => Link::nfc(),
            Interface::Ble => Link::ble(185),
        };
        Self { door, member, lock, phone, link, meddle: |_| {} }
    }

    /// SELECT or Initiate.
    pub(crate) fn open(&mut self) -> Result<(reader::Opened, initiator::Opened), Broken> {
        let mut buf = [0; 2100];
        let mut out = [0; 2100];
        if matches!(self.link, Link::Ble(_)) {
            let (phone, len) = initiator::Opened::initiate(self.member.phone, &mut buf).unwrap();
            let message = self.link.message_to_lock(&buf[..len]);
            let (kind, payload) = message::parse(&message).unwrap();
            assert_eq!(kind, message::Kind::Initiate);
            return Ok((reader::Opened::from_initiate(payload)?, phone));
        }
        let len = reader::select(&self.door.profile, &mut buf).unwrap();
        let command = self.link.carry_to_phone(&buf[..len]);
        let (phone, len) = initiator::Waiting::new(self.member.phone).select(&command, &mut out)?;
        let response = self.link.carry_to_lock(&out[..len]);
        Ok((reader::Opened::from_select(&self.door.profile, &response)?, phone))
    }

    /// AUTH0 and its answer.
    pub(crate) fn auth0(
        &mut self,
        fast: bool,
        policy: UserPolicy,
    ) -> Result<(reader::Auth0Done<L>, initiator::Auth0Done<P>), Broken> {
        let (mut buf, mut out) = ([0; 2100], [0; 2100]);
        let (lock, phone) = self.open()?;
        let prepared = Prepared::new(self.lock).unwrap();
        let (lock, len) = lock.auth0(&self.door.setup(), prepared, fast, policy, &mut buf)?;
        let mut command = self.link.carry_to_phone(&buf[..len]);
        (self.meddle)(&mut command);
        let trust = self.member.trust_store();
        let (phone, len) = phone.auth0(&mut env(self.phone, &trust, self.member), &command, &mut out)?;
        let response = self.link.carry_to_lock(&out[..len]);
        Ok((lock.response(self.lock, &response)?, phone))
    }

    /// AUTH1 and its answer.
    pub(crate) fn auth1(
        &mut self,
        mut lock: reader::Auth0Done<L>,
        mut phone: initiator::Auth0Done<P>,
    ) -> Result<(Deciding, Secured), Broken> {
        let (mut buf, mut out) = ([0; 2100], [0; 2100]);
        let trust = self.member.trust_store();
        let carries = self.door.certificate.is_some();
        if carries && self.door.profile.certificate == CertificateCarrier::LoadCert {
            let (sent, len) = lock.load_certificate(&self.door.setup(), &mut buf)?;
            let mut command = self.link.carry_to_phone(&buf[..len]);
            let mut env = env(self.phone, &trust, self.member);
            let Auth0Next::CertificateLoaded { state, response } = phone.handle(&mut env, &mut command, &mut out)?
            else {
                panic!("LOAD CERT leads elsewhere")
            };
            phone = state;
            lock = sent.response(&self.link.carry_to_lock(&out[..response]))?;
        }
        let (lock, len) = lock.auth1(&self.door.setup(), &mut self.door.signer.clone(), &mut buf)?;
        let mut command = self.link.carry_to_phone(&buf[..len]);
        (self.meddle)(&mut command);
        let mut env = env(self.phone, &trust, self.member);
        let Auth0Next::Sign(to_sign) = phone.handle(&mut env, &mut command, &mut out)? else {
            panic!("AUTH1 leads elsewhere")
        };
        let signature = self.member.signer.sign(to_sign.data().as_bytes()).unwrap();
        let (phone, len) = to_sign.signed(self.phone, &signature, &mut out)?;
        let mut response = self.link.carry_to_lock(&out[..len]);
        Ok((lock.response(self.lock, &mut response)?, phone))
    }

    /// From the beginning to the authenticated phone, by AUTH1.
    pub(crate) fn standard(&mut self) -> Result<(Deciding, Secured), Broken> {
        let (lock, phone) = self.auth0(false, UserPolicy::PhoneSetting)?;
        self.auth1(lock, phone)
    }

    /// From the beginning to the recognised phone, by its cryptogram; AUTH1 where it is not recognised.
    pub(crate) fn fast(&mut self, entries: &[(Kpersistent, PublicKey)]) -> Result<(Deciding, PhoneState<P>), Broken> {
        let (lock, phone) = self.auth0(true, UserPolicy::PhoneSetting)?;
        let found = lock.find(self.lock, entries.iter().map(|(persistent, key)| (persistent, key)))?;
        match found {
            Some(found) => Ok((lock.into_fast(self.lock, found)?, PhoneState::Auth0(phone))),
            None => self.auth1(lock, phone).map(|(lock, phone)| (lock, PhoneState::Secured(phone))),
        }
    }

    /// ENVELOPE and its answer; returns what the lock got.
    pub(crate) fn step_up(
        &mut self,
        mut lock: Deciding,
        mut phone: Secured,
        device_request: &[u8],
        device_response: &[u8],
    ) -> Result<(Deciding, Secured, Vec<u8>), Broken> {
        let (mut buf, mut out) = ([0; 2100], [0; 2100]);
        if lock.needs_step_up_select() {
            let (sent, len) = lock.select_step_up(&mut buf)?;
            let mut command = self.link.carry_to_phone(&buf[..len]);
            let SecuredNext::StepUpSelected { state, response } = phone.handle(self.phone, &mut command, &mut out)?
            else {
                panic!("SELECT leads elsewhere")
            };
            phone = state;
            lock = sent.response(&self.link.carry_to_lock(&out[..response]))?;
        }
        let (lock, len) = lock.envelope(self.lock, device_request, &mut buf)?;
        let mut command = self.link.carry_to_phone(&buf[..len]);
        let SecuredNext::Documents { state, request } = phone.handle(self.phone, &mut command, &mut out)? else {
            panic!("ENVELOPE leads elsewhere")
        };
        assert_eq!(request, device_request);
        let (phone, len) = state.respond(self.phone, device_response, &mut out)?;
        let mut response = self.link.carry_to_lock(&out[..len]);
        let (lock, got) = lock.response(self.lock, &mut response)?;
        Ok((lock, phone, got.to_vec()))
    }

    /// The verdict and its answer; returns what the phone got.
    pub(crate) fn verdict(
        &mut self,
        lock: Deciding,
        phone: PhoneState<P>,
        verdict: &Verdict,
    ) -> Result<(reader::Decided, Secured, Verdict), Broken> {
        let (mut buf, mut out) = ([0; 2100], [0; 2100]);
        let (lock, len) = lock.verdict(self.lock, verdict, &mut buf)?;
        let mut command = self.link.carry_to_phone(&buf[..len]);
        let trust = self.member.trust_store();
        let (state, request) = match phone {
            PhoneState::Auth0(phone) => {
                let mut env = env(self.phone, &trust, self.member);
                match phone.handle(&mut env, &mut command, &mut out)? {
                    Auth0Next::Exchange { state, request } => (state, request),
                    next => panic!("EXCHANGE leads elsewhere: {next:?}"),
                }
            }
            PhoneState::Secured(phone) => match phone.handle(self.phone, &mut command, &mut out)? {
                SecuredNext::Exchange { state, request } => (state, request),
                next => panic!("EXCHANGE leads elsewhere: {next:?}"),
            },
        };
        let Request::Verdict(seen) = request else { panic!("no verdict: {request:?}") };
        assert!(state.verdict_seen());
        let (phone, len) = state.respond(self.phone, Reply::DONE, &mut out)?;
        let mut response = self.link.carry_to_lock(&out[..len]);
        let (lock, reply) = lock.reply(self.lock, &mut response)?;
        assert_eq!(reply, Reply::DONE);
        Ok((lock, phone, seen))
    }
}

pub(crate) fn env<'a, C, T>(crypto: &'a mut C, trust: &'a T, member: &Member) -> Env<'a, C, T> {
    Env { crypto, trust, now: NOW, user_authenticated: member.user_authenticated }
}

pub(crate) fn buffer() -> Vec<u8> {
    vec![0; 2100]
}

/// The longest response a chain may join.
pub(crate) type Joined = Buf<2064>;
