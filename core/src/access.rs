//! May this key open this lock now, as far as the phone can tell. The lock decides; this is for the member's eyes and
//! for knowing whether a download is needed first.

use keybutton_protocol::{
    document::{AccessData, ElementName, schedule::Schedule},
    ids::{Intent, Interface, UnixTime},
};

use crate::{
    error::ErrorCode,
    keyring::{Lock, Site},
};

/// How far the phone's clock may be off: within it the lock is asked rather than the member turned away, seconds.
pub const CLOCK_TOLERANCE_S: u32 = 300;

const DAY: u32 = 86_400;

/// Whether a key opens a lock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// It does.
    Allowed {
        /// Until when: the end of the key's validity or of the door's hours, whichever is first.
        until: UnixTime,
    },
    /// It does not.
    Refused {
        /// Why, spelled as the lock would.
        reason: ErrorCode,
        /// From when it does, or since when it does no more, where that is the reason.
        when: Option<UnixTime>,
    },
}

impl Access {
    /// Whether the key opens the lock.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

/// Whether the site's key is inside its validity, within the clock's tolerance.
pub fn is_valid(site: &Site, now: UnixTime) -> bool {
    outside_validity(site, now).is_none()
}

/// Tells whether the site's key opens `lock` at `now` on the phone's clock.
pub fn may_open(site: &Site, lock: &Lock, intent: Intent, interface: Interface, now: UnixTime) -> Access {
    if let Some(refused) = outside_validity(site, now) {
        return refused;
    }
    let mut elements: Vec<_> = elements_for(site, lock).collect();
    if elements.is_empty() {
        return Access::Refused { reason: ErrorCode::NoPermission, when: None };
    }
    elements.retain(|data| data.restrictions.interfaces.is_none_or(|allowed| allowed.include(interface)));
    if elements.is_empty() {
        return Access::Refused { reason: ErrorCode::Policy, when: None };
    }
    let allows = |at: UnixTime| elements.iter().any(|data| data.rules.decide(intent, Some(at), None).is_ok());
    let end = site.validity().valid_until;
    if allows(now) {
        let until = boundaries(&elements, now, end).into_iter().find(|at| !allows(*at)).unwrap_or(end);
        return Access::Allowed { until };
    }
    let capable = elements.iter().any(|data| {
        data.rules.decide(intent, None, None) != Err(keybutton_protocol::document::schedule::RuleRefusal::NoPermission)
    });
    if !capable {
        return Access::Refused { reason: ErrorCode::NoPermission, when: None };
    }
    let when = boundaries(&elements, now, end).into_iter().find(|at| allows(*at));
    Access::Refused { reason: ErrorCode::OutsideSchedule, when }
}

/// Whether the site's key opens `lock` only to an authenticated user.
pub(crate) fn wants_user(site: &Site, lock: &Lock) -> bool {
    let mut elements = elements_for(site, lock).peekable();
    elements.peek().is_some() && elements.all(|data| data.restrictions.user_authentication)
}

fn outside_validity(site: &Site, now: UnixTime) -> Option<Access> {
    let validity = site.validity();
    if now.0.saturating_add(CLOCK_TOLERANCE_S) < validity.valid_from.0 {
        return Some(Access::Refused { reason: ErrorCode::NotYetValid, when: Some(validity.valid_from) });
    }
    if now.0 > validity.valid_until.0.saturating_add(CLOCK_TOLERANCE_S) {
        return Some(Access::Refused { reason: ErrorCode::Expired, when: Some(validity.valid_until) });
    }
    None
}

/// The elements that may count at the lock. Which zones a lock is in only the lock knows; the table says whether the
/// key names it, and then any zone of the key may be the reason.
fn elements_for<'s>(site: &'s Site, lock: &'s Lock) -> impl Iterator<Item = &'s AccessData> {
    let own = ElementName::lock(lock.number.0);
    let counts = move |name: &ElementName| *name == own || *name == ElementName::SITE || name.as_str().starts_with('z');
    site.elements().iter().filter(move |(name, _)| lock.opens && counts(name)).map(|(_, data)| data)
}

/// The moments after `now` and up to `end` at which a schedule may begin or stop to count, in order.
fn boundaries(elements: &[&AccessData], now: UnixTime, end: UnixTime) -> Vec<UnixTime> {
    let mut moments: Vec<UnixTime> = elements
        .iter()
        .flat_map(|data| data.rules.schedules.iter())
        .flat_map(|schedule| moments_of(schedule, now, end))
        .filter(|at| now < *at && *at <= end)
        .collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}

fn moments_of(schedule: &Schedule, now: UnixTime, end: UnixTime) -> Vec<UnixTime> {
    let mut moments = vec![schedule.start];
    moments.extend(schedule.end);
    if let Some(recurrence) = &schedule.recurrence {
        let time_of_day = schedule.start.0 % DAY;
        // A window belongs to the day it opened: begin with the day of the oldest one that can still be open.
        let first = (now.0.saturating_sub(recurrence.duration.min(8 * DAY)) / DAY).saturating_sub(1);
        let last = (end.0 / DAY).min((now.0 / DAY).saturating_add(31));
        for day in first..=last {
            let opens = day.saturating_mul(DAY).saturating_add(time_of_day);
            moments.push(UnixTime(opens));
            moments.push(UnixTime(opens.saturating_add(recurrence.duration)));
        }
    }
    moments
}

#[cfg(test)]
mod tests;
