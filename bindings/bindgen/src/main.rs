//! Writes what is made from the native library and from the core's tables: Kotlin, Swift, the list of all that is
//! exported, the page of all errors.
//!
//! UniFFI's generator is used as a library, not with its own command line: that would hang on the `uniffi` crate of the
//! core, and nothing of ours could be compiled before the generator.

mod errors;
mod surface;

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::{Parser, Subcommand, ValueEnum};
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate};

/// Writes what is made from the native library and the core's tables.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Writes the sources of a language.
    Generate {
        /// The language.
        language: Language,
        /// The native library, not stripped.
        library: Utf8PathBuf,
        /// UniFFI's global config.
        #[arg(long)]
        config: Utf8PathBuf,
        /// The folder to write to.
        #[arg(long)]
        out: Utf8PathBuf,
    },
    /// Prints all that is exported, one a line.
    Surface {
        /// The native library, not stripped.
        library: Utf8PathBuf,
    },
    /// Prints the page of all errors.
    Errors,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    Kotlin,
    Swift,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Generate { language, library, config, out } => generate(GenerateOptions {
            languages: vec![match language {
                Language::Kotlin => TargetLanguage::Kotlin,
                Language::Swift => TargetLanguage::Swift,
            }],
            source: library,
            out_dir: out,
            config_override: Some(config),
            // A formatter would be used where one happens to be installed, and the output would depend on the machine.
            format: false,
            ..GenerateOptions::default()
        })
        .map_err(|error| format!("{error:#}")),
        Task::Surface { library } => surface::of(&library).map(|lines| print!("{lines}")),
        Task::Errors => {
            print!("{}", errors::page());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("failed: {reason}");
            ExitCode::FAILURE
        }
    }
}
