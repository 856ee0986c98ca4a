//! The command line of the desktop harness.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    keybutton_desktop::commands::main().await
}
