use std::{cmp::Reverse, collections::VecDeque};

use super::Candidate;

/// Doors whose signals differ by less than this can't be told apart by signal, dB.
pub const AMBIGUITY_DB: i16 = 6;

/// How many packets the median is taken over.
const WINDOW: usize = 5;

/// What a lock is taken to send with when its packets don't say, dBm.
const DEFAULT_TX_POWER: i16 = 4;

/// Which door the member stands at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pick {
    /// No known door is in range.
    Nothing,
    /// This one, by a clear distance.
    One(Candidate),
    /// One of these; best first.
    Ambiguous(Vec<Candidate>),
}

/// The last few packets' strengths.
#[derive(Debug, Default)]
pub(super) struct Signal(VecDeque<i16>);

impl Signal {
    pub(super) fn push(&mut self, rssi: i8, tx_power: Option<i8>) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(i16::from(rssi) - tx_power.map_or(DEFAULT_TX_POWER, i16::from));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The median; of an even number of packets the weaker middle one.
    pub(super) fn strength(&self) -> Option<i16> {
        let mut sorted: Vec<i16> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len().checked_sub(1)? / 2).copied()
    }
}

/// Nearest first, then the one opened last, then by place of the peripheral so that equals keep their places.
pub(super) fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| {
        let key = |c: &Candidate| (Reverse(c.strength_db), Reverse(c.last_opened));
        key(a).cmp(&key(b)).then_with(|| a.peripheral.cmp(&b.peripheral))
    });
}

/// Picks from ranked candidates. Prior use puts equals in order and never decides between them.
pub(super) fn pick(ranked: Vec<Candidate>) -> Pick {
    let mut doors: Vec<Candidate> = ranked.into_iter().filter(|candidate| candidate.door.is_some()).collect();
    let Some(best) = doors.first() else { return Pick::Nothing };
    let floor = best.strength_db - AMBIGUITY_DB;
    doors.retain(|door| door.strength_db > floor);
    if doors.len() == 1
        && let Some(one) = doors.pop()
    {
        return Pick::One(one);
    }
    doors.sort_by_key(|door| Reverse(door.last_opened));
    Pick::Ambiguous(doors)
}
