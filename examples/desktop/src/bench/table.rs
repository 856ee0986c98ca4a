//! The figures beside their bars.

use serde::Serialize;

use crate::console::{Paint, paint};

/// Everything the bench measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BenchReport {
    /// The form of this document.
    pub version: u32,
    /// Every bar that was measured was reached.
    pub passed: bool,
    /// How many processors there were to use.
    pub processors: usize,
    /// The figures.
    pub rows: Vec<Row>,
    /// What the figures were taken from, as far as a picture says more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plots: Vec<Plot>,
}

/// What one part of the bench found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Found {
    /// The figures.
    pub rows: Vec<Row>,
    /// What they were taken from.
    pub plots: Vec<Plot>,
}

/// Something worth a picture.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "plot", rename_all = "kebab-case")]
pub enum Plot {
    /// How samples of the same kind are spread.
    Spread {
        /// What they are.
        title: String,
        /// Their unit.
        unit: &'static str,
        /// The samples, side by side.
        series: Vec<Series>,
    },
    /// What sums are made of.
    Parts {
        /// What they are.
        title: String,
        /// Their unit.
        unit: &'static str,
        /// The sums, side by side.
        sums: Vec<Sum>,
    },
}

/// Samples of one thing.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Series {
    /// What was measured.
    pub what: String,
    /// Each measurement, in their order.
    pub samples: Vec<f64>,
}

/// A sum of parts.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sum {
    /// What it is.
    pub what: String,
    /// Its parts, in their order.
    pub parts: Vec<(&'static str, f64)>,
}

impl From<Vec<Row>> for Found {
    fn from(rows: Vec<Row>) -> Self {
        Self { rows, plots: Vec::new() }
    }
}

/// One figure.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The bar; absent for figures that only explain others.
    pub bar: Option<Bar>,
    /// Whether the bar was reached; absent without one.
    pub passed: Option<bool>,
    /// How it was measured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a figure has to be.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bar {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Exactly this.
    Exactly(f64),
}

impl Row {
    /// A figure that only explains others.
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, bar: None, passed: None, note: String::new() }
    }

    /// Sets the bar.
    #[must_use]
    pub fn bar(self, bar: Bar) -> Self {
        let passed = match bar {
            Bar::AtMost(most) => self.value <= most,
            Bar::AtLeast(least) => self.value >= least,
            Bar::Exactly(exactly) => (self.value - exactly).abs() < 1e-9,
        };
        Self { bar: Some(bar), passed: Some(passed), ..self }
    }

    /// Says how it was measured.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

impl BenchReport {
    /// Judges what was found.
    pub fn new(Found { rows, plots }: Found) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let passed = rows.iter().all(|row| row.passed != Some(false));
        Self { version: 1, passed, processors, rows, plots }
    }
}

impl Bar {
    /// The bar as text, such as `<= 15`.
    pub fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {}", number(most)),
            Self::AtLeast(least) => format!(">= {}", number(least)),
            Self::Exactly(exactly) => format!("=  {}", number(exactly)),
        }
    }
}

/// Prints one figure.
pub fn print_row(row: &Row) {
    let value = number(row.value);
    let bar = row.bar.map(Bar::text).unwrap_or_default();
    let verdict = match row.passed {
        Some(true) => paint(Paint::Green, "pass"),
        Some(false) => paint(Paint::Red, "FAIL"),
        None => "    ".to_owned(),
    };
    let note = if row.note.is_empty() { String::new() } else { paint(Paint::Dim, &row.note) };
    let line = format!("  {:<58} {value:>9} {:<6} {bar:>10}  {verdict}  {note}", row.what, row.unit);
    println!("{}", line.trim_end());
}

/// A figure with as many digits as it deserves.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1_000.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}").trim_end_matches(".0").to_owned(),
        _ => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

/// The value below which `share` of the samples are; 0 without samples. Sorts them.
pub fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the samples")]
    let at = ((samples.len() as f64 * share).ceil() as usize).saturating_sub(1);
    samples.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_judge() {
        assert_eq!(Row::new("a", 1.0, "ms").bar(Bar::AtMost(1.0)).passed, Some(true));
        assert_eq!(Row::new("a", 1.1, "ms").bar(Bar::AtMost(1.0)).passed, Some(false));
        assert_eq!(Row::new("a", 1.0, "1/s").bar(Bar::AtLeast(2.0)).passed, Some(false));
        assert_eq!(Row::new("a", 3.0, "").bar(Bar::Exactly(3.0)).passed, Some(true));
        assert!(!BenchReport::new(vec![Row::new("a", 2.0, "").bar(Bar::Exactly(3.0))].into()).passed);
        assert!(BenchReport::new(vec![Row::new("a", 2.0, "")].into()).passed);
    }

    #[test]
    fn percentiles_are_samples() {
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut samples, 0.5), 50.0);
        assert_eq!(percentile(&mut samples, 0.99), 99.0);
        assert_eq!(percentile(&mut [], 0.5), 0.0);
    }
}
