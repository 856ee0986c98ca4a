//! The command line of the desktop harness.

use std::process::ExitCode;

use clap::Parser as _;
use keybutton_desktop::commands::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
