//! Lines of JSON to the host.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    thread,
};

use serde_json::Value;

/// The lines that have been opened. The system lets nobody open one twice, so they stay open.
static OPEN: LazyLock<Mutex<HashMap<String, Line>>> = LazyLock::new(Mutex::default);

#[derive(Clone)]
pub struct Line {
    to: Arc<Mutex<File>>,
    each: Arc<Mutex<Listener>>,
}

type Listener = Box<dyn FnMut(Value) + Send>;

impl Line {
    /// Opens the line that is called so; `each` is given all that is said on it from now on, in place of whoever opened
    /// it before. `None` where there is no such line.
    pub fn open(name: &str, each: impl FnMut(Value) + Send + 'static) -> Option<Self> {
        let mut open = OPEN.lock().unwrap();
        if let Some(line) = open.get(name) {
            *line.each.lock().unwrap() = Box::new(each);
            return Some(line.clone());
        }
        let to = port(name)?;
        let from = BufReader::new(to.try_clone().unwrap());
        let line = Self { to: Arc::new(Mutex::new(to)), each: Arc::new(Mutex::new(Box::new(each))) };
        open.insert(name.to_owned(), line.clone());
        let each = line.each.clone();
        thread::spawn(move || {
            for said in from.lines() {
                let said = serde_json::from_str(&said.unwrap()).unwrap();
                each.lock().unwrap()(said);
            }
        });
        Some(line)
    }

    pub fn order(&self, order: &Value) {
        self.to.lock().unwrap().write_all(format!("{order}\n").as_bytes()).unwrap();
    }
}

/// Bytes as they stand in a line.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that stand in a line.
pub fn unhex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
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
