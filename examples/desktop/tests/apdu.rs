//! Taps over a byte pipe between real processes: over pipes and TCP, with peers that behave and peers that do not.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may fail like tests")]

use std::{
    fs,
    io::{BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use keybutton_protocol::{
    certificate::{self, COMPRESSED_MAX, CertificateRequest},
    crypto::{
        Signer as _,
        ring::{Ring, RingSigner},
    },
    document::{
        AccessData, Restrictions,
        list::List,
        schedule::{Capabilities, Rule, Rules},
    },
    ids::{AccessId, GroupId, UnixTime},
    issue::{AccessDocument, AccessElement, IssuedValidity, Issuer},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const NOW: u32 = 1_893_491_100;
const SELECT: &str = "00a4040008f04b455942544e0100";
const SELECT_INTEROP: &str = "00a4040009a000000909acce550100";
const CONTROL_FLOW: &str = "803c000006410100420100";

fn keybutton() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keybutton"));
    for name in ["KEYBUTTON_STATE", "KEYBUTTON_AIR", "KEYBUTTON_SERVICE", "KEYBUTTON_TOKEN", "KEYBUTTON_LOG"] {
        command.env_remove(name);
    }
    command
}

/// A process with its streams.
struct Side {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    notes: BufReader<ChildStderr>,
}

impl Side {
    fn lock(file: &Path, more: &[&str]) -> Self {
        Self::start(&["lock", "--apdu", "stdio", "--provision"], file, more)
    }

    fn phone(file: &Path, more: &[&str]) -> Self {
        Self::start(&["tap", "--apdu", "stdio", "--identity"], file, more)
    }

    fn start(what: &[&str], file: &Path, more: &[&str]) -> Self {
        let mut command = keybutton();
        command.args(what).arg(file).args(["--now", &NOW.to_string()]).args(more);
        let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = streams.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let notes = BufReader::new(child.stderr.take().unwrap());
        Self { child, input, output, notes }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn hear(&mut self) -> String {
        line(&mut self.output).expect("the process goes on")
    }

    fn note(&mut self) -> String {
        line(&mut self.notes).expect("the process goes on")
    }

    /// Closes its input, and tells how it ended and what it said besides.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.input.take());
        let mut notes = String::new();
        self.notes.read_to_string(&mut notes).unwrap();
        (self.child.wait().unwrap().code(), notes)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(stream: &mut impl std::io::BufRead) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line.strip_suffix('\n').map(str::to_owned)
}

/// Carries lines between two processes until the lock ends the session; returns the commands.
fn carry(lock: &mut Side, phone: &mut Side) -> Vec<String> {
    let mut commands = Vec::new();
    loop {
        let command = lock.hear();
        phone.say(&command);
        if command == "close" {
            return commands;
        }
        assert!(command.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')), "{command}");
        lock.say(&phone.hear());
        commands.push(command);
    }
}

fn hex(bytes: &[u8]) -> Value {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Writes a key file for a lock and a phone whose member may open at any time.
fn key_file(dir: &TempDir) -> PathBuf {
    let scalars: [[u8; 32]; 4] = [[1; 32], [2; 32], [3; 32], [4; 32]];
    let [reader, mut ca, issuer, device] = scalars.map(|scalar| RingSigner::from_bytes(&scalar).unwrap());
    let (group, sub) = ([0xA0; 16], [0xB0; 16]);
    let mut certificate = [0; COMPRESSED_MAX];
    let key = reader.public_key();
    let len = certificate::issue(&mut ca, &CertificateRequest::shortest(&key), &mut certificate).unwrap();
    let rule = Rule { capabilities: Capabilities::MOMENTARY, allow: None, deny: None };
    let data = AccessData {
        access_id: AccessId::from_slice(&[9; 8]),
        rules: Rules { rules: List::from_slice(&[rule]).unwrap(), schedules: List::new() },
        reader_rules: false,
        restrictions: Restrictions { site: Some(GroupId(group)), ..Restrictions::default() },
    };
    let issuer_key = issuer.public_key();
    let document = Issuer::new(&Ring::new(), issuer)
        .access_document(
            &Ring::new(),
            &AccessDocument {
                device_key: &device.public_key(),
                validity: IssuedValidity {
                    signed: UnixTime(NOW - 60),
                    valid_from: UnixTime(NOW - 60),
                    valid_until: UnixTime(NOW + 86_400),
                    iteration: 1,
                    time_verification_required: true,
                },
                elements: &[AccessElement { name: "site", random: [5; 16], data }],
            },
        )
        .unwrap();
    let file = json!({
        "keys": {
            "reader_private": hex(&scalars[0]),
            "reader_public": hex(&key.0),
            "site_ca_public": hex(&ca.public_key().0),
            "issuer_public": hex(&issuer_key.0),
            "device_private": hex(&scalars[3]),
            "group_identifier": hex(&group),
            "group_sub_identifier": hex(&sub),
        },
        "certificate_profile0000": { "compressed": hex(&certificate[..len]) },
        "access_document": { "document": hex(&document) },
    });
    let path = dir.path().join("keys.json");
    fs::write(&path, file.to_string()).unwrap();
    path
}

#[test]
fn lock_and_phone_meet_over_a_bridge() {
    let dir = TempDir::new().unwrap();
    let file = key_file(&dir);
    for (setting, select, sign) in [(None, SELECT, 10), (Some("--interop"), SELECT_INTEROP, 75 * 2)] {
        let more: Vec<&str> = setting.into_iter().collect();
        let (mut lock, mut phone) = (Side::lock(&file, &more), Side::phone(&file, &more));

        let first = carry(&mut lock, &mut phone);
        assert_eq!((first[0].as_str(), first.len()), (select, 7), "{first:#?}");
        assert!(first[2].len() >= sign && first[4].starts_with("00c30000"));
        assert_eq!(lock.note(), "bolt withdrawn for 5.0 s");
        assert_eq!(lock.note(), "verdict granted, a key seen for the first time");

        lock.say("tap");
        let again = carry(&mut lock, &mut phone);
        assert_eq!(again.len(), 3, "the fast phase: {again:#?}");
        assert!(lock.note().starts_with("verdict granted, fast phase"));

        lock.say("reset");
        assert_eq!(lock.note(), "everything about earlier taps is forgotten");
        let anew = carry(&mut lock, &mut phone);
        assert_eq!(anew.len(), 7);
        assert_eq!(lock.note(), "bolt withdrawn for 5.0 s");

        let (code, _) = lock.end();
        assert_eq!(code, Some(0));
        let (code, notes) = phone.end();
        assert_eq!(code, Some(0));
        let verdicts: Vec<&str> = notes.lines().filter(|line| line.contains("opened")).collect();
        assert!(
            matches!(verdicts[..], [first, again, anew]
                if first == "opened, by signature (status 0181)" && again.contains("fast phase") && anew == first),
            "{notes}"
        );
    }
}

#[test]
fn back_to_back_over_tcp_whoever_starts_first() {
    let dir = TempDir::new().unwrap();
    let file = key_file(&dir);
    let now = NOW.to_string();
    let sides = |where_: &str| {
        let side = |name: &str, option: &str| {
            let mut command = keybutton();
            command.args([name, "--apdu", where_, option]).arg(&file).args(["--now", &now]);
            command.stdin(Stdio::null()).stderr(Stdio::piped());
            command
        };
        let mut lock = side("lock", "--provision");
        lock.args(["--taps", "2"]);
        (lock, side("tap", "--identity"))
    };
    let listening = |child: &mut Child| {
        let note = line(&mut BufReader::new(child.stderr.as_mut().unwrap())).unwrap();
        format!("tcp:{}", note.strip_prefix("listening at ").unwrap())
    };

    let mut lock = sides("tcp:127.0.0.1:0").0.spawn().unwrap();
    let phone = sides(&listening(&mut lock)).1.output().unwrap();
    assert_opened(&phone);
    assert!(lock.wait().unwrap().success());

    let mut phone = sides("tcp:127.0.0.1:0").1.spawn().unwrap();
    let lock = sides(&listening(&mut phone)).0.output().unwrap();
    assert!(lock.status.success() && text(&lock).contains("verdict granted, fast phase"), "{}", text(&lock));
    // The phone waits for the next reader.
    assert!(phone.try_wait().unwrap().is_none());
    phone.kill().unwrap();
    phone.wait().unwrap();
}

fn assert_opened(phone: &Output) {
    let text = text(phone);
    assert!(phone.status.success(), "{text}");
    assert!(text.contains("connected to") && text.contains("opened, by signature"), "{text}");
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_listening_lock_takes_one_peer_after_the_other() {
    let dir = TempDir::new().unwrap();
    let file = key_file(&dir);
    let mut command = keybutton();
    command.args(["lock", "--apdu", "tcp:127.0.0.1:0", "--provision"]).arg(&file).stderr(Stdio::piped());
    let mut lock = command.stdin(Stdio::null()).spawn().unwrap();
    let mut notes = BufReader::new(lock.stderr.take().unwrap());
    let address = line(&mut notes).unwrap().strip_prefix("listening at ").unwrap().to_owned();
    for _ in 0..2 {
        let stream = TcpStream::connect(&address).unwrap();
        let mut reader = BufReader::new(&stream);
        assert_eq!(line(&mut reader).as_deref(), Some(SELECT));
        drop(stream);
        assert_eq!(line(&mut notes).as_deref(), Some("ended before a verdict: the phone left"));
        assert!(line(&mut notes).unwrap().contains("(apdu-session-cut)"));
    }
    lock.kill().unwrap();
    lock.wait().unwrap();
}

#[test]
fn a_phone_connects_to_a_reader_that_listens() {
    let dir = TempDir::new().unwrap();
    let file = key_file(&dir);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = keybutton();
    command.args(["tap", "--interop", "--apdu", &format!("tcp:{}", listener.local_addr().unwrap()), "--identity"]);
    let mut phone = command.arg(&file).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    // In pieces, and two commands at once.
    for piece in ["00a40400", "09a0000009", "09acce550100\n00C0000000\r\n"] {
        stream.write_all(piece.as_bytes()).unwrap();
    }
    assert_eq!(line(&mut answers).as_deref(), Some("6f158409a000000909acce5501a508800200005c0201009000"));
    assert_eq!(line(&mut answers).as_deref(), Some("6985"));
    drop((stream, answers));
    assert_eq!(phone.wait().unwrap().code(), Some(0));
}

#[test]
fn what_a_peer_does_wrong_is_named() {
    let dir = TempDir::new().unwrap();
    let file = key_file(&dir);
    let mut lock = Side::lock(&file, &[]);
    assert_eq!(lock.hear(), SELECT);
    lock.say("90000");
    assert_eq!(lock.hear(), "close");
    assert_eq!(lock.note(), "line 1: an odd number of hex digits (5)");
    assert_eq!(lock.note(), "ended before a verdict: the phone left");
    lock.say("9000");
    assert!(lock.note().starts_with("a response that nobody asked for"));
    lock.say("tap");
    assert_eq!(lock.hear(), SELECT);
    lock.say("6a82");
    assert_eq!(lock.hear(), CONTROL_FLOW);
    lock.say("9000");
    assert_eq!(lock.hear(), "close");
    lock.say("reset");
    assert_eq!(lock.hear(), SELECT);
    let (code, notes) = lock.end();
    assert_eq!(code, Some(2));
    assert!(notes.contains("the other side closed the pipe in the middle of a session (apdu-session-cut)"), "{notes}");

    let mut phone = Side::phone(&file, &[]);
    phone.say("hello");
    assert_eq!(phone.hear(), "6700");
    assert_eq!(phone.note(), "line 1: character 1 is no hex digit, and the line is none of close, tap, reset");
    phone.say(&"0".repeat(100_000));
    assert_eq!(phone.hear(), "6700");
    write!(phone.input.as_mut().unwrap(), "00a4").unwrap();
    let (code, notes) = phone.end();
    assert_eq!(code, Some(2));
    assert!(notes.contains("line 3: cut off"), "{notes}");
}

#[test]
fn a_command_line_that_can_not_work_is_explained() {
    let dir = TempDir::new().unwrap();
    let file = key_file(&dir);
    let path = file.to_str().unwrap();
    let missing = dir.path().join("none.json");
    let cases: [(&[&str], &str); 8] = [
        (&["lock", "--apdu", "stdio"], "--provision"),
        (&["lock", "--provision", path], "--apdu"),
        (&["lock", "Front door", "--apdu", "stdio", "--provision", path], "cannot be used with"),
        (&["lock", "--interop", "Front door"], "--apdu"),
        (&["tap", "--identity", path, "--apdu", "tcp:7816"], "HOST:PORT"),
        (&["tap", "--identity", missing.to_str().unwrap(), "--apdu", "stdio"], "none.json"),
        (&["tap", "--identity", path, "--apdu", "pcsc"], "a PC/SC reader is no pipe to a lock"),
        (&["lock"], "<DOOR"),
    ];
    for (arguments, expected) in cases {
        let output = keybutton().args(arguments).stdin(Stdio::null()).output().unwrap();
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty(), "only APDUs go to standard output");
    }
    #[cfg(not(feature = "pcsc"))]
    {
        let output = keybutton().args(["lock", "--apdu", "pcsc:ACR", "--provision", path]).output().unwrap();
        assert!(text(&output).contains("this build has no PC/SC (no-pcsc)"), "{}", text(&output));
    }
}
