//! Linux: the switches in front of the adapters, and the version of BlueZ.

use std::{fs, path::Path};

use super::Row;
use crate::failure::Failure;

/// Where the kernel shows the radio switches.
const SWITCHES: &str = "/sys/class/rfkill";

/// From this version on, BlueZ hands a notification to the phone it is meant for and to nobody else.
const ONE_PHONE_EACH: [u32; 2] = [5, 76];

/// Programs of BlueZ that say its version, the daemon itself first.
const PROGRAMS: [&str; 4] =
    ["/usr/libexec/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd", "bluetoothd", "bluetoothctl"];

/// Looks whether a switch keeps Bluetooth off. Other systems have none of these.
pub(super) fn switches() -> Vec<Row> {
    if cfg!(target_os = "linux") { vec![judge_switches(&read_switches(Path::new(SWITCHES)))] } else { Vec::new() }
}

/// One switch of a Bluetooth adapter.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Switch {
    name: String,
    hard: bool,
    soft: bool,
}

fn read_switches(folder: &Path) -> Vec<Switch> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut switches: Vec<Switch> = entries
        .filter_map(|entry| {
            let read = |name: &str| fs::read_to_string(entry.path().join(name)).map(|text| text.trim().to_owned());
            if read("type").ok()? != "bluetooth" {
                return None;
            }
            Some(Switch { name: read("name").ok()?, hard: read("hard").ok()? == "1", soft: read("soft").ok()? == "1" })
        })
        .collect();
    switches.sort_by(|a, b| a.name.cmp(&b.name));
    switches
}

fn judge_switches(switches: &[Switch]) -> Row {
    const CHECK: &str = "bluetooth-switch";
    if let Some(hard) = switches.iter().find(|switch| switch.hard) {
        return Row::failed(
            CHECK,
            Failure::new(
                "bluetooth-switched-off",
                format_args!("a switch or key of the computer keeps {} off", hard.name),
                "Move the switch, or press the key for flight mode.",
            ),
        );
    }
    if let Some(soft) = switches.iter().find(|switch| switch.soft) {
        return Row::failed(
            CHECK,
            Failure::new(
                "bluetooth-blocked",
                format_args!("the system blocks {}", soft.name),
                "Run `rfkill unblock bluetooth`, or leave flight mode.",
            ),
        );
    }
    match switches {
        [] => Row::skipped(CHECK, "no adapter has a switch"),
        _ => Row::passed(CHECK, "nothing is blocked"),
    }
}

/// Finds BlueZ's version. Other systems have none.
pub(super) async fn version() -> Vec<Row> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    for program in PROGRAMS {
        let asked = tokio::process::Command::new(program).arg("--version").kill_on_drop(true).output().await;
        let said = asked.ok().and_then(|output| parse_version(&String::from_utf8_lossy(&output.stdout)));
        if let Some(version) = said {
            return vec![judge_version(version)];
        }
    }
    vec![Row::skipped("bluez-version", "no program of BlueZ says its version")]
}

/// Reads `5.66` and `bluetoothctl: 5.66`.
fn parse_version(said: &str) -> Option<[u32; 2]> {
    said.split_whitespace().find_map(|word| {
        let (major, minor) = word.split_once('.')?;
        Some([major.parse().ok()?, minor.parse().ok()?])
    })
}

fn judge_version(version: [u32; 2]) -> Row {
    let [major, minor] = version;
    if version >= ONE_PHONE_EACH {
        return Row::passed("bluez-version", format!("{major}.{minor}"));
    }
    Row::warning(
        "bluez-version",
        Failure::new(
            "bluez-old",
            format_args!("BlueZ {major}.{minor} hands a notification to every phone that listens"),
            "Phones on this computer are fine. A lock on it talks to one phone at a time, and others wait a moment; \
             with BlueZ 5.76 or newer they need not.",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Result;

    #[test]
    fn versions_are_read_from_whoever_says_them() {
        assert_eq!(parse_version("5.66\n"), Some([5, 66]));
        assert_eq!(parse_version("bluetoothctl: 5.82\n"), Some([5, 82]));
        assert_eq!(parse_version("unknown option"), None);
        assert_eq!(judge_version([5, 66]).result, Result::Warning);
        assert_eq!(judge_version([5, 76]).result, Result::Passed);
        assert_eq!(judge_version([6, 1]).result, Result::Passed);
    }

    #[test]
    fn switches_are_read_as_the_kernel_shows_them() {
        let dir = tempfile::tempdir().unwrap();
        let switch = |number: u32, kind: &str, hard: &str, soft: &str| {
            let folder = dir.path().join(format!("rfkill{number}"));
            fs::create_dir(&folder).unwrap();
            for (name, content) in [("type", kind), ("name", "hci0"), ("hard", hard), ("soft", soft)] {
                fs::write(folder.join(name), format!("{content}\n")).unwrap();
            }
        };
        assert_eq!(judge_switches(&read_switches(dir.path())).result, Result::Skipped);
        switch(0, "wlan", "1", "1");
        switch(1, "bluetooth", "0", "0");
        assert_eq!(judge_switches(&read_switches(dir.path())).result, Result::Passed);
        switch(2, "bluetooth", "0", "1");
        let blocked = judge_switches(&read_switches(dir.path()));
        assert_eq!((blocked.result, blocked.code.as_deref()), (Result::Failed, Some("bluetooth-blocked")));
        assert!(blocked.remedy.unwrap().contains("rfkill unblock"));
        switch(3, "bluetooth", "1", "1");
        let hard = judge_switches(&read_switches(dir.path()));
        assert_eq!(hard.code.as_deref(), Some("bluetooth-switched-off"));
    }
}
