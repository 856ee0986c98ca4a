//! A GPIO chip played from outside the kernel: a CP2112 (Silicon Labs, eight lines, reports of its programming interface
//! AN495), plugged in through the kernel's `uhid` and driven by the kernel's own driver `hid-cp2112`.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use tokio::sync::watch;

/// Events of `uhid` (include/uapi/linux/uhid.h).
const DESTROY: u32 = 1;
const STOP: u32 = 3;
const GET_REPORT: u32 = 9;
const GET_REPORT_REPLY: u32 = 10;
const CREATE2: u32 = 11;
const SET_REPORT: u32 = 13;
const SET_REPORT_REPLY: u32 = 14;

const BUS_USB: u16 = 3;
const VENDOR: u32 = 0x10C4;
const PRODUCT: u32 = 0xEA90;

/// The chip's feature reports: direction of the lines, their levels, new levels, version, set-up of its other half.
const CONFIG: u8 = 2;
const GET: u8 = 3;
const SET: u8 = 4;
const VERSION: u8 = 5;
const SMBUS: u8 = 6;

/// A vendor's device with one report; the driver looks at no more of it.
const DESCRIPTOR: [u8; 21] = [
    0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x85, CONFIG, 0x95, 0x04, 0x75, 0x08, 0x26, 0xFF, 0x00, 0x09, 0x01, 0xB1,
    0x02, 0xC0,
];

/// The chip. Dropping it unplugs it.
pub struct Chip {
    pins: Arc<Mutex<Pins>>,
    changes: watch::Receiver<Vec<(u8, bool)>>,
    device: File,
    thread: Option<JoinHandle<()>>,
}

struct Pins {
    outputs: u8,
    /// All levels: driven by the kernel where a line is an output, from outside where not.
    levels: u8,
    /// A sensor that is on while this output is off.
    follows: Option<(u8, u8)>,
    changes: watch::Sender<Vec<(u8, bool)>>,
}

impl Chip {
    /// Plugs the chip in; its lines are high until somebody drives them.
    pub fn plug_in() -> Self {
        let mut device = File::options().read(true).write(true).open("/dev/uhid").unwrap();
        let mut create = vec![0; 280];
        create[..4].copy_from_slice(&CREATE2.to_le_bytes());
        create[4..4 + 6].copy_from_slice(b"CP2112");
        create[260..262].copy_from_slice(&(DESCRIPTOR.len() as u16).to_le_bytes());
        create[262..264].copy_from_slice(&BUS_USB.to_le_bytes());
        create[264..268].copy_from_slice(&VENDOR.to_le_bytes());
        create[268..272].copy_from_slice(&PRODUCT.to_le_bytes());
        create.extend_from_slice(&DESCRIPTOR);
        device.write_all(&create).unwrap();
        let (sender, changes) = watch::channel(Vec::new());
        let pins = Arc::new(Mutex::new(Pins { outputs: 0, levels: 0xFF, follows: None, changes: sender }));
        let (inside, file) = (Arc::clone(&pins), device.try_clone().unwrap());
        let thread = thread::spawn(move || answer(file, &inside));
        Self { pins, changes, device, thread: Some(thread) }
    }

    /// The level of a line.
    pub fn level(&self, line: u8) -> bool {
        self.pins.lock().unwrap().levels & 1 << line != 0
    }

    /// Brings an input to a level, as a contact outside would.
    pub fn set(&self, line: u8, level: bool) {
        self.pins.lock().unwrap().bring(line, level);
    }

    /// Lets a sensor be on while an output is off, as a bolt that moves would; or lets no sensor follow any more.
    pub fn follow(&self, follows: Option<(u8, u8)>) {
        self.pins.lock().unwrap().follows = follows;
    }

    /// What changed at the lines, since the last call.
    pub fn take_changes(&self) -> Vec<(u8, bool)> {
        let mut taken = Vec::new();
        self.pins.lock().unwrap().changes.send_modify(|changes| taken = std::mem::take(changes));
        taken
    }

    /// Waits until a line has changed to a level since [`Chip::take_changes`].
    pub async fn changed(&self, line: u8, level: bool) {
        self.changes.clone().wait_for(|changes| changes.contains(&(line, level))).await.unwrap();
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        // It goes with the file at the latest.
        let _ = self.device.write_all(&DESTROY.to_le_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Pins {
    fn bring(&mut self, line: u8, level: bool) {
        let before = self.levels;
        self.levels = if level { before | 1 << line } else { before & !(1 << line) };
        if self.levels == before {
            return;
        }
        self.changes.send_modify(|changes| changes.push((line, level)));
        if let Some((leader, follower)) = self.follows
            && leader == line
        {
            self.bring(follower, !level);
        }
    }

    /// The content of a feature report, number included.
    fn report(&self, number: u8) -> Vec<u8> {
        match number {
            CONFIG => vec![CONFIG, self.outputs, 0xFF, 0, 0],
            GET => vec![GET, self.levels],
            VERSION => vec![VERSION, 0x0C, 2],
            SMBUS => [vec![SMBUS], vec![0; 13]].concat(),
            _ => Vec::new(),
        }
    }

    fn take(&mut self, report: &[u8]) {
        match *report {
            [CONFIG, outputs, ..] => self.outputs = outputs,
            [SET, levels, mask, ..] => {
                let driven = mask & self.outputs;
                for line in (0..8).filter(|line| driven & 1 << line != 0) {
                    self.bring(line, levels & 1 << line != 0);
                }
            }
            _ => {}
        }
    }
}

/// Answers the driver until the chip is unplugged.
fn answer(mut device: File, pins: &Mutex<Pins>) {
    let mut event = vec![0; 8192];
    while let Ok(len) = device.read(&mut event) {
        let word = |at: usize| event[at..at + 4].try_into().map(u32::from_le_bytes).unwrap();
        let mut reply = Vec::new();
        match word(0) {
            GET_REPORT if len >= 10 => {
                let report = pins.lock().unwrap().report(event[8]);
                // Status 0, the length, the report.
                reply.extend_from_slice(&GET_REPORT_REPLY.to_le_bytes());
                reply.extend_from_slice(&event[4..8]);
                reply.extend_from_slice(&[0, 0]);
                reply.extend_from_slice(&(report.len() as u16).to_le_bytes());
                reply.extend_from_slice(&report);
            }
            SET_REPORT if len >= 12 => {
                let size = usize::from(u16::from_le_bytes([event[10], event[11]]));
                pins.lock().unwrap().take(&event[12..12 + size]);
                reply.extend_from_slice(&SET_REPORT_REPLY.to_le_bytes());
                reply.extend_from_slice(&event[4..8]);
                reply.extend_from_slice(&[0, 0]);
            }
            STOP => return,
            _ => continue,
        }
        if device.write_all(&reply).is_err() {
            return;
        }
    }
}
