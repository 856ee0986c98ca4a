//! `keybutton demo`: the whole story in one process.

use std::process::ExitCode;

use clap::Args;

use super::print_json;
use crate::{
    demo::{self, DemoOptions, Quiet, Story},
    failure::Failure,
};

/// Options of `keybutton demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct DemoArgs {
    /// Print one JSON document instead of the story.
    #[arg(long)]
    json: bool,
    /// Where the simulated randomness of the air starts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs the command; fails when the story does not come out as told.
pub async fn run(args: DemoArgs) -> Result<ExitCode, Failure> {
    let options = DemoOptions { seed: args.seed };
    let report = if args.json {
        let report = demo::run(options, &mut Quiet::new(true)).await?;
        print_json(&report)?;
        report
    } else {
        demo::run(options, &mut Story::begin()).await?
    };
    Ok(if report.as_told { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
