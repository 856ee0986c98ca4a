//! `cargo xtask vectors`: writes `tests/vectors/` and the worked numbers of `docs/PROTOCOL.md`, or compares them.

mod pinned;

use std::{fs, path::Path};

use crate::command::{Failure, Outcome, cargo, run as run_command};

/// The test that knows the core's table of errors; with this in its environment it writes it.
const ERRORS: [&str; 6] = ["test", "--locked", "-p", "keybutton-tests", "--test", "vectors_errors"];
const WRITE: &str = "KEYBUTTON_WRITE_VECTORS";

/// Writes the vectors; with `check`, compares them with what is there instead.
///
/// `root` is the workspace's root. Fails with the name of the first file that differs.
pub fn run(root: &Path, check: bool) -> Result<Outcome, Failure> {
    let folder = root.join("tests/vectors");
    for (name, numbers) in pinned::files() {
        let text = serde_json::to_string_pretty(&numbers)? + "\n";
        put(&folder.join(name).with_extension("json"), &text, check)?;
    }
    let page = root.join("docs/PROTOCOL.md");
    let text = fs::read_to_string(&page).map_err(|error| named(&page, &error))?;
    put(&page, &pinned::fill(&text).map_err(Failure)?, check)?;
    let mut errors = cargo(ERRORS);
    if !check {
        errors.env(WRITE, "1");
    }
    run_command(&mut errors)?;
    Ok(Outcome::Passed)
}

fn put(file: &Path, text: &str, check: bool) -> Result<(), Failure> {
    if check {
        let there = fs::read_to_string(file).map_err(|error| named(file, &error))?;
        return if there == text {
            Ok(())
        } else {
            Err(Failure(format!("{} is not what `cargo xtask vectors` writes", file.display())))
        };
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
    }
    fs::write(file, text).map_err(|error| named(file, &error))
}

fn named(file: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("{}: {error}", file.display()))
}
