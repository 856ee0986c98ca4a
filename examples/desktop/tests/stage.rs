//! `keybutton stage` as whoever tests an app uses it: a process that is spoken to in lines of JSON.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

struct Stage {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    introduction: Value,
}

impl Stage {
    fn start(state: Option<&Path>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybutton"));
        for name in ["KEYBUTTON_STATE", "KEYBUTTON_AIR", "KEYBUTTON_SERVICE", "KEYBUTTON_TOKEN", "KEYBUTTON_LOG"] {
            command.env_remove(name);
        }
        if let Some(state) = state {
            command.arg("--state").arg(state);
        }
        let mut process = command.arg("stage").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let to = process.stdin.take();
        let mut from = BufReader::new(process.stdout.take().unwrap());
        let introduction = read(&mut from);
        Self { process, to, from, introduction }
    }

    fn say(&mut self, line: &str) -> Value {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
        read(&mut self.from)
    }

    fn ask(&mut self, command: &Value) -> Value {
        let answer = self.say(&command.to_string());
        assert_eq!(answer["ok"], true, "{command}: {answer}");
        answer
    }

    fn refused(&mut self, command: &Value, code: &str) -> Value {
        let answer = self.say(&command.to_string());
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!(code)), "{command}: {answer}");
        assert!(["error", "remedy"].iter().all(|field| answer[field].as_str().is_some_and(|text| !text.is_empty())));
        answer
    }

    fn end(mut self) {
        drop(self.to.take());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It has ended unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read(from: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[test]
fn it_introduces_itself_and_says_what_it_understands() {
    let mut stage = Stage::start(None);
    let introduction = stage.introduction.clone();
    assert!(introduction["service_url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert!(introduction["air"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(introduction["members"], json!(["Ann", "Ben", "Cid"]));
    let doors = introduction["doors"].as_array().unwrap();
    let names: Vec<_> = doors.iter().map(|door| door["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Front door", "Back door", "Server room"]);
    assert!(doors.iter().all(|door| door["id"].is_string() && door["site"].is_string()));

    let help = stage.ask(&json!({ "do": "help" }));
    let commands = help["commands"].as_array().unwrap();
    assert!(commands.len() > 20, "{help}");
    for command in commands {
        // A command that is described is understood: what is wrong with it is that something is missing, or strange.
        let name = &command["do"];
        assert!(command["what"].as_str().is_some_and(|what| what.ends_with('.')), "{command}");
        let answer = stage.refused(&json!({ "do": name, "no-such-field": 1 }), "invalid-command");
        assert!(!answer["error"].as_str().unwrap().contains("unknown variant"), "{answer}");
    }
    stage.end();
}

#[test]
fn a_wrong_command_is_named_and_harms_nothing() {
    let mut stage = Stage::start(None);
    assert_eq!(stage.say("nonsense")["code"], "invalid-command");
    stage.refused(&json!({ "do": "fly" }), "invalid-command");
    stage.refused(&json!({ "do": "lock", "door": "Cellar" }), "unknown-door");
    stage.refused(&json!({ "do": "suspend", "member": "Dan" }), "unknown-member");
    stage.refused(&json!({ "do": "restore", "member": "Ann", "group": "Chess" }), "unknown-group");
    stage.refused(&json!({ "do": "knobs", "who": "nobody", "set": {} }), "unknown-participant");
    stage.refused(&json!({ "do": "knobs", "who": "Front door", "set": { "speed": 1 } }), "invalid-command");
    let too_much = json!({ "do": "wait-lock", "door": "Front door", "bolt_moves": 1, "timeout_ms": 1 });
    stage.refused(&too_much, "not-reached");
    stage.refused(&json!({ "do": "wait-held", "timeout_ms": 1 }), "not-reached");

    let sight = stage.ask(&json!({ "do": "lock", "door": "front door" }));
    assert_eq!((&sight["lock"]["bolt_moves"], &sight["lock"]["powered"]), (&json!(0), &json!(true)));
    stage.ask(&json!({ "do": "power", "door": "Front door", "on": false }));
    stage.refused(&json!({ "do": "jam", "door": "Front door", "on": true }), "lock-without-power");
    stage.ask(&json!({ "do": "advance", "seconds": 60 }));
    stage.ask(&json!({ "do": "power", "door": "Front door", "on": true }));
    let air = stage.ask(&json!({ "do": "air" }));
    assert_eq!(air["participants"].as_array().unwrap().len(), 3, "{air}");
    stage.end();
}

#[test]
fn the_service_goes_and_comes_back_at_its_address() {
    let mut stage = Stage::start(None);
    let url = stage.introduction["service_url"].as_str().unwrap().to_owned();
    let address = url.strip_prefix("http://").unwrap();
    for _ in 0..2 {
        stage.ask(&json!({ "do": "service", "on": false }));
        stage.ask(&json!({ "do": "service", "on": false }));
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        stage.refused(&json!({ "do": "suspend", "member": "Ann" }), "service-unreachable");
        stage.ask(&json!({ "do": "service", "on": true }));
        stage.ask(&json!({ "do": "service", "on": true }));
        stage.ask(&json!({ "do": "suspend", "member": "Ann" }));
        stage.ask(&json!({ "do": "resume", "member": "Ann" }));
    }
    stage.end();
}

#[test]
fn a_state_directory_is_gone_on_with() {
    let dir = TempDir::new().unwrap();
    let first = Stage::start(Some(dir.path()));
    let before = first.introduction.clone();
    first.end();
    let second = Stage::start(Some(dir.path()));
    for field in ["app", "doors", "members"] {
        assert_eq!(second.introduction[field], before[field], "{field}");
    }
    second.end();
}
