//! When an access rule counts: schedules, rules, capabilities (`docs/PROTOCOL.md` sections 10.3 and 10.4).
//!
//! Plain data and pure functions: the lock and the phone decide with the same code.

use crate::{
    document::list::List,
    ids::{Intent, UnixTime},
    tdate::DAY,
    verdict::Reason,
};

/// The most schedules of one element.
pub const SCHEDULES_MAX: usize = 8;
/// The most rules of one element.
pub const RULES_MAX: usize = 8;

/// What a rule allows to do with the lock, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Capabilities(pub u8);

impl Capabilities {
    /// Lock it.
    pub const SECURE: Self = Self(1);
    /// Leave it open.
    pub const UNSECURE: Self = Self(1 << 1);
    /// Change its state.
    pub const TOGGLE: Self = Self(1 << 2);
    /// Open it for a moment.
    pub const MOMENTARY: Self = Self(1 << 3);
    /// Open it for a longer moment.
    pub const EXTENDED: Self = Self(1 << 4);

    /// The capabilities of which one is enough for `intent`; `None` when it moves nothing and needs none.
    ///
    /// A status is about unlocking: it needs what unlocking needs.
    pub const fn needed(intent: Intent) -> Option<Self> {
        match intent {
            Intent::Unlock | Intent::Status => Some(Self(Self::MOMENTARY.0 | Self::UNSECURE.0)),
            Intent::HoldOpen => Some(Self::UNSECURE),
            Intent::Lock => Some(Self::SECURE),
            Intent::Sync => None,
        }
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a bit in common.
    pub const fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Schedules by number: bit `n` is the `n`-th of the element, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mask(pub u32);

impl Mask {
    /// Selects the first `count` schedules (at most 8).
    pub const fn first(count: u8) -> Self {
        Self((1 << if count > 8 { 8 } else { count }) - 1)
    }
}

/// One rule: what it allows, and when.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rule {
    /// What it allows.
    pub capabilities: Capabilities,
    /// One of these has to be in range; `None`: always.
    pub allow: Option<Mask>,
    /// None of these may be in range.
    pub deny: Option<Mask>,
}

/// A span of time, in it possibly recurring windows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Schedule {
    /// Where the span begins, inclusive, Unix seconds (local seconds when not `utc`).
    pub start: UnixTime,
    /// Where the span ends, exclusive; `None` is open.
    pub end: Option<UnixTime>,
    /// The windows in the span; `None`: the whole span.
    pub recurrence: Option<Recurrence>,
    /// Whether times are UTC; otherwise local time.
    pub utc: bool,
}

/// Recurring windows. Each opens at the time of day of the schedule's start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Recurrence {
    /// How long a window lasts, seconds, at least 1.
    pub duration: u32,
    /// Which days, by the pattern.
    pub mask: u32,
    /// The pattern's number; 1 daily and 2 weekly are evaluated here.
    pub pattern: u8,
    /// Every how many days or weeks, at least 1.
    pub interval: u8,
    /// Only used by patterns that are not evaluated here.
    pub ordinal: i8,
}

impl Recurrence {
    /// A window every day.
    pub const fn daily(duration: u32) -> Self {
        Self { duration, mask: 0, pattern: 1, interval: 1, ordinal: 0 }
    }

    /// A window on each of `weekdays` (bit 0 is Monday, bit 6 Sunday).
    pub const fn weekly(duration: u32, weekdays: u8) -> Self {
        Self { duration, mask: weekdays as u32, pattern: 2, interval: 1, ordinal: 0 }
    }
}

/// Whether a schedule covers an instant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InRange {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It can't be told: another pattern, or local time without a known offset. Never allows, always denies.
    Unknown,
}

impl Schedule {
    /// Tells whether the schedule covers `now`.
    ///
    /// `utc_offset` is the seconds to add to UTC for local time, where known; only a schedule in local time needs it.
    pub fn covers(&self, now: UnixTime, utc_offset: Option<i32>) -> InRange {
        let now = if self.utc { Some(now.0) } else { utc_offset.and_then(|offset| now.0.checked_add_signed(offset)) };
        let Some(now) = now else { return InRange::Unknown };
        let supported = self.recurrence.is_none_or(|recurrence| recurrence.is_supported());
        if !supported {
            return InRange::Unknown;
        }
        let in_span = self.start.0 <= now && self.end.is_none_or(|end| now < end.0);
        let open = in_span && self.recurrence.is_none_or(|recurrence| recurrence.is_open(self.start.0, now));
        if open { InRange::Yes } else { InRange::No }
    }
}

