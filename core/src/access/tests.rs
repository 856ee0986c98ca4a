use keybutton_protocol::document::{
    Restrictions,
    access::Interfaces,
    schedule::{Recurrence, Schedule},
};

use super::*;
use crate::keyring::fixture::{NOW, Plan, World, door};

/// 1,900,000,000 is 2030-03-17, a Sunday, 17:46:40 UTC.
const MIDNIGHT: u32 = NOW.0 - NOW.0 % DAY;

fn access(plan: &Plan, number: u16, now: UnixTime) -> Access {
    let mut world = World::new();
    let keyring = world.keyring(plan);
    let (site, lock) = keyring.door(&door(world.group, number)).unwrap();
    may_open(site, lock, Intent::Unlock, Interface::Ble, now)
}

fn hours(from: u32, to: u32, weekdays: u8) -> Schedule {
    Schedule {
        start: UnixTime(MIDNIGHT - 7 * DAY + from * 3600),
        end: None,
        recurrence: Some(Recurrence::weekly((to - from) * 3600, weekdays)),
        utc: true,
    }
}

#[test]
fn a_key_without_hours_opens_until_it_ends() {
    let plan = Plan::default();
    let end = UnixTime(NOW.0 + plan.valid_s);
    assert_eq!(access(&plan, 1, NOW), Access::Allowed { until: end });
    let late = UnixTime(end.0 + CLOCK_TOLERANCE_S);
    assert!(access(&plan, 1, late).is_allowed(), "within the clock's tolerance the lock is asked");
    assert_eq!(access(&plan, 1, UnixTime(late.0 + 1)), Access::Refused { reason: ErrorCode::Expired, when: Some(end) });
    assert!(access(&plan, 1, UnixTime(NOW.0 - CLOCK_TOLERANCE_S)).is_allowed());
    assert_eq!(
        access(&plan, 1, UnixTime(NOW.0 - CLOCK_TOLERANCE_S - 1)),
        Access::Refused { reason: ErrorCode::NotYetValid, when: Some(NOW) }
    );
}

#[test]
fn a_door_the_key_does_not_name_is_refused() {
    assert_eq!(access(&Plan::default(), 3, NOW), Access::Refused { reason: ErrorCode::NoPermission, when: None });
}

#[test]
fn hours_say_until_when_and_from_when() {
    // Sundays and Mondays, 08:00 to 20:00.
    let plan = Plan { schedules: vec![hours(8, 20, 0b100_0001)], ..Plan::default() };
    assert_eq!(access(&plan, 1, NOW), Access::Allowed { until: UnixTime(MIDNIGHT + 20 * 3600) });
    let evening = UnixTime(MIDNIGHT + 20 * 3600);
    assert_eq!(
        access(&plan, 1, evening),
        Access::Refused { reason: ErrorCode::OutsideSchedule, when: Some(UnixTime(MIDNIGHT + DAY + 8 * 3600)) }
    );
    let tuesday = UnixTime(MIDNIGHT + DAY + 21 * 3600);
    assert_eq!(
        access(&plan, 1, tuesday),
        Access::Refused { reason: ErrorCode::OutsideSchedule, when: None },
        "not again in the key's life"
    );
}

#[test]
fn a_window_over_midnight_ends_the_next_day() {
    let night = Schedule {
        start: UnixTime(MIDNIGHT - 7 * DAY + 22 * 3600),
        end: None,
        recurrence: Some(Recurrence::daily(8 * 3600)),
        utc: true,
    };
    let plan = Plan { schedules: vec![night], ..Plan::default() };
    assert_eq!(
        access(&plan, 1, UnixTime(MIDNIGHT + DAY + 3600)),
        Access::Allowed { until: UnixTime(MIDNIGHT + DAY + 6 * 3600) }
    );
}

#[test]
fn a_key_for_taps_only_is_not_for_the_radio() {
    let restrictions = Restrictions { interfaces: Some(Interfaces::NFC), ..Restrictions::default() };
    let plan = Plan { restrictions, ..Plan::default() };
    assert_eq!(access(&plan, 1, NOW), Access::Refused { reason: ErrorCode::Policy, when: None });
}
