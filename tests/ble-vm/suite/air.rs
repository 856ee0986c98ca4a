//! What a test wants of the air itself: who is in range, and where a link is cut.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// The air between bumble's controllers. They are called like the adapters in this machine.
#[derive(Clone)]
pub struct Air(Arc<Mutex<Line>>);

struct Line {
    to: File,
    from: BufReader<File>,
    last: u64,
}

impl Air {
    /// Reaches the air; `None` where the controllers are not bumble's.
    pub fn reach() -> Option<Self> {
        let to = port("control")?;
        let from = BufReader::new(to.try_clone().unwrap());
        Some(Self(Arc::new(Mutex::new(Line { to, from, last: 0 }))))
    }

    /// Takes a controller out of everybody's range, or brings it back. Its links die of it.
    pub async fn set_heard(&self, controller: &str, heard: bool) {
        self.ask(json!({ "do": "heard", "radio": controller, "heard": heard })).await;
    }

    /// Takes a controller out of range in place of the value that comes after so many on its next link, in whichever
    /// direction.
    pub async fn cut_after(&self, controller: &str, values: u64) {
        self.ask(json!({ "do": "cut", "radio": controller, "after": values })).await;
    }

    /// Waits until a controller is out of range.
    pub async fn out_of_range(&self, controller: &str) {
        self.ask(json!({ "do": "unheard", "radio": controller })).await;
    }

    /// Waits until a controller has no link.
    pub async fn unlinked(&self, controller: &str) {
        self.ask(json!({ "do": "unlinked", "radio": controller })).await;
    }

    async fn ask(&self, request: Value) -> Value {
        let line = self.0.clone();
        tokio::task::spawn_blocking(move || line.lock().unwrap().ask(request)).await.unwrap()
    }
}

impl Line {
    fn ask(&mut self, mut request: Value) -> Value {
        self.last += 1;
        request["id"] = self.last.into();
        self.to.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&answer["id"], &answer["error"]), (&request["id"], &Value::Null), "{request}");
        answer
    }
}

/// The line to the host that is called so.
pub fn port(name: &str) -> Option<File> {
    for port in fs::read_dir("/sys/class/virtio-ports").ok()? {
        let port = port.unwrap();
        if fs::read_to_string(port.path().join("name")).is_ok_and(|called| called.trim() == name) {
            let device = std::path::Path::new("/dev").join(port.file_name());
            return Some(File::options().read(true).write(true).open(device).unwrap());
        }
    }
    None
}
