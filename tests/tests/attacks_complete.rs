//! Every must-fail case of `docs/PROTOCOL.md` section 24 has a test of its name.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path};

/// How many names the section has: 67 rows, of which some have more than one.
const NAMES: usize = 71;

#[test]
fn every_case_has_a_test() {
    let tests = tests();
    let cases = cases();
    let names: BTreeSet<&str> = cases.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((cases.len(), names.len()), (NAMES, NAMES), "rows are missing, or there twice");
    let missing: Vec<&str> = cases
        .iter()
        .filter(|(name, inputs)| {
            let name = name.to_lowercase();
            // A row that names a family (such as L_FRAG) has a test for each of its inputs.
            let family = tests.iter().filter(|test| test.starts_with(&format!("{name}_"))).count();
            !tests.contains(&name) && family < *inputs
        })
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}

/// The names of the section's table, each with the number of inputs in its row.
fn cases() -> Vec<(String, usize)> {
    let page = fs::read_to_string(folder().join("../docs/PROTOCOL.md")).unwrap();
    let section = page.split("\n## 24. Must-fail cases").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")).filter(|row| !row.starts_with("name "));
    rows.flat_map(|row| {
        let (names, rest) = row.split_once(" | ").unwrap();
        let inputs = rest.split(" | ").next().unwrap().split(", ").count();
        names.split(", ").map(|name| (name.trim().to_owned(), inputs)).collect::<Vec<_>>()
    })
    .collect()
}

/// The names of the test functions of the attack tests.
fn tests() -> BTreeSet<String> {
    let files = fs::read_dir(folder().join("tests")).unwrap().map(|entry| entry.unwrap().path());
    let attacks =
        files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("attacks_")));
    attacks.flat_map(|path| functions(&fs::read_to_string(path).unwrap())).collect()
}

fn functions(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[test]" {
            let function = lines.next().and_then(|line| line.strip_prefix("fn ")).and_then(|line| line.split_once('('));
            found.extend(function.map(|(name, _)| name.to_owned()));
        }
    }
    found
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
