//! Who may depend on whom, and how long a file may be (`docs/ARCHITECTURE.md`).

use std::{fs, path::Path};

use crate::{
    command::{Failure, Outcome, root},
    metadata::{built_from, edges},
};

/// What each package of ours may name; the leaves may name anything.
const MAY_NAME: [(&str, &[&str]); 6] = [
    ("keybutton-protocol", &[]),
    ("keybutton-lock", &["keybutton-protocol"]),
    ("keybutton", &["keybutton-protocol"]),
    ("keybutton-service", &["keybutton-protocol"]),
    ("keybutton-ffi", &["keybutton"]),
    ("keybutton-bindgen", &["keybutton"]),
];

/// Packages that nothing which ships may name.
const LEAVES: [&str; 3] = ["keybutton-desktop", "keybutton-tests", "xtask"];

/// Crates that must not be in what a lock is built from.
const NOT_IN_A_LOCK: [&str; 8] = ["ring", "reqwest", "btleplug", "tokio", "uniffi", "serde", "serde_json", "std"];

/// Packages that may name UniFFI's crates; the core behind its feature.
const MAY_NAME_UNIFFI: [&str; 3] = ["keybutton", "keybutton-ffi", "keybutton-bindgen"];

/// Crates that must not be in what ships to phones.
const NOT_ON_A_PHONE: [&str; 3] = ["btleplug", "dbus", "uniffi_bindgen"];

/// Kinds of source files.
const SOURCES: [&str; 3] = ["rs", "kt", "swift"];

/// Folders with tests, or with what a build has written.
const NOT_LOOKED_INTO: [&str; 8] =
    ["tests", "test", "Tests", "target", "build", "node_modules", "Generated", "KeybuttonCore"];

/// The most lines a file may have without its tests.
const MOST_LINES: usize = 600;

/// Checks the dependency rule and the length of files.
pub fn run() -> Result<Outcome, Failure> {
    let mut broken = Vec::new();
    check_edges(&mut broken)?;
    check_lock_side(&mut broken)?;
    check_uniffi(&mut broken)?;
    check_files(&mut broken)?;
    for rule in &broken {
        eprintln!("{rule}");
    }
    if broken.is_empty() { Ok(Outcome::Passed) } else { Err(Failure(format!("{} rules broken", broken.len()))) }
}

fn check_edges(broken: &mut Vec<String>) -> Result<(), Failure> {
    let edges = edges()?;
    for (package, named) in &edges {
        if let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| name == package) {
            broken.extend(
                named
                    .iter()
                    .filter(|name| edges.contains_key(*name) && !allowed.contains(&name.as_str()))
                    .map(|name| format!("{package} must not depend on {name}")),
            );
        } else if !LEAVES.contains(&package.as_str()) {
            broken.push(format!("{package} has no place in the dependency rule"));
        }
        if !MAY_NAME_UNIFFI.contains(&package.as_str()) {
            broken.extend(
                named
                    .iter()
                    .filter(|name| name.starts_with("uniffi"))
                    .map(|name| format!("{package} must not depend on {name}: only the core's surface is UniFFI's")),
            );
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

/// UniFFI comes with its feature only, and what ships to phones has neither a desktop's radio nor a generator.
fn check_uniffi(broken: &mut Vec<String>) -> Result<(), Failure> {
    for found in built_from("keybutton", &["--no-default-features", "--features", "http,air"])? {
        if found.starts_with("uniffi") {
            broken.push(format!("{found} is in what keybutton is built from without its feature `uniffi`"));
        }
    }
    for found in built_from("keybutton-ffi", &["--all-features"])? {
        if NOT_ON_A_PHONE.contains(&found.as_str()) {
            broken.push(format!("{found} is in what keybutton-ffi is built from"));
        }
    }
    Ok(())
}

fn check_files(broken: &mut Vec<String>) -> Result<(), Failure> {
    let mut seen = 0_u32;
    check_folder(&root(), &mut seen, broken)?;
    if seen == 0 { Err(Failure("no source file was found".into())) } else { Ok(()) }
}

/// Visits the source files below `folder`; tests, hidden folders and what builds have written are left out.
fn check_folder(folder: &Path, seen: &mut u32, broken: &mut Vec<String>) -> Result<(), Failure> {
    if folder.join("CACHEDIR.TAG").exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !NOT_LOOKED_INTO.contains(&&*name) {
                check_folder(&path, seen, broken)?;
            }
        } else if is_source(&path) && name != "tests.rs" {
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

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| SOURCES.iter().any(|source| extension == *source))
}

fn lines_without_tests(text: &str) -> usize {
    text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count()
}
