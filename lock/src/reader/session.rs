//! One transaction: `match (state, answer)`, over either interface (`docs/PROTOCOL.md` section 22).
#![deny(clippy::wildcard_enum_match_arm)]

use keybutton_protocol::{
    crypto::{Crypto, Signer},
    document::credential_id,
    exchange::SyncKind,
    ids::Interface,
    profile::{CertificateCarrier, UserPolicy},
    reader::{
        Auth0Done, Auth0Sent, Auth1Sent, CertificateSent, Decided, Deciding, EnvelopeSent, ExchangeSent, Failure,
        Opened, Prepared, StepUpSelectSent,
    },
    signalling::Signalling,
};

use super::{
    Path,
    core::Context,
    decide::command_room,
    sync::{SyncStep, Synced},
};
use crate::{fast::FastEntry, store::Store};

/// Where a transaction stands. Each answer moves it on; what is not listed for a state ends it.
pub(crate) enum Session<C: Crypto> {
    Auth0(Auth0Sent<C>),
    Certificate(CertificateSent<C>),
    Auth1(Auth1Sent<C>),
    TimeAsked(ExchangeSent<Deciding>),
    StepUpSelect(StepUpSelectSent),
    Envelope(EnvelopeSent),
    /// With the entry for the fast phase that is stored once the phone has the verdict.
    Verdict(ExchangeSent<Decided>, Option<FastEntry>),
    Sync(ExchangeSent<Decided>, SyncStep),
}

/// What a transaction has done so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) interface: Interface,
    /// AUTH0 forced user authentication.
    pub(crate) user_authenticated: bool,
    pub(crate) path: Path,
    pub(crate) time_asked: bool,
    /// The verdict is given.
    pub(crate) decided: bool,
    /// What the phone has been asked for since the verdict.
    pub(crate) synced: Synced,
}

/// What comes next. The length is that of the command in the output buffer.
#[allow(clippy::large_enum_variant)] // moved once per step, and boxes need a heap
pub(crate) enum Next<C: Crypto> {
    /// Send the command, wait for its answer.
    Send(Session<C>, usize),
    /// Send the whole BLE message; the transaction is over.
    Last(usize),
    /// The transaction is over.
    Finished,
    /// Tell the phone to come back later, and close.
    Busy,
    /// Say farewell, and close.
    Failed(Failure),
}

impl<C: Crypto> From<Failure> for Next<C> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Where the command goes in the output buffer, and what comes of it.
pub(crate) type Step<C> = Result<Next<C>, Failure>;

