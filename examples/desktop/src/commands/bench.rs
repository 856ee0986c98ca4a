//! `keybutton bench`: every figure beside its bar.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::{knobs::time, print_json};
use crate::{
    bench::{self, BenchOptions, Part, Told, print_row},
    console::{Paint, Progress, count, paint},
    failure::Failure,
};

/// Options of `keybutton bench`.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// Measure only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Presses for each flow without the air.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    cpu_presses: Option<u32>,
    /// Fast presses on the air; the other flows get a third of it.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    air_presses: Option<u32>,
    /// How long keys are issued, for each of the two loads.
    #[arg(long, value_name = "TIME", value_parser = time)]
    issue_time: Option<Duration>,
    /// How long the idle core is watched.
    #[arg(long, value_name = "TIME", value_parser = time)]
    idle_time: Option<Duration>,
    /// Where the simulated randomness of the air starts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs the command; fails when a bar is not reached.
pub async fn run(args: BenchArgs) -> Result<ExitCode, Failure> {
    let defaults = BenchOptions::default();
    let options = BenchOptions {
        parts: if args.parts.is_empty() { defaults.parts } else { args.parts },
        cpu_presses: args.cpu_presses.unwrap_or(defaults.cpu_presses),
        air_presses: args.air_presses.unwrap_or(defaults.air_presses),
        issue_time: args.issue_time.unwrap_or(defaults.issue_time),
        idle_time: args.idle_time.unwrap_or(defaults.idle_time),
        seed: args.seed,
    };
    let progress = Progress::start(true, "measuring");
    let report = bench::run(&options, |told| match told {
        Told::Begins(part, title) => {
            progress.say(title);
            progress.spin(part != Part::Idle);
            if !args.json {
                progress.above(|| println!("\n{}", paint(Paint::Bold, title)));
            }
        }
        Told::Row(row) if !args.json => progress.above(|| print_row(row)),
        Told::Row(_) => {}
    })
    .await?;
    drop(progress);
    if args.json {
        print_json(&report)?;
    } else {
        let missed = report.rows.iter().filter(|row| row.passed == Some(false)).count();
        let verdict = match missed {
            0 => paint(Paint::Green, "Every bar was reached"),
            n => paint(Paint::Red, &format!("Not reached: {}", count(n, "bar"))),
        };
        println!("\n{verdict}, on {} processors.", report.processors);
        if cfg!(debug_assertions) {
            println!("{}", paint(Paint::Amber, "This is a debug build: measure with --release."));
        }
    }
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
