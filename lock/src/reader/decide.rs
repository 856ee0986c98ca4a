//! From an outcome to a verdict: what is written first, what moves, what the phone is told (`docs/PROTOCOL.md` section 16).

use core::time::Duration;

use keybutton_protocol::{
    audit::RecordType,
    crypto::{Crypto, Signer},
    ids::{CredentialId, Intent, Interface, UnixTime, UnlockId},
    message::LockState,
    reader::Deciding,
    verdict::{Reason, Report, RetryAfter, Status, Verdict},
};

use super::{
    Event,
    core::Context,
    documents::{Outcome, Right},
    session::{Facts, Next, Session, Step},
};
use crate::{
    audit::Entry,
    fast::FastEntry,
    feedback::Signal,
    policy::{Fault, Judgement, moves, opens},
    store::Store,
    uses::use_key,
};

/// The detail of a verdict that an earlier attempt of the same press got already.
const REPEATED: u8 = 1;
/// The capabilities byte of "access protocol completed": no unsolicited status reports.
const NO_REPORTS: u8 = 0;

impl<C: Crypto, S: Signer, T: Store> Context<'_, C, S, T> {
    /// Gives the verdict: counts the use, records it, remembers it, and only then moves and answers.
    ///
    /// A press that another link has decided while this one waited for its documents is answered as a repeated one.
    pub(crate) fn decide(
        &mut self,
        deciding: Deciding,
        facts: &mut Facts,
        outcome: Outcome,
        out: &mut [u8],
    ) -> Step<C> {
        let credential = self.credential(&deciding);
        if let Some(verdict) = self.repeated(&deciding, facts, credential) {
            return self.repeat(deciding, facts, verdict, credential, out);
        }
        facts.decided = true;
        let Outcome { judgement, right } = outcome;
        let press = deciding.peer().press;
        let unlock = press.map(|press| press.unlock_id);
        let asked = press.map_or(Some(Intent::Unlock), |press| press.intent());
        // An intent of a later version is refused; it is treated as one that moves nothing.
        let intent = asked.unwrap_or(Intent::Status);

        let judgement = self.count_use(judgement, intent, right.as_ref());
        let judgement = self.record(judgement, intent, facts.interface, credential, right.as_ref(), unlock);
        let open_for = self.open_time(intent, right.as_ref());
        let verdict = self.verdict(judgement, intent, unlock, open_for);
        if let (Some(unlock), Reason::UserAuthRequired) = (unlock, judgement.reason) {
            self.core.wanted.want(unlock, self.now);
        }
        // A refusal that the phone may cure and retry by itself is judged anew; nothing else is judged twice.
        if judgement.is_granted() || judgement.reason.retry_after() == RetryAfter::NEVER {
            let moved = judgement.is_granted() && opens(intent);
            self.core.verdicts.put(credential, unlock, intent, moved, verdict, self.now);
        }
        if judgement.is_granted() {
            self.move_bolt(intent, open_for);
        } else if moves(intent) {
            let fault = judgement.reason == Reason::Hardware;
            self.signal(if fault { Signal::Fault } else { Signal::Refused });
        }
        self.event(Event::Verdict {
            reason: judgement.reason,
            detail: judgement.detail,
            interface: facts.interface,
            intent,
            credential,
            unlock,
            repeated: false,
            path: facts.path,
        });
        let fast = right.filter(|_| judgement.is_granted()).and_then(|right| self.fast_entry(&deciding, &right));
        self.send(deciding, &verdict, fast, out)
    }

    /// The verdict this press, or a tap moments ago, already got.
    pub(crate) fn repeated(&self, deciding: &Deciding, facts: &Facts, credential: CredentialId) -> Option<Verdict> {
        let press = deciding.peer().press;
        let same = press.and_then(|press| self.core.verdicts.repeated(credential, press.unlock_id, self.now));
        let intent = press.map_or(Some(Intent::Unlock), |press| press.intent());
        let without_id = press.is_none() || facts.interface == Interface::Nfc;
        same.or_else(|| self.core.verdicts.just_triggered(credential, intent.filter(|_| without_id)?, self.now))
    }

    /// Answers with an earlier verdict. Moves nothing, records nothing.
    pub(crate) fn repeat(
        &mut self,
        deciding: Deciding,
        facts: &mut Facts,
        verdict: Verdict,
        credential: CredentialId,
        out: &mut [u8],
    ) -> Step<C> {
        facts.decided = true;
        let press = deciding.peer().press;
        let report = verdict.report.map(|report| Report {
            detail: REPEATED,
            unlock_id: press.map_or(report.unlock_id, |press| press.unlock_id),
            ..report
        });
        let reason = verdict.report.and_then(|report| report.reason.known()).unwrap_or(Reason::Granted);
        self.event(Event::Verdict {
            reason,
            detail: REPEATED,
            interface: facts.interface,
            intent: press.and_then(|press| press.intent()).unwrap_or(Intent::Unlock),
            credential,
            unlock: press.map(|press| press.unlock_id),
            repeated: true,
            path: facts.path,
        });
        self.send(deciding, &Verdict { report, ..verdict }, None, out)
    }

    fn send(&mut self, deciding: Deciding, verdict: &Verdict, fast: Option<FastEntry>, out: &mut [u8]) -> Step<C> {
        if deciding.reports_by_completed() {
            let state = if self.core.door.is_withdrawn() { LockState::Unsecured } else { LockState::Secured };
            // The message has its own header: it takes the place of the command's.
            let (_, len) = deciding.completed(&self.env.crypto, NO_REPORTS, state, out)?;
            self.keep_fast(fast);
            return Ok(Next::Last(len));
        }
        let (sent, len) = deciding.verdict(&self.env.crypto, verdict, command_room(out))?;
        Ok(Next::Send(Session::Verdict(sent, fast), len))
    }

    /// Counts a use before anything moves. A use that can't be counted opens nothing.
    fn count_use(&mut self, judgement: Judgement, intent: Intent, right: Option<&Right>) -> Judgement {
        let limited = right
            .filter(|right| judgement.is_granted() && opens(intent) && right.access.restrictions.use_limit.is_some());
        let Some(right) = limited else { return judgement };
        // Uses are counted by access identifier: without one there is nothing to count by.
        let Some(access_id) = right.access.access_id else { return Judgement::new(Reason::BadData) };
        let key = use_key(&self.env.crypto, right.kid, &access_id);
        let (until, not_before) = (right.valid_until, self.core.clock.not_before(self.now));
        let (mut counters, store) = self.use_counters();
        let counted = counters.count(store, key, until, not_before);
        match self.noted(counted) {
            Ok(()) => judgement,
            Err(_) => Judgement::with(Reason::Hardware, Fault::Storage as u8),
        }
    }

    /// Writes the audit record. What can't be recorded opens nothing.
    fn record(
        &mut self,
        judgement: Judgement,
        intent: Intent,
        interface: Interface,
        credential: CredentialId,
        right: Option<&Right>,
        unlock: Option<UnlockId>,
    ) -> Judgement {
        let access_id = right.and_then(|right| right.access.access_id);
        let entry = Entry {
            reason: judgement.reason.code(),
            status: self.status(judgement, intent).s2,
            interface: Some(interface),
            credential,
            access_id: access_id.map_or([0; 16], |id| *id.padded()),
            unlock_id: unlock.unwrap_or(UnlockId([0; 16])),
            ..self.entry(RecordType::Verdict)
        };
        match self.append(&entry) {
            Ok(()) => judgement,
            Err(_) if !judgement.is_granted() => judgement,
            Err(_) => Judgement::with(Reason::Hardware, Fault::Storage as u8),
        }
    }

    fn status(&self, judgement: Judgement, intent: Intent) -> Status {
        match intent {
            _ if !judgement.is_granted() => judgement.reason.status(false),
            Intent::Unlock | Intent::HoldOpen => Status::ENTERING_UNSECURED,
            Intent::Lock => Status::ENTERING_SECURED,
            Intent::Status | Intent::Sync if self.core.door.is_withdrawn() => Status::UNSECURED,
            Intent::Status | Intent::Sync => Status::SECURED,
        }
    }

    fn verdict(&self, judgement: Judgement, intent: Intent, unlock: Option<UnlockId>, open_for: Duration) -> Verdict {
        let status = self.status(judgement, intent);
        let unlock = unlock.unwrap_or(UnlockId([0; 16]));
        let opening = judgement.is_granted() && intent == Intent::Unlock;
        let report = Report {
            detail: judgement.detail,
            lock_time: self.usable_time(),
            clock: self.clock_state(),
            battery: Some(self.core.battery).filter(|percent| *percent != super::BATTERY_UNKNOWN),
            flags: self.flags(),
            time_open: if opening { u16::try_from(open_for.as_millis() / 100).unwrap_or(u16::MAX) } else { 0 },
            ..Report::new(judgement.reason, unlock, self.audit_head())
        };
        Verdict { status, report: Some(report) }
    }

    fn open_time(&self, intent: Intent, right: Option<&Right>) -> Duration {
        use keybutton_protocol::document::schedule::Capabilities;
        let policy = &self.config.policy;
        let extended = intent == Intent::Unlock
            && right.is_some_and(|right| {
                right.access.rules.rules.iter().any(|rule| rule.capabilities.any_of(Capabilities::EXTENDED))
            });
        let tenths = if extended { policy.extended_open_time_ds } else { policy.open_time_ds };
        Duration::from_millis(u64::from(tenths) * 100)
    }

    /// The entry for the fast phase that a granted transaction with a verified document leaves.
    fn fast_entry(&self, deciding: &Deciding, right: &Right) -> Option<FastEntry> {
        let limit = self.config.policy.offline_limit_s;
        let offline = UnixTime(right.signed.0.saturating_add(limit));
        let allowed = self.fast_limit() > 0 && right.known && !right.access.restrictions.user_authentication;
        Some(FastEntry {
            secret: deciding.persistent().filter(|_| allowed)?.clone(),
            device_key: deciding.peer().device_key,
            access_id: right.access.access_id,
            kid: right.kid,
            iteration: right.iteration?,
            signed: right.signed,
            expires: right.valid_until.min(offline),
        })
    }

    /// Stores an entry for the fast phase, after the verdict is out.
    pub(crate) fn keep_fast(&mut self, entry: Option<FastEntry>) {
        let Some(entry) = entry else { return };
        let limit = self.fast_limit();
        let (mut fast, store) = self.fast_store();
        let kept = fast.put(store, entry, limit);
        let _ = self.noted(kept);
    }

    fn credential(&self, deciding: &Deciding) -> CredentialId {
        keybutton_protocol::document::credential_id(&self.env.crypto, &deciding.peer().device_key)
    }
}

/// The part of an output buffer that holds commands: a message header has room before it.
pub(crate) fn command_room(out: &mut [u8]) -> &mut [u8] {
    out.get_mut(keybutton_protocol::message::HEADER_LEN..).unwrap_or_default()
}
