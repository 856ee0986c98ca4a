//! From samples to figures and bars.

use std::time::Duration;

use crate::bench::table::{Bar, Found, Plot, Row, Series, Sum, percentile};

/// What a press may take beyond the floor, in write-to-notify round trips of the same run. The floor has one already,
/// and so has the lock's first word: a fast press has one more, a first opening three. The rest is thinking.
const FAST: f64 = 1.5;
const FIRST: f64 = 4.5;

/// One press, or one turn of the floor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sample {
    /// Until the lock was heard.
    pub(super) search: Duration,
    /// Until the link was up; on Linux the system looks through the services meanwhile.
    pub(super) connect: Duration,
    /// Until it was known which services there are.
    pub(super) discover: Duration,
    /// Until the notifications were subscribed to.
    pub(super) subscribe: Duration,
    /// Until the verdict, or the answer.
    pub(super) transaction: Duration,
    /// From the press to the verdict; what is between the steps counts as well.
    pub(super) total: Duration,
}

impl Sample {
    /// What belongs to none of the steps.
    fn between(&self) -> Duration {
        let steps = self.search + self.connect + self.discover + self.subscribe + self.transaction;
        self.total.saturating_sub(steps)
    }
}

/// All of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Samples {
    pub(super) floor: Vec<Sample>,
    pub(super) fast: Vec<Sample>,
    pub(super) first: Vec<Sample>,
    pub(super) round_trips: Vec<Duration>,
}

/// Puts everything beside its bar. `answered_by` tells what answered the floor's writes.
pub(super) fn judge(samples: &Samples, answered_by: &str) -> Found {
    let round_trip = median(&samples.round_trips, |time| *time);
    let mut rows = vec![
        Row::new("write to notify, round trip: p50", round_trip, "ms")
            .note(format!("{} with {answered_by}", samples.round_trips.len())),
        Row::new("write to notify, round trip: p95", at(&samples.round_trips, |time| *time, 0.95), "ms"),
    ];
    let (total, linked) =
        (|sample: &Sample| sample.total, |sample: &Sample| sample.total.saturating_sub(sample.search));
    let (floor, floor_linked) = (median(&samples.floor, total), median(&samples.floor, linked));
    for (what, kind, more) in [
        ("bare connect, write, notify", &samples.floor, None),
        ("fast press", &samples.fast, Some(FAST)),
        ("first opening", &samples.first, Some(FIRST)),
    ] {
        if kind.is_empty() {
            continue;
        }
        let beyond = |row: Row, floor: f64| match more {
            Some(more) => row
                .bar(Bar::AtMost(floor + more * round_trip))
                .note(format!("the floor's {floor:.1} and {more} round trips; {} presses", kind.len())),
            None => row.note(format!("the floor; {} times", kind.len())),
        };
        rows.push(beyond(Row::new(format!("{what}: p50"), median(kind, total), "ms"), floor));
        rows.push(Row::new(format!("{what}: p95"), at(kind, total, 0.95), "ms"));
        rows.push(beyond(Row::new(format!("{what}, search left out: p50"), median(kind, linked), "ms"), floor_linked));
        for (step, of) in STEPS {
            rows.push(Row::new(format!("{what}: {step}, p50"), median(kind, of), "ms"));
            rows.push(Row::new(format!("{what}: {step}, p95"), at(kind, of, 0.95), "ms"));
        }
    }
    Found { rows, plots: pictures(samples) }
}

type Step = fn(&Sample) -> Duration;

const STEPS: [(&str, Step); 6] = [
    ("search", |sample| sample.search),
    ("connect", |sample| sample.connect),
    ("discover", |sample| sample.discover),
    ("subscribe", |sample| sample.subscribe),
    ("transaction", |sample| sample.transaction),
    ("between the steps", Sample::between),
];

fn pictures(samples: &Samples) -> Vec<Plot> {
    let kinds = [("floor", &samples.floor), ("fast press", &samples.fast), ("first opening", &samples.first)];
    let series = kinds.iter().filter(|(_, kind)| !kind.is_empty()).map(|(what, kind)| Series {
        what: (*what).to_owned(),
        samples: kind.iter().map(|sample| ms(sample.total)).collect(),
    });
    let sums = kinds.iter().filter(|(_, kind)| !kind.is_empty()).map(|(what, kind)| Sum {
        what: (*what).to_owned(),
        parts: STEPS.iter().map(|(step, of)| (*step, median(kind, of))).collect(),
    });
    let round_trips = samples.round_trips.iter().copied().map(ms).collect();
    vec![
        Plot::Spread { title: "From press to verdict, Bluetooth".to_owned(), unit: "ms", series: series.collect() },
        Plot::Parts { title: "Where the time goes, medians".to_owned(), unit: "ms", sums: sums.collect() },
        Plot::Spread {
            title: "Write to notify, one round trip".to_owned(),
            unit: "ms",
            series: vec![Series { what: "round trip".to_owned(), samples: round_trips }],
        },
    ]
}

fn median<T>(samples: &[T], of: impl Fn(&T) -> Duration) -> f64 {
    at(samples, of, 0.5)
}

fn at<T>(samples: &[T], of: impl Fn(&T) -> Duration, share: f64) -> f64 {
    percentile(&mut samples.iter().map(|sample| ms(of(sample))).collect::<Vec<_>>(), share)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(parts: [u64; 4]) -> Sample {
        let [search, connect, discover, transaction] = parts.map(Duration::from_millis);
        let total = search + connect + discover + transaction;
        Sample { search, connect, discover, subscribe: Duration::ZERO, transaction, total }
    }

    fn run(fast: [u64; 4], first: [u64; 4]) -> Samples {
        Samples {
            floor: vec![sample([50, 100, 30, 20]); 3],
            fast: vec![sample(fast); 3],
            first: vec![sample(first); 3],
            round_trips: [18, 20, 22].map(Duration::from_millis).to_vec(),
        }
    }

    fn passed(found: &Found, what: &str) -> Option<bool> {
        found.rows.iter().find(|row| row.what == what).unwrap_or_else(|| panic!("{what}: {:?}", found.rows)).passed
    }

    #[test]
    fn presses_are_held_against_the_floor_of_their_run() {
        let found = judge(&run([50, 100, 30, 50], [50, 100, 30, 110]), "an echo");
        assert!(found.rows.iter().all(|row| row.passed != Some(false)), "{:?}", found.rows);
        let found = judge(&run([50, 100, 30, 51], [50, 100, 30, 111]), "an echo");
        assert_eq!(passed(&found, "fast press: p50"), Some(false));
        assert_eq!(passed(&found, "first opening: p50"), Some(false));
        assert_eq!(found.plots.len(), 3);
    }

    #[test]
    fn a_lucky_search_does_not_hide_a_slow_transaction() {
        let found = judge(&run([10, 100, 30, 80], [50, 100, 30, 110]), "an echo");
        assert_eq!(passed(&found, "fast press: p50"), Some(true));
        assert_eq!(passed(&found, "fast press, search left out: p50"), Some(false));
    }

    #[test]
    fn where_no_first_opening_was_measured_none_is_judged() {
        let samples = Samples { first: Vec::new(), ..run([50, 100, 30, 50], [0; 4]) };
        let found = judge(&samples, "the lock");
        assert!(found.rows.iter().all(|row| !row.what.starts_with("first")));
    }
}
