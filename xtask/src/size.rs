//! `cargo xtask size`: how big the native library is for one kind of processor, and which crate takes how much.
//!
//! Built as what ships: profile `mobile`, the linker's flags of `.cargo/config.toml`, and the standard library compiled for
//! size with it, which cargo calls build-std.

mod breakdown;

use std::fs;

use clap::{Args, ValueEnum};

use crate::{
    command::{Failure, Outcome},
    debian::Tools,
    mobile::{Compiler, OWN_HTTP, Target, exports},
};

/// What is measured: which features, in words, and the most bytes it may have.
const VARIANTS: [(&str, &str, u64); 2] =
    [(OWN_HTTP, "with its own HTTP and TLS", 2_300_000), ("", "with the host's own HTTP", 1_100_000)];

/// How many crates the breakdown names.
const NAMED: usize = 24;

/// What `cargo xtask size` builds.
#[derive(Args)]
pub struct Options {
    /// Builds for one platform only.
    #[arg(long)]
    only: Option<Platform>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Platform {
    /// 64-bit ARM, Android.
    Android,
    /// 64-bit x86, Linux.
    Linux,
}

/// Builds, strips and measures; a library above its bar is a failure, and so are two with different surfaces: what was
/// generated from one has to load the other.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let compiler = match Tools::rust_and_clang() {
        Ok(tools) => Compiler::new(tools, true)?,
        Err(reason) => return Ok(Outcome::Skipped(format!("no compiler with the source of `std`: {reason}"))),
    };
    let mut over = Vec::new();
    for (platform, target) in [(Platform::Android, Target::ANDROID), (Platform::Linux, Target::LINUX)] {
        if options.only.is_some_and(|only| only != platform) {
            continue;
        }
        let mut surface = None;
        for (features, words, bar) in VARIANTS {
            let library = compiler.build(&target, features)?.library;
            let exported = exports(&fs::read(&library)?)?;
            if let Some(other) = surface.replace(exported.clone()).filter(|other| *other != exported) {
                let differing: Vec<_> = other.symmetric_difference(&exported).map(String::as_str).collect();
                return Err(Failure(format!(
                    "{target}, {words}: exported there or here only: {}",
                    differing.join(", ")
                )));
            }
            let bytes = fs::metadata(compiler.strip(&library)?)?.len();
            let verdict = if bytes <= bar { "within" } else { "OVER" };
            println!("\n{target}, {words}: {bytes} bytes, {verdict} the bar of {bar}");
            println!("{}", breakdown::of(&fs::read(&library)?, NAMED)?);
            if bytes > bar {
                over.push(format!("{target} {words}"));
            }
        }
    }
    if over.is_empty() { Ok(Outcome::Passed) } else { Err(Failure(format!("too big: {}", over.join("; ")))) }
}
