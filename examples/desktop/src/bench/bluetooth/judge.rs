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
    pub(super) fast: Rounds,
    pub(super) first: Rounds,
}

/// Presses of one kind, and the floor that took turns with them: what slows the machine down for a while slows both.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Rounds {
    pub(super) presses: Vec<Sample>,
    pub(super) floor: Vec<Sample>,
    pub(super) round_trips: Vec<Duration>,
}

impl Samples {
    fn floor(&self) -> Vec<Sample> {
        [&self.first.floor[..], &self.fast.floor].concat()
    }

    fn round_trips(&self) -> Vec<Duration> {
        [&self.first.round_trips[..], &self.fast.round_trips].concat()
    }
}

/// Puts everything beside its bar. `answered_by` tells what answered the floor's writes.
pub(super) fn judge(samples: &Samples, answered_by: &str) -> Found {
    let (floor, round_trips) = (samples.floor(), samples.round_trips());
    let mut rows = vec![
        Row::new("write to notify, round trip: p50", median(&round_trips, |time| *time), "ms")
            .note(format!("{} with {answered_by}", round_trips.len())),
        Row::new("write to notify, round trip: p95", at(&round_trips, |time| *time, 0.95), "ms"),
    ];
    let (total, linked) =
        (|sample: &Sample| sample.total, |sample: &Sample| sample.total.saturating_sub(sample.search));
    for (what, kind, beside) in [
        ("bare connect, write, notify", &floor, None),
        ("fast press", &samples.fast.presses, Some((FAST, &samples.fast))),
        ("first opening", &samples.first.presses, Some((FIRST, &samples.first))),
    ] {
        if kind.is_empty() {
            continue;
        }
        let beyond = |row: Row, of: fn(&Sample) -> Duration| match beside {
            Some((more, rounds)) => {
                let (floor, round_trip) = (median(&rounds.floor, of), median(&rounds.round_trips, |time| *time));
                row.bar(Bar::AtMost(floor + more * round_trip)).note(format!(
                    "the floor's {floor:.1} and {more} round trips of {round_trip:.1} beside it; {} presses",
                    kind.len()
                ))
            }
            None => row.note(format!("the floor; {} times", kind.len())),
        };
        rows.push(beyond(Row::new(format!("{what}: p50"), median(kind, total), "ms"), total));
        rows.push(Row::new(format!("{what}: p95"), at(kind, total, 0.95), "ms"));
        rows.push(beyond(Row::new(format!("{what}, search left out: p50"), median(kind, linked), "ms"), linked));
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
    let (floor, round_trips) = (samples.floor(), samples.round_trips());
    let (fast, first) = (&samples.fast.presses, &samples.first.presses);
    let kinds = [("floor", &floor), ("fast press", fast), ("first opening", first)];
    let series = kinds.iter().filter(|(_, kind)| !kind.is_empty()).map(|(what, kind)| Series {
        what: (*what).to_owned(),
        samples: kind.iter().map(|sample| ms(sample.total)).collect(),
    });
    let sums = kinds.iter().filter(|(_, kind)| !kind.is_empty()).map(|(what, kind)| Sum {
        what: (*what).to_owned(),
        parts: STEPS.iter().map(|(step, of)| (*step, median(kind, of))).collect(),
    });
    let round_trips = round_trips.into_iter().map(ms).collect();
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
        let rounds = |press| Rounds {
            presses: vec![sample(press); 3],
            floor: vec![sample([50, 100, 30, 20]); 3],
            round_trips: [18, 20, 22].map(Duration::from_millis).to_vec(),
        };
        Samples { fast: rounds(fast), first: rounds(first) }
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
    fn a_slow_half_of_a_run_does_not_count_against_the_presses_in_it() {
        let mut samples = run([50, 100, 30, 50], [100, 100, 30, 110]);
        samples.first.floor = vec![sample([100, 100, 30, 20]); 3];
        let found = judge(&samples, "an echo");
        assert_eq!(passed(&found, "first opening: p50"), Some(true));
        assert_eq!(passed(&found, "fast press: p50"), Some(true));
    }

    #[test]
    fn where_no_first_opening_was_measured_none_is_judged() {
        let samples = Samples { first: Rounds::default(), ..run([50, 100, 30, 50], [0; 4]) };
        let found = judge(&samples, "the lock");
        assert!(found.rows.iter().all(|row| !row.what.starts_with("first")));
    }
}
