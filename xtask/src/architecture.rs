//! Who may depend on whom, and how long a file may be (`docs/ARCHITECTURE.md`).

use std::{fs, path::PathBuf};

use crate::{
    command::{Failure, Outcome, cargo, output, root},
    metadata::{built_from, own_edges},
};

/// What each package of ours may name; packages that are not listed may name anything.
const MAY_NAME: [(&str, &[&str]); 4] = [
    ("keybutton-protocol", &[]),
    ("keybutton-lock", &["keybutton-protocol"]),
    ("keybutton", &["keybutton-protocol"]),
    ("keybutton-service", &["keybutton-protocol"]),
];

/// Packages that nothing which ships may name.
const LEAVES: [&str; 3] = ["keybutton-desktop", "keybutton-tests", "xtask"];

/// Crates that must not be in what a lock is built from.
const NOT_IN_A_LOCK: [&str; 8] = ["ring", "reqwest", "btleplug", "tokio", "uniffi", "serde", "serde_json", "std"];

/// The most lines a file may have without its tests.
const MOST_LINES: usize = 600;

/// Checks the dependency rule and the length of files.
pub fn run() -> Result<Outcome, Failure> {
    let mut broken = Vec::new();
    check_edges(&mut broken)?;
    check_lock_side(&mut broken)?;
    check_files(&mut broken)?;
    for rule in &broken {
        eprintln!("{rule}");
    }
    if broken.is_empty() { Ok(Outcome::Passed) } else { Err(Failure(format!("{} rules broken", broken.len()))) }
}

fn check_edges(broken: &mut Vec<String>) -> Result<(), Failure> {
    for (package, named) in own_edges()? {
        if let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == package) {
            broken.extend(
                named
                    .iter()
                    .filter(|name| !allowed.contains(&name.as_str()))
                    .map(|name| format!("{package} must not depend on {name}")),
            );
        } else if !LEAVES.contains(&package.as_str()) && package != "keybutton-ffi" {
            broken.push(format!("{package} has no place in the dependency rule"));
        }
    }
    Ok(())
}

fn check_lock_side(broken: &mut Vec<String>) -> Result<(), Failure> {
    for package in ["keybutton-protocol", "keybutton-lock"] {
        for found in built_from(package, &[])? {
            if NOT_IN_A_LOCK.contains(&found.as_str()) {
                broken.push(format!("{found} is in what {package} is built from"));
            }
        }
    }
    Ok(())
}

fn check_files(broken: &mut Vec<String>) -> Result<(), Failure> {
    for file in output(std::process::Command::new("git").current_dir(root()).args(["ls-files", "*.rs"]))
        .or_else(|_| walk_instead())?
        .lines()
    {
        let path = PathBuf::from(file);
        if path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs") {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        let lines = lines_without_tests(&text);
        if lines > MOST_LINES {
            broken.push(format!("{file} has {lines} lines without its tests, {MOST_LINES} are allowed"));
        }
    }
    Ok(())
}

/// Source archives come without git: cargo's own list of files has the same names.
fn walk_instead() -> Result<String, Failure> {
    let mut files = String::new();
    for package in MAY_NAME.iter().map(|(name, _)| *name) {
        files.push_str(&output(&mut cargo(["package", "--list", "--allow-dirty", "-p", package]))?);
    }
    Ok(files)
}

fn lines_without_tests(text: &str) -> usize {
    text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count()
}
