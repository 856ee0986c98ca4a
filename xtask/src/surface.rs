//! `cargo xtask surface`: the list of all that the native library exports, in git to be reviewed.

use std::process::Command;

use crate::{
    bindings,
    command::{Failure, Outcome, output},
    pinned,
};

/// Writes `bindings/surface.txt`; with `check`, compares it instead.
pub fn run(check: bool) -> Result<Outcome, Failure> {
    bindings::build()?;
    let surface = output(Command::new(bindings::generator()).arg("surface").arg(bindings::library()))?;
    pinned::put("bindings/surface.txt", &surface, check, "cargo xtask surface")
}
