use keybutton_protocol::{
    crypto::Crypto,
    ids::{Interface, Kpersistent, ReaderId, Signature, UnixTime},
    verdict::Verdict,
};

use super::{
    Action, Phase,
    run::{Env, Run, Target},
    session::{Context, Progress, Session},
    state::State,
    talk::{Arrived, Talk},
    timers::is_due,
    verdict::{self, Meaning},
};
use crate::{
    access::{self, Access},
    error::{ErrorCode, KeyError},
    outcome::{Cause, Outcome, Refusal, Route},
};

/// How long to wait for the lock's next command, and for a link to come up, microseconds (docs/PROTOCOL.md section 14).
pub(super) const ANSWER_US: u64 = 5_000_000;

/// How long a message may take from one fragment to the next, microseconds.
const SILENCE_US: u64 = 1_000_000;

/// How long a link lasts at most, post-verdict exchange included, microseconds.
const LINK_US: u64 = 30_000_000;

/// How long the link lingers after the lock's last word, microseconds.
const LINGER_US: u64 = 3_000_000;

impl Run {
    /// The link is up: the phone says its first word.
    pub(super) fn connected<C: Crypto>(&mut self, mtu: u16, env: &mut Env<'_, C>) -> State<C> {
        let now = env.now.moment;
        let Some((session, initiate)) = Session::radio(env.device_key, self.press, self.options.intent) else {
            return self.fail(ErrorCode::Internal, Cause::LinkLost, env);
        };
        let mut talk = Box::new(Talk::by_radio(session, mtu, self.asked.is_some()));
        self.timers.link = Some(now.after(LINK_US));
        self.timers.answer = Some(now.after(ANSWER_US));
        if let Some(target) = &self.target {
            self.phase(Phase::Proving(target.door.clone()), now);
        }
        talk.send(&initiate, self);
        State::Proving(talk)
    }

    pub(super) fn value<C: Crypto>(&mut self, mut talk: Box<Talk<C>>, value: &[u8], env: &mut Env<'_, C>) -> State<C> {
        let mut context = self.context(env);
        let arrived = talk.take_value(value, self, &mut context);
        self.arrived(talk, arrived, env)
    }

    /// The lock has to wait for the signature; anything but patience on its side ends the link.
    pub(super) fn value_while_signing<C: Crypto>(
        &mut self,
        mut talk: Box<Talk<C>>,
        value: &[u8],
        env: &mut Env<'_, C>,
    ) -> State<C> {
        let mut context = self.context(env);
        match talk.take_value(value, self, &mut context) {
            Arrived::Part | Arrived::Patience => State::Signing(talk),
            Arrived::Broken | Arrived::Progress(_) => self.lost(ErrorCode::LinkLost, env),
        }
    }

    pub(super) fn value_after_verdict<C: Crypto>(
        &mut self,
        mut talk: Box<Talk<C>>,
        value: &[u8],
        env: &mut Env<'_, C>,
    ) -> State<C> {
        let mut context = self.context(env);
        let arrived = talk.take_value(value, self, &mut context);
        self.linger(talk, arrived, env)
    }

    pub(super) fn signed<C: Crypto>(
        &mut self,
        mut talk: Box<Talk<C>>,
        signature: Result<Signature, KeyError>,
        env: &mut Env<'_, C>,
    ) -> State<C> {
        let error = signature.err();
        let progress = talk.session.signed(signature.ok().as_ref(), env.crypto);
        match (error, progress) {
            (Some(error), Progress::Failed { response, .. }) => {
                talk.respond(&response, self);
                self.fail(error.code(), Cause::Cancelled, env)
            }
            (_, progress) => self.progress(talk, progress, env),
        }
    }

    /// A reader has the phone in its field: the transaction runs by tap, under the same press.
    pub(super) fn tapped<C: Crypto>(&mut self, apdu: &[u8], env: &mut Env<'_, C>) -> State<C> {
        self.stop_scan();
        self.drop_link();
        self.timers.settle = None;
        self.timers.pause = None;
        self.route = Some(Route::Tap);
        self.meter.metrics.links += 1;
        self.target = None;
        let session = Session::tap(env.device_key, self.press, self.options.intent);
        let talk = Talk::by_tap(session, self.asked.is_some());
        self.timers.link = Some(env.now.moment.after(LINK_US));
        self.apdu(Box::new(talk), apdu, env)
    }

    pub(super) fn apdu<C: Crypto>(&mut self, mut talk: Box<Talk<C>>, apdu: &[u8], env: &mut Env<'_, C>) -> State<C> {
        let mut context = self.context(env);
        let arrived = talk.take_apdu(apdu, self, &mut context);
        self.arrived(talk, arrived, env)
    }

    pub(super) fn deadline_is_due<C>(&self, env: &Env<'_, C>) -> bool {
        is_due(self.timers.deadline, env.now.moment)
    }

