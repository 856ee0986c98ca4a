//! After the verdict: tokens, revocations and audit travel with whoever opened the door (`docs/PROTOCOL.md` section 19).

use core::time::Duration;

use keybutton_protocol::{
    crypto::{Crypto, Signer},
    document::Document,
    exchange::SyncKind,
    ids::CredentialId,
    reader::Decided,
    signalling::Signalling,
    token::{AckToken, TimeToken},
    verdict::ClockState,
};

use super::{
    Event,
    core::Context,
    decide::command_room,
    memory::RECORDS_ROOM,
    session::{Facts, Next, Session, Step},
};
use crate::{
    audit::{EnvelopeRoom, SealFor},
    store::Store,
};

/// A running clock asks for a time token when it was last fed this long ago.
const TIME_WANTED_AFTER: Duration = Duration::from_secs(3_600);

/// What a phone was asked for, or is being asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SyncStep {
    Time,
    Acknowledgement,
    Revocation,
    /// Audit records up to this number.
    HandOver(u32),
}

/// What one phone has been asked for already: each once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Synced {
    pub(crate) time: bool,
    acknowledgement: bool,
    revocation: bool,
    handed_over: bool,
}

impl<C: Crypto, S: Signer, T: Store> Context<'_, C, S, T> {
    /// Asks for what is wanted next; ends the transaction when there is nothing.
    pub(crate) fn sync(&mut self, decided: Decided, facts: &mut Facts, out: &mut [u8]) -> Step<C> {
        if !decided.can_sync() || decided.peer().press.is_none() {
            return Ok(Next::Finished);
        }
        let newer = decided.peer().signalling.contains(Signalling::REVOCATION_DOCUMENT)
            && decided.peer().revocation_signed > self.revocations.signed();
        let synced = &mut facts.synced;
        self.core.audit.expire_hand_over(self.now);
        let unsure = self.core.clock.state(self.now) < ClockState::Running
            || self.core.clock.input_age(self.now) >= TIME_WANTED_AFTER;
        let (step, kind) = if unsure && !core::mem::replace(&mut synced.time, true) {
            (SyncStep::Time, SyncKind::TimeToken)
        } else if self.core.audit.awaits_acknowledgement() && !core::mem::replace(&mut synced.acknowledgement, true) {
            (SyncStep::Acknowledgement, SyncKind::AckToken)
        } else if newer && !core::mem::replace(&mut synced.revocation, true) {
            (SyncStep::Revocation, SyncKind::RevocationDocument)
        } else if !core::mem::replace(&mut synced.handed_over, true) {
            return self.hand_over(decided, out);
        } else {
            return Ok(Next::Finished);
        };
        let (sent, len) = decided.ask(&self.env.crypto, kind, command_room(out))?;
        Ok(Next::Send(Session::Sync(sent, step), len))
    }

    /// Seals the records that wait, and hands them over.
    fn hand_over(&mut self, decided: Decided, out: &mut [u8]) -> Step<C> {
        let waiting = self.core.audit.waiting() >= u32::from(self.config.policy.hand_over_from.max(1));
        let Some(audit_key) = self.config.audit_key.filter(|_| waiting) else { return Ok(Next::Finished) };
        let time = self.core.clock.now(self.now).unwrap_or_default();
        let (records, envelope) = self.scratch.split_at_mut(RECORDS_ROOM);
        let seal_for = SealFor { reader: self.config.reader_id(), audit_key: &audit_key, time };
        let sealed = self.core.audit.envelope(self.env, &seal_for, EnvelopeRoom { records, out: envelope });
        let Ok(Some((len, last))) = sealed else { return Ok(Next::Finished) };
        let envelope = self.scratch.get(RECORDS_ROOM..RECORDS_ROOM + len).unwrap_or_default();
        let (sent, len) = decided.hand_over(&self.env.crypto, envelope, command_room(out))?;
        Ok(Next::Send(Session::Sync(sent, SyncStep::HandOver(last)), len))
    }

    /// Takes in what a phone answered.
    pub(crate) fn take_sync(&mut self, step: SyncStep, object: &[u8], done: bool, credential: CredentialId) {
        match step {
            SyncStep::Time => self.take_time_token(object, credential),
            SyncStep::Acknowledgement => self.take_ack_token(object),
            SyncStep::Revocation => {
                if let Ok(document) = Document::parse(object) {
                    self.take_revocation(&document, credential);
                }
            }
            SyncStep::HandOver(number) if done => {
                self.core.audit.handed_over(number, self.now);
                self.event(Event::AuditHandedOver { number });
            }
            SyncStep::HandOver(_) => {}
        }
    }

    /// Takes in a time token of this site; anything else is ignored.
    pub(crate) fn take_time_token(&mut self, token: &[u8], credential: CredentialId) {
        let opened = TimeToken::open(&self.env.crypto, token, |kid| self.issuer_key(kid));
        let Ok((_, token)) = opened else { return };
        if token.group == self.config.group && token.expires >= self.core.clock.persisted() {
            self.offer_time(token.time, credential);
        }
    }

    fn take_ack_token(&mut self, token: &[u8]) {
        let opened = AckToken::open(&self.env.crypto, token, |kid| self.issuer_key(kid));
        let Ok((_, token)) = opened else { return };
        if token.reader != self.config.reader_id() {
            return;
        }
        let env = &mut *self.env;
        let freed = self.core.audit.acknowledge(&mut env.store, &env.crypto, token.number, &token.hash);
        if self.noted(freed) == Ok(true) {
            self.event(Event::AuditAcknowledged { number: token.number });
        }
    }
}
