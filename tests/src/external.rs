//! Where the external test vectors are: `KEYBUTTON_VECTORS`, else `../shared/vectors` beside the workspace.
//!
//! They are not part of the repository. Where they are absent a test says so and passes; with `CI=true` it fails.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Reads a file of the external vectors; `None`, with a line that says so, when they are not there.
///
/// # Panics
///
/// When the vectors are there and the file is not readable, and when they are absent and `CI` is `true`.
pub fn read(path: &str) -> Option<String> {
    let folder = folder();
    if !folder.is_dir() {
        let absent = format!("external vectors not found, skipped: {path}");
        assert!(env::var("CI").as_deref() != Ok("true"), "{absent}");
        eprintln!("{absent}");
        return None;
    }
    let file = folder.join(path);
    Some(fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// Reads a JSON file of the external vectors; see [`read`].
///
/// # Panics
///
/// As [`read`], and when the file is not JSON.
pub fn json(path: &str) -> Option<Value> {
    read(path).map(|text| serde_json::from_str(&text).unwrap())
}

/// The bytes of a hex string of the vectors.
///
/// # Panics
///
/// When `value` is not a string of hex digits.
#[track_caller]
pub fn hex(value: &Value) -> Vec<u8> {
    unhex(value.as_str().unwrap_or_else(|| panic!("not a string: {value}")))
}

/// The bytes of hex digits.
///
/// # Panics
///
/// When `text` is not hex digits in pairs.
#[track_caller]
pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2) && text.is_ascii(), "not hex: {text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    env::var_os("KEYBUTTON_VECTORS").map_or_else(beside, PathBuf::from)
}
