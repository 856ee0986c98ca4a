//! Builds the Swift package as an app would, and runs its tests against the real service, air and locks.
//!
//! Generated sources are put into the package's folder, where git does not see them. Apple's frameworks are nowhere
//! but on a Mac: the files that need them are type-checked here against hand-written stand-ins.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;

use crate::{
    bindings::{self, Language},
    command::{Failure, Outcome, cargo, read_lines, root, run as run_command, target_folder},
    snippets,
    swift_toolchain::Toolchain,
};

/// What else `cargo xtask swift` can do.
#[derive(Args, Default)]
pub struct Options {
    /// Measures calls and presses instead, with both sides optimised.
    #[arg(long)]
    bench: bool,
    /// Runs only the tests whose names match this regular expression.
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,
}

/// Builds, type-checks and tests the package.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let swift = match Toolchain::find() {
        Ok(swift) => swift,
        Err(reason) => return Ok(Outcome::Skipped(reason.to_string())),
    };
    bindings::build()?;
    let package = Package { swift, folder: root().join("bindings/swift") };
    package.put_generated()?;
    if options.bench {
        return package.bench();
    }
    let tally = package.test(options)?;
    package.check_apple_parts()?;
    Ok(Outcome::Counted { passed: tally.passed + 1, failed: tally.failed })
}

struct Package {
    swift: Toolchain,
    folder: PathBuf,
}

/// What a run of tests came to.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Package {
    /// Puts in place what is generated: the core's Swift and C sides, and the code that the documents show.
    fn put_generated(&self) -> Result<(), Failure> {
        let out = target_folder().join("swift/generated");
        bindings::generate(Language::Swift, &out)?;
        let sources = self.folder.join("Sources");
        put(&out.join("KeybuttonCore.swift"), &sources.join("KeybuttonCore/KeybuttonCore.swift"))?;
        put(&out.join("KeybuttonFFI.h"), &sources.join("KeybuttonFFI/KeybuttonFFI.h"))?;
        let test = first_door(&snippets::extract("swift", "first-door")?);
        put_text(&test, &self.folder.join("Tests/KeybuttonTests/Generated/FirstDoor.swift"))
    }

    /// Runs the tests under the Thread Sanitizer: one build serves both, and the tests take hardly longer.
    fn test(&self, options: &Options) -> Result<Tally, Failure> {
        let mut command = self.package_command("test", "swift/build", &bindings::built());
        command.args(["--sanitize", "thread"]);
        if let Some(filter) = &options.filter {
            command.args(["--filter", filter]);
        }
        command
            .env("KEYBUTTON_PROGRAM", bindings::built().join("keybutton"))
            .env("KEYBUTTON_VECTORS", root().join("tests/vectors"));
        let (mut tally, mut all) = (Tally::default(), None);
        let success = read_lines(command.stdout(Stdio::piped()), |line| {
            println!("{line}");
            tally.failed += u64::from(is_failure(line));
            all = all.or_else(|| count(line));
        })?;
        if !success && tally.failed == 0 {
            return Err(Failure(
                "swift test failed beside the tests: a crash, or a race that was found, see above".into(),
            ));
        }
        // Lines of tests that end side by side may run into each other; the closing one is alone.
        let all = all.ok_or_else(|| Failure("swift test did not say how many tests it ran".into()))?;
        tally.passed = all.saturating_sub(tally.failed);
        Ok(tally)
    }

    /// Measures with both sides optimised; service and locks are those of the tests.
    fn bench(&self) -> Result<Outcome, Failure> {
        run_command(&mut cargo(["build", "--locked", "--release", "--package", "keybutton-ffi"]))?;
        let library = target_folder().join("release");
        let mut build = self.package_command("build", "swift/build-release", &library);
        run_command(build.args(["--configuration", "release", "--product", "keybutton-bench"]))?;
        let program = target_folder().join("swift/build-release/release/keybutton-bench");
        let mut bench = self.swift.command(&program.to_string_lossy());
        run_command(bench.env("KEYBUTTON_PROGRAM", bindings::built().join("keybutton")))?;
        Ok(Outcome::Passed)
    }

    /// `swift VERB` on the package, linked with the native library in the folder `library`.
    fn package_command(&self, verb: &str, scratch: &str, library: &Path) -> Command {
        let mut command = self.swift.command("swift");
        command
            .arg(verb)
            .args(["--disable-sandbox", "--package-path"])
            .arg(&self.folder)
            .arg("--scratch-path")
            .arg(target_folder().join(scratch))
            .args(["-Xlinker", "-L", "-Xlinker"])
            .arg(library)
            .args(["-Xlinker", "-rpath", "-Xlinker"])
            .arg(library)
            .env("KEYBUTTON_STRICT", "1");
        if cfg!(target_os = "linux") {
            // GNU's linker takes offence at Swift 6.0's own Observation library, which names a symbol that it lacks.
            command.args(["-Xswiftc", "-use-ld=lld"]);
        }
        command
    }

    /// Type-checks the files that need Apple's frameworks, and the example app, against the stand-ins.
    fn check_apple_parts(&self) -> Result<(), Failure> {
        let modules = target_folder().join("swift/stand-ins");
        fs::create_dir_all(&modules)?;
        let stand_ins = self.folder.join("Tests/AppleStandIns");
        // In the order in which they import each other.
        for module in ["CoreBluetooth", "Security", "LocalAuthentication", "CryptoKit", "SwiftUI"] {
            let mut compile = self.swift.command("swiftc");
            compile
                .args(["-emit-module", "-parse-as-library", "-swift-version", "6", "-module-name", module])
                .arg("-emit-module-path")
                .arg(modules.join(format!("{module}.swiftmodule")))
                .arg("-I")
                .arg(&modules)
                .arg(stand_ins.join(format!("{module}.swift")));
            run_command(&mut compile)?;
        }
        let against = |output: &[&str]| {
            let mut compile = self.swift.command("swiftc");
            compile
                .args(output)
                .args(["-parse-as-library", "-swift-version", "6", "-warnings-as-errors"])
                .arg("-I")
                .arg(&modules)
                .arg("-I")
                .arg(self.folder.join("Sources/KeybuttonFFI"))
                .arg("-I")
                .arg(target_folder().join("swift/build/debug/Modules"));
            compile
        };
        // Swift Package Manager names a package by its folder.
        let mut wrapper = against(&["-emit-module", "-module-name", "Keybutton", "-package-name", "swift"]);
        wrapper.arg("-emit-module-path").arg(modules.join("Keybutton.swiftmodule"));
        run_command(wrapper.args(swift_files(&self.folder.join("Sources/Keybutton"))?))?;
        let mut example = against(&["-typecheck", "-module-name", "HarbourKeys"]);
        run_command(example.args(swift_files(&root().join("examples/ios"))?))
    }
}

