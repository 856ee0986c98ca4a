//! What lies between the controllers: bumble's, on this machine, or `btvirt`'s in the machine itself.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use clap::ValueEnum;

use super::tools;
use crate::command::{Failure, root, run};

/// Whose controllers there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Air {
    /// Google's bumble on this machine: advertising intervals, signal strength, range, independent peers.
    Bumble,
    /// BlueZ's own in the machine: nothing to install beside BlueZ, but two links to one controller are mixed up.
    Btvirt,
}

impl Air {
    /// How the guest is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bumble => "bumble",
            Self::Btvirt => "btvirt",
        }
    }
}

/// The processes of bumble's air, while they run.
pub struct Controllers {
    process: Child,
    /// Where the sockets are.
    pub folder: PathBuf,
    names: Vec<String>,
}

/// The file with all that controllers and hosts said.
pub const SNOOP: &str = "hci.btsnoop";

/// The lines for what a test wants of the air, and of the radios of independent peers on it.
const LINES: [&str; 5] = ["control", "phone", "lock", "other", "stranger"];

impl Controllers {
    /// Starts so many of them, and waits until they can be reached. `logs` gets their log and the record of their talk.
    pub fn start(image: &Path, logs: &Path, count: u8) -> Result<Self, Failure> {
        let python = provide(image)?;
        let folder = image.join("air");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let mut process = Command::new(python)
            // In the folder, so that the sockets' names stay short enough.
            .current_dir(&folder)
            .arg("-B")
            .arg(root().join("tests/ble-vm/peers"))
            .arg(logs.join(SNOOP))
            .arg(count.to_string())
            // It ends with its input, and so with us, however we end.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(logs.join("air.log"))?)
            .spawn()?;
        let said = process.stdout.take().map(|said| BufReader::new(said).lines().next());
        let controllers = Self { process, folder, names: (0..count).map(|index| format!("hci{index}")).collect() };
        if !matches!(said, Some(Some(Ok(_)))) {
            let log = fs::read_to_string(logs.join("air.log")).unwrap_or_default();
            return Err(Failure(format!("bumble's controllers do not start:\n{log}")));
        }
        Ok(controllers)
    }

    /// What QEMU has to be told: a line for each controller, and those for tests.
    pub fn devices(&self) -> Vec<String> {
        let line = |name: &str, kind: &str| {
            [
                "-chardev".to_owned(),
                format!("socket,id={name},path={name}"),
                "-device".to_owned(),
                format!("{kind},chardev={name},name={name}"),
            ]
        };
        let mut devices: Vec<String> = self.names.iter().flat_map(|name| line(name, "virtconsole")).collect();
        devices.extend(LINES.iter().flat_map(|name| line(name, "virtserialport")));
        devices
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        // It has ended by itself, if it has.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes bumble's environment where it is not there yet, and tells which Python runs it.
pub fn provide(image: &Path) -> Result<PathBuf, Failure> {
    let folder = image.join("peers");
    let wanted = root().join("tests/ble-vm/peers/requirements.txt");
    let ready = folder.join("ready");
    if fs::read(&ready).ok() != Some(fs::read(&wanted)?) {
        let python = tools::python().ok_or_else(|| Failure("there is no Python 3.10 or newer with venv".into()))?;
        run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
        run(Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"])
            .args(["--only-binary", ":all:", "-r"])
            .arg(&wanted))?;
        fs::copy(&wanted, ready)?;
    }
    Ok(folder.join("bin/python"))
}