impl Recurrence {
    fn is_supported(&self) -> bool {
        let by_pattern = match self.pattern {
            1 => self.mask == 0,
            2 => (1..=0x7F).contains(&self.mask),
            _ => false,
        };
        by_pattern && self.ordinal == 0 && self.interval > 0
    }

    /// Whether a window that opened at or after `start` is open at `now` (not before `start`).
    fn is_open(&self, start: u32, now: u32) -> bool {
        let (time_of_day, first_day) = (start % DAY, start / DAY);
        // The last day a window may have opened: today, or yesterday before the time of day.
        let Some(last_day) = (now / DAY).checked_sub(u32::from(now % DAY < time_of_day)) else { return false };
        let Some(days) = last_day.checked_sub(first_day) else { return false };
        // The pattern repeats, so an older window than one period is never the only open one.
        let period = u32::from(self.interval) * if self.pattern == 1 { 1 } else { 7 };
        (0..=days.min(period)).any(|back| {
            let day = last_day - back;
            let opened = day * DAY + time_of_day;
            now - opened < self.duration && self.opens_on(first_day, day)
        })
    }

    fn opens_on(&self, first_day: u32, day: u32) -> bool {
        let interval = u32::from(self.interval.max(1));
        if self.pattern == 1 {
            return (day - first_day).is_multiple_of(interval);
        }
        // 1970-01-01 was a Thursday: with three days added, weeks begin on Monday.
        let (week, first_week) = ((day + 3) / 7, (first_day + 3) / 7);
        self.mask >> ((day + 3) % 7) & 1 == 1 && (week - first_week).is_multiple_of(interval)
    }
}

/// Why no rule allows an intent now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuleRefusal {
    /// No rule has the capability.
    NoPermission,
    /// A rule has the capability, but not now.
    OutsideSchedule,
    /// A rule has the capability, but whether it counts now can't be told without the time.
    ClockUnknown,
}

impl RuleRefusal {
    /// The verdict's reason and detail.
    pub const fn reason(self) -> (Reason, u8) {
        match self {
            Self::NoPermission => (Reason::NoPermission, 0),
            Self::OutsideSchedule => (Reason::OutsideSchedule, 0),
            Self::ClockUnknown => (Reason::ClockUnknown, 1),
        }
    }
}

/// Rules and the schedules they refer to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// The rules; one that fits is enough, none at all allows nothing.
    pub rules: List<Rule, RULES_MAX>,
    /// The schedules.
    pub schedules: List<Schedule, SCHEDULES_MAX>,
}

impl Rules {
    /// Decides whether one rule allows `intent` at `now`; `None` is an unknown time.
    pub fn decide(&self, intent: Intent, now: Option<UnixTime>, utc_offset: Option<i32>) -> Result<(), RuleRefusal> {
        let Some(needed) = Capabilities::needed(intent) else { return Ok(()) };
        let mut refusal = RuleRefusal::NoPermission;
        for rule in self.rules.iter().filter(|rule| rule.capabilities.any_of(needed)) {
            match (now, rule.allow, rule.deny) {
                (_, None, None) => return Ok(()),
                (Some(now), ..) if self.fits(rule, now, utc_offset) => return Ok(()),
                (Some(_), ..) => refusal = RuleRefusal::OutsideSchedule,
                (None, ..) => refusal = RuleRefusal::ClockUnknown,
            }
        }
        Err(refusal)
    }

    fn fits(&self, rule: &Rule, now: UnixTime, utc_offset: Option<i32>) -> bool {
        let allowed =
            rule.allow.is_none_or(|mask| self.chosen(mask).any(|s| s.covers(now, utc_offset) == InRange::Yes));
        let beyond = |mask: Mask| mask.0 >> self.schedules.len() != 0;
        let denied = rule
            .deny
            .is_some_and(|mask| beyond(mask) || self.chosen(mask).any(|s| s.covers(now, utc_offset) != InRange::No));
        allowed && !denied
    }

    fn chosen(&self, mask: Mask) -> impl Iterator<Item = &Schedule> {
        self.schedules.iter().enumerate().filter(move |(n, _)| mask.0 >> n & 1 == 1).map(|(_, schedule)| schedule)
    }
}

#[cfg(test)]
mod tests;
