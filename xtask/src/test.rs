//! Everything a change has to pass, with one closing line.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use clap::Args;

use crate::{
    bare_metal,
    command::{Failure, Outcome, cargo, is_ci, run as run_command},
};

/// What `cargo xtask test` may leave out.
#[derive(Args)]
pub struct Options {
    /// Leaves out the bare-metal build.
    #[arg(long)]
    no_bare_metal: bool,
}

/// Runs all tiers and prints `N passed, N failed` last.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let mut tally = Tally::default();
    // The end-to-end tests start the real programs, so these have to be there first.
    run_command(&mut cargo(["build", "--locked", "--workspace", "--bins"]))?;
    tally.cargo_test(&["test", "--locked", "--workspace", "--no-fail-fast"])?;
    tally.tier("bare metal", options.no_bare_metal, bare_metal::run);
    Ok(Outcome::Counted { passed: tally.passed, failed: tally.failed })
}

/// Counts what passed and what failed.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Runs `cargo test`, shows what it prints and adds its counts.
    fn cargo_test(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = cargo(arguments);
        eprintln!("$ cargo {}", arguments.join(" "));
        let (passed, failed, success) = count(command.stdout(Stdio::piped()))?;
        self.passed += passed;
        self.failed += failed;
        if !success && failed == 0 {
            return Err(Failure("cargo test ended before all tests ran".into()));
        }
        Ok(())
    }

    /// Runs one more tier; it counts as one test, or as those it has run.
    fn tier(&mut self, name: &str, left_out: bool, tier: impl FnOnce() -> Result<Outcome, Failure>) {
        if left_out && !is_ci() {
            println!("{name}: left out");
            return;
        }
        match tier() {
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

fn count(command: &mut Command) -> Result<(u64, u64, bool), Failure> {
    let mut child = command.spawn()?;
    let (mut passed, mut failed) = (0, 0);
    if let Some(printed) = child.stdout.take() {
        for line in BufReader::new(printed).lines() {
            let line = line?;
            println!("{line}");
            if let Some((more_passed, more_failed)) = read_result(&line) {
                passed += more_passed;
                failed += more_failed;
            }
        }
    }
    Ok((passed, failed, child.wait()?.success()))
}

/// Reads `test result: ok. 3 passed; 0 failed; …`.
fn read_result(line: &str) -> Option<(u64, u64)> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut numbers = counts.split("; ").map(|part| part.split(' ').next()?.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::read_result;

    #[test]
    fn results_are_read() {
        assert_eq!(
            read_result("test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out"),
            Some((12, 3))
        );
        assert_eq!(read_result("test foo ... ok"), None);
    }
}
