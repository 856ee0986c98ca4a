use keybutton_protocol::{api::DoorId, crypto::Crypto};

use super::{
    Phase,
    run::{Env, Run},
    state::State,
    timers::is_due,
};
use crate::{
    discovery::{Candidate, Pick},
    error::ErrorCode,
    outcome::Cause,
    radio::{Advertisement, RadioState},
};

/// How long to listen, after the first lock was heard, until doors are told apart: two advertisements of the slowest
/// mains-powered lock (docs/PROTOCOL.md section 15). Microseconds.
const SETTLE_US: u64 = 500_000;

/// Packets of each known lock after which there is nothing more to wait for.
const SAMPLES: usize = 3;

impl Run {
    /// Looks for the lock, or waits for a tap.
    pub(super) fn search<C: Crypto>(&mut self, env: &mut Env<'_, C>) -> State<C> {
        self.timers.settle = None;
        self.held = None;
        if !self.options.radio {
            self.phase(Phase::HoldToLock(self.door().cloned()), env.now.moment);
            return State::Searching;
        }
        if let Some(door) = self.door().filter(|door| self.options.tap && self.only_tap_opens(door, env)).cloned() {
            return self.hold(door, env);
        }
        self.phase(Phase::Searching, env.now.moment);
        let unusable = radio_fault(env);
        match unusable {
            Some(code) if !self.options.tap => return self.fail(code, Cause::LinkLost, env),
            Some(_) => {}
            None => self.start_scan(),
        }
        let hint = self.door().is_some_and(|door| env.keyring.door(door).is_some_and(|(_, lock)| lock.tap_hint));
        if hint || unusable.is_some() {
            self.phase(Phase::HoldToLock(self.door().cloned()), env.now.moment);
        }
        self.settle(env)
    }

    pub(super) fn heard<C: Crypto>(&mut self, heard: &Advertisement, env: &mut Env<'_, C>) -> State<C> {
        env.discovery.hear(heard, env.now.moment, env.keyring, env.crypto);
        self.settle(env)
    }

    /// Connects as soon as the door is known: the chosen one at once, else the nearest by a clear distance.
    pub(super) fn settle<C: Crypto>(&mut self, env: &mut Env<'_, C>) -> State<C> {
        let now = env.now.moment;
        if !self.scanning {
            return State::Searching;
        }
        if let Some(door) = self.door() {
            // A busy lock says so: it has no link free and would only let us down.
            return match env.discovery.find(door, now, env.keyring) {
                Some(candidate) if !candidate.busy => self.approach(&candidate, env),
                Some(_) | None => State::Searching,
            };
        }
        let ranked = env.discovery.ranked(now, env.keyring);
        if ranked.iter().all(|candidate| candidate.door.is_none()) {
            // What was heard may have been forgotten meanwhile; the next lock starts the time anew.
            self.timers.settle = None;
            return State::Searching;
        }
        let end = *self.timers.settle.get_or_insert(now.after(SETTLE_US));
        let doors: usize = env.keyring.sites().map(|site| site.locks().len()).sum();
        let heard = ranked.iter().filter(|c| env.discovery.samples(&c.peripheral) >= SAMPLES).count();
        if doors > 1 && heard < doors && !is_due(Some(end), now) {
            return State::Searching;
        }
        self.timers.settle = None;
        match env.discovery.pick(now, env.keyring) {
            Pick::One(candidate) if !candidate.busy => {
                // With no door chosen nobody could say so when the search began.
                if candidate.tap_hint && !self.only_by_tap(&candidate, env) {
                    self.phase(Phase::HoldToLock(candidate.door.clone()), now);
                }
                self.approach(&candidate, env)
            }
            Pick::Nothing | Pick::One(_) => State::Searching,
            Pick::Ambiguous(candidates) => {
                let doors = candidates.iter().filter_map(|candidate| candidate.door.clone()).collect();
                self.phase(Phase::Choose(candidates), now);
                State::Choosing(doors)
            }
        }
    }

    /// The member chose one of the candidates.
    pub(super) fn chosen<C: Crypto>(&mut self, door: DoorId, env: &mut Env<'_, C>) -> State<C> {
        self.options.door = Some(door);
        self.search(env)
    }

    /// Why the search came to nothing.
    pub(super) fn why_not_found<C: Crypto>(&self, env: &Env<'_, C>) -> ErrorCode {
        let found = self.door().and_then(|door| env.discovery.find(door, env.now.moment, env.keyring));
        match self.online.known_refusal() {
            Some(code) => code,
            // The reader that began the press did not come again.
            None if !self.options.radio => ErrorCode::LinkLost,
            None if self.held.is_some() => ErrorCode::TapOnly,
            None if found.is_some_and(|candidate| candidate.busy) => ErrorCode::Busy,
            // Nobody tapped, and the other way was barred. A phone without Bluetooth has no other way.
            None => {
                radio_fault(env).filter(|code| *code != ErrorCode::UnsupportedDevice).unwrap_or(ErrorCode::LockNotFound)
            }
        }
    }

    pub(super) fn radio_changed<C: Crypto>(
        &mut self,
        radio: RadioState,
        state: State<C>,
        env: &mut Env<'_, C>,
    ) -> State<C> {
        let searching = matches!(state, State::Searching);
        match ErrorCode::from_radio_state(radio) {
            Some(code) if !self.options.tap => self.fail(code, Cause::LinkLost, env),
            Some(_) if self.scanning => {
                self.stop_scan();
                if searching {
                    self.phase(Phase::HoldToLock(self.door().cloned()), env.now.moment);
                }
                state
            }
            // The radio came on while the phone waited for a tap.
            None if searching && self.options.radio && !self.scanning && self.held.is_none() => self.search(env),
            Some(_) | None => state,
        }
    }

    fn approach<C: Crypto>(&mut self, candidate: &Candidate, env: &mut Env<'_, C>) -> State<C> {
        let lock = candidate.door.as_ref().and_then(|door| env.keyring.door(door)).map(|(_, lock)| lock);
        if lock.is_some_and(|lock| self.needs_newer_key(lock, env)) {
            self.options.door = candidate.door.clone();
            return self.download(env);
        }
        match candidate.door.clone() {
            Some(door) if self.only_by_tap(candidate, env) => self.hold(door, env),
            Some(_) | None => self.connect(candidate, env),
        }
    }

    fn only_by_tap<C>(&self, candidate: &Candidate, env: &Env<'_, C>) -> bool {
        self.options.tap && candidate.door.as_ref().is_some_and(|door| self.only_tap_opens(door, env))
    }

    /// Has the member hold the phone to a door that opens by tap only. Says so once.
    fn hold<C: Crypto>(&mut self, door: DoorId, env: &Env<'_, C>) -> State<C> {
        if self.held.as_ref() != Some(&door) {
            self.phase(Phase::HoldToLock(Some(door.clone())), env.now.moment);
            self.held = Some(door);
        }
        State::Searching
    }
}

/// Why the radio can't be used; `None` when it can.
fn radio_fault<C>(env: &Env<'_, C>) -> Option<ErrorCode> {
    match env.radio {
        Some(state) => ErrorCode::from_radio_state(state),
        None => Some(ErrorCode::UnsupportedDevice),
    }
}
