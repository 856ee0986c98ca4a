use std::cell::Cell;

use keybutton_protocol::{
    a5::PressInfo,
    crypto::Crypto,
    document::{DeviceRequest, response},
    exchange::{Reply, Request, SyncKind},
    ids::{Intent, Kpersistent, PublicKey, ReaderId, Signature, UnixTime, UnlockId},
    initiator::{
        Auth0Done, Auth0Next, DocumentsAsked, Env, Exchanged, InitiatorError, LockTrust, Opened, Phone, Secured,
        SecuredNext, ToSign, Waiting,
    },
    keys::AuthenticationData,
    message::MAX_MESSAGE,
    profile::Profile,
    verdict::Verdict,
};

use crate::{access, error::ErrorCode, keyring::Keyring};

/// The longest response APDU.
const RESPONSE_MAX: usize = MAX_MESSAGE;

/// The phone's half of one transaction, whatever step it is at.
#[derive(Debug)]
pub(super) struct Session<C: Crypto> {
    half: Half<C>,
    reader: Option<ReaderId>,
    wrong_lock: bool,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // lives in the box of its state
enum Half<C: Crypto> {
    Waiting(Waiting),
    Opened(Opened),
    Auth0Done(Auth0Done<C>),
    ToSign(ToSign),
    Secured(Secured),
    Over,
}

/// What a session needs from around it.
pub(super) struct Context<'a, C> {
    pub(super) crypto: &'a mut C,
    pub(super) keyring: &'a Keyring,
    pub(super) now: UnixTime,
    pub(super) user_authenticated: bool,
    /// The only lock the press is meant for, once that is settled.
    pub(super) expected: Option<ReaderId>,
}

/// What a command of the lock led to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // short-lived
pub(super) enum Progress {
    /// Send this; `may_open` says that the lock can decide on it alone.
    Answer { response: Vec<u8>, may_open: bool },
    /// The lock has proved itself; have this signed.
    Sign(AuthenticationData),
    /// The lock's word. Send this.
    Verdict { response: Vec<u8>, verdict: Verdict, persistent: Option<Kpersistent>, fast: bool },
    /// An audit envelope to keep. Send this.
    HandOver { response: Vec<u8>, envelope: Vec<u8> },
    /// The session is over. Send this, where the lock still listens.
    Failed { response: [u8; 2], code: ErrorCode },
}

impl<C: Crypto> Session<C> {
    /// By tap: waits for SELECT.
    pub(super) fn tap(device_key: &PublicKey, press: UnlockId, intent: Intent) -> Self {
        Self::new(Half::Waiting(Waiting::new(phone(device_key, press, intent))))
    }

    /// By radio: also makes the whole first message.
    pub(super) fn radio(device_key: &PublicKey, press: UnlockId, intent: Intent) -> Option<(Self, Vec<u8>)> {
        let mut message = vec![0; 128];
        let (opened, len) = Opened::initiate(phone(device_key, press, intent), &mut message).ok()?;
        message.truncate(len);
        Some((Self::new(Half::Opened(opened)), message))
    }

    fn new(half: Half<C>) -> Self {
        Self { half, reader: None, wrong_lock: false }
    }

    /// The lock, from AUTH0 on; proven only once it asks for a signature.
    pub(super) const fn reader(&self) -> Option<ReaderId> {
        self.reader
    }

    /// Takes a complete command; sealed ones are opened in place.
    pub(super) fn command(&mut self, command: &mut [u8], context: &mut Context<'_, C>) -> Progress {
        self.advance(command, context).unwrap_or_else(|error| self.failed(error))
    }

    /// Takes the device key's signature; `None` when there is none.
    pub(super) fn signed(&mut self, signature: Option<&Signature>, crypto: &C) -> Progress {
        let mut out = [0; RESPONSE_MAX];
        let result = match (std::mem::replace(&mut self.half, Half::Over), signature) {
            (Half::ToSign(step), Some(signature)) => step.signed(crypto, signature, &mut out),
            (Half::ToSign(step), None) => Err(step.not_signed()),
            (
                Half::Waiting(_) | Half::Opened(_) | Half::Auth0Done(_) | Half::Secured(_) | Half::Over,
                Some(_) | None,
            ) => Err(InitiatorError::WrongState),
        };
        match result {
            Ok((secured, len)) => {
                self.half = Half::Secured(secured);
                Progress::Answer { response: piece(&out, len), may_open: true }
            }
            Err(error) => self.failed(error),
        }
    }

