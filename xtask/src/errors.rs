//! `cargo xtask errors`: the page of all errors, made from the core's table.

use std::process::Command;

use crate::{
    bindings,
    command::{Failure, Outcome, output},
    pinned,
};

/// Writes `docs/ERRORS.md`; with `check`, compares it instead.
pub fn run(check: bool) -> Result<Outcome, Failure> {
    bindings::build()?;
    let page = output(Command::new(bindings::generator()).arg("errors"))?;
    pinned::put("docs/ERRORS.md", &page, check, "cargo xtask errors")
}
