//! The program `keybutton` once more, so that the tests of this package run one that is as new as they are.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    keybutton_desktop::commands::main().await
}
