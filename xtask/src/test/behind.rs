//! Steps that run one after another behind the others, each a process of its own with its output in a file.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::Receiver,
    time::Instant,
};

use crate::command::{Failure, Outcome, root, target_folder};

/// A task of ours, as a process.
pub struct Step {
    name: &'static str,
    arguments: Vec<&'static str>,
    needs_build: bool,
    counts: bool,
}

impl Step {
    /// The task that `cargo xtask ARGUMENTS` runs.
    pub fn new(name: &'static str, arguments: &[&'static str]) -> Self {
        Self { name, arguments: arguments.to_vec(), needs_build: false, counts: true }
    }

    /// Waits for the build in front.
    pub fn after_build(self) -> Self {
        Self { needs_build: true, ..self }
    }

    /// Only prepares a later step, which says what is wrong.
    pub fn uncounted(self) -> Self {
        Self { counts: false, ..self }
    }
}

/// Runs the steps and returns how those that count ended.
///
/// `is_built` tells once whether the build in front came to a good end.
pub fn run(steps: &[Step], is_built: &Receiver<bool>) -> Vec<(&'static str, Result<Outcome, Failure>)> {
    let mut built = None;
    let mut ended = Vec::new();
    for step in steps {
        if step.needs_build && !*built.get_or_insert_with(|| is_built.recv().unwrap_or(false)) {
            ended.push((step.name, Err(Failure("there is no build to test".into()))));
            continue;
        }
        let outcome = run_step(step);
        if step.counts {
            ended.push((step.name, outcome));
        }
    }
    ended
}

fn run_step(step: &Step) -> Result<Outcome, Failure> {
    let folder = target_folder().join("logs");
    fs::create_dir_all(&folder)?;
    let log = folder.join(step.name.replace(' ', "-")).with_extension("log");
    let file = File::create(&log)?;
    let start = Instant::now();
    let status = Command::new("nice")
        .args(["-n", "5"])
        .arg(own_program()?)
        .args(&step.arguments)
        .current_dir(root())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()?;
    let printed = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    // One call, so that lines of the lane in front don't come between.
    println!("== {} ({} s)\n{}", step.name, start.elapsed().as_secs(), printed.trim_end());
    read_end(&printed, status.success()).map_err(|reason| Failure(format!("{reason}; see {}", shown(&log))))
}

/// This program as it was started: cargo may be about to replace its file by a newer one.
fn own_program() -> Result<PathBuf, Failure> {
    let running = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    if running.exists() { Ok(running) } else { Ok(std::env::current_exe()?) }
}

/// Reads how a task ended from its last line, as `main` writes it.
fn read_end(printed: &str, success: bool) -> Result<Outcome, String> {
    let last = printed.trim_end().lines().last().unwrap_or_default();
    if let Some((passed, failed)) = read_counts(last) {
        return Ok(Outcome::Counted { passed, failed });
    }
    match (success, last.strip_prefix("skipped: "), last.strip_prefix("failed: ")) {
        (true, Some(reason), _) => Ok(Outcome::Skipped(reason.to_owned())),
        (true, None, _) => Ok(Outcome::Passed),
        (false, _, Some(reason)) => Err(reason.to_owned()),
        (false, _, None) => Err("it ended early".into()),
    }
}

/// Reads `3 passed, 0 failed`.
fn read_counts(line: &str) -> Option<(u64, u64)> {
    let (passed, rest) = line.split_once(" passed, ")?;
    Some((passed.parse().ok()?, rest.strip_suffix(" failed")?.parse().ok()?))
}

fn shown(path: &Path) -> String {
    let root = root();
    path.strip_prefix(&root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::read_end;
    use crate::command::Outcome;

    #[test]
    fn the_last_line_tells_how_a_task_ended() {
        assert!(matches!(read_end("a\n12 passed, 3 failed\n", false), Ok(Outcome::Counted { passed: 12, failed: 3 })));
        assert!(matches!(read_end("skipped: no compiler\n", true), Ok(Outcome::Skipped(_))));
        assert!(matches!(read_end("done\n", true), Ok(Outcome::Passed)));
        assert_eq!(read_end("a\nfailed: no room\n", false).err().as_deref(), Some("no room"));
        assert!(read_end("", false).is_err());
    }
}
