//! Everything a change has to pass, with one closing line.
//!
//! Two lanes run side by side. In front: the build, `cargo test`, and what needs the build. Behind, at low priority and with
//! its output kept until a step ends: downloads, and builds with compilers of their own.

mod behind;
mod tally;

use std::{process::Stdio, sync::mpsc, thread};

use clap::Args;

use self::{behind::Step, tally::Tally};
use crate::{
    bindings, ble_vm,
    command::{Failure, Outcome, cargo, is_ci, read_lines, workspace_features},
    errors, kotlin, surface,
};

/// What `cargo xtask test` may leave out; in the gate nothing is.
#[derive(Args)]
pub struct Options {
    /// Leaves out the bare-metal build.
    #[arg(long)]
    no_bare_metal: bool,
    /// Leaves out type-checking for phones.
    #[arg(long)]
    no_mobile: bool,
    /// Leaves out phones and locks over a real BlueZ in a virtual machine.
    #[arg(long)]
    no_ble_vm: bool,
    /// Leaves out the Kotlin packages.
    #[arg(long)]
    no_kotlin: bool,
    /// Leaves out the Swift package.
    #[arg(long)]
    no_swift: bool,
}

/// Runs all tiers and prints `N passed, N failed` last.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let mut tally = Tally::default();
    let wanted = |name: &str, left_out: bool| {
        let wanted = !left_out || is_ci();
        if !wanted {
            println!("{name}: left out");
        }
        wanted
    };
    let mut steps = Vec::new();
    if wanted("swift", options.no_swift) {
        steps.push(Step::new("swift toolchain", &["swift-toolchain"]).uncounted());
    }
    if wanted("bare metal", options.no_bare_metal) {
        steps.push(Step::new("bare metal", &["bare-metal"]));
    }
    if wanted("mobile check", options.no_mobile) {
        steps.push(Step::new("mobile check", &["mobile-check"]));
    }
    if wanted("bluetooth machine", options.no_ble_vm) {
        steps.push(Step::new("bluetooth machine", &["ble-vm", "--if-possible"]).after_build());
    }
    if !options.no_swift || is_ci() {
        steps.push(Step::new("swift", &["swift"]).after_build());
    }
    let kotlin = wanted("kotlin", options.no_kotlin);
    let (built, is_built) = mpsc::channel();
    thread::scope(|lanes| -> Result<(), Failure> {
        let behind = lanes.spawn(move || behind::run(&steps, &is_built));
        // The end-to-end tests start the real programs, and the other languages load the library.
        let outcome = bindings::build();
        // A receiver that is gone has nothing more to do with the build.
        let _ = built.send(outcome.is_ok());
        drop(built);
        if outcome.is_ok() {
            cargo_test(&mut tally)?;
            tally.tier("errors", || errors::run(true));
            tally.tier("surface", || surface::run(true));
            if kotlin {
                tally.tier("kotlin", || kotlin::run(&kotlin::Options::default()));
            }
        }
        let behind = behind.join().map_err(|_| Failure("the lane behind broke off".into()))?;
        for (name, ended) in behind {
            tally.count(name, ended);
        }
        outcome
    })?;
    Ok(Outcome::Counted { passed: tally.passed, failed: tally.failed })
}

/// Runs `cargo test`, shows what it prints and adds its counts.
fn cargo_test(tally: &mut Tally) -> Result<(), Failure> {
    let mut command = cargo(["test", "--locked", "--workspace", "--no-fail-fast"]);
    // The Bluetooth suite has a step of its own.
    command.args(workspace_features()).env(ble_vm::LATER.0, ble_vm::LATER.1);
    let mut failed_here = 0;
    let success = read_lines(command.stdout(Stdio::piped()), |line| {
        println!("{line}");
        if let Some((passed, failed)) = read_result(line) {
            tally.passed += passed;
            tally.failed += failed;
            failed_here += failed;
        }
    })?;
    if success || failed_here > 0 { Ok(()) } else { Err(Failure("cargo test ended before all tests ran".into())) }
}

/// Reads `test result: ok. 3 passed; 0 failed; …`.
pub fn read_result(line: &str) -> Option<(u64, u64)> {
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
