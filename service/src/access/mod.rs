//! Who may open what, and when: access groups, windows and restrictions. Pure: no clock, no store.
//!
//! A member's rights at a door are the union over the access groups that grant it; inside one group every restriction
//! has to hold. What is set on the door or its site binds everybody. Windows are start-inclusive and end-exclusive.

pub mod schedule;
pub mod utc;

use jiff::tz::TimeZone;
use keybutton_protocol::api::{AccessGroupId, AccessRefusal, Decision, HiddenReason, UnlockMethod};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use schedule::{Interval, Schedule, join};

/// The end of a window that never ends.
pub const OPEN_END: u32 = u32::MAX;

/// What has to hold besides the schedule, all of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Restrictions {
    /// Only the member's primary device opens.
    pub primary_device_only: bool,
    /// Only a tap opens.
    pub tap_only: bool,
    /// The phone has to be within a radius of the door. Radio and tap always are; it binds remote opening.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geofence: Option<Geofence>,
    /// The phone has to be near the lock. Radio and tap always are; it binds remote opening.
    pub proximity_required: bool,
    /// How often a member may open a door through this group, counted by the lock; 1 to 65,535.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_limit: Option<u16>,
}

/// How near the phone has to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Geofence {
    /// The radius in metres, 300 by default.
    #[serde(default = "Geofence::default_radius")]
    pub radius_m: u16,
}

impl Geofence {
    const fn default_radius() -> u16 {
        300
    }
}

/// One access group's grant of one door to one member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// The granting group.
    pub group: AccessGroupId,
    /// From when, inclusive: the later of the group's and the membership's start.
    pub from: u32,
    /// Until when, exclusive: the earlier of the group's and the membership's end; [`OPEN_END`] for never.
    pub until: u32,
    /// The weekly windows; `None` is around the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What else has to hold.
    #[serde(default)]
    pub restrictions: Restrictions,
    /// The group stands for the whole site, doors that come later included.
    #[serde(default)]
    pub whole_site: bool,
}

/// Everything about the member and the organization that is the same for every door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Mobile access is on for the organization and the Branded App.
    pub module_enabled: bool,
    /// The membership is neither ended nor suspended.
    pub active: bool,
    /// The vendor has confirmed the member's user.
    pub confirmed: bool,
}

/// Everything about the door that binds everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DoorFacts {
    /// The unlock method of the door's integration.
    pub unlock_method: UnlockMethod,
    /// The door or its site is locked down.
    pub locked_down: bool,
    /// A vendor opens it, and nobody there enforces what a lock of ours would.
    pub vendor: bool,
}

/// The device a decision is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceFacts {
    /// It is the member's primary device.
    pub primary: bool,
}

/// What the service decided, with what the lock has to enforce.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// The member may open.
    Allow {
        /// Until when, exclusive.
        until: u32,
        /// What the lock has to enforce, for each granting group.
        enforce: Vec<Restrictions>,
    },
    /// The member may not open.
    Refuse(AccessRefusal),
}

impl Access {
    /// The decision as the phone reads it.
    pub const fn decision(&self) -> Decision {
        match self {
            Self::Allow { until, .. } => Decision::Allow { until: *until },
            Self::Refuse(reason) => Decision::Refuse { reason: *reason },
        }
    }
}

impl Standing {
    /// Refuses what no access group can allow.
    pub const fn check(&self, door: DoorFacts) -> Result<(), AccessRefusal> {
        if !self.module_enabled {
            return Err(AccessRefusal::ModuleDisabled);
        }
        if !self.active {
            return Err(AccessRefusal::MemberSuspended);
        }
        if matches!(door.unlock_method, UnlockMethod::NativeMethods) {
            return Err(AccessRefusal::UnlockMethodNative);
        }
        if !self.confirmed {
            return Err(AccessRefusal::UserNotConfirmed);
        }
        if door.locked_down {
            return Err(AccessRefusal::LockedDown);
        }
        Ok(())
    }
}

/// Decides one door for one member at `now`; an answer never reaches beyond `horizon`.
pub fn decide(
    standing: Standing,
    door: DoorFacts,
    grants: &[Grant],
    device: Option<DeviceFacts>,
    zone: &TimeZone,
    now: u32,
    horizon: u32,
) -> Access {
    if let Err(reason) = standing.check(door) {
        return Access::Refuse(reason);
    }
    let mut open = Vec::new();
    let mut enforce = Vec::new();
    let mut nearest = AccessRefusal::NoPermission;
    for grant in grants {
        match check_grant(grant, door, device, zone, now, horizon) {
            Ok(intervals) => {
                open.extend(intervals);
                enforce.push(grant.restrictions.clone());
            }
            Err(reason) => nearest = nearer(nearest, reason),
        }
    }
    let until = join(open).iter().find(|interval| interval.start <= now && now < interval.end).map(|i| i.end);
    match until {
        Some(until) => Access::Allow { until: until.min(horizon), enforce },
        None => Access::Refuse(nearest),
    }
}

