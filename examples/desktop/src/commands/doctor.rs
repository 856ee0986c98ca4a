//! `keybutton doctor`: what stands between a member and an open door.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;

use super::print_json;
use crate::{
    console::{Paint, Progress, paint},
    doctor::{self, Result as Outcome, Row},
    failure::Failure,
    phone::Phone,
    session::PhoneArgs,
    state::StateDir,
};

/// How long the locks in range are listened to: two of their advertisements, also of those on batteries.
const LISTEN: Duration = Duration::from_secs(5);

/// Options of `keybutton doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Print the support file instead.
    #[arg(long, conflicts_with = "json")]
    support_file: bool,
    #[command(flatten)]
    phone: PhoneArgs,
}

/// Runs the command; fails when a check does.
pub async fn run(args: DoctorArgs, state: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let progress = Progress::start(true, "examining");
    if args.support_file {
        let phone = args.phone.start(state, Default::default()).await?;
        drop(progress);
        println!("{}", phone.keys().support_report());
        return Ok(ExitCode::SUCCESS);
    }
    let rows = if args.phone.radio.bluetooth {
        by_bluetooth(&args.phone, &StateDir::open(state)?, &progress).await
    } else {
        let phone = args.phone.start(state, Default::default()).await?;
        examine(&phone).await?
    };
    drop(progress);
    if args.json {
        print_json(&rows)?;
    } else {
        rows.iter().for_each(tell);
    }
    let failed = rows.iter().any(|row| row.result == Outcome::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(phone: &Phone) -> Result<Vec<Row>, Failure> {
    Ok(phone.keys().doctor()?.done().await?.iter().map(Row::from).collect())
}

/// First the computer, then the service, then the phone on both: each is looked at also where another one fails.
async fn by_bluetooth(args: &PhoneArgs, state: &StateDir, progress: &Progress) -> Vec<Row> {
    let (mut rows, radio) = doctor::bluetooth(args.radio.adapter.as_deref()).await;
    match args.at_where.find_service(state) {
        Ok(service) => rows.extend(doctor::service(&service).await),
        Err(failure) => {
            rows.push(Row::failed("service-version", failure));
            rows.push(Row::skipped("phone", "a phone needs to know its service"));
            return rows;
        }
    }
    let Some(radio) = radio else {
        rows.push(Row::skipped("phone", "a phone needs Bluetooth"));
        return rows;
    };
    match args.start_on(radio, state).await {
        Ok(phone) => {
            match examine(&phone).await {
                Ok(checks) => rows.extend(checks),
                Err(failure) => rows.push(Row::failed("phone", failure)),
            }
            progress.say("listening to the locks in range");
            rows.push(doctor::lock_clocks(phone.keys(), LISTEN).await);
        }
        Err(failure) => rows.push(Row::failed("phone", failure)),
    }
    rows
}

fn tell(row: &Row) {
    let (colour, word) = match row.result {
        Outcome::Passed => (Paint::Green, "passed"),
        Outcome::Failed => (Paint::Red, "failed"),
        Outcome::Warning => (Paint::Amber, "warning"),
        Outcome::Skipped => (Paint::Dim, "skipped"),
    };
    println!("{} {}", paint(colour, &format!("{word:<10}")), row.check);
    match (&row.message, &row.code) {
        (Some(message), Some(code)) => println!("           {message} ({code})"),
        (Some(message), None) => println!("           {message}"),
        (None, _) => {}
    }
    if let Some(remedy) = &row.remedy {
        println!("           {remedy}");
    }
}
