//! The phone's side of a tap: the phone's half of the real transaction with a key file's identity, without I/O.

use std::collections::HashMap;

use keybutton_protocol::{
    a5::PressInfo,
    apdu::{Command, Ins, PhoneChain, Received, StatusWord},
    crypto::{
        Crypto as _, Signer as _,
        ring::{Ring, RingSigner},
    },
    document::{DeviceRequest, response},
    exchange::{Reply, Request, SyncKind},
    ids::{GroupId, Intent, Kpersistent, PublicKey, ReaderId, UnixTime, UnlockId},
    initiator::{
        Auth0Done, Auth0Next, DocumentsAsked, Env, Exchanged, InitiatorError, LockTrust, Opened, Phone, Secured,
        SecuredNext, TrustStore, Waiting,
    },
    profile::{Profile, SaltAnchor},
    tlv,
    verdict::Verdict,
};

use super::Identity;

/// Room for the longest chained command, and its answer.
const CHAIN: usize = 2_064;
/// The longest response, before it is cut into pieces.
const RESPONSE_MAX: usize = 2_050;

/// A phone that waits for a lock's commands.
pub struct TapPhone {
    profile: Profile,
    intent: Intent,
    device_key: RingSigner,
    held: Held,
    time_token: Option<(Vec<u8>, UnixTime)>,
    crypto: Ring,
    chain: PhoneChain<CHAIN>,
    stage: Stage,
    /// The press of the session.
    press: UnlockId,
    shown: Shown,
    /// The verdict of the session has come.
    decided: bool,
    told: Vec<Told>,
}

/// What a phone says to one command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PhoneReply {
    /// The response APDU.
    pub response: Vec<u8>,
    /// What happened, in order.
    pub told: Vec<Told>,
}

/// What happened at the phone, without secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A session has begun.
    Selected,
    /// The lock has proven who it is.
    Proven(ReaderId),
    /// The lock was shown this many bytes of documents.
    ShownDocuments(usize),
    /// The lock has given its verdict; `fast` when it needed no signature.
    Verdict {
        /// The verdict.
        verdict: Box<Verdict>,
        /// It came in the fast phase.
        fast: bool,
    },
    /// The lock's verdict is for another press: nobody knows what it did.
    VerdictOfAnotherPress,
    /// The session is over before a verdict.
    Ended(InitiatorError),
    /// A chain of commands or responses was broken: the session is over.
    BrokenChain(StatusWord),
}

#[allow(clippy::large_enum_variant)] // one per phone
enum Stage {
    Idle,
    Opened(Opened),
    Auth0Done(Auth0Done<Ring>),
    Secured(Secured),
}

/// What the lock of the session has shown of a reader certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Loaded,
    InAuth1,
}

/// What the phone holds for the locks of its group.
struct Held {
    group: GroupId,
    site_ca: Option<PublicKey>,
    reader_key: Option<PublicKey>,
    access: Option<(Vec<u8>, UnixTime)>,
    revocation: Option<(Vec<u8>, UnixTime)>,
    /// Secrets of the fast phase, and the anchor under which each was agreed.
    met: HashMap<ReaderId, (Kpersistent, PublicKey)>,
}

impl TapPhone {
    /// Makes a phone. With `interop` it keeps to what third-party locks speak.
    pub fn new(identity: Identity, interop: bool, salt_anchor: SaltAnchor, intent: Intent) -> Self {
        let Identity { device_key, group, site_ca, reader_key, access_document, revocation_document, time_token } =
            identity;
        let profile = if interop { Profile::INTEROP } else { Profile::PRODUCT };
        Self {
            profile: Profile { salt_anchor, ..profile },
            intent,
            device_key,
            held: Held {
                group,
                site_ca,
                reader_key,
                access: access_document,
                revocation: revocation_document,
                met: HashMap::new(),
            },
            time_token,
            crypto: Ring::new(),
            chain: PhoneChain::new(),
            stage: Stage::Idle,
            press: UnlockId([0; 16]),
            shown: Shown::Nothing,
            decided: false,
            told: Vec::new(),
        }
    }

    /// Answers a command. `now` is the phone's time.
    pub fn command(&mut self, command: &[u8], now: UnixTime) -> PhoneReply {
        let response = self.answer(command, now);
        PhoneReply { response, told: std::mem::take(&mut self.told) }
    }

    /// Whether a session is open that has no verdict yet.
    pub const fn awaits_verdict(&self) -> bool {
        !matches!(self.stage, Stage::Idle) && !self.decided
    }

    /// The lock has ended the session, or the phone has left its field.
    pub fn close(&mut self) {
        self.stage = Stage::Idle;
        self.chain = PhoneChain::new();
    }

