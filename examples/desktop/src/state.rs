//! The state directory: what `serve`, `lock` and `press` share when they run as separate processes.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::failure::Failure;

/// A state directory. Every file in it is readable by its owner only.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

/// Where the parts of a running scene answer, and what a phone or a lock needs to join it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Running {
    /// The access service's base URL.
    pub service: String,
    /// The air's broker.
    pub air: SocketAddr,
}

impl StateDir {
    /// Uses `path`, or the platform's data directory when none is given.
    pub fn open(path: Option<PathBuf>) -> Result<Self, Failure> {
        let path = match path {
            Some(path) => path,
            None => default_path()?,
        };
        make_private_dir(&path).map_err(|error| Failure::file(&path, &error))?;
        Ok(Self(path))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The service's database and keys.
    pub fn service(&self) -> Result<PathBuf, Failure> {
        self.folder("service")
    }

    /// One lock's files.
    pub fn lock(&self, name: &str) -> Result<PathBuf, Failure> {
        self.folder(&format!("locks/{}", file_name(name)))
    }

    /// One phone's vault.
    pub fn phone(&self, name: &str) -> Result<PathBuf, Failure> {
        self.folder(&format!("phones/{}", file_name(name)))
    }

    /// Reads a small JSON file; `None` when it is not there.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        read_json(&self.0.join(name))
    }

    /// Replaces a small JSON file.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Failure> {
        write_json(&self.0.join(name), value)
    }

    /// Removes a file; removing what is not there is fine.
    pub fn remove(&self, name: &str) {
        // A file left behind names addresses that nobody answers at, which the reader of it reports.
        let _ = fs::remove_file(self.0.join(name));
    }

    fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        make_private_dir(&path).map_err(|error| Failure::file(&path, &error))?;
        Ok(path)
    }
}

/// Reads a JSON file; `None` when it is not there.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    match fs::read(path) {
        Ok(content) => serde_json::from_slice(&content).map(Some).map_err(|error| Failure::damaged(path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

/// Replaces a JSON file whole: after a power cut it has its old or its new content.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Failure> {
    let content = serde_json::to_vec_pretty(value).map_err(|error| Failure::damaged(path, error))?;
    replace(path, &content).map_err(|error| Failure::file(path, &error))
}

/// Replaces a file whole and durably.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = private_file(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_parent(path)
}

/// Makes a rename in the folder of `path` durable. Windows has no such call and orders its journal itself.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if cfg!(unix) && !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// Creates or empties a file that only its owner can read.
pub fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn default_path() -> Result<PathBuf, Failure> {
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        Failure::new("no-home", format_args!("there is no home directory: {error}"), "Give a directory with --state.")
    })?;
    Ok(strategy.data_dir().join("keybutton"))
}

/// A name as a file name: everything else than letters, digits and hyphens becomes a hyphen.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_survive_and_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(dir.path().join("state"))).unwrap();
        let running = Running { service: "http://127.0.0.1:1".into(), air: ([127, 0, 0, 1], 2).into() };
        assert_eq!(state.read::<Running>("running.json").unwrap(), None);
        state.write("running.json", &running).unwrap();
        assert_eq!(state.read("running.json").unwrap(), Some(running));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(state.path().join("running.json")).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }

    #[test]
    fn a_damaged_file_is_named_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(dir.path().to_owned())).unwrap();
        fs::write(dir.path().join("running.json"), "{").unwrap();
        let failure = state.read::<Running>("running.json").unwrap_err();
        assert_eq!(failure.code, "file-damaged");
        assert!(failure.message.contains("running.json"));
        assert!(!failure.remedy.is_empty());
    }

    #[test]
    fn names_can_not_leave_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(dir.path().to_owned())).unwrap();
        assert_eq!(state.lock("../Front door").unwrap(), dir.path().join("locks/---front-door"));
    }
}
