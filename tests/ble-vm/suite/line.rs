//! Lines of JSON to the host.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    sync::Mutex,
    thread,
};

use serde_json::Value;

pub struct Line(Mutex<File>);

impl Line {
    /// Opens the line that is called so; `each` is given all that is said on it. `None` where there is no such line.
    pub fn open(name: &str, mut each: impl FnMut(Value) + Send + 'static) -> Option<Self> {
        let to = port(name)?;
        let from = BufReader::new(to.try_clone().unwrap());
        thread::spawn(move || {
            for line in from.lines() {
                each(serde_json::from_str(&line.unwrap()).unwrap());
            }
        });
        Some(Self(Mutex::new(to)))
    }

    pub fn order(&self, order: &Value) {
        self.0.lock().unwrap().write_all(format!("{order}\n").as_bytes()).unwrap();
    }
}

/// The virtio port that is called so.
fn port(name: &str) -> Option<File> {
    for port in fs::read_dir("/sys/class/virtio-ports").ok()? {
        let port = port.unwrap();
        if fs::read_to_string(port.path().join("name")).is_ok_and(|called| called.trim() == name) {
            let device = Path::new("/dev").join(port.file_name());
            return Some(File::options().read(true).write(true).open(device).unwrap());
        }
    }
    None
}
