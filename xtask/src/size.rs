//! `cargo xtask size`: how big the native library is for one kind of processor, and which crate takes how much.

mod breakdown;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::{Args, ValueEnum};

use crate::{
    command::{Failure, Outcome, cargo, output, run as run_command, target_folder},
    debian::Tools,
    mobile::{Compiler, OWN_HTTP, PACKAGE, Target},
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
    /// This machine.
    Host,
    /// Android on arm64.
    Android,
}

/// Builds, strips and measures; a library above its bar is a failure.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let mut over = Vec::new();
    for platform in [Platform::Host, Platform::Android] {
        if options.only.is_some_and(|only| only != platform) {
            continue;
        }
        let builder = match platform {
            Platform::Host => Builder::Host,
            Platform::Android => match Tools::rust_and_clang() {
                Ok(tools) => Builder::Android(Compiler::new(tools, true)?),
                Err(reason) => return Ok(Outcome::Skipped(format!("no compiler for Android: {reason}"))),
            },
        };
        for (features, words, bar) in VARIANTS {
            let library = builder.build(features)?;
            let bytes = fs::metadata(builder.strip(&library)?)?.len();
            let verdict = if bytes <= bar { "within" } else { "OVER" };
            println!("\n{}, {words}: {bytes} bytes, {verdict} the bar of {bar}", builder.name());
            println!("{}", breakdown::of(&fs::read(&library)?, NAMED)?);
            if bytes > bar {
                over.push(format!("{} {words}", builder.name()));
            }
        }
    }
    if over.is_empty() { Ok(Outcome::Passed) } else { Err(Failure(format!("too big: {}", over.join("; ")))) }
}

enum Builder {
    Host,
    Android(Compiler),
}

impl Builder {
    fn name(&self) -> String {
        match self {
            Self::Host => format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            Self::Android(_) => "arm64 Android".into(),
        }
    }

    /// Builds in the profile that ships, with its symbols, which tell whose code it is.
    fn build(&self, features: &str) -> Result<PathBuf, Failure> {
        match self {
            Self::Android(compiler) => Ok(compiler.build(&Target::ANDROID, features)?.library),
            Self::Host => {
                let arguments = ["rustc", "--locked", "-p", PACKAGE, "--lib", "--profile", "mobile"];
                let mut command = cargo(arguments);
                command
                    .args(["--crate-type", "cdylib", "--no-default-features", "--features", features])
                    .env("CARGO_PROFILE_MOBILE_STRIP", "none");
                run_command(&mut command)?;
                Ok(target_folder().join("mobile/libkeybutton_ffi.so"))
            }
        }
    }

    fn strip(&self, library: &Path) -> Result<PathBuf, Failure> {
        match self {
            Self::Android(compiler) => compiler.strip(library),
            Self::Host => {
                let stripped = library.with_extension("stripped.so");
                output(Command::new("strip").arg("--strip-all").arg("-o").arg(&stripped).arg(library))?;
                Ok(stripped)
            }
        }
    }
}