    fn advance(&mut self, command: &mut [u8], context: &mut Context<'_, C>) -> Result<Progress, InitiatorError> {
        let mut out = [0; RESPONSE_MAX];
        match std::mem::replace(&mut self.half, Half::Over) {
            Half::Waiting(step) => {
                let (opened, len) = step.select(command, &mut out)?;
                self.half = Half::Opened(opened);
                Ok(Progress::Answer { response: piece(&out, len), may_open: false })
            }
            Half::Opened(step) => self.auth0(step, command, &mut out, context),
            Half::Auth0Done(step) => self.after_auth0(step, command, &mut out, context),
            Half::Secured(step) => match step.handle(context.crypto, command, &mut out)? {
                SecuredNext::StepUpSelected { state, response } => {
                    self.half = Half::Secured(state);
                    Ok(Progress::Answer { response: piece(&out, response), may_open: true })
                }
                SecuredNext::Documents { state, request } => self.documents(state, request, context),
                SecuredNext::Exchange { state, request } => self.exchanged(state, request, context),
            },
            Half::ToSign(_) | Half::Over => Err(InitiatorError::WrongState),
        }
    }

    fn auth0(
        &mut self,
        step: Opened,
        command: &[u8],
        out: &mut [u8],
        context: &mut Context<'_, C>,
    ) -> Result<Progress, InitiatorError> {
        let seen = Cell::new(None);
        let wrong_lock = Cell::new(false);
        let (keyring, expected) = (context.keyring, context.expected);
        // A lock other than the one meant is met like a stranger's: it gets nothing it could open on.
        let trust = |reader: &ReaderId| {
            seen.set(Some(*reader));
            wrong_lock.set(expected.is_some_and(|expected| expected != *reader));
            if wrong_lock.get() { None } else { trust_in(keyring, reader) }
        };
        let mut env = Env {
            crypto: &mut *context.crypto,
            trust: &trust,
            now: context.now,
            user_authenticated: context.user_authenticated,
        };
        let (done, len) = step.auth0(&mut env, command, out)?;
        self.reader = seen.get();
        self.wrong_lock = wrong_lock.get();
        let may_open = done.offers_fast();
        self.half = Half::Auth0Done(done);
        Ok(Progress::Answer { response: piece(out, len), may_open })
    }

    fn after_auth0(
        &mut self,
        step: Auth0Done<C>,
        command: &mut [u8],
        out: &mut [u8],
        context: &mut Context<'_, C>,
    ) -> Result<Progress, InitiatorError> {
        let keyring = context.keyring;
        let trust = |reader: &ReaderId| trust_in(keyring, reader);
        let mut env = Env {
            crypto: &mut *context.crypto,
            trust: &trust,
            now: context.now,
            user_authenticated: context.user_authenticated,
        };
        match step.handle(&mut env, command, out)? {
            Auth0Next::CertificateLoaded { state, response } => {
                self.half = Half::Auth0Done(state);
                Ok(Progress::Answer { response: piece(out, response), may_open: false })
            }
            Auth0Next::Sign(step) => {
                let data = step.data().clone();
                self.half = Half::ToSign(step);
                Ok(Progress::Sign(data))
            }
            Auth0Next::Exchange { state, request } => self.exchanged(state, request, context),
        }
    }

    fn documents(
        &mut self,
        step: DocumentsAsked,
        request: &[u8],
        context: &Context<'_, C>,
    ) -> Result<Progress, InitiatorError> {
        let request = DeviceRequest::parse(request).map_err(|_| InitiatorError::Malformed)?;
        let site = self.reader.and_then(|reader| context.keyring.site(reader.group()));
        let stored: Vec<&[u8]> = site
            .into_iter()
            .flat_map(|site| std::iter::once(site.document()).chain(site.revocation().map(|(document, _)| document)))
            .collect();
        let mut device_response = [0; RESPONSE_MAX];
        let len = response::answer(&request, &stored, &mut device_response).ok_or(InitiatorError::Room)?;
        let device_response = device_response.get(..len).ok_or(InitiatorError::Room)?;
        let mut out = [0; RESPONSE_MAX];
        let (secured, len) = step.respond(context.crypto, device_response, &mut out)?;
        self.half = Half::Secured(secured);
        Ok(Progress::Answer { response: piece(&out, len), may_open: true })
    }

