//! The native library for this machine, and what UniFFI generates from it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::command::{Failure, cargo, root, run, target_folder, workspace_features};

/// The exporting package's library, as the linker names it.
const LIBRARY: &str = "keybutton_ffi";

/// A language that UniFFI writes.
#[derive(Clone, Copy)]
pub enum Language {
    /// One `.kt` file under its package's folders.
    Kotlin,
    /// One `.swift` file, the C header and a module map.
    Swift,
}

impl Language {
    /// How bindgen spells it.
    fn name(self) -> &'static str {
        match self {
            Self::Kotlin => "kotlin",
            Self::Swift => "swift",
        }
    }
}

/// Builds every library and program of the workspace, as the tests use them.
///
/// One command for all tiers: what one has built, the next finds, and features are the same throughout.
pub fn build() -> Result<(), Failure> {
    run(cargo(["build", "--locked", "--workspace", "--lib", "--bins"]).args(workspace_features()))
}

/// The folder with the native library and the programs that [`build`] leaves.
pub fn built() -> PathBuf {
    target_folder().join("debug")
}

/// The native library that [`build`] leaves; not stripped, which bindgen needs.
pub fn library() -> PathBuf {
    built().join(format!("{}{LIBRARY}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

/// Writes the bindings of `language` into the folder `out`, which is emptied first.
///
/// The library has to be built.
pub fn generate(language: Language, out: &Path) -> Result<(), Failure> {
    let library = library();
    if !library.exists() {
        return Err(Failure(format!("{} is missing: it has to be built first", library.display())));
    }
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    run(Command::new(generator())
        .current_dir(root())
        .args(["generate", language.name(), "--config", "uniffi.toml", "--out"])
        .arg(out)
        .arg(library))
}

/// The program that writes what is made from the library and from the core's tables.
pub fn generator() -> PathBuf {
    built().join(format!("keybutton-bindgen{}", std::env::consts::EXE_SUFFIX))
}