    /// Ends the session and forgets every lock met.
    pub fn reset(&mut self) {
        self.close();
        self.held.met.clear();
    }

    fn answer(&mut self, command: &[u8], now: UnixTime) -> Vec<u8> {
        let mut out = vec![0; CHAIN + 2];
        let whole = match self.chain.receive(command, &mut out) {
            Received::Command(whole) => whole.to_vec(),
            Received::Answered(len) => {
                out.truncate(len);
                return out;
            }
            Received::Over(status) => {
                if self.awaits_verdict() {
                    self.told.push(Told::BrokenChain(status));
                }
                self.close();
                return status.to_bytes().to_vec();
            }
        };
        let awaited = self.awaits_verdict();
        let response = self.step(whole, now).unwrap_or_else(|error| {
            // Between sessions anybody may ask for anything.
            if awaited {
                self.told.push(Told::Ended(error));
            }
            self.stage = Stage::Idle;
            error.response().to_vec()
        });
        let len = self.chain.respond(&response, &mut out).unwrap_or(0);
        out.truncate(len);
        out
    }

    fn step(&mut self, mut command: Vec<u8>, now: UnixTime) -> Result<Vec<u8>, InitiatorError> {
        let mut out = vec![0; RESPONSE_MAX];
        // A reader may select the application anew at any time: that is another tap.
        if self.selects_anew(&command) {
            return self.select(&command, &mut out);
        }
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => self.select(&command, &mut out),
            Stage::Opened(step) => {
                self.shown = Shown::Nothing;
                let mut env = env(&mut self.crypto, &self.held, now);
                let (done, len) = step.auth0(&mut env, &command, &mut out)?;
                self.stage = Stage::Auth0Done(done);
                Ok(cut(out, len))
            }
            Stage::Auth0Done(step) => self.after_auth0(step, &mut command, out, now),
            Stage::Secured(step) => match step.handle(&self.crypto, &mut command, &mut out)? {
                SecuredNext::StepUpSelected { state, response } => {
                    self.stage = Stage::Secured(state);
                    Ok(cut(out, response))
                }
                SecuredNext::Documents { state, request } => self.documents(state, request, out),
                SecuredNext::Exchange { state, request } => self.exchanged(state, request, out, now),
            },
        }
    }

    fn selects_anew(&self, command: &[u8]) -> bool {
        Command::parse(command)
            .is_ok_and(|command| command.meaning() == Some(Ins::Select) && command.data == self.profile.aid)
    }

    /// A tap is an action of its own: it has a press id of its own.
    fn select(&mut self, command: &[u8], out: &mut [u8]) -> Result<Vec<u8>, InitiatorError> {
        self.stage = Stage::Idle;
        self.decided = false;
        let mut press = [0; 16];
        self.crypto.random(&mut press)?;
        self.press = UnlockId(press);
        let phone = Phone {
            profile: self.profile,
            device_key: self.device_key.public_key(),
            press: PressInfo::new(self.press, self.intent),
            limits: None,
        };
        let (opened, len) = Waiting::new(phone).select(command, out)?;
        self.stage = Stage::Opened(opened);
        self.told.push(Told::Selected);
        Ok(out.get(..len).unwrap_or_default().to_vec())
    }

    fn after_auth0(
        &mut self,
        step: Auth0Done<Ring>,
        command: &mut [u8],
        mut out: Vec<u8>,
        now: UnixTime,
    ) -> Result<Vec<u8>, InitiatorError> {
        let shown = shown_by(command);
        let mut env = env(&mut self.crypto, &self.held, now);
        match step.handle(&mut env, command, &mut out)? {
            Auth0Next::CertificateLoaded { state, response } => {
                self.shown = Shown::Loaded;
                self.stage = Stage::Auth0Done(state);
                Ok(cut(out, response))
            }
            Auth0Next::Sign(step) => {
                self.told.push(Told::Proven(*step.reader()));
                if shown == Shown::InAuth1 {
                    self.shown = shown;
                }
                let signature =
                    self.device_key.sign_shared(step.data().as_bytes()).map_err(|_| InitiatorError::Engine)?;
                let (secured, len) = step.signed(&self.crypto, &signature, &mut out)?;
                self.stage = Stage::Secured(secured);
                Ok(cut(out, len))
            }
            Auth0Next::Exchange { state, request } => self.exchanged(state, request, out, now),
        }
    }

    fn documents(&mut self, step: DocumentsAsked, request: &[u8], mut out: Vec<u8>) -> Result<Vec<u8>, InitiatorError> {
        let request = DeviceRequest::parse(request).map_err(|_| InitiatorError::Malformed)?;
        let stored: Vec<&[u8]> =
            [&self.held.access, &self.held.revocation].into_iter().flatten().map(|(bytes, _)| &bytes[..]).collect();
        let mut shown = vec![0; RESPONSE_MAX];
        let len = response::answer(&request, &stored, &mut shown).ok_or(InitiatorError::Room)?;
        self.told.push(Told::ShownDocuments(len));
        let (secured, len) = step.respond(&self.crypto, shown.get(..len).unwrap_or_default(), &mut out)?;
        self.stage = Stage::Secured(secured);
        Ok(cut(out, len))
    }

    fn exchanged(
        &mut self,
        step: Exchanged,
        request: Request<'_>,
        mut out: Vec<u8>,
        now: UnixTime,
    ) -> Result<Vec<u8>, InitiatorError> {
        let (reader, persistent) = (*step.reader(), step.persistent().cloned());
        let object = match request {
            Request::Ask(SyncKind::TimeToken) => {
                self.time_token.as_ref().filter(|(_, expires)| now <= *expires).map(|(token, _)| &token[..])
            }
            Request::Ask(SyncKind::RevocationDocument) => self.held.revocation.as_ref().map(|(bytes, _)| &bytes[..]),
            Request::Ask(SyncKind::AckToken) | Request::Verdict(_) | Request::HandOver(_) | Request::Other => None,
        };
        let reply = match (&request, object) {
            (Request::Ask(_), Some(object)) => Reply::object(object),
            (Request::Ask(_), None) => Reply::NONE,
            // Nobody takes a lock's records on from here.
            (Request::HandOver(_), _) => Reply::FAILED,
            (Request::Verdict(_) | Request::Other, _) => Reply::DONE,
        };
        let (secured, len) = step.respond(&self.crypto, reply, &mut out)?;
        if let Request::Verdict(verdict) = request {
            self.take_verdict(verdict, reader, persistent, secured.is_fast());
        }
        self.stage = Stage::Secured(secured);
        Ok(cut(out, len))
    }

    fn take_verdict(&mut self, verdict: Verdict, reader: ReaderId, persistent: Option<Kpersistent>, fast: bool) {
        self.decided = true;
        if verdict.report.is_some_and(|report| report.unlock_id != self.press) {
            return self.told.push(Told::VerdictOfAnotherPress);
        }
        if let Some(persistent) = persistent.filter(|_| verdict.is_granted()) {
            let by_reader_key = match self.shown {
                Shown::Nothing => true,
                Shown::Loaded => self.profile.salt_anchor == SaltAnchor::Subject,
                Shown::InAuth1 => false,
            };
            let (first, second) = (self.held.reader_key, self.held.site_ca);
            let anchor = if by_reader_key { first.or(second) } else { second.or(first) };
            if let Some(anchor) = anchor {
                self.held.met.insert(reader, (persistent, anchor));
            }
        }
        self.told.push(Told::Verdict { verdict: Box::new(verdict), fast });
    }
}

