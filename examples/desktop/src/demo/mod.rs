//! The demo: an access service, two virtual locks, two phones and a Branded App's key set, and one story told by them.
//!
//! Nothing is staged but the order of events: every part is the real one, and the report says what they did.

mod report;
mod scenes;
mod stage;
mod story;

use std::time::Instant;

pub use report::DemoReport;
pub use story::{Quiet, Reporter, Story};

use crate::failure::Failure;

/// The form of [`DemoReport`].
const VERSION: u32 = 1;

/// How the demo runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DemoOptions {
    /// Where the air's simulated randomness starts.
    pub seed: u64,
}

/// Runs the demo from an empty temporary directory, which is gone when it returns.
///
/// # Errors
///
/// A [`Failure`] when a part can't be started or does not answer. A story that comes out differently is no error:
/// [`DemoReport::as_told`] says so.
pub async fn run(options: DemoOptions, reporter: &mut dyn Reporter) -> Result<DemoReport, Failure> {
    let begun = Instant::now();
    let mut stage = stage::Stage::set(options, reporter).await?;
    let mut report = DemoReport {
        version: VERSION,
        as_told: true,
        differences: Vec::new(),
        total_us: 0,
        organization: stage::ORGANIZATION.to_owned(),
        key_button: Vec::new(),
        presses: Vec::new(),
    };
    scenes::play(&mut stage, reporter, &mut report).await?;
    stage.clear().await?;
    report.as_told = report.differences.is_empty();
    report.total_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    reporter.end(&report);
    Ok(report)
}
