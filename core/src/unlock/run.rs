use keybutton_protocol::{
    api::DoorId,
    crypto::Crypto,
    ids::{PublicKey, ReaderId, UnlockId},
};

use super::{
    Action, Moment, Now, Phase, UnlockOptions, dialogue::ANSWER_US, meter::Meter, online::Online, state::State,
    timers::Timers,
};
use crate::{
    discovery::{Candidate, Discovery},
    error::{ErrorCode, KeyError},
    keyring::Keyring,
    outcome::{Cause, Outcome, PressOutcome, Refusal, Route},
    radio::{PeripheralId, RadioState},
};

/// How often a link may fail before the lock was asked, until the press gives up.
const FAILURES_MAX: u8 = 3;

/// The pause before the lock is asked again under the same press, microseconds.
pub(super) const PAUSE_US: u64 = 250_000;

/// How long a radio may take to report the end of a link, microseconds.
const GOODBYE_US: u64 = 1_000_000;

/// What a step may look at and change besides the machine itself.
#[derive(Debug)]
pub struct Env<'a, C> {
    /// What time it is.
    pub now: Now,
    /// The keys. [`Action::SaveKeyring`] says when they have changed.
    pub keyring: &'a mut Keyring,
    /// The locks in range, shared with whoever lists them.
    pub discovery: &'a mut Discovery,
    /// The crypto back end, randomness included.
    pub crypto: &'a mut C,
    /// The public half of the device key.
    pub device_key: &'a PublicKey,
    /// The radio's state; `None` where there is none.
    pub radio: Option<RadioState>,
}

/// The lock that the press is about.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) door: DoorId,
    pub(super) reader: ReaderId,
}

/// Everything about a press but its state.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) press: UnlockId,
    pub(super) options: UnlockOptions,
    pub(super) actions: Vec<Action>,
    pub(super) meter: Meter,
    pub(super) timers: Timers,
    pub(super) online: Online,
    pub(super) target: Option<Target>,
    pub(super) route: Option<Route>,
    /// Where the link is, or is being set up.
    pub(super) peripheral: Option<PeripheralId>,
    pub(super) scanning: bool,
    /// The door, near or chosen, that only a tap opens: the phone has to be held to it.
    pub(super) held: Option<DoorId>,
    /// Since when the lock may have decided: from here on nobody can say that nothing moved.
    pub(super) asked: Option<Moment>,
    pub(super) ticket: u32,
    failures: u8,
    finished: bool,
}

impl Run {
    pub(super) fn new(press: UnlockId, options: UnlockOptions) -> Self {
        Self {
            press,
            options,
            actions: Vec::new(),
            meter: Meter::default(),
            timers: Timers::default(),
            online: Online::NotAsked,
            target: None,
            route: None,
            peripheral: None,
            scanning: false,
            held: None,
            asked: None,
            ticket: 0,
            failures: 0,
            finished: false,
        }
    }

    pub(super) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn phase(&mut self, phase: Phase, now: Moment) {
        self.meter.enter(&phase, now);
        self.push(Action::Phase(phase));
    }

    /// The door that was chosen or settled on.
    pub(super) fn door(&self) -> Option<&DoorId> {
        self.target.as_ref().map(|target| &target.door).or(self.options.door.as_ref())
    }

    /// The lock was asked now, or was before: from here on it may open.
    pub(super) fn mark_asked(&mut self, now: Moment) {
        self.asked.get_or_insert(now);
    }

    /// Ends the press and drops whatever link there is.
    pub(super) fn finish<C: Crypto, T>(&mut self, outcome: T, env: &Env<'_, C>) -> State<C>
    where
        Outcome: From<T>,
    {
        self.conclude(outcome.into(), env.now.moment);
        self.close()
    }

    /// Ends the press with a failure: certain that nothing moved as long as the lock was never asked.
    pub(super) fn fail<C: Crypto>(&mut self, code: ErrorCode, cause: Cause, env: &Env<'_, C>) -> State<C> {
        if self.asked.is_some() {
            return self.finish(cause, env);
        }
        self.finish(code, env)
    }

    /// Tells the member how the press ended: once.
    pub(super) fn conclude(&mut self, outcome: Outcome, now: Moment) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.timers.deadline = None;
        let metrics = self.meter.end(now);
        let door = self.door().cloned();
        self.push(Action::Finish(Box::new(PressOutcome {
            press: self.press,
            door,
            route: self.route,
            outcome,
            metrics,
        })));
    }

