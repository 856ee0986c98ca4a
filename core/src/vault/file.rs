//! A vault of encrypted files: one file for each entry, AES-256-GCM, written atomically.
//!
//! A file is `"KBVAULT" || version 1 || key check 8 || nonce 12 || ciphertext and tag`. Everything before the
//! ciphertext, and the entry's name, are authenticated. The key check tells a wrong key from a damaged file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use super::{Vault, VaultError};

const MAGIC: &[u8; 7] = b"KBVAULT";
const VERSION: u8 = 1;
const CHECK_LEN: usize = 8;
const HEADER_LEN: usize = MAGIC.len() + 1 + CHECK_LEN + NONCE_LEN;
const KEY_LEN: usize = 32;
/// A file that claims more is not ours.
const MAX_VALUE: usize = super::MAX_VALUE;
const EXTENSION: &str = "kbv";

/// Where the key of a [`FileVault`] comes from.
pub enum VaultKey {
    /// A file of 32 random bytes that only its owner may read; made with the vault if it is not there.
    File(PathBuf),
    /// 32 bytes that the host keeps.
    Bytes(Zeroizing<[u8; KEY_LEN]>),
}

/// Encrypted files in one folder. A folder belongs to one process at a time.
pub struct FileVault {
    dir: PathBuf,
    key: LessSafeKey,
    check: [u8; CHECK_LEN],
    random: SystemRandom,
    /// One writer at a time, or two stores of the same entry could share a temporary file.
    writing: Mutex<()>,
}

impl FileVault {
    /// Opens the vault of a desktop in `folder`: entries in `vault`, the key in the file `vault.key` beside them.
    ///
    /// Fails as [`FileVault::open`].
    pub fn in_folder(folder: &Path) -> Result<Self, VaultError> {
        Self::open(folder.join("vault"), VaultKey::File(folder.join("vault.key")))
    }

    /// Opens the vault in `dir`, or makes an empty one.
    ///
    /// Fails without touching anything when the key is missing, damaged or readable by others.
    pub fn open(dir: impl Into<PathBuf>, key: VaultKey) -> Result<Self, VaultError> {
        let dir = dir.into();
        make_private_dir(&dir).map_err(|error| VaultError::io(&dir, &error))?;
        let random = SystemRandom::new();
        let key = match key {
            VaultKey::Bytes(bytes) => bytes,
            VaultKey::File(path) => match read_key(&path)? {
                Some(key) => key,
                None if has_entries(&dir)? => return Err(VaultError::KeyMissing { path }),
                None => make_key(&path, &random)?,
            },
        };
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key[..]), b"keybutton vault key check 1");
        let mut check = [0; CHECK_LEN];
        check.copy_from_slice(&mac.as_ref()[..CHECK_LEN]);
        let unbound = UnboundKey::new(&AES_256_GCM, &key[..]).map_err(|_| unavailable("AES-256-GCM"))?;
        Ok(Self { dir, key: LessSafeKey::new(unbound), check, random, writing: Mutex::new(()) })
    }

    fn path(&self, name: &str) -> Result<PathBuf, VaultError> {
        let plain = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        if !plain {
            return Err(VaultError::InvalidEntry { name: name.to_owned() });
        }
        Ok(self.dir.join(name).with_extension(EXTENSION))
    }

    fn seal(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| unavailable("the system's random source"))?;
        let mut file = Vec::with_capacity(HEADER_LEN + value.len() + AES_256_GCM.tag_len());
        file.extend_from_slice(MAGIC);
        file.push(VERSION);
        file.extend_from_slice(&self.check);
        file.extend_from_slice(&nonce);
        let aad = Aad::from([&file[..], name.as_bytes()].concat());
        let mut sealed = Zeroizing::new(value.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| unavailable("AES-256-GCM"))?;
        file.extend_from_slice(&sealed);
        file.extend_from_slice(tag.as_ref());
        Ok(file)
    }

    fn open_sealed(&self, name: &str, path: &Path, file: &[u8]) -> Result<Vec<u8>, VaultError> {
        let damaged = || VaultError::Damaged { path: path.to_owned() };
        let (header, sealed) = file.split_at_checked(HEADER_LEN).ok_or_else(damaged)?;
        let (magic, rest) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(damaged());
        }
        let (version, rest) = rest.split_at(1);
        if version != [VERSION] {
            return match version {
                [newer] if *newer > VERSION => Err(VaultError::NewerFormat { path: path.to_owned(), version: *newer }),
                _ => Err(damaged()),
            };
        }
        let (check, nonce) = rest.split_at(CHECK_LEN);
        if check != self.check {
            return Err(VaultError::WrongKey { path: path.to_owned() });
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let aad = Aad::from([header, name.as_bytes()].concat());
        let mut value = Zeroizing::new(sealed.to_vec());
        self.key.open_in_place(nonce, aad, &mut value).map(|plain| plain.to_vec()).map_err(|_| damaged())
    }
}