    pub(super) fn link_is_overdue<C>(&self, env: &Env<'_, C>) -> bool {
        let timers = &self.timers;
        [timers.answer, timers.silence, timers.link].into_iter().any(|timer| is_due(timer, env.now.moment))
    }

    fn arrived<C: Crypto>(&mut self, talk: Box<Talk<C>>, arrived: Arrived, env: &mut Env<'_, C>) -> State<C> {
        let now = env.now.moment;
        match arrived {
            Arrived::Part => {
                self.timers.silence = Some(now.after(SILENCE_US)).filter(|_| !talk.is_tap());
                self.stay(talk)
            }
            Arrived::Patience => {
                self.timers.silence = None;
                self.timers.answer = Some(now.after(ANSWER_US));
                self.stay(talk)
            }
            Arrived::Broken => self.lost(ErrorCode::LinkLost, env),
            Arrived::Progress(progress) => {
                self.timers.silence = None;
                self.progress(talk, progress, env)
            }
        }
    }

    fn progress<C: Crypto>(&mut self, mut talk: Box<Talk<C>>, progress: Progress, env: &mut Env<'_, C>) -> State<C> {
        let now = env.now.moment;
        match progress {
            Progress::Answer { response, may_open } => {
                if self.settle_target(&talk, env)
                    && let Some(state) = self.stop_at_target(&mut talk, env)
                {
                    return state;
                }
                self.meter.metrics.round_trips += 1;
                talk.respond(&response, self);
                self.timers.answer = Some(now.after(ANSWER_US));
                if may_open && !talk.asked {
                    talk.asked = true;
                    self.mark_asked(now);
                    if let Some(target) = &self.target {
                        self.phase(Phase::Opening(target.door.clone()), now);
                    }
                }
                self.stay(talk)
            }
            Progress::Sign(data) => {
                // The lock goes on to AUTH1 in the same transaction: it did not decide on the cryptogram.
                if std::mem::take(&mut talk.asked) {
                    if !talk.asked_before {
                        self.asked = None;
                    }
                    if let Some(target) = &self.target {
                        self.phase(Phase::Proving(target.door.clone()), now);
                    }
                }
                self.timers.answer = None;
                self.ticket = self.ticket.wrapping_add(1);
                self.push(Action::Sign(self.ticket, data));
                State::Signing(talk)
            }
            Progress::Verdict { response, verdict, persistent, fast } => {
                talk.respond(&response, self);
                self.meter.metrics.fast = fast;
                self.decided(talk, &verdict, persistent, env)
            }
            // Before a verdict there should be nothing to hand over, but nothing is lost by keeping it.
            Progress::HandOver { response, envelope } => {
                self.keep_audit(&talk, envelope, env);
                talk.respond(&response, self);
                self.stay(talk)
            }
            Progress::Failed { response, code } => {
                talk.respond(&response, self);
                if code == ErrorCode::UserAuthRequired && self.asked.is_none() {
                    self.drop_link();
                    self.push(Action::AuthenticateUser);
                    State::Authenticating
                } else if code == ErrorCode::LinkLost {
                    self.lost(code, env)
                } else {
                    self.fail(code, Cause::LinkLost, env)
                }
            }
        }
    }

    fn decided<C: Crypto>(
        &mut self,
        talk: Box<Talk<C>>,
        verdict: &Verdict,
        persistent: Option<Kpersistent>,
        env: &mut Env<'_, C>,
    ) -> State<C> {
        let outcome = match verdict::read(verdict, self.press) {
            Meaning::Opened(report) => {
                if let Some((reader, persistent)) = talk.session.reader().zip(persistent) {
                    env.keyring.put_fast_key(reader, persistent);
                }
                if let Some(target) = &self.target {
                    env.keyring.opened(target.door.clone(), env.now.wall);
                }
                self.push(Action::SaveKeyring);
                Outcome::Opened(report)
            }
            Meaning::Refused(refusal) => {
                let (code, when) = self.explain(refusal.code, env);
                if wants_newer_key(code) {
                    env.keyring.want_newer();
                    self.push(Action::SaveKeyring);
                }
                Outcome::Refused(Refusal { code, when, ..refusal })
            }
            Meaning::Unreadable => return self.finish(Cause::Unreadable, env),
        };
        self.conclude(outcome, env.now.moment);
        if talk.is_tap() {
            return self.close();
        }
        self.timers.answer = Some(env.now.moment.after(LINGER_US));
        State::Syncing(talk)
    }

