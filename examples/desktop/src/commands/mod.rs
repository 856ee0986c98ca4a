//! The commands of `keybutton`, one module each.

mod air;
mod apdu;
mod bench;
mod claim_code;
mod demo;
mod doctor;
mod door_hardware;
mod knobs;
mod lock;
mod nearby;
#[cfg(test)]
mod packaging;
mod press;
mod serve;
mod sniff;
mod stage;

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgAction, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::{
    console::{Paint, paint},
    failure::Failure,
};

pub(crate) use knobs::place;

/// The exit code of a command that was told to stop, as a shell has it.
const INTERRUPTED: u8 = 130;

/// The keybutton demo and its parts: access service, virtual locks, simulated radio, phone.
#[derive(Clone, Debug, Parser)]
#[command(name = "keybutton", version, about, max_term_width = 110)]
pub struct Cli {
    /// Where service, locks and phones keep what they know [default: the platform's data directory]
    #[arg(long, value_name = "DIR", env = "KEYBUTTON_STATE", global = true)]
    state: Option<PathBuf>,
    /// Log to standard error; more often for more (-vv, -vvv). KEYBUTTON_LOG sets a filter instead.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Tell the whole story in one process (the default)
    Demo(demo::DemoArgs),
    /// Run the access service and the air, with a sample organization
    Serve(serve::ServeArgs),
    /// Run the simulated radio alone, or turn its knobs
    Air(air::AirArgs),
    /// Run a virtual lock, or a reader of NFC taps over a byte pipe
    Lock(Box<lock::LockArgs>),
    /// Print a code with which a lock on another machine claims itself for a door
    ClaimCode(claim_code::ClaimCodeArgs),
    /// Be the phone of NFC taps over a byte pipe
    Tap(apdu::TapArgs),
    /// Press the Key Button
    Press(press::PressArgs),
    /// Press, and explain what phone and lock say to each other; or explain a Bluetooth record
    Sniff(sniff::SniffArgs),
    /// List the doors in range
    Nearby(nearby::NearbyArgs),
    /// Find what stands between a member and an open door
    Doctor(doctor::DoctorArgs),
    /// A service, an air and locks in one process for testing an app; one JSON object a line on stdin and stdout
    Stage(stage::StageArgs),
    /// Measure, and compare with the bars
    Bench(bench::BenchArgs),
}

/// The whole program: reads the command line, runs the command.
pub async fn main() -> ExitCode {
    end_with_the_reader();
    Cli::parse().run().await
}

impl Cli {
    /// Runs the command. Failures are printed with code and remedy.
    pub async fn run(self) -> ExitCode {
        log_to_stderr(self.verbose);
        let state = self.state;
        let result = match self.command.unwrap_or(Command::Demo(demo::DemoArgs::default())) {
            Command::Demo(args) => or_stopped(demo::run(args)).await,
            Command::Serve(args) => serve::run(args, state).await.map(|()| ExitCode::SUCCESS),
            Command::Air(args) => air::run(args, state).await.map(|()| ExitCode::SUCCESS),
            Command::Lock(args) => lock::run(*args, state).await.map(|()| ExitCode::SUCCESS),
            Command::ClaimCode(args) => claim_code::run(args, state).await.map(|()| ExitCode::SUCCESS),
            Command::Tap(args) => apdu::tap(args).await.map(|()| ExitCode::SUCCESS),
            Command::Press(args) => press::run(args, state).await,
            Command::Sniff(args) => sniff::run(args, state).await,
            Command::Nearby(args) => nearby::run(args, state).await.map(|()| ExitCode::SUCCESS),
            Command::Doctor(args) => doctor::run(args, state).await,
            Command::Stage(args) => {
                or_stopped(async { stage::run(args, state).await.map(|()| ExitCode::SUCCESS) }).await
            }
            Command::Bench(args) => or_stopped(bench::run(args, state)).await,
        };
        result.unwrap_or_else(|failure| {
            eprintln!("{} {failure}", paint(Paint::Red, "error:"));
            eprintln!("  {}", failure.remedy);
            ExitCode::from(2)
        })
    }
}

/// Ends without a word when whoever reads our output has seen enough, as in `keybutton demo | head`.
fn end_with_the_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to stdout") {
            std::process::exit(141);
        }
        report(panic);
    }));
}

/// Runs to the end or to Ctrl-C, which lets temporary directories be removed.
async fn or_stopped(run: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    tokio::select! {
        result = run => result,
        stop = stopped() => stop.map(|()| ExitCode::from(INTERRUPTED)),
    }
}

/// Waits for Ctrl-C, or for being told to stop.
async fn stopped() -> Result<(), Failure> {
    let failed = |error| {
        Failure::new("no-signals", format_args!("signals can't be waited for: {error}"), "Start the command again.")
    };
    #[cfg(unix)]
    {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.map_err(failed),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(failed)
}

/// Prints exactly one JSON document.
fn print_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    println!("{}", json(serde_json::to_string_pretty(document))?);
    Ok(())
}

/// Prints one document of several, on a line of its own.
fn print_json_line(document: &impl serde::Serialize) -> Result<(), Failure> {
    println!("{}", json(serde_json::to_string(document))?);
    Ok(())
}

fn json(text: serde_json::Result<String>) -> Result<String, Failure> {
    text.map_err(|error| Failure::new("json-failed", error, "Report this as a defect."))
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "off",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let ours = ["keybutton", "keybutton_desktop", "keybutton_service"].map(|target| format!("{target}={level}"));
    let filter = EnvFilter::try_from_env("KEYBUTTON_LOG").unwrap_or_else(|_| EnvFilter::new(ours.join(",")));
    // A second subscriber in one process is a test's; the first one stays.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
