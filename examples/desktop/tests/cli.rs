//! The commands as a person or a script runs them: separate processes, exit codes, one JSON document.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail like tests")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

fn keybutton(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keybutton"));
    for name in ["KEYBUTTON_STATE", "KEYBUTTON_AIR", "KEYBUTTON_SERVICE", "KEYBUTTON_TOKEN", "KEYBUTTON_LOG"] {
        command.env_remove(name);
    }
    command.arg("--state").arg(state).stdin(Stdio::null());
    command
}

fn run(state: &Path, arguments: &[&str]) -> Output {
    keybutton(state).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("not one JSON document: {error}\n{}", text(output)))
}

fn json_lines(output: &Output) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    String::from_utf8_lossy(&output.stdout).lines().map(parse).collect()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A process that runs until it is dropped.
struct Running(Child);

impl Running {
    /// Starts it and waits for the line that says it runs.
    fn start(state: &Path, arguments: &[&str], ready: &str) -> Self {
        let mut child = keybutton(state).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let found = lines.by_ref().map_while(Result::ok).any(|line| line.contains(ready));
        assert!(found, "{arguments:?} ended before it was ready");
        // The rest has to be read, or the process waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demo_tells_its_story_to_a_machine() {
    let dir = TempDir::new().unwrap();
    let output = run(dir.path(), &["demo", "--json"]);
    let report = json(&output);
    assert!(output.status.success(), "{report:#}");
    assert_eq!(report["as_told"], true, "{report:#}");
    assert!(report["total_us"].as_u64().unwrap() > 0);
    let presses = report["presses"].as_array().unwrap();
    let scenes: Vec<_> = presses.iter().map(|press| press["scene"].as_str().unwrap()).collect();
    assert_eq!(
        scenes,
        [
            "first-press",
            "second-press",
            "no-permission",
            "carrier",
            "revoked",
            "service-down",
            "cut-link",
            "same-press-again"
        ]
    );
    let of = |scene: &str, field: &str| {
        presses.iter().find(|press| press["scene"] == scene).map(|press| press[field].clone()).unwrap()
    };
    assert_eq!(of("first-press", "outcome"), "opened");
    assert_eq!(of("first-press", "downloaded"), true);
    assert_eq!(of("first-press", "round_trips"), 3);
    assert_eq!(of("second-press", "fast"), true);
    assert_eq!(of("second-press", "round_trips"), 1);
    assert_eq!((of("no-permission", "reason"), of("no-permission", "light")), ("no-permission".into(), "red".into()));
    assert_eq!((of("revoked", "reason"), of("revoked", "light")), ("revoked".into(), "red".into()));
    assert_eq!(of("revoked", "member"), "Ben");
    assert_eq!(of("service-down", "outcome"), "opened");
    assert_eq!(of("cut-link", "outcome"), "unconfirmed");
    assert_eq!(of("same-press-again", "outcome"), "opened");
    assert_eq!(of("cut-link", "id"), of("same-press-again", "id"));
    let moves = |scene| of(scene, "bolt_moves").as_u64().unwrap();
    assert_eq!(moves("cut-link") + moves("same-press-again"), 1);
}

#[test]
fn the_demo_without_a_terminal_is_plain_text() {
    let dir = TempDir::new().unwrap();
    let output = run(dir.path(), &[]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours into a pipe");
    assert!(text.contains("the Key Button is hidden (module-disabled). Mobile access is switched off."), "{text}");
    assert!(text.contains("* opened") && text.contains("* refused: revoked") && text.contains("* unconfirmed"));
    assert!(text.contains("What to try next"));
}

#[test]
fn lock_and_phone_in_their_own_processes_meet() {
    let dir = TempDir::new().unwrap();
    let state = dir.path();
    let next = format!("keybutton press \"Front door\" --state {}", state.display());
    let _serve = Running::start(state, &["serve", "--listen", "127.0.0.1:0", "--air", "127.0.0.1:0"], &next);
    let _lock = Running::start(state, &["lock", "Front door"], "on the air");

    let output = run(state, &["press", "front DOOR", "--json"]);
    let report = json(&output);
    assert!(output.status.success(), "{report:#}");
    assert_eq!((&report["outcome"], &report["door"]), (&"opened".into(), &"Front door".into()));

    let report = json(&run(state, &["press", "--json"]));
    assert_eq!((&report["outcome"], &report["fast"]), (&"opened".into(), &true.into()), "the only door, known by now");

    let output = run(state, &["press", "Server room", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    assert_eq!((&report["reason"], &report["side"]), (&"no-permission".into(), &"operator".into()));

    let output = run(state, &["doctor", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(json(&output).as_array().unwrap().iter().all(|check| check["result"] == "passed"));

    let output = run(state, &["nearby", "--for", "2s"]);
    assert!(text(&output).contains("Front door") && text(&output).contains("BATTERY"), "{}", text(&output));
    assert!(!text(&output).contains('\u{1b}'), "nothing is drawn over where there is no terminal");
    let output = run(state, &["nearby", "--for", "2s", "--json"]);
    let lists = json_lines(&output);
    let door = &lists.last().unwrap()["doors"][0];
    assert_eq!((&door["door"], &door["tag"]), (&"Front door".into(), &"opens".into()), "{lists:#?}");
    assert_eq!((&door["battery"], &door["clock"]), (&"ok".into(), &"right".into()), "{lists:#?}");

    let output = run(state, &["sniff", "Front door", "--json"]);
    let told = json_lines(&output);
    assert!(output.status.success(), "{told:#?}");
    let messages: Vec<_> = told.iter().filter_map(|line| line["message"]["name"].as_str()).collect();
    let fast = ["Initiate", "AUTH0", "AUTH0 answer", "EXCHANGE", "EXCHANGE answer"];
    assert!(messages.starts_with(&fast), "they have met: {messages:?}");
    let events: Vec<_> = told.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert!(["phase", "link-up", "value", "outcome", "link-down"].iter().all(|event| events.contains(event)));
    let output = run(state, &["sniff", "Front door"]);
    let sniffed = text(&output);
    assert!(
        sniffed.contains("cryptogram (64 bytes): encrypted, or random") && sniffed.contains("* opened"),
        "{sniffed}"
    );

    for _ in 0..2 {
        let output = run(state, &["press", "Front door", "--member", "Nobody"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains("(unknown-member)"), "{}", text(&output));
    }

    let output = run(state, &["air", "set", "Front door", "--mtu", "23", "--latency", "5ms"]);
    assert!(text(&output).contains("MTU 23"), "{}", text(&output));
    let report = json(&run(state, &["press", "Front door", "--json"]));
    assert_eq!(report["outcome"], "opened");
    assert!(report["packets"]["to_lock"].as_u64().unwrap() > 10, "small values need more of them: {report:#}");

    let output = run(state, &["lock", "Front door"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("lock-running") || text(&output).contains("air-failed"), "{}", text(&output));
}

#[test]
fn failures_come_with_code_and_remedy() {
    let dir = TempDir::new().unwrap();
    let output = run(dir.path(), &["press", "Front door"]);
    assert_eq!(output.status.code(), Some(2));
    let text = text(&output);
    assert!(text.contains("(nothing-running)") && text.contains("keybutton serve"), "{text}");
}

#[test]
fn the_bench_judges_what_it_measures() {
    let dir = TempDir::new().unwrap();
    let report = json(&run(dir.path(), &["bench", "flows", "--json"]));
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    // Round trips and bytes don't depend on the machine.
    assert!(rows.iter().all(|row| row["passed"] == true), "{report:#}");
    assert_eq!(report["passed"], true);
}

#[test]
fn the_bench_draws_what_it_measured() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("report.html");
    let output = run(dir.path(), &["bench", "air", "--air-presses", "3", "--json", "--html", file.to_str().unwrap()]);
    let report = json(&output);
    let pages = std::fs::read_to_string(&file).unwrap();
    assert_eq!(report["plots"][0]["series"].as_array().unwrap().len(), 3, "{report:#}");
    assert!(pages.matches("<svg").count() == 2 && pages.contains("first opening"), "{pages}");
}

/// What it costs depends on the machine; that it hears all advertisements and lists the doors does not.
#[test]
fn the_bench_listens_to_a_crowd() {
    let dir = TempDir::new().unwrap();
    let report = json(&run(dir.path(), &["bench", "scan", "--scan-time", "1s", "--json"]));
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["bar"]["at-most"] == 2.0), "{report:#}");
    assert!(rows.iter().any(|row| row["what"] == "advertisements heard"), "{report:#}");
}

/// A btsnoop record of one adapter: a phone's first message to a lock, written in one value.
fn record() -> Vec<u8> {
    let initiate = [0xC0, 0x02, 0x05, 0x00, 0x0C, 0x00, 0x0A, 0xA5, 0x08, 0x80, 0x02, 0, 0, 0x5C, 0x02, 0x01, 0x00];
    let att = [&[0x52, 0x10, 0x00][..], &initiate].concat();
    let len = u8::try_from(att.len()).unwrap();
    // H4, ACL on handle 0x40, the ATT channel.
    let packet = [&[0x02, 0x40, 0x00, len + 4, 0, len, 0, 4, 0][..], &att].concat();
    let size = u32::try_from(packet.len()).unwrap().to_be_bytes();
    let header = [&size[..], &size, &[0; 8], &0x00E0_3AB4_4A67_6000_u64.to_be_bytes()].concat();
    [&b"btsnoop\0\0\0\0\x01\0\0\x03\xea"[..], &header, &packet].concat()
}

fn sniff(dir: &TempDir, record: &[u8]) -> Output {
    let file = dir.path().join("record");
    std::fs::write(&file, record).unwrap();
    run(dir.path(), &["sniff", "--capture", file.to_str().unwrap()])
}

/// The record comes by a pipe that its writer leaves.
fn sniff_piped(dir: &TempDir, record: &[u8]) -> Output {
    let mut child = keybutton(dir.path())
        .args(["sniff", "--capture", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have seen enough before the end.
    let _ = child.stdin.take().unwrap().write_all(record);
    child.wait_with_output().unwrap()
}

#[test]
fn a_bluetooth_record_is_explained_from_a_file_and_from_a_pipe() {
    let dir = TempDir::new().unwrap();
    for output in [sniff(&dir, &record()), sniff_piped(&dir, &record())] {
        let text = text(&output);
        assert!(output.status.success() && text.contains("Initiate, 16 bytes"), "{text}");
        assert!(text.contains("link 1 is up on hci0, ATT MTU 23") && !text.contains('\u{1b}'), "{text}");
    }
    // A record that a phone and a lock never appear in is fine.
    let output = sniff(&dir, &record()[..16]);
    assert!(output.status.success() && text(&output).contains("no phone and no lock"), "{}", text(&output));
}

#[test]
fn what_is_no_bluetooth_record_or_not_a_whole_one_is_told_with_its_remedy() {
    let dir = TempDir::new().unwrap();
    let refused = |output: Output, code: &str, remedy: &str| {
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(&format!("({code})")) && text.contains(remedy), "{text}");
        text
    };
    let other_kind = [&record()[..14], &[0x07, 0xD3], &record()[16..]].concat();
    for (record, what) in [(&b"something else"[..], "not a btsnoop"), (b"", "nothing in it"), (&other_kind, "2003")] {
        let text = refused(sniff(&dir, record), "record-unusable", "btmon -w FILE");
        assert!(text.contains(what), "{text}");
    }
    let whole = record();
    let twice = [&whole[..], &whole[16..whole.len() - 3]].concat();
    let text = refused(sniff(&dir, &twice), "record-cut-short", "What comes before is told");
    assert!(text.contains("Initiate, 16 bytes"), "{text}");

    // What btmon prints where its record is expected.
    refused(sniff_piped(&dir, b"Bluetooth monitor ver 5.66\n"), "record-unusable", ">/dev/null |");
    refused(sniff_piped(&dir, b""), "record-unusable", "root");
    // A writer that is stopped leaves half a packet.
    let output = sniff_piped(&dir, &twice);
    assert!(output.status.success(), "{output:?}");
}

/// Whatever this machine has: the checks come in their order, and what fails has a remedy.
#[cfg(target_os = "linux")]
#[test]
fn the_doctor_looks_at_bluetooth_before_anything_else() {
    let dir = TempDir::new().unwrap();
    let output = run(dir.path(), &["doctor", "--bluetooth", "--json"]);
    let rows = json(&output);
    let checks: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["check"].as_str().unwrap()).collect();
    let first = ["bluetooth-switch", "bluetooth-service", "bluetooth-permission", "bluetooth-adapter", "bluez-version"];
    assert!(checks.starts_with(&first), "{checks:?}");
    assert_eq!(output.status.code(), Some(1), "no service runs here");
    let failed = rows.as_array().unwrap().iter().filter(|row| row["result"] == "failed");
    assert!(failed.clone().count() > 0 && failed.clone().all(|row| row["remedy"].is_string()), "{rows:#}");
}
