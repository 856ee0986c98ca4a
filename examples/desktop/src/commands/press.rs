//! `keybutton press`: a phone in its own process presses the Key Button.

use std::{
    io::{BufRead as _, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use keybutton::{discovery::Candidate, press::PressOptions, unlock::Phase};

use super::{
    knobs::{KnobArgs, time},
    print_json,
};
use crate::{
    console::{Paint, Progress, count, duration, paint},
    failure::Failure,
    phone::{News, Phone, Pressing},
    press_report::PressReport,
    session::PhoneArgs,
};

/// How long the process stays for the lock's sake after the outcome.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// Which press it is to be.
#[derive(Clone, Debug, Args)]
pub(super) struct WhichPress {
    /// The door, by name or id; without one the nearest door is opened.
    door: Option<String>,
    /// When the press ends at the latest, such as 10s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,
    /// The phone's network is down: use only what is in the vault.
    #[arg(long)]
    offline: bool,
}

impl WhichPress {
    /// Finds the door by its name, and takes the phone's network down if it is to be.
    pub(super) async fn options(&self, phone: &Phone) -> Result<PressOptions, Failure> {
        phone.set_online(!self.offline);
        let door = match &self.door {
            Some(name) => Some(phone.door(name).await?.id),
            None => None,
        };
        let deadline = self.deadline.unwrap_or(PressOptions::DEADLINE);
        Ok(PressOptions { door, deadline, ..PressOptions::default() })
    }
}

/// Options of `keybutton press`.
#[derive(Clone, Debug, Args)]
pub struct PressArgs {
    #[command(flatten)]
    which: WhichPress,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    phone: PhoneArgs,
    #[command(flatten)]
    knobs: KnobArgs,
}

/// Runs the command; the exit code is 0 when the door opened, 1 when not.
pub async fn run(args: PressArgs, state: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let phone = args.phone.start(state, args.knobs.apply(Default::default())).await?;
    let mut pressing = phone.press(args.which.options(&phone).await?)?;
    let report = follow(&phone, &mut pressing, &args).await?;
    if args.json {
        print_json(&report)?;
    } else {
        tell(&report);
    }
    let _progress = Progress::start(true, "the lock hands over what it recorded");
    // A lock or service out of reach costs no more than this; what is left goes with the next press.
    let _ = tokio::time::timeout(SETTLE_PATIENCE, pressing.press().settled().done()).await;
    Ok(if report.outcome == "opened" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn follow(phone: &Phone, pressing: &mut Pressing, args: &PressArgs) -> Result<PressReport, Failure> {
    let progress = Progress::start(true, "pressing");
    let begun = Instant::now();
    loop {
        match pressing.next().await? {
            News::Phase(phase) => {
                let at = format!("+{}", duration(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)));
                let name = phase.name().replace('-', " ");
                progress.say(&name);
                if !args.json {
                    progress.above(|| println!("{}", paint(Paint::Dim, &format!("{at:>10}  {name}"))));
                }
                if let Phase::Choose(candidates) = phase {
                    choose(pressing, &progress, candidates, args.json)?;
                }
            }
            News::Outcome(outcome) => {
                let doors = phone.keys().doors();
                let name = doors.iter().find(|door| Some(&door.id) == outcome.door.as_ref()).map(|d| d.name.clone());
                return Ok(PressReport::new(&outcome, &args.phone.member, name));
            }
        }
    }
}

/// Two doors are too close to call: the person at the terminal chooses, nobody guesses.
pub(super) fn choose(
    pressing: &Pressing,
    progress: &Progress,
    candidates: Vec<Candidate>,
    json: bool,
) -> Result<(), Failure> {
    let names: Vec<&str> = candidates.iter().map(|candidate| candidate.name.as_str()).collect();
    if json || !std::io::stdin().is_terminal() {
        pressing.press().cancel();
        return Err(Failure::new(
            "choose-a-door",
            "more than one door is near",
            format_args!("Name the door: {}.", names.join(", ")),
        ));
    }
    progress.above(|| {
        println!("more than one door is near:");
        for (number, name) in names.iter().enumerate() {
            println!("  {}  {name}", number + 1);
        }
        println!("which one?");
    });
    let mut line = String::new();
    // A terminal that closed is an empty answer.
    let _ = std::io::stdin().lock().read_line(&mut line);
    let chosen = line.trim().parse::<usize>().ok().and_then(|n| candidates.get(n.checked_sub(1)?)?.door.clone());
    match chosen {
        Some(door) => pressing.press().choose(door),
        None => pressing.press().cancel(),
    }
    Ok(())
}

fn tell(report: &PressReport) {
    let colour = match report.outcome {
        "opened" => Paint::Green,
        "refused" => Paint::Red,
        _ => Paint::Amber,
    };
    let door = report.door.as_deref().unwrap_or("no door");
    let reason = report.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    println!("{}  {door}", paint(colour, &format!("* {}{reason}", report.outcome)));
    for line in [report.message, report.remedy].into_iter().flatten() {
        println!("  {line}");
    }
    println!(
        "{}",
        paint(
            Paint::Dim,
            &format!(
                "  {} in all, {}, {} bytes to the lock, {} to the phone{}",
                duration(report.total_us),
                count(report.round_trips as usize, "round trip"),
                report.bytes.to_lock,
                report.bytes.to_phone,
                if report.fast { ", fast phase" } else { "" }
            )
        )
    );
}
