//! Keybutton's build and test tasks: `cargo xtask TASK`.

mod architecture;
mod bare_metal;
#[allow(dead_code, reason = "Kotlin and Swift use it")]
mod bindings;
mod command;
mod dependencies;
mod metadata;
#[allow(dead_code, reason = "Kotlin and Swift use it")]
mod snippets;
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
    /// Runs everything a change has to pass: all tests, the pinned vectors, the bare-metal build.
    Test(test::Options),
    /// Checks who may depend on whom, and how long files may be.
    Architecture,
    /// Checks licences and that one version of a crate is enough.
    Dependencies,
    /// Builds protocol and lock for a microcontroller with only `core` to link against.
    BareMetal,
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
