//! Builds protocol and lock for a microcontroller where nothing but `core` exists.
//!
//! A crate that allocates, or needs an operating system, cannot link there: that is the proof that neither does.
//! The target's `core` is built from source, with the compiler that Debian has it for.

use std::process::Command;

use crate::{
    command::{Failure, Outcome, root, run as run_command, target_folder},
    debian::Tools,
};

/// A Cortex-M4F, the class of controller that door locks carry.
const TARGET: &str = "thumbv7em-none-eabihf";

/// Builds both crates with only `core` available.
pub fn run() -> Result<Outcome, Failure> {
    let tools = match Tools::rust() {
        Ok(tools) => tools,
        Err(reason) => return Ok(Outcome::Skipped(format!("no compiler with the source of `core`: {reason}"))),
    };
    for (package, features) in
        [("keybutton-protocol", "rustcrypto"), ("keybutton-protocol", "rustcrypto,envelope"), ("keybutton-lock", "")]
    {
        run_command(
            Command::new(tools.program("cargo"))
                .current_dir(root())
                .args(["build", "--release", "--locked", "-Zbuild-std=core", "--target", TARGET])
                .args(["-p", package, "--no-default-features", "--features", features])
                .env("CARGO_TARGET_DIR", target_folder().join("bare-metal"))
                .env("RUSTC", tools.program("rustc"))
                .env("RUSTC_BOOTSTRAP", "1")
                .env_remove("RUSTFLAGS")
                .env_remove("RUSTUP_TOOLCHAIN"),
        )?;
    }
    Ok(Outcome::Passed)
}
