//! Must-fail cases of `docs/PROTOCOL.md` section 24: the first and the last second of what is allowed.
#![allow(clippy::unwrap_used)]

use keybutton_protocol::{ids::UnixTime, verdict::Reason};
use keybutton_tests::pair::{
    bench::Bench,
    document::{RuleSpec, ScheduleSpec},
    site::{MONDAY, NOW},
};

const HOUR: u32 = 3_600;

/// Asks at `time`, with one schedule in the document. The document itself counts for months.
fn at(time: u32, schedules: &[ScheduleSpec], rules: &[RuleSpec]) -> Option<Reason> {
    let mut bench = Bench::new();
    let mut spec = bench.site.access_spec(&bench.member);
    spec.schedules = schedules.to_vec();
    spec.rules = rules.to_vec();
    let mut document = bench.site.access(&bench.member, &spec);
    document.signed = UnixTime(MONDAY - 40 * 86_400);
    document.valid_from = document.signed;
    document.valid_until = UnixTime(NOW.0 + 400 * 86_400);
    bench.phone.access_signed = Some(document.signed);
    bench.phone.documents = vec![document.sign(&mut bench.site.issuer()).encode()];
    bench.lock.set_time(UnixTime(time));
    bench.press();
    let granted = bench.reason() == Some(Reason::Granted);
    assert_eq!(granted, bench.lock.openings() == 1, "verdict and bolt agree");
    assert_eq!(bench.lock.movements(), usize::from(granted));
    bench.reason()
}

#[test]
fn l_schedule_edge() {
    const OPEN: [RuleSpec; 1] = [RuleSpec(0x08, Some(1), None)];
    const IN: Option<Reason> = Some(Reason::Granted);
    const OUT: Option<Reason> = Some(Reason::OutsideSchedule);
    let start = MONDAY + 86_400;
    let span = [ScheduleSpec::span(start, start + HOUR)];
    for (time, expected) in [(start - 1, OUT), (start, IN), (start + HOUR - 1, IN), (start + HOUR, OUT)] {
        assert_eq!(at(time, &span, &OPEN), expected, "a span at {time}");
    }
    // Weekday windows 07:00 to 19:00: the first one opens with the schedule itself, the second is Tuesday's.
    let weekdays = [ScheduleSpec::weekly(MONDAY, 12 * HOUR, 0x1F)];
    for day in [0, 1, 4] {
        let opens = MONDAY + day * 86_400;
        for (time, expected) in [(opens - 1, OUT), (opens, IN), (opens + 12 * HOUR - 1, IN), (opens + 12 * HOUR, OUT)] {
            assert_eq!(at(time, &weekdays, &OPEN), expected, "day {day} at {time}");
        }
    }
    for day in [5, 6] {
        assert_eq!(at(MONDAY + day * 86_400 + HOUR, &weekdays, &OPEN), OUT, "day {day} is not a weekday");
    }
    // Over midnight, Fridays 22:00 for 8 hours: Saturday morning belongs to Friday, Friday morning to nobody.
    let evening = MONDAY + 15 * HOUR;
    let friday = evening + 4 * 86_400;
    let nights = [ScheduleSpec::weekly(evening, 8 * HOUR, 0x10)];
    for (time, expected) in [
        (friday - 1, OUT),
        (friday, IN),
        (friday + 2 * HOUR, IN),
        (friday + 8 * HOUR - 1, IN),
        (friday + 8 * HOUR, OUT),
        (friday - 86_400 + 3 * HOUR, OUT),
        (friday + 86_400 + HOUR, OUT),
    ] {
        assert_eq!(at(time, &nights, &OPEN), expected, "the night at {time}");
    }
    // The end of the schedule cuts a window short.
    let mut cut = weekdays;
    cut[0].end = Some(start + HOUR);
    for (time, expected) in [(start + HOUR - 1, IN), (start + HOUR, OUT)] {
        assert_eq!(at(time, &cut, &OPEN), expected, "the end at {time}");
    }
}

#[test]
fn l_schedule_patterns_of_others_never_allow_and_always_deny() {
    let mut monthly = ScheduleSpec::weekly(MONDAY, 12 * HOUR, 0x1F);
    monthly.recurrence = Some([12 * 3_600, 0x7F, 3, 1, 1]);
    let mut local = ScheduleSpec::weekly(MONDAY, 12 * HOUR, 0x1F);
    local.flags = 0;
    for other in [monthly, local] {
        assert_eq!(at(NOW.0, &[other], &[RuleSpec(0x08, Some(1), None)]), Some(Reason::OutsideSchedule));
        assert_eq!(at(NOW.0, &[other], &[RuleSpec(0x08, None, Some(1))]), Some(Reason::OutsideSchedule));
    }
    // A mask beyond the list: out of range to allow, in range to deny.
    let span = [ScheduleSpec::span(NOW.0 - HOUR, NOW.0 + HOUR)];
    assert_eq!(at(NOW.0, &span, &[RuleSpec(0x08, Some(2), None)]), Some(Reason::OutsideSchedule));
    assert_eq!(at(NOW.0, &span, &[RuleSpec(0x08, Some(1), Some(2))]), Some(Reason::OutsideSchedule));
    assert_eq!(at(NOW.0, &span, &[RuleSpec(0x08, Some(1), None)]), Some(Reason::Granted));
}

#[test]
fn l_deny_schedule() {
    let allowed = ScheduleSpec::span(NOW.0 - HOUR, NOW.0 + HOUR);
    let denied = ScheduleSpec::span(NOW.0 - 60, NOW.0 + 60);
    let rule = [RuleSpec(0x08, Some(1), Some(2))];
    assert_eq!(at(NOW.0, &[allowed, denied], &rule), Some(Reason::OutsideSchedule));
    assert_eq!(at(NOW.0 + 60, &[allowed, denied], &rule), Some(Reason::Granted));
    // A schedule of its own rule only: another rule may still fit.
    let rules = [RuleSpec(0x08, Some(1), Some(2)), RuleSpec(0x08, Some(1), None)];
    assert_eq!(at(NOW.0, &[allowed, denied], &rules), Some(Reason::Granted));
}
