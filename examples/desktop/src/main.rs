//! The command line of the desktop harness.

use std::process::ExitCode;

use clap::Parser as _;
use keybutton_desktop::commands::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    end_with_the_reader();
    Cli::parse().run().await
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