    fn exchanged(
        &mut self,
        step: Exchanged,
        request: Request<'_>,
        context: &Context<'_, C>,
    ) -> Result<Progress, InitiatorError> {
        let mut out = [0; RESPONSE_MAX];
        let persistent = step.persistent().cloned();
        let object = match request {
            Request::Ask(kind) => Some(self.object(kind, context)),
            Request::Verdict(_) | Request::HandOver(_) | Request::Other => None,
        };
        let reply = match &object {
            Some(Some(object)) => Reply::object(object),
            Some(None) => Reply::NONE,
            None => Reply::DONE,
        };
        let (secured, len) = step.respond(context.crypto, reply, &mut out)?;
        let fast = secured.is_fast();
        self.half = Half::Secured(secured);
        let response = piece(&out, len);
        Ok(match request {
            Request::Verdict(verdict) => Progress::Verdict { response, verdict, persistent, fast },
            Request::HandOver(envelope) => Progress::HandOver { response, envelope: envelope.to_vec() },
            Request::Ask(_) | Request::Other => Progress::Answer { response, may_open: true },
        })
    }

    fn object(&self, kind: SyncKind, context: &Context<'_, C>) -> Option<Vec<u8>> {
        let reader = self.reader?;
        let site = context.keyring.site(reader.group())?;
        let object = match kind {
            SyncKind::TimeToken => site.time_token(context.now),
            SyncKind::AckToken => site.ack_token(reader.sub()),
            SyncKind::RevocationDocument => site.revocation().map(|(document, _)| document),
        };
        object.map(<[u8]>::to_vec)
    }

    fn failed(&mut self, error: InitiatorError) -> Progress {
        self.half = Half::Over;
        let code = match error {
            InitiatorError::UnknownGroup if self.wrong_lock => ErrorCode::WrongLock,
            InitiatorError::UnknownGroup | InitiatorError::Certificate(_) | InitiatorError::LockSignature => {
                ErrorCode::LockNotRecognised
            }
            InitiatorError::UserAuthRequired => ErrorCode::UserAuthRequired,
            InitiatorError::Engine | InitiatorError::Room => ErrorCode::Internal,
            InitiatorError::WrongState
            | InitiatorError::UnknownCommand(_)
            | InitiatorError::UnknownClass(_)
            | InitiatorError::Parameters
            | InitiatorError::Length
            | InitiatorError::Malformed
            | InitiatorError::Version
            | InitiatorError::InvalidPoint
            | InitiatorError::UnknownApplication
            | InitiatorError::Unauthentic
            | InitiatorError::LockGaveUp(_)
            | InitiatorError::Exhausted => ErrorCode::LinkLost,
        };
        Progress::Failed { response: error.response(), code }
    }
}

fn phone(device_key: &PublicKey, press: UnlockId, intent: Intent) -> Phone {
    Phone { profile: Profile::PRODUCT, device_key: *device_key, press: PressInfo::new(press, intent), limits: None }
}

fn trust_in(keyring: &Keyring, reader: &ReaderId) -> Option<LockTrust> {
    let site = keyring.site(reader.group())?;
    Some(LockTrust {
        anchor: *site.ca_key(),
        bind_subject: true,
        persistent: keyring.fast_key(*reader).cloned(),
        access_signed: Some(site.validity().signed),
        revocation_signed: site.revocation().map(|(_, signed)| signed),
        user_auth_required: site.lock_sub(reader.sub()).is_some_and(|lock| access::wants_user(site, lock)),
    })
}

fn piece(out: &[u8], len: usize) -> Vec<u8> {
    out.get(..len).unwrap_or_default().to_vec()
}