    /// After the verdict the lock may ask for tokens and hand over audit; the member does not wait for it.
    fn linger<C: Crypto>(&mut self, mut talk: Box<Talk<C>>, arrived: Arrived, env: &mut Env<'_, C>) -> State<C> {
        let now = env.now.moment;
        match arrived {
            Arrived::Part => self.timers.silence = Some(now.after(SILENCE_US)),
            Arrived::Patience => self.timers.silence = None,
            Arrived::Progress(Progress::Answer { response, .. }) => {
                self.timers.silence = None;
                self.timers.answer = Some(now.after(LINGER_US));
                talk.respond(&response, self);
            }
            Arrived::Progress(Progress::HandOver { response, envelope }) => {
                self.timers.silence = None;
                self.timers.answer = Some(now.after(LINGER_US));
                self.keep_audit(&talk, envelope, env);
                talk.respond(&response, self);
            }
            Arrived::Progress(Progress::Failed { response, .. }) => {
                talk.respond(&response, self);
                return self.close();
            }
            Arrived::Broken | Arrived::Progress(Progress::Sign(_) | Progress::Verdict { .. }) => return self.close(),
        }
        State::Syncing(talk)
    }

    /// The state of a conversation that goes on.
    fn stay<C: Crypto>(&self, talk: Box<Talk<C>>) -> State<C> {
        if talk.asked { State::Deciding(talk) } else { State::Proving(talk) }
    }

    /// By tap the door is known only now. Tells whether it has just become known.
    fn settle_target<C: Crypto>(&mut self, talk: &Talk<C>, env: &Env<'_, C>) -> bool {
        if self.target.is_some() {
            return false;
        }
        let known = talk.session.reader().and_then(|reader| Some((reader, env.keyring.reader(reader)?)));
        let Some((reader, (_, lock))) = known else { return false };
        self.target = Some(Target { door: lock.door.clone(), reader });
        self.phase(Phase::Proving(lock.door.clone()), env.now.moment);
        true
    }

    /// Stops before the lock is given anything: the service objects, or has a newer key for this door.
    fn stop_at_target<C: Crypto>(&mut self, talk: &mut Talk<C>, env: &mut Env<'_, C>) -> Option<State<C>> {
        let objection = self.service_objects(env);
        let reader = self.target.as_ref()?.reader;
        let stale = env.keyring.reader(reader).is_some_and(|(_, lock)| self.needs_newer_key(lock, env));
        if objection.is_none() && !stale {
            return None;
        }
        talk.respond(&Talk::<C>::NOT_NOW, self);
        if let Some(objection) = objection {
            return Some(self.finish(objection, env));
        }
        self.timers.link_is_gone();
        self.options.door = self.door().cloned();
        Some(self.download(env))
    }

    fn keep_audit<C: Crypto>(&mut self, talk: &Talk<C>, envelope: Vec<u8>, env: &mut Env<'_, C>) {
        let Some(reader_id) = talk.session.reader() else { return };
        env.keyring.put_audit(reader_id, envelope.clone());
        self.push(Action::SaveKeyring);
        self.push(Action::StoreAudit { reader_id, envelope });
    }

    /// What the session may look at. The lock has to be the one settled on, or that of the door chosen.
    fn context<'e, C>(&self, env: &'e mut Env<'_, C>) -> Context<'e, C> {
        let of_door = |door| env.keyring.door(door).map(|(site, lock)| ReaderId::new(site.group(), lock.sub));
        let expected = match &self.target {
            Some(target) => Some(target.reader),
            None => self.options.door.as_ref().and_then(of_door),
        };
        Context {
            crypto: env.crypto,
            keyring: env.keyring,
            now: env.now.wall,
            user_authenticated: self.options.user_authenticated,
            expected,
        }
    }

    /// Says more about the lock's reason, where the phone knows more: when the access begins or ended, and that the lock
    /// was shown no key because the key does not name it.
    fn explain<C>(&self, code: ErrorCode, env: &Env<'_, C>) -> (ErrorCode, Option<UnixTime>) {
        let known = self.target.as_ref().and_then(|target| env.keyring.reader(target.reader));
        let Some((site, lock)) = known else { return (code, None) };
        let interface = if self.route == Some(Route::Tap) { Interface::Nfc } else { Interface::Ble };
        let access = access::may_open(site, lock, self.options.intent, interface, env.now.wall);
        match (code, access) {
            (ErrorCode::NotYetValid, _) => (code, Some(site.validity().valid_from)),
            (ErrorCode::Expired, _) => (code, Some(site.validity().valid_until)),
            (ErrorCode::OutsideSchedule, Access::Refused { when, .. }) => (code, when),
            (ErrorCode::KeyUnknown, Access::Refused { reason: ErrorCode::NoPermission, .. }) => {
                (ErrorCode::NoPermission, None)
            }
            _ => (code, None),
        }
    }
}

/// Whether a newer key may be what the lock wants. The service gives none to whom it has nothing to give.
const fn wants_newer_key(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Revoked | ErrorCode::StaleDocument | ErrorCode::Expired | ErrorCode::KeyUnknown)
}