impl Vault for FileVault {
    fn load(&self, name: String) -> Result<Option<Vec<u8>>, VaultError> {
        let path = self.path(&name)?;
        match read_bounded(&path) {
            Ok(Some(file)) => self.open_sealed(&name, &path, &file).map(Some),
            Ok(None) => Err(VaultError::Damaged { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(VaultError::io(path, &error)),
        }
    }

    fn store(&self, name: String, value: Vec<u8>) -> Result<(), VaultError> {
        let value = Zeroizing::new(value);
        let path = self.path(&name)?;
        if value.len() > MAX_VALUE {
            return Err(VaultError::InvalidEntry { name });
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that can't be read is evidence, or somebody else's: only a wipe removes it.
        self.load(name.clone())?.map(Zeroizing::new);
        let sealed = self.seal(&name, &value)?;
        replace(&path, &sealed, &mut |_| Ok(())).map_err(|error| VaultError::io(path, &error))
    }

    fn remove(&self, name: String) -> Result<(), VaultError> {
        let path = self.path(&name)?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::remove_file(&path) {
            Ok(()) => sync_dir(&self.dir).map_err(|error| VaultError::io(&self.dir, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(VaultError::io(path, &error)),
        }
    }

    fn wipe(&self) -> Result<(), VaultError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // One that can't be removed must not save the others.
        let mut removed = Ok(());
        for path in entries(&self.dir)? {
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => removed = removed.and(Err(VaultError::io(path, &error))),
            }
        }
        removed.and(sync_dir(&self.dir).map_err(|error| VaultError::io(&self.dir, &error)))
    }
}

/// A point in an atomic replacement after which the power may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Created,
    HalfWritten,
    Written,
    Synced,
    Renamed,
}

/// Replaces `path` by `content`: temporary file, sync, rename, sync of the folder. `after` may cut it short.
fn replace(path: &Path, content: &[u8], after: &mut dyn FnMut(Step) -> io::Result<()>) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = private_file().create(true).truncate(true).open(&temporary)?;
    after(Step::Created)?;
    let (first, second) = content.split_at(content.len() / 2);
    file.write_all(first)?;
    after(Step::HalfWritten)?;
    file.write_all(second)?;
    after(Step::Written)?;
    file.sync_all()?;
    after(Step::Synced)?;
    fs::rename(&temporary, path)?;
    after(Step::Renamed)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Reads a file; `None` when it is larger than any entry can be.
fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let limit = HEADER_LEN + MAX_VALUE + AES_256_GCM.tag_len();
    let mut content = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut content)?;
    Ok((content.len() <= limit).then_some(content))
}

/// Every file of the vault, temporary ones included.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, VaultError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION || extension == "tmp") {
                found.push(path);
            }
        }
        Ok(found)
    };
    list().map_err(|error| VaultError::io(dir, &error))
}

fn has_entries(dir: &Path) -> Result<bool, VaultError> {
    Ok(entries(dir)?.iter().any(|path| path.extension().is_some_and(|extension| extension == EXTENSION)))
}

/// Reads the key file; `None` when there is none.
fn read_key(path: &Path) -> Result<Option<Zeroizing<[u8; KEY_LEN]>>, VaultError> {
    let io_error = |error: &io::Error| VaultError::io(path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&error)),
    };
    if exposed(&file.metadata().map_err(|error| io_error(&error))?) {
        return Err(VaultError::KeyExposed { path: path.to_owned() });
    }
    let mut content = Zeroizing::new(Vec::with_capacity(KEY_LEN + 1));
    file.take(KEY_LEN as u64 + 1).read_to_end(&mut content).map_err(|error| io_error(&error))?;
    match <[u8; KEY_LEN]>::try_from(&content[..]) {
        Ok(key) => Ok(Some(Zeroizing::new(key))),
        Err(_) => Err(VaultError::KeyDamaged { path: path.to_owned() }),
    }
}

fn make_key(path: &Path, random: &SystemRandom) -> Result<Zeroizing<[u8; KEY_LEN]>, VaultError> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    random.fill(&mut key[..]).map_err(|_| unavailable("the system's random source"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let write = || -> io::Result<()> {
        if let Some(parent) = parent {
            make_private_dir(parent)?;
        }
        replace(path, &key[..], &mut |_| Ok(()))
    };
    write().map_err(|error| VaultError::io(path, &error))?;
    Ok(key)
}

#[cfg(unix)]
fn private_file() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

#[cfg(unix)]
fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(unix)]
fn exposed(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn exposed(_: &fs::Metadata) -> bool {
    false
}

/// Makes a rename or a removal durable. Windows has no such call and orders its journal itself.
#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

fn unavailable(what: &str) -> VaultError {
    VaultError::Unavailable { reason: format!("{what} is not available") }
}

#[cfg(test)]
mod tests;
