//! The table of errors as other languages read it: `tests/vectors/errors.json` is what the core's table says.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{env, fs, path::Path};

use keybutton::error::TABLE;
use serde::Serialize;

/// Set by `cargo xtask vectors`: the file is written instead of compared.
const WRITE: &str = "KEYBUTTON_WRITE_VECTORS";

#[derive(Serialize)]
struct Table {
    version: u32,
    errors: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    side: &'static str,
    retry: &'static str,
    message: &'static str,
    remedy: &'static str,
}

#[test]
fn the_table_of_errors_is_what_other_languages_read() {
    let errors = TABLE.iter().map(|entry| Row {
        name: entry.name,
        side: entry.side.as_str(),
        retry: entry.retry.as_str(),
        message: entry.message,
        remedy: entry.remedy,
    });
    let table = Table { version: 1, errors: errors.collect() };
    let text = serde_json::to_string_pretty(&table).unwrap() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/errors.json");
    if env::var_os(WRITE).is_some() {
        fs::write(&file, text).unwrap();
        return;
    }
    let there = fs::read_to_string(&file).unwrap();
    let first = there.lines().zip(text.lines()).find(|(there, table)| there != table);
    assert!(there == text, "`cargo xtask vectors` writes the file anew; the first difference is {first:?}");
}
