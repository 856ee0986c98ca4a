//! Keybutton's build and test tasks: `cargo xtask TASK`.

mod architecture;
mod bare_metal;
mod bindings;
mod ble_vm;
mod command;
mod debian;
mod dependencies;
mod errors;
mod kotlin;
mod metadata;
mod mobile;
mod pinned;
mod size;
mod snippets;
mod surface;
mod swift;
mod swift_toolchain;
mod test;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::Outcome;

/// Runs Keybutton's build and test tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs everything a change has to pass: all tests, in all languages, and the builds for locks and phones.
    Test(test::Options),
    /// Checks who may depend on whom, and how long files may be.
    Architecture,
    /// Checks licences and that one version of a crate is enough.
    Dependencies,
    /// Builds protocol and lock for a microcontroller with only `core` to link against.
    BareMetal,
    /// Runs phones and locks over a real BlueZ in a small virtual machine.
    BleVm(ble_vm::Options),
    /// Builds, packs and tests the Kotlin packages.
    Kotlin(kotlin::Options),
    /// Builds and tests the Swift package.
    Swift(swift::Options),
    /// Fetches a Swift compiler where this machine has none.
    SwiftToolchain,
    /// Compiles what ships to phones for Android and iOS.
    MobileCheck(mobile::Options),
    /// Measures the native library that ships, and what it is made of.
    Size(size::Options),
    /// Writes the list of all that the native library exports.
    Surface {
        /// Compares it with what is there instead.
        #[arg(long)]
        check: bool,
    },
    /// Writes the page of all errors.
    Errors {
        /// Compares it with what is there instead.
        #[arg(long)]
        check: bool,
    },
    /// Writes the pinned vectors and the worked numbers of docs/PROTOCOL.md.
    Vectors {
        /// Compares them with what is there instead.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Architecture => architecture::run(),
        Task::Dependencies => dependencies::run(),
        Task::BareMetal => bare_metal::run(),
        Task::BleVm(options) => ble_vm::run(&options),
        Task::Kotlin(options) => kotlin::run(&options),
        Task::Swift(options) => swift::run(&options),
        Task::SwiftToolchain => Ok(swift_toolchain::Toolchain::find()
            .map_or_else(|reason| Outcome::Skipped(reason.to_string()), |_| Outcome::Passed)),
        Task::MobileCheck(options) => mobile::run(&options),
        Task::Size(options) => size::run(&options),
        Task::Surface { check } => surface::run(check),
        Task::Errors { check } => errors::run(check),
        Task::Vectors { check } => vectors::run(&command::root(), check),
    };
    match outcome {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Counted { passed, failed }) => {
            println!("{passed} passed, {failed} failed");
            if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(Outcome::Skipped(reason)) if !command::is_ci() => {
            eprintln!("skipped: {reason}");
            ExitCode::SUCCESS
        }
        Ok(Outcome::Skipped(reason)) => {
            eprintln!("failed: may not be skipped when CI=true: {reason}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}