    /// Gives back the radio and ends the machine.
    pub(super) fn close<C: Crypto>(&mut self) -> State<C> {
        self.stop_scan();
        self.drop_link();
        self.timers = Timers::default();
        self.push(Action::Over);
        State::Over
    }

    pub(super) fn start_scan(&mut self) {
        if !self.scanning {
            self.scanning = true;
            self.push(Action::StartScan);
        }
    }

    pub(super) fn stop_scan(&mut self) {
        if self.scanning {
            self.scanning = false;
            // A scan that is not under way yet need not begin: systems take their time for both, and some count.
            match self.actions.iter().rposition(|action| matches!(action, Action::StartScan)) {
                Some(begin) => drop(self.actions.remove(begin)),
                None => self.push(Action::StopScan),
            }
        }
    }

    pub(super) fn drop_link(&mut self) {
        self.timers.link_is_gone();
        if let Some(peripheral) = self.peripheral.take() {
            self.push(Action::Disconnect(peripheral));
        }
    }

    pub(super) fn is_our_link(&self, peripheral: &PeripheralId) -> bool {
        self.peripheral.as_ref() == Some(peripheral)
    }

    /// Sets a link up to the door that was settled on.
    pub(super) fn connect<C: Crypto>(&mut self, candidate: &Candidate, env: &Env<'_, C>) -> State<C> {
        let Some((door, reader)) = candidate.door.clone().and_then(|door| {
            let (site, lock) = env.keyring.door(&door)?;
            Some((door, ReaderId::new(site.group(), lock.sub)))
        }) else {
            return State::Searching;
        };
        self.target = Some(Target { door: door.clone(), reader });
        if let Some(objection) = self.service_objects(env) {
            return self.finish(objection, env);
        }
        self.stop_scan();
        self.timers.settle = None;
        self.timers.answer = Some(env.now.moment.after(ANSWER_US));
        self.route = Some(Route::Radio);
        self.meter.metrics.links += 1;
        self.phase(Phase::Connecting(door), env.now.moment);
        self.peripheral = Some(candidate.peripheral.clone());
        self.push(Action::Connect(candidate.peripheral.clone()));
        State::Connecting
    }

    /// The link is gone, or not worth keeping. Asks the lock again under the same press while there is time.
    pub(super) fn lost<C: Crypto>(&mut self, code: ErrorCode, env: &mut Env<'_, C>) -> State<C> {
        let by_tap = self.route == Some(Route::Tap);
        let open_link = self.peripheral.is_some();
        if let Some(peripheral) = &self.peripheral {
            env.discovery.forget(peripheral);
        }
        self.drop_link();
        match self.asked {
            // There is no link to set up again: the member would have to tap, which is a press of its own.
            Some(_) if by_tap => return self.finish(Cause::LinkLost, env),
            Some(asked) if env.now.moment.since(asked) >= UnlockOptions::REPEAT_US => {
                return self.finish(Cause::LinkLost, env);
            }
            Some(_) => {}
            None => {
                self.failures += 1;
                if self.failures >= FAILURES_MAX {
                    let code = self.online.known_refusal().unwrap_or(code);
                    return self.fail(code, Cause::LinkLost, env);
                }
            }
        }
        self.timers.pause = Some(env.now.moment.after(if open_link { GOODBYE_US } else { PAUSE_US }));
        if open_link { State::Dropping } else { State::Waiting }
    }
}

impl From<ErrorCode> for Outcome {
    fn from(code: ErrorCode) -> Self {
        Self::Refused(Refusal::new(code))
    }
}

impl From<KeyError> for Outcome {
    fn from(error: KeyError) -> Self {
        error.code().into()
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Cause> for Outcome {
    fn from(cause: Cause) -> Self {
        Self::Unconfirmed(cause)
    }
}
