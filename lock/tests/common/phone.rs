use keybutton_protocol::{
    a5::PressInfo,
    crypto::{Signer, rustcrypto::RustSigner},
    document::{DeviceRequest, response},
    exchange::{Reply, Request, SyncKind},
    ids::{Intent, Kpersistent, PublicKey, ReaderId, UnixTime, UnlockId},
    initiator::{
        Auth0Done, Auth0Next, Env, Exchanged, InitiatorError, LockTrust, Opened, Secured, SecuredNext, ToSign, Waiting,
    },
    keys::AuthenticationData,
    message,
    profile::Profile,
    verdict::{Reason, Verdict},
};

use super::random::{TestCrypto, crypto, signer};

/// Whose signature a phone gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignWith {
    OwnKey,
    AnotherKey,
    LockUsage,
}

pub struct Phone {
    pub crypto: TestCrypto,
    pub signer: RustSigner,
    pub profile: Profile,
    pub anchor: PublicKey,
    pub documents: Vec<Vec<u8>>,
    pub access_signed: Option<UnixTime>,
    pub revocation: Option<Vec<u8>>,
    pub revocation_signed: Option<UnixTime>,
    pub time_token: Option<Vec<u8>>,
    pub ack_token: Option<Vec<u8>>,
    pub envelopes: Vec<Vec<u8>>,
    pub persistent: Option<Kpersistent>,
    pub sign_with: SignWith,
    /// Answers every request for documents with this.
    pub raw_response: Option<Vec<u8>>,
    pub user_authenticated: bool,
    pub now: UnixTime,
    next_id: u64,
    seed: u64,
}

/// What a transaction looked like from the phone.
#[derive(Default, Debug)]
pub struct Log {
    pub verdict: Option<Verdict>,
    pub fast: bool,
    pub stepped_up: bool,
    pub asked: Vec<SyncKind>,
    pub handed_over: usize,
    pub error: Option<InitiatorError>,
    pub events: Vec<message::Event>,
    /// Sizes of the messages up to the verdict's answer, in order.
    pub messages: Vec<usize>,
    pub apdus: Vec<u8>,
    pub closed: bool,
}

impl Log {
    pub fn reason(&self) -> Option<Reason> {
        self.verdict?.report?.reason.known()
    }

    pub fn detail(&self) -> Option<u8> {
        Some(self.verdict?.report?.detail)
    }

    pub fn is_granted(&self) -> bool {
        self.verdict.is_some_and(|verdict| verdict.is_granted())
    }

    pub fn bytes(&self) -> usize {
        self.messages.iter().sum()
    }
}

#[allow(clippy::large_enum_variant)]
pub enum State {
    Waiting(Waiting),
    Opened(Opened),
    Auth0Done(Auth0Done<TestCrypto>),
    Secured(Secured),
}

impl Phone {
    pub fn new(seed: u64, anchor: PublicKey) -> Self {
        Self {
            crypto: crypto(seed),
            signer: signer(seed),
            profile: Profile::PRODUCT,
            anchor,
            documents: Vec::new(),
            access_signed: None,
            revocation: None,
            revocation_signed: None,
            time_token: None,
            ack_token: None,
            envelopes: Vec::new(),
            persistent: None,
            sign_with: SignWith::OwnKey,
            raw_response: None,
            user_authenticated: false,
            now: UnixTime(0),
            next_id: 0,
            seed,
        }
    }

    pub fn device_key(&self) -> PublicKey {
        self.signer.public_key()
    }