/// Shows no key.
impl std::fmt::Debug for TapPhone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TapPhone").field("awaits_verdict", &self.awaits_verdict()).finish_non_exhaustive()
    }
}

impl TrustStore for Held {
    fn find(&self, reader: &ReaderId) -> Option<LockTrust> {
        if reader.group() != self.group {
            return None;
        }
        Some(LockTrust {
            anchor: self.site_ca.or(self.reader_key)?,
            // Nobody has said that the certificates of these locks name them.
            bind_subject: false,
            persistent: self.met.get(reader).map(|(persistent, _)| persistent.clone()),
            access_signed: self.access.as_ref().map(|(_, signed)| *signed),
            revocation_signed: self.revocation.as_ref().map(|(_, signed)| *signed),
            user_auth_required: false,
        })
    }

    fn reader_key(&self, _: &ReaderId) -> Option<PublicKey> {
        self.reader_key
    }

    fn fast_anchor(&self, reader: &ReaderId) -> Option<PublicKey> {
        self.met.get(reader).map(|(_, anchor)| *anchor)
    }
}

/// The member has unlocked the phone.
fn env<'a>(crypto: &'a mut Ring, held: &'a Held, now: UnixTime) -> Env<'a, Ring, Held> {
    Env { crypto, trust: held, now, user_authenticated: true }
}

/// What an AUTH1 shows.
fn shown_by(command: &[u8]) -> Shown {
    let certified = Command::parse(command).is_ok_and(|command| {
        command.meaning() == Some(Ins::Auth1) && tlv::Tlvs::new(command.data).flatten().any(|tlv| tlv.tag == 0x90)
    });
    if certified { Shown::InAuth1 } else { Shown::Nothing }
}

fn cut(mut out: Vec<u8>, len: usize) -> Vec<u8> {
    out.truncate(len);
    out
}
