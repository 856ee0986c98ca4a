use proptest::prelude::*;

use super::*;

/// 2030-01-07 is a Monday.
const MONDAY: u32 = 1_893_974_400;
const HOUR: u32 = 3_600;

fn weekly(start: u32, duration: u32, weekdays: u8) -> Schedule {
    Schedule { start: UnixTime(start), end: None, recurrence: Some(Recurrence::weekly(duration, weekdays)), utc: true }
}

fn daily(start: u32, duration: u32, interval: u8) -> Schedule {
    Schedule {
        start: UnixTime(start),
        end: None,
        recurrence: Some(Recurrence { interval, ..Recurrence::daily(duration) }),
        utc: true,
    }
}

fn open(schedule: &Schedule, at: u32) -> bool {
    schedule.covers(UnixTime(at), None) == InRange::Yes
}

fn rules(rules: &[Rule], schedules: &[Schedule]) -> Rules {
    Rules { rules: List::from_slice(rules).unwrap(), schedules: List::from_slice(schedules).unwrap() }
}

fn rule(capabilities: Capabilities, allow: Option<u32>, deny: Option<u32>) -> Rule {
    Rule { capabilities, allow: allow.map(Mask), deny: deny.map(Mask) }
}

#[test]
fn l_schedule_edge_span() {
    let span = Schedule { start: UnixTime(MONDAY), end: Some(UnixTime(MONDAY + HOUR)), recurrence: None, utc: true };
    assert!(!open(&span, MONDAY - 1));
    assert!(open(&span, MONDAY));
    assert!(open(&span, MONDAY + HOUR - 1));
    assert!(!open(&span, MONDAY + HOUR));
}

#[test]
fn l_schedule_edge_window() {
    // Mondays to Fridays, 09:00 to 17:00.
    let window = weekly(MONDAY + 9 * HOUR, 8 * HOUR, 0b001_1111);
    for day in 0..28 {
        let (opens, workday) = (MONDAY + day * DAY + 9 * HOUR, day % 7 < 5);
        assert!(!open(&window, opens - 1), "day {day}");
        assert_eq!(open(&window, opens), workday, "day {day}");
        assert_eq!(open(&window, opens + 8 * HOUR - 1), workday, "day {day}");
        assert!(!open(&window, opens + 8 * HOUR), "day {day}");
    }
}

#[test]
fn l_schedule_edge_over_midnight_belongs_to_the_opening_day() {
    // Fridays 22:00 to 06:00.
    let window = weekly(MONDAY + 22 * HOUR, 8 * HOUR, 1 << 4);
    let friday = MONDAY + 4 * DAY;
    assert!(!open(&window, friday + 5 * HOUR), "Thursday's night is not open");
    assert!(open(&window, friday + 22 * HOUR));
    assert!(open(&window, friday + DAY + 6 * HOUR - 1), "Saturday morning belongs to Friday");
    assert!(!open(&window, friday + DAY + 6 * HOUR));
    assert!(!open(&window, friday + DAY + 22 * HOUR), "Saturday's own night is not open");
}

#[test]
fn windows_do_not_open_before_the_start_or_after_the_end() {
    // Starts on Wednesday: the Monday of that week has passed.
    let mut window = weekly(MONDAY + 2 * DAY, 3 * DAY, 1);
    assert!(!open(&window, MONDAY + 2 * DAY), "Monday's window opened before the schedule began");
    assert!(open(&window, MONDAY + 7 * DAY));
    window.end = Some(UnixTime(MONDAY + 8 * DAY));
    assert!(open(&window, MONDAY + 8 * DAY - 1));
    assert!(!open(&window, MONDAY + 8 * DAY), "the end cuts an open window");
}

#[test]
fn intervals_count_from_the_start() {
    let every_third = daily(MONDAY, HOUR, 3);
    let days: std::vec::Vec<_> = (0..9).filter(|day| open(&every_third, MONDAY + day * DAY)).collect();
    assert_eq!(days, [0, 3, 6]);
    let mut second_week = weekly(MONDAY + 6 * DAY, HOUR, 0x7F);
    second_week.recurrence = second_week.recurrence.map(|r| Recurrence { interval: 2, ..r });
    let days: std::vec::Vec<_> = (0..28).filter(|day| open(&second_week, MONDAY + day * DAY)).collect();
    assert_eq!(days, [6, 14, 15, 16, 17, 18, 19, 20], "weeks are counted from the Monday before the start");
}

#[test]
fn long_windows_stay_open() {
    assert!(open(&weekly(MONDAY, 10 * DAY, 1), MONDAY + 6 * DAY));
    assert!(open(&weekly(MONDAY, u32::MAX, 1), u32::MAX));
    assert!(open(&daily(0, u32::MAX, 255), u32::MAX));
}

#[test]
fn what_cannot_be_told_never_allows_and_always_denies() {
    let mut local = daily(MONDAY, DAY, 1);
    local.utc = false;
    let mut monthly = daily(MONDAY, DAY, 1);
    monthly.recurrence = monthly.recurrence.map(|r| Recurrence { pattern: 4, mask: 1, ..r });
    let now = UnixTime(MONDAY + 1);
    for schedule in [local, monthly] {
        assert_eq!(schedule.covers(now, None), InRange::Unknown);
        let allow = rules(&[rule(Capabilities::MOMENTARY, Some(1), None)], &[schedule]);
        assert_eq!(allow.decide(Intent::Unlock, Some(now), None), Err(RuleRefusal::OutsideSchedule));
        let deny = rules(&[rule(Capabilities::MOMENTARY, None, Some(1))], &[schedule]);
        assert_eq!(deny.decide(Intent::Unlock, Some(now), None), Err(RuleRefusal::OutsideSchedule));
    }
    assert_eq!(local.covers(UnixTime(MONDAY - 1), Some(0)), InRange::No);
    assert_eq!(local.covers(UnixTime(MONDAY - 1), Some(3_600)), InRange::Yes);
}