    /// A press that has not been seen before.
    pub fn press(&mut self, intent: Intent) -> PressInfo {
        self.next_id += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.seed.to_be_bytes());
        id[8..].copy_from_slice(&self.next_id.to_be_bytes());
        PressInfo::new(UnlockId(id), intent)
    }

    pub fn initiator(&self, press: PressInfo) -> keybutton_protocol::initiator::Phone {
        keybutton_protocol::initiator::Phone {
            profile: self.profile,
            device_key: self.device_key(),
            press,
            limits: None,
        }
    }

    /// Answers a complete command.
    pub fn answer(
        &mut self,
        state: State,
        command: &mut [u8],
        log: &mut Log,
    ) -> Result<(State, Vec<u8>), InitiatorError> {
        let mut out = vec![0; 2_048];
        let trust = LockTrust {
            anchor: self.anchor,
            bind_subject: false,
            persistent: self.persistent.clone(),
            access_signed: self.access_signed,
            revocation_signed: self.revocation_signed,
            user_auth_required: false,
        };
        let find = move |_: &ReaderId| Some(trust.clone());
        log.apdus.push(command[1]);
        let (state, len) = match state {
            State::Waiting(waiting) => {
                let (opened, len) = waiting.select(command, &mut out)?;
                (State::Opened(opened), len)
            }
            State::Opened(opened) => {
                let mut env = Env {
                    crypto: &mut self.crypto,
                    trust: &find,
                    now: self.now,
                    user_authenticated: self.user_authenticated,
                };
                let (done, len) = opened.auth0(&mut env, command, &mut out)?;
                (State::Auth0Done(done), len)
            }
            State::Auth0Done(done) => {
                let mut env = Env {
                    crypto: &mut self.crypto,
                    trust: &find,
                    now: self.now,
                    user_authenticated: self.user_authenticated,
                };
                match done.handle(&mut env, command, &mut out)? {
                    Auth0Next::CertificateLoaded { state, response } => (State::Auth0Done(state), response),
                    Auth0Next::Sign(to_sign) => {
                        let signature = self.sign(&to_sign);
                        let (secured, len) = to_sign.signed(&self.crypto, &signature, &mut out)?;
                        (State::Secured(secured), len)
                    }
                    Auth0Next::Exchange { state, request } => {
                        log.fast = true;
                        self.exchange(state, request, log, &mut out)?
                    }
                }
            }
            State::Secured(secured) => match secured.handle(&self.crypto, command, &mut out)? {
                SecuredNext::StepUpSelected { state, response } => (State::Secured(state), response),
                SecuredNext::Documents { state, request } => {
                    log.stepped_up = true;
                    let request = DeviceRequest::parse(request).unwrap();
                    let stored: Vec<&[u8]> = self.documents.iter().chain(&self.revocation).map(Vec::as_slice).collect();
                    let mut answer = vec![0; 2_000];
                    let mut len = response::answer(&request, &stored, &mut answer).unwrap();
                    if let Some(raw) = &self.raw_response {
                        len = raw.len();
                        answer[..len].copy_from_slice(raw);
                    }
                    let (secured, len) = state.respond(&self.crypto, &answer[..len], &mut out)?;
                    (State::Secured(secured), len)
                }
                SecuredNext::Exchange { state, request } => self.exchange(state, request, log, &mut out)?,
            },
        };
        out.truncate(len);
        Ok((state, out))
    }

    fn sign(&mut self, to_sign: &ToSign) -> keybutton_protocol::ids::Signature {
        match self.sign_with {
            SignWith::OwnKey => self.signer.sign(to_sign.data().as_bytes()),
            SignWith::AnotherKey => signer(999).sign(to_sign.data().as_bytes()),
            SignWith::LockUsage => {
                let mut bytes = *to_sign.data().as_bytes();
                bytes[AuthenticationData::LEN - 4..].copy_from_slice(&[0x41, 0x5D, 0x95, 0x69]);
                self.signer.sign(&bytes)
            }
        }
        .unwrap()
    }

    fn exchange(
        &mut self,
        state: Exchanged,
        request: Request<'_>,
        log: &mut Log,
        out: &mut [u8],
    ) -> Result<(State, usize), InitiatorError> {
        let persistent = state.persistent().cloned();
        let reply = match request {
            Request::Verdict(verdict) => {
                log.verdict = Some(verdict);
                if verdict.is_granted() && persistent.is_some() {
                    self.persistent = persistent;
                }
                Reply::DONE
            }
            Request::Ask(kind) => {
                log.asked.push(kind);
                let object = match kind {
                    SyncKind::TimeToken => &self.time_token,
                    SyncKind::AckToken => &self.ack_token,
                    SyncKind::RevocationDocument => &self.revocation,
                };
                object.as_deref().map_or(Reply::NONE, Reply::object)
            }
            Request::HandOver(envelope) => {
                log.handed_over += 1;
                self.envelopes.push(envelope.to_vec());
                Reply::DONE
            }
            Request::Other => Reply::DONE,
        };
        let (secured, len) = state.respond(&self.crypto, reply, out)?;
        Ok((State::Secured(secured), len))
    }
}
