use std::time::Instant;

use crate::command::{Failure, Outcome, is_ci};

/// Counts what passed and what failed.
#[derive(Default)]
pub struct Tally {
    /// How many tests passed.
    pub passed: u64,
    /// How many tests failed.
    pub failed: u64,
}

impl Tally {
    /// Runs one more tier and counts it.
    pub fn tier(&mut self, name: &str, tier: impl FnOnce() -> Result<Outcome, Failure>) {
        let start = Instant::now();
        let ended = tier();
        eprintln!("{name}: {} s", start.elapsed().as_secs());
        self.count(name, ended);
    }

    /// Counts a tier as one test, or as those it has run. In the gate a tier that was skipped has failed.
    pub fn count(&mut self, name: &str, ended: Result<Outcome, Failure>) {
        match ended {
            Ok(Outcome::Passed) => {
                println!("{name}: ok");
                self.passed += 1;
            }
            Ok(Outcome::Counted { passed: 0, failed: 0 }) => {
                println!("{name}: FAILED: no test ran");
                self.failed += 1;
            }
            Ok(Outcome::Counted { passed, failed }) => {
                println!("{name}: {passed} passed, {failed} failed");
                self.passed += passed;
                self.failed += failed;
            }
            Ok(Outcome::Skipped(reason)) if !is_ci() => println!("{name}: skipped: {reason}"),
            Ok(Outcome::Skipped(reason)) => {
                println!("{name}: FAILED: may not be skipped when CI=true: {reason}");
                self.failed += 1;
            }
            Err(error) => {
                println!("{name}: FAILED: {error}");
                self.failed += 1;
            }
        }
    }
}
