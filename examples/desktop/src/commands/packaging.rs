//! The files in `packaging/` against what they start.

use std::{fs, path::PathBuf, process::Command as Program};

use clap::Parser as _;

use super::{Cli, Command};
use crate::lock_host::Part;

const UNIT: &str = include_str!("../../../../packaging/keybutton-lock.service");
const SETTINGS: &str = include_str!("../../../../packaging/lock.env");

fn value<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name}")).trim_matches('"')
}

/// What systemd makes of the command: `${NAME}` is one word, `$NAME` as many as it has.
fn words(command: &str, settings: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in command.split_whitespace() {
        match (word.strip_prefix("${").and_then(|word| word.strip_suffix('}')), word.strip_prefix('$')) {
            (Some(name), _) => words.push(value(settings, name).to_owned()),
            (None, Some(name)) => words.extend(value(settings, name).split_whitespace().map(str::to_owned)),
            (None, None) => words.push(word.to_owned()),
        }
    }
    words
}

#[test]
fn the_service_runs_a_lock_with_the_settings_shipped() {
    let words = words(value(UNIT, "ExecStart"), SETTINGS);
    assert_eq!(&words[..3], ["/usr/local/bin/keybutton", "lock", "Front door"]);
    let parsed = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{error}"));
    let Some(Command::Lock(lock)) = parsed.command else { panic!("no lock: {words:?}") };
    let crate::lock_host::Fittings::Gpio(wiring) = lock.fittings() else { panic!("no GPIO: {words:?}") };
    assert!([Part::Bolt, Part::Green, Part::Red, Part::Buzzer].into_iter().all(|part| wiring.has(part)));
    assert!(value(UNIT, "EnvironmentFile").ends_with("lock.env"));
    assert!(
        UNIT.contains("Environment=KEYBUTTON_STATE=/var/lib/keybutton") && UNIT.contains("StateDirectory=keybutton")
    );
}

/// By systemd itself, where it is; the gate has it.
#[cfg(target_os = "linux")]
#[test]
fn systemd_takes_the_service() {
    let tool = "systemd-analyze";
    if Program::new(tool).arg("--version").output().is_err() {
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "{tool} is missing: apt install systemd");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let unit: PathBuf = dir.path().join("keybutton-lock.service");
    // Systemd wants the program to be there.
    let program = std::env::current_exe().unwrap();
    fs::write(&unit, UNIT.replace("/usr/local/bin/keybutton", &program.display().to_string())).unwrap();
    for arguments in [&["verify", "--man=no"][..], &["security", "--offline=true", "--threshold=25", "--no-pager"]] {
        let output = Program::new(tool).args(arguments).arg(&unit).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}
