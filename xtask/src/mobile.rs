//! `cargo xtask mobile-check`: compiles what ships to phones for phones, and the core with its own radio for Macs and
//! Windows, with no NDK, no Xcode, no SDK and no device.
//!
//! Checking type-checks for every target, with the standard library built from source; code in `cfg(target_os)` and
//! what our crates do on those systems is looked at, C code is not compiled. `--build` also makes the arm64 Android
//! library and the arm64 iOS archive in the profile that ships and looks into them. What it links against are
//! stand-ins, so the results are for measuring and checking, never for shipping.

mod inspect;
mod standins;
mod targets;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

pub use self::{inspect::exports, targets::Target};
use self::{
    inspect::inspect,
    standins::Standins,
    targets::{ON_DESKTOPS, ON_PHONES, System},
};
use crate::{
    command::{Failure, Outcome, output, root, run as run_command, target_folder},
    debian::Tools,
};

/// Where a phone's HTTP is our own; without features it is the host's.
pub const OWN_HTTP: &str = "http";

/// What `.cargo/config.toml` has for Android, as far as it applies; host builds are left to their own linker.
const LINUX_FLAGS: &str = "-Cforce-frame-pointers=yes -Clink-arg=-Wl,-T,bindings/phone.ld -Clink-arg=-Wl,--icf=all \
    -Clink-arg=-Wl,-z,pack-relative-relocs -Clink-arg=-Wl,--hash-style=gnu -Clink-arg=-Wl,-O2";

/// The message of a panic names no file, no line and no value: an app's users can't read them, and they cost 35 KB.
const SHORT_PANICS: &str = "-Zlocation-detail=none -Zfmt-debug=none";

/// What `cargo xtask mobile-check` compiles.
#[derive(Args)]
pub struct Options {
    /// Generates code, links and looks into the libraries, instead of type-checking only. Takes minutes.
    #[arg(long)]
    build: bool,
    /// A target to compile for; may be given more than once. Without it: Android and iOS, and to check also macOS and
    /// Windows.
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<Target>,
}

impl Options {
    fn targets(&self) -> Vec<Target> {
        match (self.targets.is_empty(), self.build) {
            (false, _) => self.targets.clone(),
            (true, true) => vec![Target::ANDROID, Target::IOS],
            (true, false) => vec![Target::ANDROID, Target::IOS, Target::MAC, Target::WINDOWS],
        }
    }
}

/// Checks or builds for every target.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let tools = if options.build { Tools::rust_and_clang() } else { Tools::rust() };
    let compiler = match tools {
        Ok(tools) => Compiler::new(tools, options.build)?,
        Err(reason) => return Ok(Outcome::Skipped(format!("no compiler with the source of `std`: {reason}"))),
    };
    let targets = options.targets();
    if !options.build {
        for checked in [ON_PHONES, ON_DESKTOPS] {
            let targets: Vec<_> = targets.iter().filter(|target| target.checked == checked).copied().collect();
            if !targets.is_empty() {
                compiler.check(&targets, checked)?;
                println!("{} is type-checked for {}", checked.0, listed(&targets));
            }
        }
        return Ok(Outcome::Passed);
    }
    for target in &targets {
        let built = compiler.build(target, OWN_HTTP)?;
        println!("{target}: {}", inspect(&built, target)?);
    }
    Ok(Outcome::Passed)
}

fn listed(targets: &[Target]) -> String {
    targets.iter().map(Target::to_string).collect::<Vec<_>>().join(", ")
}

/// Debian's compiler with what it needs to compile for phones.
pub struct Compiler {
    tools: Tools,
    standins: Standins,
    folder: PathBuf,
}

/// What [`Compiler::build`] leaves; nothing in it is stripped.
pub struct Built {
    /// The Android library, or for Apple a library linked on trial, since an archive hides what would be missing.
    pub library: PathBuf,
    /// What ships for Apple.
    pub archive: Option<PathBuf>,
}

impl Compiler {
    /// Prepares the stand-ins. C code is compiled where `generate` asks for code.
    pub fn new(tools: Tools, generate: bool) -> Result<Self, Failure> {
        let folder = target_folder().join("phone");
        let standins = Standins::make(folder.join("stand-ins"), generate)?;
        Ok(Self { tools, standins, folder })
    }

    fn check(&self, targets: &[Target], (package, features): (&str, &str)) -> Result<(), Failure> {
        let mut command = self.cargo("check", package, targets)?;
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").args(["--lib", "--keep-going", "--features", features]);
        for target in targets {
            // cargo would generate code for the standard library, which nobody is going to link.
            command.env(format!("CARGO_TARGET_{}_RUSTFLAGS", target.upper()), "-Zno-codegen");
        }
        run_command(&mut command)
    }

