//! The stage's process, spoken to in lines of JSON.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::Deserialize;
use serde_json::{Value, json};

pub struct Stage {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    pub introduction: Introduction,
}

#[derive(Debug, Deserialize)]
pub struct Introduction {
    pub service_url: String,
    pub air: String,
    pub app: String,
    pub doors: Vec<Door>,
}

#[derive(Debug, Deserialize)]
pub struct Door {
    pub id: String,
    pub name: String,
}

impl Stage {
    /// Starts a stage of its own, in a temporary directory.
    pub fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybutton-under-test"));
        for name in ["KEYBUTTON_STATE", "KEYBUTTON_AIR", "KEYBUTTON_SERVICE", "KEYBUTTON_TOKEN", "KEYBUTTON_LOG"] {
            command.env_remove(name);
        }
        let mut process =
            command.arg("stage").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the stage starts");
        let to = process.stdin.take();
        let mut from = BufReader::new(process.stdout.take().unwrap());
        let introduction = serde_json::from_value(read(&mut from)).unwrap();
        Self { process, to, from, introduction }
    }

    /// Sends one command and returns its answer.
    pub fn ask(&mut self, command: &Value) -> Value {
        let to = self.to.as_mut().unwrap();
        writeln!(to, "{command}").and_then(|()| to.flush()).expect("the stage listens");
        let answer = read(&mut self.from);
        assert_eq!(answer["ok"], true, "the stage was asked {command} and answered {answer}");
        answer
    }

    pub fn token(&mut self, member: &str, lifetime_s: Option<i64>) -> String {
        let answer = self.ask(&json!({ "do": "session", "member": member, "lifetime_s": lifetime_s }));
        answer["token"].as_str().unwrap().to_owned()
    }

    pub fn door_id(&self, name: &str) -> String {
        let found = self.introduction.doors.iter().find(|door| door.name == name);
        found.unwrap_or_else(|| panic!("there is no {name}")).id.clone()
    }

    pub fn door_name(&self, id: &str) -> String {
        let found = self.introduction.doors.iter().find(|door| door.id == id);
        found.unwrap_or_else(|| panic!("there is no door {id}")).name.clone()
    }

    /// Ends it, and sees that it ends well.
    pub fn end(mut self) {
        drop(self.to.take());
        let status = self.process.wait().unwrap();
        assert!(status.success(), "the stage ended with {status}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A failed scene leaves it running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read(from: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("the stage said {line:?}: {error}"))
}
