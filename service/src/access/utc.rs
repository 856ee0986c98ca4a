//! Local schedules as the lock reads them: UTC spans and weekly windows, right across a daylight-saving change.
//!
//! Every window inside the key's life is computed as an exact stretch of UTC time first. Stretches that open at the
//! same UTC time of day for the same time then fold into one weekly schedule, bounded by the first opening and the last
//! closing. A daylight-saving change shifts the UTC time of day, so it starts a schedule of its own by itself.

use super::schedule::Interval;

const DAY: u32 = 86_400;

/// One schedule of a document, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UtcSchedule {
    /// Start, inclusive.
    pub start: u32,
    /// End, exclusive; 0 means open.
    pub end: u32,
    /// Windows inside the span; `None` is the whole span.
    pub weekly: Option<Weekly>,
}

/// Windows that open at `start`'s time of day on the days of the mask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weekly {
    /// How long each window lasts, seconds.
    pub duration: u32,
    /// Bit 0 Monday to bit 6 Sunday.
    pub mask: u8,
}

/// Folds exact stretches (in order, apart) into schedules that cover precisely them, in order of their first opening.
pub fn fold(intervals: &[Interval]) -> Vec<UtcSchedule> {
    let mut runs: Vec<Vec<Interval>> = Vec::new();
    for interval in intervals {
        let same_shape = runs
            .iter_mut()
            .rev()
            .find(|run| run.last().is_some_and(|last| shape(*last) == shape(*interval)) && extends(run, *interval));
        match same_shape {
            Some(run) => run.push(*interval),
            None => runs.push(vec![*interval]),
        }
    }
    runs.iter().filter_map(|run| schedule(run)).collect()
}

/// Whether the schedule covers an instant, as a lock evaluates it.
pub fn covers(schedule: &UtcSchedule, now: u32) -> bool {
    if now < schedule.start || (schedule.end != 0 && now >= schedule.end) {
        return false;
    }
    let Some(weekly) = schedule.weekly else { return true };
    let mut opening = schedule.start;
    while opening <= now {
        if weekly.mask & day_bit(opening) != 0 && now - opening < weekly.duration {
            return true;
        }
        let Some(next) = opening.checked_add(DAY) else { break };
        opening = next;
    }
    false
}

fn shape(interval: Interval) -> (u32, u32) {
    (interval.start % DAY, interval.end - interval.start)
}

/// Whether a run stays exact with one more opening: no day of the mask in between may be missing, and no window may
/// be so long that one before the first opening would reach into the span.
fn extends(run: &[Interval], next: Interval) -> bool {
    let Some(first) = run.first() else { return true };
    if next.end - next.start > DAY {
        return false;
    }
    let openings = || run.iter().chain([&next]).map(|interval| interval.start);
    let mask = openings().fold(0, |mask, opening| mask | day_bit(opening));
    let generated = (first.start..=next.start).step_by(DAY as usize).filter(|opening| mask & day_bit(*opening) != 0);
    generated.eq(openings())
}

fn schedule(run: &[Interval]) -> Option<UtcSchedule> {
    let (first, last) = (run.first()?, run.last()?);
    let weekly = (run.len() > 1).then(|| Weekly {
        duration: first.end - first.start,
        mask: run.iter().fold(0, |mask, interval| mask | day_bit(interval.start)),
    });
    Some(UtcSchedule { start: first.start, end: last.end, weekly })
}

/// The bit of an instant's UTC weekday; 1 January 1970 was a Thursday.
fn day_bit(unix: u32) -> u8 {
    1 << ((unix / DAY + 3) % 7)
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};
    use proptest::prelude::*;

    use super::*;
    use crate::access::schedule::{Schedule, join};

    fn unix(text: &str) -> u32 {
        u32::try_from(text.parse::<Timestamp>().unwrap().as_second()).unwrap()
    }

    fn office() -> Schedule {
        serde_json::from_str(
            r#"{"weekly":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"08:00","until":"18:00"}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_daylight_saving_change_gives_two_schedules_bounded_by_it() {
        let span = Interval { start: unix("2026-03-27T00:00:00Z"), end: unix("2026-03-31T00:00:00Z") };
        let folded = fold(&office().intervals(&TimeZone::get("Europe/Berlin").unwrap(), span));
        assert_eq!(
            folded,
            [
                UtcSchedule {
                    start: unix("2026-03-27T07:00:00Z"),
                    end: unix("2026-03-28T17:00:00Z"),
                    weekly: Some(Weekly { duration: 36_000, mask: 0b011_0000 }),
                },
                UtcSchedule {
                    start: unix("2026-03-29T06:00:00Z"),
                    end: unix("2026-03-30T16:00:00Z"),
                    weekly: Some(Weekly { duration: 36_000, mask: 0b100_0001 }),
                },
            ]
        );
    }

    #[test]
    fn without_a_change_one_schedule_is_enough() {
        let span = Interval { start: unix("2026-06-01T05:00:00Z"), end: unix("2026-06-08T05:00:00Z") };
        let folded = fold(&office().intervals(&TimeZone::get("Europe/Berlin").unwrap(), span));
        assert_eq!(folded.len(), 1);
        assert_eq!(folded[0].weekly.unwrap().mask, 0b111_1111);
    }

    #[test]
    fn a_gap_in_the_pattern_starts_another_schedule() {
        let day = |n: u32| Interval { start: n * DAY, end: n * DAY + 3600 };
        // Mondays only, the second one missing: a single weekly schedule would open it.
        let folded = fold(&[day(4), day(18)]);
        assert_eq!(folded.len(), 2);
        assert!(folded.iter().all(|schedule| schedule.weekly.is_none()));
    }

    #[test]
    fn edges_are_start_inclusive_and_end_exclusive() {
        let folded = fold(&[Interval { start: 1000, end: 2000 }]);
        assert!(!covers(&folded[0], 999) && covers(&folded[0], 1000));
        assert!(covers(&folded[0], 1999) && !covers(&folded[0], 2000));
    }

    proptest! {
        #[test]
        fn folding_is_exact(
            raw in prop::collection::vec((0_u32..12, 0_u32..4, 1_u32..30), 1..16),
            probes in prop::collection::vec(0_u32..16 * DAY, 64),
        ) {
            let intervals = join(raw.iter().map(|(day, slot, hours)| {
                let start = day * DAY + slot * 6 * 3600;
                Interval { start, end: start + hours * 3600 }
            }).collect());
            let folded = fold(&intervals);
            let edges = intervals.iter().flat_map(|i| [i.start.saturating_sub(1), i.start, i.end - 1, i.end]);
            for t in probes.into_iter().chain(edges) {
                let exact = intervals.iter().any(|i| i.start <= t && t < i.end);
                prop_assert_eq!(exact, folded.iter().any(|s| covers(s, t)), "at {}", t);
            }
        }
    }
}
