//! `keybutton doctor`: what stands between a member and an open door.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use keybutton::doctor::CheckResult;
use serde::Serialize;

use super::print_json;
use crate::{
    console::{Paint, Progress, paint},
    failure::Failure,
    session::PhoneArgs,
};

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

#[derive(Serialize)]
struct Row {
    check: &'static str,
    result: &'static str,
    code: Option<&'static str>,
    message: Option<&'static str>,
    remedy: Option<&'static str>,
}

/// Runs the command; fails when a check does.
pub async fn run(args: DoctorArgs, state: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let progress = Progress::start(true, "examining");
    let phone = args.phone.start(state, Default::default()).await?;
    if args.support_file {
        drop(progress);
        println!("{}", phone.keys().support_report());
        return Ok(ExitCode::SUCCESS);
    }
    let checks = phone.keys().doctor()?.done().await?;
    drop(progress);
    let rows: Vec<Row> = checks
        .iter()
        .map(|check| {
            let (result, code) = match check.result {
                CheckResult::Passed => ("passed", None),
                CheckResult::Warning(code) => ("warning", Some(code)),
                CheckResult::Failed(code) => ("failed", Some(code)),
                CheckResult::Skipped => ("skipped", None),
            };
            let entry = code.map(|code| code.entry());
            Row {
                check: check.name.as_str(),
                result,
                code: entry.map(|entry| entry.name),
                message: entry.map(|entry| entry.message),
                remedy: check.remedy(),
            }
        })
        .collect();
    if args.json {
        print_json(&rows)?;
    } else {
        rows.iter().for_each(tell);
    }
    let failed = rows.iter().any(|row| row.result == "failed");
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn tell(row: &Row) {
    let colour = match row.result {
        "passed" => Paint::Green,
        "failed" => Paint::Red,
        "warning" => Paint::Amber,
        _ => Paint::Dim,
    };
    println!("{} {}", paint(colour, &format!("{:<10}", row.result)), row.check);
    if let (Some(message), Some(code)) = (row.message, row.code) {
        println!("           {message} ({code})");
    }
    if let Some(remedy) = row.remedy {
        println!("           {remedy}");
    }
}