impl<C: Crypto, S: Signer, T: Store> Context<'_, C, S, T> {
    /// Starts a transaction with the phone's first word.
    pub(crate) fn begin(&mut self, opened: Opened, interface: Interface, out: &mut [u8]) -> (Facts, Next<C>) {
        let force = self.config.policy.high_security
            || opened.press().is_some_and(|press| self.core.wanted.is_wanted(press.unlock_id, self.now));
        let facts = Facts {
            interface,
            user_authenticated: force,
            path: Path::Known,
            time_asked: false,
            decided: false,
            synced: Synced::default(),
        };
        let fast = !force && self.fast_limit() > 0 && self.usable_time().is_some() && !self.fast_store().0.is_empty();
        let policy = if force { UserPolicy::Force } else { UserPolicy::PhoneSetting };
        let prepared = match self.prepared.take().map_or_else(|| Prepared::new(&mut self.env.crypto), Ok) {
            Ok(prepared) => prepared,
            Err(_) => return (facts, Next::Busy),
        };
        let next = match opened.auth0(&self.setup(), prepared, fast, policy, command_room(out)) {
            Ok((sent, len)) => Next::Send(Session::Auth0(sent), len),
            Err(failure) => Next::Failed(failure),
        };
        (facts, next)
    }

    /// Takes the phone's answer to the last command.
    pub(crate) fn answer(
        &mut self,
        session: Session<C>,
        facts: &mut Facts,
        answer: &mut [u8],
        out: &mut [u8],
    ) -> Next<C> {
        self.step(session, facts, answer, out).unwrap_or_else(Next::Failed)
    }

    fn step(&mut self, session: Session<C>, facts: &mut Facts, answer: &mut [u8], out: &mut [u8]) -> Step<C> {
        match session {
            Session::Auth0(sent) => {
                let done = sent.response(&self.env.crypto, answer)?;
                self.after_auth0(done, facts, out)
            }
            Session::Certificate(sent) => {
                let done = sent.response(answer)?;
                self.auth1(done, out)
            }
            Session::Auth1(sent) => {
                let deciding = sent.response(&mut self.env.crypto, answer)?;
                self.authenticated(deciding, facts, out)
            }
            Session::TimeAsked(sent) => {
                let (deciding, reply) = sent.reply(&self.env.crypto, answer)?;
                let credential = credential_id(&self.env.crypto, &deciding.peer().device_key);
                self.take_time_token(reply.object.unwrap_or_default(), credential);
                self.authenticated(deciding, facts, out)
            }
            Session::StepUpSelect(sent) => {
                let deciding = sent.response(answer)?;
                self.envelope(deciding, facts, out)
            }
            Session::Envelope(sent) => {
                let (deciding, response) = sent.response(&self.env.crypto, answer)?;
                let outcome = self.take_documents(deciding.peer(), facts, response);
                self.decide(deciding, facts, outcome, out)
            }
            Session::Verdict(sent, fast) => {
                let (decided, _) = sent.reply(&self.env.crypto, answer)?;
                self.keep_fast(fast);
                self.sync(decided, facts, out)
            }
            Session::Sync(sent, step) => {
                let (decided, reply) = sent.reply(&self.env.crypto, answer)?;
                let credential = credential_id(&self.env.crypto, &decided.peer().device_key);
                let object = reply.object.unwrap_or_default();
                self.take_sync(step, object, reply.done, credential);
                self.sync(decided, facts, out)
            }
        }
    }

    /// The phone is found among those met before, or has to sign.
    fn after_auth0(&mut self, done: Auth0Done<C>, facts: &mut Facts, out: &mut [u8]) -> Step<C> {
        if let Some((slot, found)) = self.find_fast(&done)?
            && self.is_fast_good(slot, &found.cryptogram, done.press(), facts)
        {
            let deciding = done.into_fast(&self.env.crypto, found)?;
            facts.path = Path::Fast;
            return self.authenticated(deciding, facts, out);
        }
        let carrier = self.profile().certificate;
        if carrier == CertificateCarrier::LoadCert && self.config.certificate.is_some() {
            let (sent, len) = done.load_certificate(&self.setup(), command_room(out))?;
            return Ok(Next::Send(Session::Certificate(sent), len));
        }
        self.auth1(done, out)
    }

    fn auth1(&mut self, done: Auth0Done<C>, out: &mut [u8]) -> Step<C> {
        if !self.core.budget.take(self.now) {
            return Ok(Next::Busy);
        }
        let setup = super::core::setup(self.config);
        let (sent, len) = done.auth1(&setup, &mut self.env.signer, command_room(out))?;
        Ok(Next::Send(Session::Auth1(sent), len))
    }

    /// The phone is proven: answers a repeated press, else asks for what is missing, else decides.
    fn authenticated(&mut self, deciding: Deciding, facts: &mut Facts, out: &mut [u8]) -> Step<C> {
        let credential = credential_id(&self.env.crypto, &deciding.peer().device_key);
        if let Some(verdict) = self.repeated(&deciding, facts, credential) {
            return self.repeat(deciding, facts, verdict, credential, out);
        }
        if facts.path == Path::Fast {
            let outcome = self.known_outcome(deciding.peer(), facts);
            return self.decide(deciding, facts, outcome, out);
        }
        if !facts.time_asked && self.usable_time().is_none() && self.can_ask(&deciding, facts) {
            facts.time_asked = true;
            let (sent, len) = deciding.ask(&self.env.crypto, SyncKind::TimeToken, command_room(out))?;
            return Ok(Next::Send(Session::TimeAsked(sent), len));
        }
        if self.needs_documents(deciding.peer(), facts).any() {
            if deciding.needs_step_up_select() {
                let (sent, len) = deciding.select_step_up(command_room(out))?;
                return Ok(Next::Send(Session::StepUpSelect(sent), len));
            }
            return self.envelope(deciding, facts, out);
        }
        let outcome = self.known_outcome(deciding.peer(), facts);
        self.decide(deciding, facts, outcome, out)
    }

    fn envelope(&mut self, deciding: Deciding, facts: &mut Facts, out: &mut [u8]) -> Step<C> {
        facts.path = Path::StepUp;
        let wanted = self.needs_documents(deciding.peer(), facts);
        let mut request = [0; 256];
        let len = self.write_request(wanted, &mut request).unwrap_or_default();
        let request = request.get(..len).unwrap_or_default();
        let (sent, len) = deciding.envelope(&self.env.crypto, request, command_room(out))?;
        Ok(Next::Send(Session::Envelope(sent), len))
    }

    /// Whether the phone answers questions before the verdict.
    fn can_ask(&self, deciding: &Deciding, facts: &Facts) -> bool {
        self.profile().sync
            && facts.interface == Interface::Ble
            && deciding.peer().press.is_some()
            && deciding.peer().signalling.contains(Signalling::NOTICES)
    }
}
