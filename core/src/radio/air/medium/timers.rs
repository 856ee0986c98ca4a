//! Timers in the order they are due; equal times in the order they were set.

use std::collections::BTreeMap;

use super::{Micros, PartId};

/// What is to be done when a timer is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// A lock's next advertising event.
    Advertise(PartId),
    /// A phone has tried long enough to connect.
    ConnectTimeout(PartId, String),
    /// A link's next connection event that has something to move.
    LinkEvent(u32),
    /// Values delayed by latency arrive.
    Arrive(u32),
    /// A silent link counts as lost.
    Supervision(u32),
}

/// Names a timer that was set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct TimerKey(Micros, u64);

/// The timers that are set.
#[derive(Default)]
pub(super) struct Timers {
    set: BTreeMap<TimerKey, Timer>,
    count: u64,
}

impl Timers {
    /// Sets a timer.
    pub(super) fn set(&mut self, at: Micros, timer: Timer) -> TimerKey {
        self.count += 1;
        let key = TimerKey(at, self.count);
        self.set.insert(key, timer);
        key
    }

    /// Cancels a timer; one that has fired already is ignored.
    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.set.remove(&key);
    }

    /// When the next timer is due.
    pub(super) fn next(&self) -> Option<Micros> {
        self.set.keys().next().map(|key| key.0)
    }

    /// Takes the next timer due at `now` or before, with the time it was set for.
    pub(super) fn pop_due(&mut self, now: Micros) -> Option<(Micros, Timer)> {
        let first = self.set.first_entry().filter(|entry| entry.key().0 <= now)?;
        let at = first.key().0;
        Some((at, first.remove()))
    }
}
