//! Compilers that this machine lacks, unpacked from Debian's packages below the target folder.
//!
//! rustup brings other targets, and the source of `core` and `std`, only with a network connection to its own servers.
//! Debian's security suite keeps `rustc-web`, `cargo-web` and `rust-web-src` current for its browsers, with the LLVM
//! they are built on. Nothing is installed: the packages are unpacked into one private folder, and wrapper scripts let
//! these programs alone see the private libraries. Each package is downloaded once, whichever task comes first.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::command::{Failure, output, run, target_folder};

/// Programs of Debian's, ready to run.
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// `cargo`, `rustc` and `rustdoc` with the source of the standard library.
    pub fn rust() -> Result<Self, Failure> {
        let tools = Self { folder: target_folder().join("debian") };
        tools.provide("rust", |tools| {
            let Packages { std, llvm } = packages()?;
            tools.unpack(&["rustc-web", "cargo-web", "rust-web-src", "libstd-rust-web-dev", &std, &llvm])?;
            for program in ["cargo", "rustc", "rustdoc"] {
                tools.wrap(program, "usr/bin")?;
            }
            output(Command::new(tools.program("rustc")).arg("--version")).map(drop)
        })?;
        Ok(tools)
    }

    /// What [`Tools::rust`] has, and `clang`, `ld.lld`, `ld64.lld`, `llvm-ar`, `llvm-strip` of the same LLVM.
    pub fn rust_and_clang() -> Result<Self, Failure> {
        let tools = Self::rust()?;
        tools.provide("clang", |tools| {
            let Packages { llvm, .. } = packages()?;
            let version = llvm.trim_start_matches("libllvm");
            let names = ["clang-V", "libclang-cppV", "libclang-common-V-dev", "lld-V", "llvm-V", "llvm-V-runtime"]
                .map(|name| name.replace('V', version));
            tools.unpack(&names.each_ref().map(String::as_str))?;
            for program in ["clang", "ld.lld", "ld64.lld", "llvm-ar", "llvm-strip"] {
                tools.wrap(program, &format!("usr/lib/llvm-{version}/bin"))?;
            }
            output(Command::new(tools.program("clang")).arg("--version")).map(drop)
        })?;
        Ok(tools)
    }

    /// The path of a program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Runs `unpack` unless it has run to its end before.
    fn provide(&self, name: &str, unpack: impl FnOnce(&Self) -> Result<(), Failure>) -> Result<(), Failure> {
        fs::create_dir_all(self.folder.join("bin"))?;
        // Tasks that run side by side want the same packages.
        let lock = File::create(self.folder.join("lock"))?;
        lock.lock()?;
        let ready = self.folder.join(format!("{name}.ready"));
        if !ready.exists() {
            unpack(self)?;
            fs::write(ready, "")?;
        }
        Ok(())
    }

    fn unpack(&self, names: &[&str]) -> Result<(), Failure> {
        let system = self.folder.join("root");
        let packages = self.folder.join("packages");
        if packages.exists() {
            fs::remove_dir_all(&packages)?;
        }
        fs::create_dir_all(&system)?;
        fs::create_dir_all(&packages)?;
        let names = with_missing_libraries(names);
        run(Command::new("apt-get").current_dir(&packages).args(["download", "-q"]).args(&names))?;
        for package in fs::read_dir(&packages)? {
            // Only `library/` of the compiler's source is wanted; the rest is several hundred megabytes.
            output(Command::new("sh").args(["-c", UNPACK, "unpack"]).arg(package?.path()).arg(&system))?;
        }
        fs::remove_dir_all(&packages)?;
        Ok(())
    }

    fn wrap(&self, program: &str, folder: &str) -> Result<(), Failure> {
        let system = self.folder.join("root");
        let libraries = fs::read_dir(system.join("usr/lib"))?
            .filter_map(Result::ok)
            .find(|entry| entry.file_name().to_string_lossy().ends_with("-linux-gnu"))
            .map_or_else(|| system.join("usr/lib"), |entry| entry.path());
        write_script(
            &self.program(program),
            &format!(
                "LD_LIBRARY_PATH={}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec {} \"$@\"",
                libraries.display(),
                system.join(folder).join(program).display()
            ),
        )
    }
}