/// Copies a file unless it is there already: a time stamp that stays saves a build.
fn put(from: &Path, to: &Path) -> Result<(), Failure> {
    put_text(&fs::read_to_string(from).map_err(|error| Failure(format!("{}: {error}", from.display())))?, to)
}

fn put_text(text: &str, to: &Path) -> Result<(), Failure> {
    if fs::read_to_string(to).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(to, text)?)
}

/// Every Swift file below `folder`, in a fixed order.
fn swift_files(folder: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(swift_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "swift") {
            files.insert(path);
        }
    }
    Ok(files)
}

/// The code that the documents show, as a function that a test calls.
fn first_door(snippet: &str) -> String {
    let lines = snippet.lines().filter(|line| !line.trim().is_empty()).count();
    let body: String = snippet.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "// Written by `cargo xtask swift` from the block `swift first-door` of the documents.\n\
         import Keybutton\n\n\
         let firstDoorLines = {lines}\n\n\
         func firstDoor(serviceURL: String, appId: String, sessionToken: String, show: (String) -> Void) async throws {{\n\
         {body}}}\n"
    )
}

/// Tells whether a line of Swift Testing says that a test failed.
fn is_failure(line: &str) -> bool {
    words(line).is_some_and(|words| {
        !words.starts_with("run ") && !words.contains(" recorded an issue ") && words.contains(" failed after ")
    })
}

/// Reads how many tests there were: `Test run with 3 tests passed after 0.1 seconds.`
fn count(line: &str) -> Option<u64> {
    words(line)?.strip_prefix("run with ")?.split(' ').next()?.parse().ok()
}

/// What follows the sign and the word `Test` of a line.
fn words(line: &str) -> Option<&str> {
    line.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).strip_prefix("Test ")
}

#[cfg(test)]
mod tests {
    use super::{count, first_door, is_failure};

    #[test]
    fn failures_and_the_closing_line_are_read() {
        assert!(is_failure("✘ Test \"a name\" failed after 0.2 seconds with 1 issue."));
        assert!(!is_failure("✔ Test first() passed after 0.001 seconds."));
        assert!(!is_failure("✘ Suite StoryTests failed after 0.001 seconds with 1 issue."));
        assert!(!is_failure("✘ Test run with 3 tests failed after 0.001 seconds with 1 issue."));
        assert!(!is_failure("✘ Test first() recorded an issue at A.swift:1:1: failed after all"));
        assert_eq!(count("✔ Test run with 3 tests passed after 0.001 seconds."), Some(3));
        assert_eq!(count("✘ Test run with 12 tests in 2 suites failed after 0.1 seconds with 1 issue."), Some(12));
        assert_eq!(count("◇ Test run started."), None);
    }

    #[test]
    fn a_snippet_becomes_a_function() {
        let source = first_door("let a = 1\n\nshow(a)\n");
        assert!(source.contains("let firstDoorLines = 2\n"));
        assert!(source.ends_with("    let a = 1\n    \n    show(a)\n}\n"));
    }
}
