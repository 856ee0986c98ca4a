//! The lock's trusted clock: a lower bound that only moves forward, fed by signed times and never by a phone's clock.
//!
//! Rules and limits: `docs/PROTOCOL.md` section 18.

use core::time::Duration;

use keybutton_protocol::{
    ids::{CredentialId, UnixTime},
    verdict::ClockState,
};

use crate::uptime::Uptime;

/// A single input moves the clock by at most this much, seconds (31 days).
pub const JUMP_LIMIT_S: u32 = 31 * 86_400;
/// How long the first of two inputs beyond the jump limit waits for the second.
pub const JUMP_WINDOW: Duration = Duration::from_secs(86_400);
/// How far two inputs beyond the jump limit may differ, seconds.
pub const JUMP_AGREEMENT_S: u32 = 3_600;
/// How far apart by uptime the two inputs may come that start the clock.
pub const PAIR_WINDOW: Duration = Duration::from_secs(600);
/// How far the two inputs that start the clock may differ beyond the time between them, seconds.
pub const PAIR_AGREEMENT_S: u32 = 600;
/// A running clock is only stepped by an input this much later, seconds.
pub const STEP_THRESHOLD_S: u32 = 300;
/// A running clock falls back to a lower bound after this long without an input.
pub const HOLDOVER: Duration = Duration::from_secs(60 * 86_400);
/// An input this much older than the clock says nothing about how far it has drifted, seconds.
const FRESH_INPUT_S: u32 = 86_400;
/// The lower bound is persisted when the clock is this far past it, seconds.
pub const PERSIST_EVERY_S: u32 = 3_600;

/// A reading, kept in memory that a battery backs, with which a restart goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetainedClock {
    /// The time now, by the real-time clock that kept counting.
    pub now: UnixTime,
    /// The state before the restart.
    pub state: ClockState,
}

/// Who vouches for an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeSource {
    /// A signed time that the holder of this device key brought.
    Device(CredentialId),
    /// A maintenance action.
    Maintenance,
}

/// What an input did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing changed.
    None,
    /// The state rose, the time stayed.
    Raised,
    /// The time moved, by this many seconds.
    Stepped(u32),
    /// Beyond the jump limit: waits for a second device key that agrees.
    Pending,
}

/// The clock.
#[derive(Debug)]
pub struct LockClock {
    state: ClockState,
    /// The time at `at`, in a state above unknown.
    base: UnixTime,
    at: Uptime,
    bound: UnixTime,
    last_input: Uptime,
    candidate: Option<Candidate>,
    jump: Option<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    time: UnixTime,
    device: CredentialId,
    at: Uptime,
}

impl LockClock {
    /// Starts with the persisted lower bound; goes on where a battery-backed reading allows it.
    pub fn start(bound: UnixTime, retained: Option<RetainedClock>, now: Uptime) -> Self {
        let (state, base) = match retained {
            Some(retained) if retained.now >= bound => (retained.state, retained.now),
            Some(_) | None => (ClockState::Unknown, bound),
        };
        Self { state, base, at: now, bound, last_input: now, candidate: None, jump: None }
    }

    /// The state at `now`.
    pub fn state(&self, now: Uptime) -> ClockState {
        match self.state {
            ClockState::Running | ClockState::Confirmed if now.since(self.last_input) > HOLDOVER => {
                ClockState::LowerBound
            }
            state => state,
        }
    }

    /// The time at `now`, counted 100 ppm slow so that it never runs ahead; `None` in state unknown.
    pub fn now(&self, now: Uptime) -> Option<UnixTime> {
        (self.state != ClockState::Unknown).then(|| self.reading(now))
    }

    /// The time that has certainly come: the reading, or the persisted bound in state unknown.
    pub fn not_before(&self, now: Uptime) -> UnixTime {
        self.now(now).unwrap_or(self.bound).max(self.bound)
    }

    /// The lower bound that was persisted last.
    pub fn persisted(&self) -> UnixTime {
        self.bound
    }

    /// The lower bound to persist now, when that is due. Confirm with [`LockClock::set_persisted`].
    pub fn due(&self, now: Uptime) -> Option<UnixTime> {
        let reading = self.now(now)?;
        (reading.0.saturating_sub(self.bound.0) >= PERSIST_EVERY_S).then_some(reading)
    }

    /// Notes that `bound` has been persisted.
    pub fn set_persisted(&mut self, bound: UnixTime) {
        self.bound = bound;
    }

    /// How long ago the clock was last fed.
    pub fn input_age(&self, now: Uptime) -> Duration {
        now.since(self.last_input)
    }

