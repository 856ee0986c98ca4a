//! Who may depend on whom, and how long a file may be (`docs/ARCHITECTURE.md`).

use std::{fs, path::Path};

use crate::{
    command::{Failure, Outcome, root},
    metadata::{built_from, own_edges},
};

/// What each package of ours may name; the leaves may name anything.
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
        } else if !LEAVES.contains(&package.as_str()) {
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
    let mut seen = 0_u32;
    check_folder(&root(), &mut seen, broken)?;
    if seen == 0 { Err(Failure("no source file was found".into())) } else { Ok(()) }
}

/// Visits the source files below `folder`; tests, hidden folders and cargo's target folders are left out.
fn check_folder(folder: &Path, seen: &mut u32, broken: &mut Vec<String>) -> Result<(), Failure> {
    if folder.join("CACHEDIR.TAG").exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && name != "tests" {
                check_folder(&path, seen, broken)?;
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            *seen += 1;
            let lines = lines_without_tests(&fs::read_to_string(&path)?);
            if lines > MOST_LINES {
                let root = root();
                let shown = path.strip_prefix(&root).unwrap_or(&path);
                broken
                    .push(format!("{} has {lines} lines without its tests, {MOST_LINES} are allowed", shown.display()));
            }
        }
    }
    Ok(())
}

fn lines_without_tests(text: &str) -> usize {
    text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count()
}
