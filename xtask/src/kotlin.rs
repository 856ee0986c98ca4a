//! The Kotlin packages: the native library packed, the surface generated, everything tested on a JVM.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;

use crate::{
    bindings::{self, Language},
    command::{Failure, Outcome, cargo, is_ci, root, run as run_command, target_folder},
    snippets,
};

/// What `cargo xtask kotlin` may do instead.
#[derive(Args, Default)]
pub struct Options {
    /// Measures calls and presses instead of running the tests.
    #[arg(long)]
    bench: bool,
}

/// What is run, and the Debian package that has it.
const TOOLS: [(&str, &str); 2] = [("mvn", "maven"), ("javac", "openjdk-17-jdk-headless")];

/// Builds, packs and tests; counts the tests that ran.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    if let Some(reason) = provide_tools()? {
        return Ok(Outcome::Skipped(reason));
    }
    bindings::build()?;
    let out = target_folder().join("kotlin");
    bindings::generate(Language::Kotlin, &out.join("generated"))?;
    pack(&out, &if options.bench { optimised()? } else { bindings::library() })?;
    write_snippet(&out)?;
    if options.bench { bench(&out) } else { test(&out) }
}

fn test(out: &Path) -> Result<Outcome, Failure> {
    for reports in report_folders(out)? {
        fs::remove_dir_all(reports)?;
    }
    let success = run_command(&mut maven(out, &["--fail-at-end", "verify"]));
    let (mut passed, mut failed) = (0, 0);
    for reports in report_folders(out)? {
        for report in fs::read_dir(reports)? {
            let path = report?.path();
            if path.extension().is_some_and(|extension| extension == "xml") {
                let (more_passed, more_failed) = counts(&fs::read_to_string(&path)?)
                    .ok_or_else(|| Failure(format!("{} is no test report", path.display())))?;
                passed += more_passed;
                failed += more_failed;
            }
        }
    }
    // A build that failed for another reason than a test has not run them all.
    if failed == 0 {
        success?;
    }
    Ok(Outcome::Counted { passed, failed })
}

fn bench(out: &Path) -> Result<Outcome, Failure> {
    let table = out.join("bench.txt");
    if table.exists() {
        fs::remove_file(&table)?;
    }
    let place = format!("-Dkeybutton.bench={}", table.display());
    run_command(&mut maven(
        out,
        &["--projects", "keybutton", "-Dkeybutton.groups=bench", "-Dkeybutton.excluded=", &place, "test"],
    ))?;
    println!("{}", fs::read_to_string(table)?);
    Ok(Outcome::Passed)
}

fn maven(out: &Path, arguments: &[&str]) -> Command {
    let program = bindings::built().join(format!("keybutton{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new("mvn");
    command
        .current_dir(root().join("bindings/kotlin"))
        .args(["--batch-mode", "--quiet", "--no-transfer-progress"])
        .arg(format!("-Dkeybutton.out={}", out.display()))
        .arg(format!("-Dkeybutton.program={}", program.display()))
        .args(arguments)
        .stdin(Stdio::null());
    if std::env::var_os("MAVEN_OPTS").is_none() {
        command.env("MAVEN_OPTS", "-Xmx2g");
    }
    command
}

/// Says what is missing; on the gate it is installed instead.
fn provide_tools() -> Result<Option<String>, Failure> {
    let missing: Vec<_> =
        TOOLS.into_iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| package).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    if is_ci() && is_there("apt-get") {
        run_command(Command::new("apt-get").args(["update", "-q"]))?;
        let install = ["install", "-y", "-q", "--no-install-recommends"];
        run_command(Command::new("apt-get").args(install).args(&missing))?;
        return Ok(None);
    }
    Ok(Some(format!("Maven 3.8 and a JDK 17 or newer are needed, such as Debian's {}", missing.join(" and "))))
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// The library as it is worth measuring.
fn optimised() -> Result<PathBuf, Failure> {
    run_command(&mut cargo(["build", "--locked", "--release", "--package", "keybutton-ffi", "--lib"]))?;
    let library = bindings::library();
    Ok(target_folder().join("release").join(library.file_name().unwrap_or_default()))
}

/// Puts the library where JNA looks for it inside a jar.
fn pack(out: &Path, library: &Path) -> Result<(), Failure> {
    let folder = out.join("native").join(jna_platform()?);
    fs::create_dir_all(&folder)?;
    let packed = folder.join(library.file_name().unwrap_or_default());
    fs::copy(library, &packed)?;
    // Symbols are of no use in a jar, and the bindings have been generated from the library that has them.
    if cfg!(unix) && is_there("strip") {
        run_command(Command::new("strip").arg(&packed))?;
    }
    Ok(())
}

/// What JNA calls this machine.
fn jna_platform() -> Result<String, Failure> {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        "linux" => "linux",
        other => return Err(Failure(format!("{other} is no desktop of ours"))),
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        other => other,
    };
    Ok(format!("{system}-{processor}"))
}

/// Makes a test source of the code that the documents show.
fn write_snippet(out: &Path) -> Result<(), Failure> {
    let code = snippets::extract("kotlin", "first-door")?;
    let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
    let folder = out.join("generated-tests");
    fs::create_dir_all(&folder)?;
    let indented: String = code.lines().map(|line| format!("    {line}\n")).collect();
    let source = format!(
        "package io.github.keybutton.snippet\n\nimport io.github.keybutton.*\n\n\
         internal const val FIRST_DOOR_LINES = {lines}\n\n\
         internal suspend fun firstDoor(appId: String, serviceUrl: String, sessionToken: String, context: Context, show: (String) -> Unit) {{\n\
         {indented}}}\n"
    );
    fs::write(folder.join("FirstDoor.kt"), source)?;
    Ok(())
}

fn report_folders(out: &Path) -> Result<Vec<PathBuf>, Failure> {
    let modules = fs::read_dir(out)?.collect::<Result<Vec<_>, _>>()?;
    Ok(modules
        .into_iter()
        .map(|module| module.path().join("surefire-reports"))
        .filter(|folder| folder.is_dir())
        .collect())
}

/// Reads a Surefire report; what was skipped has not passed.
fn counts(report: &str) -> Option<(u64, u64)> {
    let suite = report.split_once("<testsuite ")?.1.split_once('>')?.0;
    let number = |name: &str| {
        let value = suite.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0;
        value.parse::<u64>().ok()
    };
    let (tests, failed) = (number("tests")?, number("errors")? + number("failures")? + number("skipped")?);
    Some((tests.checked_sub(failed)?, failed))
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn reports_are_counted() {
        let report = "<?xml version=\"1.0\"?>\n<testsuite xmlns:xsi=\"x\" name=\"a.B\" time=\"1.2\" tests=\"9\" errors=\"1\" \
                      skipped=\"2\" failures=\"1\">\n<properties/>";
        assert_eq!(counts(report), Some((5, 4)));
        assert_eq!(counts("<testsuite name=\"a\">"), None);
    }
}