    /// Takes in a verified time.
    pub fn offer(&mut self, time: UnixTime, source: TimeSource, now: Uptime) -> Effect {
        let before = self.state(now);
        if before != self.state {
            self.rebase(self.reading(now), before, now);
        }
        match source {
            TimeSource::Maintenance => self.set_by_maintenance(time, now),
            TimeSource::Device(device) => self.offer_by_device(Candidate { time, device, at: now }),
        }
    }

    fn set_by_maintenance(&mut self, time: UnixTime, now: Uptime) -> Effect {
        let step = time.0.abs_diff(self.not_before(now).0);
        self.rebase(time, ClockState::Confirmed, now);
        self.bound = self.bound.min(time);
        self.last_input = now;
        self.candidate = None;
        self.jump = None;
        Effect::Stepped(step)
    }

    fn offer_by_device(&mut self, input: Candidate) -> Effect {
        let now = input.at;
        let reference = self.not_before(now);
        let accepted = if input.time.0.saturating_sub(reference.0) > JUMP_LIMIT_S {
            match self.agree_on_jump(input) {
                Some(time) => time,
                None => return Effect::Pending,
            }
        } else {
            input.time
        };
        if accepted.0.saturating_add(FRESH_INPUT_S) >= reference.0 {
            self.last_input = now;
        }
        let effect = self.step(accepted, reference, now);
        self.pair(Candidate { time: accepted, ..input }, effect)
    }

    /// Moves the time forward as the state allows.
    fn step(&mut self, time: UnixTime, reference: UnixTime, now: Uptime) -> Effect {
        let threshold = match self.state {
            ClockState::Unknown => {
                self.rebase(reference.max(time), ClockState::LowerBound, now);
                return match time.0.saturating_sub(reference.0) {
                    0 => Effect::Raised,
                    step => Effect::Stepped(step),
                };
            }
            ClockState::LowerBound => 0,
            ClockState::Running | ClockState::Confirmed => STEP_THRESHOLD_S,
        };
        if time.0 <= reference.0.saturating_add(threshold) {
            return Effect::None;
        }
        let state = self.state;
        self.rebase(time, state, now);
        Effect::Stepped(time.0.saturating_sub(reference.0))
    }

    /// Raises a lower bound to a running clock once two device keys agree within minutes.
    fn pair(&mut self, input: Candidate, effect: Effect) -> Effect {
        if self.state != ClockState::LowerBound {
            self.candidate = None;
            return effect;
        }
        // A time far behind the clock says nothing about how far behind the clock is itself: old documents start nothing.
        if input.time.0.saturating_add(PAIR_AGREEMENT_S) < self.reading(input.at).0 {
            return effect;
        }
        let agrees = self.candidate.is_some_and(|first| {
            let apart = input.at.since(first.at);
            let allowed = u64::from(PAIR_AGREEMENT_S).saturating_add(apart.as_secs());
            first.device != input.device
                && apart < PAIR_WINDOW
                && u64::from(first.time.0.abs_diff(input.time.0)) <= allowed
        });
        if !agrees {
            self.candidate = Some(input);
            return effect;
        }
        self.candidate = None;
        self.rebase(self.reading(input.at), ClockState::Running, input.at);
        match effect {
            Effect::None => Effect::Raised,
            Effect::Raised | Effect::Stepped(_) | Effect::Pending => effect,
        }
    }

    /// The time two different device keys agree on beyond the jump limit; remembers the input otherwise.
    fn agree_on_jump(&mut self, input: Candidate) -> Option<UnixTime> {
        let agreed = self.jump.and_then(|first| {
            let apart = input.at.since(first.at);
            let expected = first.time.0.saturating_add(whole_seconds(apart));
            (first.device != input.device
                && apart <= JUMP_WINDOW
                && expected.abs_diff(input.time.0) <= JUMP_AGREEMENT_S)
                .then_some(UnixTime(expected.min(input.time.0)))
        });
        self.jump = if agreed.is_some() { None } else { Some(input) };
        agreed
    }

    fn reading(&self, now: Uptime) -> UnixTime {
        let elapsed = now.since(self.at);
        let slow = elapsed.saturating_sub(elapsed / 10_000);
        UnixTime(self.base.0.saturating_add(whole_seconds(slow)))
    }

    fn rebase(&mut self, time: UnixTime, state: ClockState, now: Uptime) {
        self.base = time;
        self.state = state;
        self.at = now;
    }
}

fn whole_seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
