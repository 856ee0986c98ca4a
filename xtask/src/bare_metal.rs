//! Builds protocol and lock for a microcontroller where nothing but `core` exists.
//!
//! A crate that allocates, or needs an operating system, cannot link there: that is the proof that neither does.
//! The target's `core` is built from source. rustup brings that source only with a network connection to its own
//! servers, so Debian's rustc-web, cargo-web and rust-web-src are unpacked under the target folder instead.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::command::{Failure, Outcome, output, root, run as run_command, target_folder};

/// A Cortex-M4F, the class of controller that door locks carry.
const TARGET: &str = "thumbv7em-none-eabihf";

/// Builds both crates with only `core` available.
pub fn run() -> Result<Outcome, Failure> {
    let tools = match tools() {
        Ok(tools) => tools,
        Err(reason) => return Ok(Outcome::Skipped(format!("no compiler with the source of `core`: {reason}"))),
    };
    for (package, features) in
        [("keybutton-protocol", "rustcrypto"), ("keybutton-protocol", "rustcrypto,envelope"), ("keybutton-lock", "")]
    {
        run_command(
            Command::new(tools.join("cargo"))
                .current_dir(root())
                .args(["build", "--release", "--locked", "-Zbuild-std=core", "--target", TARGET])
                .args(["-p", package, "--no-default-features", "--features", features])
                .env("CARGO_TARGET_DIR", target_folder().join("bare-metal"))
                .env("RUSTC", tools.join("rustc"))
                .env("RUSTC_BOOTSTRAP", "1")
                .env_remove("RUSTFLAGS")
                .env_remove("RUSTUP_TOOLCHAIN"),
        )?;
    }
    Ok(Outcome::Passed)
}

/// The folder with `cargo` and `rustc` wrappers; unpacked there on first use.
fn tools() -> Result<PathBuf, Failure> {
    let folder = target_folder().join("rust-web");
    if folder.join("ready").exists() {
        return Ok(folder);
    }
    let system = folder.join("root");
    let packages = folder.join("packages");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&system)?;
    fs::create_dir_all(&packages)?;
    download(&packages)?;
    unpack(&packages, &system)?;
    fs::remove_dir_all(&packages)?;
    for tool in ["cargo", "rustc"] {
        write_wrapper(&folder, &system, tool)?;
    }
    output(Command::new(folder.join("rustc")).arg("--version"))?;
    fs::write(folder.join("ready"), "")?;
    Ok(folder)
}

fn download(folder: &Path) -> Result<(), Failure> {
    if output(Command::new("apt-cache").args(["show", "rust-web-src"])).is_err() {
        run_command(Command::new("apt-get").args(["update", "-q"]))?;
    }
    let depends = output(Command::new("apt-cache").args(["depends", "libstd-rust-web-dev"]))?;
    let std = depends_on(&depends, "libstd-rust-web-")?;
    let llvm = depends_on(&output(Command::new("apt-cache").args(["depends", &std]))?, "libllvm")?;
    let mut names = vec!["rustc-web", "cargo-web", "rust-web-src", "libstd-rust-web-dev", &std, &llvm];
    // What these need and this machine lacks; installing is left to the simulation.
    let simulated = Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends", "--print-uris"])
        .args(&names)
        .output()
        .map(|simulated| String::from_utf8_lossy(&simulated.stdout).into_owned())
        .unwrap_or_default();
    names.extend(
        simulated
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1)?.split('_').next())
            .filter(|name| name.starts_with("lib")),
    );
    names.sort_unstable();
    names.dedup();
    run_command(Command::new("apt-get").current_dir(folder).args(["download", "-q"]).args(&names))
}

fn depends_on(listing: &str, prefix: &str) -> Result<String, Failure> {
    listing
        .lines()
        .filter_map(|line| line.split_once("Depends: "))
        .map(|(_, name)| name.trim().to_owned())
        .find(|name| name.starts_with(prefix) && name.ends_with(|last: char| last.is_ascii_digit()))
        .ok_or_else(|| Failure(format!("no package {prefix}* in Debian's list")))
}

fn unpack(packages: &Path, system: &Path) -> Result<(), Failure> {
    for package in fs::read_dir(packages)? {
        // Only `library/` of the compiler's source is wanted; the rest is several hundred megabytes.
        run_command(Command::new("sh").args(["-c", UNPACK, "unpack"]).arg(package?.path()).arg(system))?;
    }
    Ok(())
}

const UNPACK: &str = "dpkg-deb --fsys-tarfile \"$1\" | tar -x -C \"$2\" --no-wildcards-match-slash \
    --exclude='./usr/share/*' --exclude='./usr/src/rustc-*/src' --exclude='./usr/src/rustc-*/compiler'";

fn write_wrapper(folder: &Path, system: &Path, tool: &str) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let libraries = fs::read_dir(system.join("usr/lib"))?
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().ends_with("-linux-gnu"))
        .map_or_else(|| system.join("usr/lib"), |entry| entry.path());
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH={}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec {} \"$@\"\n",
        libraries.display(),
        system.join("usr/bin").join(tool).display()
    );
    let path = folder.join(tool);
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
