//! Running other programs, and what a task comes to.

use std::{
    ffi::OsStr,
    fmt,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
};

/// What a task comes to when nothing is wrong.
pub enum Outcome {
    /// Everything ran and passed.
    Passed,
    /// It ran tests of its own, and how they ended.
    Counted {
        /// How many passed.
        passed: u64,
        /// How many failed.
        failed: u64,
    },
    /// It could not run on this machine, and why.
    Skipped(String),
}

/// What went wrong, in words.
#[derive(Debug)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Tells whether this is the gate, where nothing may be skipped.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// The workspace's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The folder for everything that is built, downloaded or generated.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// The cargo that runs this task, in the workspace's root.
pub fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// The features with which the whole workspace is built, checked and tested: with one set nothing is built twice.
///
/// Phones and locks over real Bluetooth are among them where both can be built.
pub fn workspace_features() -> &'static [&'static str] {
    if cfg!(target_os = "linux") { &["--features", "keybutton-tests/bluetooth"] } else { &[] }
}

/// Runs `command` to its end; an exit status other than 0 is a failure.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.status().map_err(|error| Failure(format!("cannot run `{shown}`: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure(format!("`{shown}` ended with {status}"))) }
}

/// Runs `command` to its end and returns what it printed.
pub fn output(command: &mut Command) -> Result<String, Failure> {
    let shown = show(command);
    let output = command.output().map_err(|error| Failure(format!("cannot run `{shown}`: {error}")))?;
    if !output.status.success() {
        return Err(Failure(format!(
            "`{shown}` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command`, whose standard output has to be piped, shows each line to `each` and tells whether it succeeded.
pub fn read_lines(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool, Failure> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let mut child = command.spawn().map_err(|error| Failure(format!("cannot run `{shown}`: {error}")))?;
    if let Some(printed) = child.stdout.take() {
        for line in BufReader::new(printed).lines() {
            each(&line?);
        }
    }
    Ok(child.wait()?.success())
}

fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
