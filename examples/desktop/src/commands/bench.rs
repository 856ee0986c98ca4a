//! `keybutton bench`: every figure beside its bar.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;

use super::{knobs::time, print_json};
use crate::{
    bench::{self, BenchOptions, BenchReport, Part, Told, print_row},
    console::{Paint, Progress, count, paint},
    failure::Failure,
    session::PhoneArgs,
};

/// Options of `keybutton bench`.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// Measure only these parts.
    #[arg(value_enum, conflicts_with = "bluetooth")]
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
    /// How long the listening core is watched.
    #[arg(long, value_name = "TIME", value_parser = time)]
    scan_time: Option<Duration>,
    /// How long the idle core is watched.
    #[arg(long, value_name = "TIME", value_parser = time)]
    idle_time: Option<Duration>,
    /// Where the simulated randomness of the air starts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// With --bluetooth: presses of each kind.
    #[arg(long, value_name = "COUNT", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    presses: u32,
    /// With --bluetooth: the adapter for a lock of the bench's own.
    #[arg(long, value_name = "NAME", requires = "bluetooth", conflicts_with = "door")]
    lock_adapter: Option<String>,
    /// With --bluetooth: press at this door, by name or id, with the phone of --member; fast presses only.
    #[arg(long, value_name = "NAME", requires = "bluetooth")]
    door: Option<String>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Write the report with pictures to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    phone: PhoneArgs,
}

/// Runs the command; fails when a bar is not reached.
pub async fn run(args: BenchArgs, state: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let report = if args.phone.radio.bluetooth {
        let report = by_bluetooth(&args, state).await?;
        if !args.json {
            report.rows.iter().for_each(print_row);
        }
        report
    } else {
        here(&args).await?
    };
    if let Some(path) = &args.html {
        bench::html::write(path, &report, &command_line())?;
    }
    if args.json {
        print_json(&report)?;
    } else {
        tell(&report, args.html.as_deref());
    }
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that needs no Bluetooth.
async fn here(args: &BenchArgs) -> Result<BenchReport, Failure> {
    let defaults = BenchOptions::default();
    let options = BenchOptions {
        parts: if args.parts.is_empty() { defaults.parts } else { args.parts.clone() },
        cpu_presses: args.cpu_presses.unwrap_or(defaults.cpu_presses),
        air_presses: args.air_presses.unwrap_or(defaults.air_presses),
        issue_time: args.issue_time.unwrap_or(defaults.issue_time),
        scan_time: args.scan_time.unwrap_or(defaults.scan_time),
        idle_time: args.idle_time.unwrap_or(defaults.idle_time),
        seed: args.seed,
    };
    let progress = Progress::start(true, "measuring");
    bench::run(&options, |told| match told {
        Told::Begins(part, title) => {
            progress.say(title);
            progress.spin(!part.wants_quiet());
            if !args.json {
                progress.above(|| println!("\n{}", paint(Paint::Bold, title)));
            }
        }
        Told::Row(row) if !args.json => progress.above(|| print_row(row)),
        Told::Row(_) => {}
    })
    .await
}

#[cfg(feature = "bluetooth")]
async fn by_bluetooth(args: &BenchArgs, state: Option<PathBuf>) -> Result<BenchReport, Failure> {
    use crate::{
        bench::{At, BluetoothOptions},
        bluetooth::open_btleplug,
        state::StateDir,
    };

    let adapter = args.phone.radio.adapter.clone();
    let progress = Progress::start(true, "opening the adapter");
    let phone;
    let at = match (&args.lock_adapter, &args.door) {
        (Some(lock_adapter), _) => At::OwnLock(lock_adapter.clone()),
        (None, Some(door)) => {
            let state = StateDir::open(state)?;
            let radio = open_btleplug(adapter.as_deref()).await?;
            phone = args.phone.start_on(radio.clone(), &state).await?;
            At::Door(&phone, radio, phone.door(door).await?.id)
        }
        (None, None) => {
            return Err(Failure::new(
                "no-lock",
                "there is no lock to press at",
                "Name a second adapter for the bench's own lock as --lock-adapter, or a door as --door.",
            ));
        }
    };
    let options = BluetoothOptions { adapter, presses: args.presses };
    bench::measure_bluetooth(&options, at, |what| progress.step(what)).await
}

#[cfg(not(feature = "bluetooth"))]
async fn by_bluetooth(_: &BenchArgs, _: Option<PathBuf>) -> Result<BenchReport, Failure> {
    Err(crate::bluetooth::not_built())
}

fn tell(report: &BenchReport, html: Option<&Path>) {
    let missed = report.rows.iter().filter(|row| row.passed == Some(false)).count();
    let verdict = match missed {
        0 => paint(Paint::Green, "Every bar was reached"),
        n => paint(Paint::Red, &format!("Not reached: {}", count(n, "bar"))),
    };
    println!("\n{verdict}, on {}.", count(report.processors, "processor"));
    if let Some(path) = html {
        println!("The report with pictures is in {}.", path.display());
    }
    if cfg!(debug_assertions) {
        println!("{}", paint(Paint::Amber, "This is a debug build: measure with --release."));
    }
}

/// The command as it was given, for the report; what may be secret is not among its options' values.
fn command_line() -> String {
    let mut words = vec!["keybutton".to_owned()];
    let mut secret = false;
    for word in std::env::args().skip(1) {
        let hide = std::mem::replace(&mut secret, word == "--token");
        words.push(match word.split_once('=') {
            _ if hide => "…".to_owned(),
            Some(("--token", _)) => "--token=…".to_owned(),
            Some(_) | None if word.contains(' ') => format!("\"{word}\""),
            Some(_) | None => word,
        });
    }
    words.join(" ")
}