/// Writes a shell script that can be run.
pub fn write_script(path: &Path, text: &str) -> Result<(), Failure> {
    let script = format!("#!/bin/sh\n{text}\n");
    // A file that is as it should be keeps its time stamp, and cargo need not look again.
    if fs::read_to_string(path).is_ok_and(|there| there == script) {
        return Ok(());
    }
    fs::write(path, script)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Names that change with the compiler's version.
struct Packages {
    /// The standard library's shared object.
    std: String,
    /// The LLVM that the compiler is linked with.
    llvm: String,
}

fn packages() -> Result<Packages, Failure> {
    if output(Command::new("apt-cache").args(["show", "rust-web-src"])).is_err() {
        run(Command::new("apt-get").args(["update", "-q"]))?;
    }
    let depends = |name: &str| output(Command::new("apt-cache").args(["depends", name]));
    let std = depends_on(&depends("libstd-rust-web-dev")?, "libstd-rust-web-")?;
    let llvm = depends_on(&depends(&std)?, "libllvm")?;
    Ok(Packages { std, llvm })
}

fn depends_on(listing: &str, prefix: &str) -> Result<String, Failure> {
    listing
        .lines()
        .filter_map(|line| line.split_once("Depends: "))
        .map(|(_, name)| name.trim().to_owned())
        .find(|name| name.starts_with(prefix) && name.ends_with(|last: char| last.is_ascii_digit()))
        .ok_or_else(|| Failure(format!("no package {prefix}* in Debian's list")))
}

/// Adds the libraries that `names` need and this machine lacks; finding them is left to a simulated installation.
fn with_missing_libraries(names: &[&str]) -> BTreeSet<String> {
    let simulated = Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends", "--print-uris"])
        .args(names)
        .output()
        .map(|simulated| String::from_utf8_lossy(&simulated.stdout).into_owned())
        .unwrap_or_default();
    missing_libraries(&simulated).chain(names.iter().copied()).map(str::to_owned).collect()
}

/// Reads `'URL' NAME_VERSION_ARCHITECTURE.deb SIZE HASH` lines. Those for Objective-C and garbage collection are of no use.
fn missing_libraries(simulated: &str) -> impl Iterator<Item = &str> {
    simulated.lines().filter_map(|line| line.split_whitespace().nth(1)?.split('_').next()).filter(|name| {
        name.starts_with("lib") && !["libobjc", "libgc1", "libclang1-"].iter().any(|no| name.starts_with(no))
    })
}

const UNPACK: &str = "dpkg-deb --fsys-tarfile \"$1\" | tar -x -C \"$2\" --no-wildcards-match-slash \
    --exclude='./usr/share/*' --exclude='./usr/src/rustc-*/src' --exclude='./usr/src/rustc-*/compiler'";

#[cfg(test)]
mod tests {
    use super::{depends_on, missing_libraries};

    #[test]
    fn a_package_is_found_among_those_another_needs() {
        let listing = "libstd-rust-web-1.96\n  Depends: libc6\n  Depends: libllvm22\n  Depends: libllvm-doc\n";
        assert_eq!(depends_on(listing, "libllvm").unwrap(), "libllvm22");
        assert!(depends_on(listing, "libstd-rust-web-").is_err());
    }

    #[test]
    fn only_libraries_are_taken_from_a_simulation() {
        let simulated = "Reading package lists...\n\
            'http://deb.example/a.deb' libxml2_2.9.14_amd64.deb 687 SHA256:00\n\
            'http://deb.example/b.deb' libobjc-12-dev_12.2_amd64.deb 687 SHA256:00\n\
            'http://deb.example/c.deb' cargo-web_1.96_amd64.deb 687 SHA256:00\n";
        assert_eq!(missing_libraries(simulated).collect::<Vec<_>>(), ["libxml2"]);
    }
}