#[test]
fn l_deny_schedule() {
    let always = Schedule { start: UnixTime(0), end: None, recurrence: None, utc: true };
    let denied = rules(&[rule(Capabilities::MOMENTARY, Some(1), Some(2))], &[always, always]);
    assert_eq!(denied.decide(Intent::Unlock, Some(UnixTime(5)), None), Err(RuleRefusal::OutsideSchedule));
    let later = Schedule { start: UnixTime(10), ..always };
    let allowed = rules(&[rule(Capabilities::MOMENTARY, Some(1), Some(2))], &[always, later]);
    assert_eq!(allowed.decide(Intent::Unlock, Some(UnixTime(5)), None), Ok(()));
    assert!(allowed.decide(Intent::Unlock, Some(UnixTime(10)), None).is_err());
}

#[test]
fn mask_bits_beyond_the_list_never_allow_and_always_deny() {
    let always = Schedule { start: UnixTime(0), end: None, recurrence: None, utc: true };
    for (allow, deny) in [(Some(2), None), (None, Some(2)), (None, Some(1 << 31))] {
        let rules = rules(&[rule(Capabilities::MOMENTARY, allow, deny)], &[always]);
        assert_eq!(rules.decide(Intent::Unlock, Some(UnixTime(5)), None), Err(RuleRefusal::OutsideSchedule));
    }
}

#[test]
fn l_capability() {
    let secure_only = rules(&[rule(Capabilities::SECURE, None, None)], &[]);
    assert_eq!(secure_only.decide(Intent::Unlock, Some(UnixTime(5)), None), Err(RuleRefusal::NoPermission));
    assert_eq!(secure_only.decide(Intent::Status, Some(UnixTime(5)), None), Err(RuleRefusal::NoPermission));
    assert_eq!(secure_only.decide(Intent::HoldOpen, Some(UnixTime(5)), None), Err(RuleRefusal::NoPermission));
    assert_eq!(secure_only.decide(Intent::Lock, Some(UnixTime(5)), None), Ok(()));
    let momentary = rules(&[rule(Capabilities::MOMENTARY, None, None)], &[]);
    assert_eq!(momentary.decide(Intent::Unlock, None, None), Ok(()), "no schedule needs no clock");
    assert_eq!(momentary.decide(Intent::HoldOpen, None, None), Err(RuleRefusal::NoPermission));
    let unsecure = rules(&[rule(Capabilities::UNSECURE, None, None)], &[]);
    assert_eq!(unsecure.decide(Intent::Unlock, None, None), Ok(()));
    assert_eq!(unsecure.decide(Intent::HoldOpen, None, None), Ok(()));
    let none = Rules::default();
    assert_eq!(none.decide(Intent::Unlock, None, None), Err(RuleRefusal::NoPermission));
    assert_eq!(none.decide(Intent::Sync, None, None), Ok(()));
}

#[test]
fn one_fitting_rule_is_enough_and_a_schedule_needs_the_time() {
    let (past, always) = (
        Schedule { start: UnixTime(0), end: Some(UnixTime(1)), recurrence: None, utc: true },
        Schedule { start: UnixTime(0), end: None, recurrence: None, utc: true },
    );
    let two = rules(
        &[rule(Capabilities::MOMENTARY, Some(1), None), rule(Capabilities::MOMENTARY, Some(2), None)],
        &[past, always],
    );
    assert_eq!(two.decide(Intent::Unlock, Some(UnixTime(5)), None), Ok(()));
    assert_eq!(two.decide(Intent::Unlock, None, None), Err(RuleRefusal::ClockUnknown));
}

proptest! {
    /// Against a search through every window since the start.
    #[test]
    fn windows_are_those_of_a_full_search(
        start in 0u32..3 * DAY,
        offset in 0u32..60 * DAY,
        duration in 1u32..20 * DAY,
        interval in 1u8..4,
        weekdays in 1u8..0x80,
        pattern in 1u8..=2,
    ) {
        let start = MONDAY + start;
        let now = start + offset;
        let mask = if pattern == 1 { 0 } else { u32::from(weekdays) };
        let recurrence = Recurrence { duration, mask, pattern, interval, ordinal: 0 };
        let schedule = Schedule { start: UnixTime(start), end: None, recurrence: Some(recurrence), utc: true };
        let monday = |day: u32| (day + 3) / 7;
        let found = (start..=now).step_by(DAY as usize).any(|opened| {
            let (first, day) = (start / DAY, opened / DAY);
            let matches = if pattern == 1 {
                (day - first).is_multiple_of(u32::from(interval))
            } else {
                mask >> ((day + 3) % 7) & 1 == 1 && (monday(day) - monday(first)).is_multiple_of(u32::from(interval))
            };
            matches && now - opened < duration
        });
        prop_assert_eq!(open(&schedule, now), found);
    }

    #[test]
    fn any_schedule_is_judged_without_panic(
        (start, end, now, offset) in any::<(u32, Option<u32>, u32, Option<i32>)>(),
        (duration, mask, pattern, interval, ordinal, utc) in any::<(u32, u32, u8, u8, i8, bool)>(),
    ) {
        let recurrence = Some(Recurrence { duration, mask, pattern, interval, ordinal });
        let schedule = Schedule { start: UnixTime(start), end: end.map(UnixTime), recurrence, utc };
        schedule.covers(UnixTime(now), offset);
    }
}