/// The Key Button's hidden reason as far as the access rules decide it.
pub fn hidden(standing: Standing, holds_group_today: bool, methods: &[UnlockMethod]) -> Option<HiddenReason> {
    if !standing.module_enabled {
        return Some(HiddenReason::ModuleDisabled);
    }
    if !standing.active {
        return Some(HiddenReason::MemberSuspended);
    }
    if !holds_group_today {
        return Some(HiddenReason::NoAccessGroup);
    }
    if !methods.is_empty() && methods.iter().all(|method| *method == UnlockMethod::NativeMethods) {
        return Some(HiddenReason::UnlockMethodNative);
    }
    if !standing.confirmed {
        return Some(HiddenReason::UserNotConfirmed);
    }
    None
}

/// When a grant is open inside `[now, horizon)`: schedule and windows together.
pub fn open_intervals(grant: &Grant, zone: &TimeZone, now: u32, horizon: u32) -> Vec<Interval> {
    let window = Interval { start: grant.from, end: grant.until };
    let Some(schedule) = &grant.schedule else {
        return if window.start < horizon && window.end > now { vec![window] } else { Vec::new() };
    };
    schedule
        .intervals(zone, Interval { start: now, end: horizon })
        .into_iter()
        .map(|interval| Interval { start: interval.start.max(window.start), end: interval.end.min(window.end) })
        .filter(|interval| interval.start < interval.end && interval.end > now && interval.start < horizon)
        .collect()
}

fn check_grant(
    grant: &Grant,
    door: DoorFacts,
    device: Option<DeviceFacts>,
    zone: &TimeZone,
    now: u32,
    horizon: u32,
) -> Result<Vec<Interval>, AccessRefusal> {
    if now < grant.from {
        return Err(AccessRefusal::NotYetValid);
    }
    if now >= grant.until {
        return Err(AccessRefusal::Expired);
    }
    let intervals = open_intervals(grant, zone, now, horizon);
    if !intervals.iter().any(|interval| interval.start <= now) {
        return Err(AccessRefusal::OutsideSchedule);
    }
    if grant.restrictions.primary_device_only && device.is_some_and(|device| !device.primary) {
        return Err(AccessRefusal::PrimaryDeviceOnly);
    }
    if grant.restrictions.use_limit == Some(0) {
        return Err(AccessRefusal::UseLimit);
    }
    if door.vendor
        && let Some(reason) = unenforceable(&grant.restrictions)
    {
        return Err(reason);
    }
    Ok(intervals)
}

/// What a grant demands that only a lock of ours, or the phone before it, can see to.
const fn unenforceable(restrictions: &Restrictions) -> Option<AccessRefusal> {
    if restrictions.tap_only {
        Some(AccessRefusal::TapOnly)
    } else if restrictions.geofence.is_some() {
        Some(AccessRefusal::Geofence)
    } else if restrictions.proximity_required {
        Some(AccessRefusal::ProximityRequired)
    } else if restrictions.use_limit.is_some() {
        Some(AccessRefusal::UseLimit)
    } else {
        None
    }
}

/// Of two refusals, the one that came nearer to a grant: that is the one a member can do something about.
fn nearer(a: AccessRefusal, b: AccessRefusal) -> AccessRefusal {
    const fn rank(reason: AccessRefusal) -> u8 {
        match reason {
            AccessRefusal::NoPermission => 0,
            AccessRefusal::Expired => 1,
            AccessRefusal::NotYetValid => 2,
            AccessRefusal::OutsideSchedule => 3,
            AccessRefusal::UseLimit => 4,
            AccessRefusal::PrimaryDeviceOnly => 5,
            AccessRefusal::TapOnly | AccessRefusal::Geofence | AccessRefusal::ProximityRequired => 6,
            AccessRefusal::LockedDown
            | AccessRefusal::ModuleDisabled
            | AccessRefusal::UnlockMethodNative
            | AccessRefusal::UserNotConfirmed
            | AccessRefusal::MemberSuspended => 7,
        }
    }
    if rank(b) > rank(a) { b } else { a }
}

#[cfg(test)]
mod tests;