    /// Builds what ships, with `features` of the package, unstripped.
    pub fn build(&self, target: &Target, features: &str) -> Result<Built, Failure> {
        let kind = match target.system {
            System::Android | System::Linux => "cdylib",
            System::Apple { .. } => "staticlib",
            System::Windows => return Err(Failure(format!("{target} is for checking only"))),
        };
        let mut command = self.cargo("rustc", ON_PHONES.0, std::slice::from_ref(target))?;
        let flags = match target.system {
            System::Linux => format!("{LINUX_FLAGS} {SHORT_PANICS}"),
            System::Android | System::Apple { .. } | System::Windows => SHORT_PANICS.to_owned(),
        };
        command
            .env(format!("CARGO_TARGET_{}_RUSTFLAGS", target.upper()), flags)
            .args(["--lib", "--profile", "mobile", "--crate-type", kind, "--features", features])
            // Without names in backtraces, which a stripped library could not give anyway.
            .arg("-Zbuild-std-features=panic-unwind,optimize_for_size")
            .env("CARGO_PROFILE_MOBILE_STRIP", "none");
        run_command(&mut command)?;
        let folder = self.folder.join(target.triple).join("mobile");
        match target.system {
            System::Android | System::Linux | System::Windows => {
                Ok(Built { library: folder.join("libkeybutton_ffi.so"), archive: None })
            }
            System::Apple { platform, .. } => {
                let archive = folder.join("libkeybutton_ffi.a");
                let library = folder.join("libkeybutton_ffi.trial.dylib");
                self.link_on_trial(platform, &archive, &library)?;
                Ok(Built { library, archive: Some(archive) })
            }
        }
    }

    /// Removes all symbols but those the loader needs.
    pub fn strip(&self, library: &Path) -> Result<PathBuf, Failure> {
        let stripped = library.with_extension("stripped.so");
        fs::copy(library, &stripped)?;
        output(Command::new(self.tools.program("llvm-strip")).arg("--strip-all").arg(&stripped))?;
        Ok(stripped)
    }

    fn link_on_trial(&self, platform: &str, archive: &Path, library: &Path) -> Result<(), Failure> {
        let mut command = Command::new(self.tools.program("ld64.lld"));
        command
            .args(["-dylib", "-arch", "arm64", "-platform_version"])
            .args(platform.split(' '))
            .args(["-undefined", "dynamic_lookup", "-dead_strip"])
            .args(["-exported_symbol", "_uniffi_*", "-exported_symbol", "_ffi_*"])
            .arg("-L")
            .arg(self.standins.folder())
            .args(["-lSystem", "-force_load"])
            .arg(archive)
            .arg("-o")
            .arg(library);
        run_command(&mut command)
    }

    fn cargo(&self, verb: &str, package: &str, targets: &[Target]) -> Result<Command, Failure> {
        let mut command = Command::new("nice");
        // A machine that also runs tests must answer them in time.
        command.args(["-n", "10"]).arg(self.tools.program("cargo")).current_dir(root());
        command.args([verb, "--locked", "-p", package, "--no-default-features", "-Zbuild-std=std,panic_abort"]);
        // What the host's own toolchain is told is not for this one.
        for name in ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS"] {
            command.env_remove(name);
        }
        command
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_TARGET_DIR", &self.folder)
            .env("RUSTC", self.tools.program("rustc"))
            .env("RUSTDOC", self.tools.program("rustdoc"))
            .env("RUSTC_BOOTSTRAP", "1");
        for target in targets {
            command.args(["--target", target.triple]).envs(self.environment(target)?);
        }
        Ok(command)
    }

    fn environment(&self, target: &Target) -> Result<Vec<(String, OsString)>, Failure> {
        if target.system == System::Linux {
            let linker = self.standins.linux_linker(&self.tools)?;
            return Ok(vec![(format!("CARGO_TARGET_{}_LINKER", target.upper()), linker.into())]);
        }
        let lower = target.triple.replace('-', "_");
        let mut variables = vec![
            (format!("CC_{lower}"), self.standins.c_compiler(&self.tools).into()),
            (format!("AR_{lower}"), self.standins.archiver(&self.tools).into()),
            // ring has a switch for compiling without a C library's headers.
            (format!("CFLAGS_{lower}"), {
                let headers = self.standins.headers();
                let flags = format!("--target={} -isystem {}", target.clang, headers.display());
                format!("{flags} -nostdlibinc -DRING_CORE_NOSTDLIBINC=1").into()
            }),
        ];
        match target.system {
            System::Linux | System::Windows => {}
            System::Android => {
                let linker = self.standins.android_linker(&self.tools, target)?;
                variables.push((format!("CARGO_TARGET_{}_LINKER", target.upper()), linker.into()));
            }
            System::Apple { sdk, deployment, .. } => {
                variables.push(("SDKROOT".into(), self.standins.sdk(sdk)?.into()));
                variables.push((deployment.0.into(), deployment.1.into()));
            }
        }
        Ok(variables)
    }
}
