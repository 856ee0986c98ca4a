//! The lock's store in one file: a log of checked entries, the last one of each record counts.
//!
//! A write appends one entry and is durable (`fdatasync`) before it returns. A power cut leaves at most one torn entry
//! at the end, which the next start drops: its write had not returned. Damage anywhere else stops the lock with an
//! error that names the file; nothing is ever skipped. When most of the log is out of date it is rewritten beside the
//! old one and put in its place by a rename.
//!
//! Entry: `kind u8 || slot u32 || length u16 (FFFF: erased) || check 4 || value || check 8`, integers big-endian. The
//! first check covers the seven bytes before it, so that a damaged length is not taken for a torn end; the second one
//! covers the whole entry. Both are the beginning of SHA-256.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use keybutton_lock::store::{Record, Store, StoreError};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    state::{private_file, sync_parent},
};

const MAGIC: &[u8; 8] = b"KBLOCK1\n";
const HEAD: usize = 7;
const HEAD_CHECK: usize = 4;
const CHECK: usize = 8;
const ERASED: u16 = u16::MAX;

/// How many audit records the file holds.
const AUDIT_SLOTS: u32 = 1_024;

/// The log is rewritten when it is longer than this and than four times what counts in it.
const COMPACT_FROM: u64 = 256 * 1024;

/// A [`Store`] in one file, which it keeps locked against other processes.
pub struct FileStore {
    path: PathBuf,
    file: File,
    len: u64,
    records: BTreeMap<Record, Zeroizing<Vec<u8>>>,
    /// A failed append could not be taken back: nothing more may be appended behind it.
    broken: bool,
}

impl FileStore {
    /// Opens the store, or makes an empty one.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::file(path, &error);
        let mut file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_log(path, &BTreeMap::new()).map_err(fail)?;
                File::options().read(true).write(true).open(path).map_err(fail)?
            }
            Err(error) => return Err(fail(error)),
        };
        lock(&file, path)?;
        let mut content = Zeroizing::new(Vec::new());
        file.read_to_end(&mut content).map_err(fail)?;
        let (records, good) = read_log(&content).map_err(|at| {
            Failure::new(
                "lock-store-damaged",
                format_args!("{} is damaged at byte {at}", path.display()),
                "Restore it from a backup, or remove the lock's folder and claim the lock again.",
            )
        })?;
        let len = good as u64;
        if good < content.len() {
            tracing::warn!(path = %path.display(), "a write was cut short by the last stop; dropped");
            file.set_len(len).and_then(|()| file.sync_data()).map_err(fail)?;
        }
        file.seek(SeekFrom::Start(len)).map_err(fail)?;
        Ok(Self { path: path.to_owned(), file, len, records, broken: false })
    }

    fn append(&mut self, record: Record, value: Option<&[u8]>) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::Io);
        }
        let entry = encode(record, value).ok_or(StoreError::Full)?;
        if let Err(error) = self.file.write_all(&entry).and_then(|()| self.file.sync_data()) {
            tracing::error!(path = %self.path.display(), %error, "the lock's store can't be written");
            let undone = self.file.set_len(self.len).and_then(|()| self.file.seek(SeekFrom::Start(self.len)));
            self.broken = undone.is_err();
            return Err(StoreError::Io);
        }
        self.len += entry.len() as u64;
        match value {
            Some(value) => self.records.insert(record, Zeroizing::new(value.to_vec())),
            None => self.records.remove(&record),
        };
        self.compact();
        Ok(())
    }

    /// Rewrites the log when it is worth it. A failure leaves the old log, which goes on.
    fn compact(&mut self) {
        let live: u64 = self.records.values().map(|value| (value.len() + HEAD + HEAD_CHECK + CHECK) as u64).sum();
        if self.len < COMPACT_FROM.max(4 * live) {
            return;
        }
        let new = self.path.with_extension("new");
        let swapped = write_log(&new, &self.records).and_then(|len| {
            let mut file = File::options().read(true).write(true).open(&new)?;
            file.try_lock().map_err(io::Error::from)?;
            file.seek(SeekFrom::Start(len))?;
            std::fs::rename(&new, &self.path)?;
            sync_parent(&self.path)?;
            Ok((file, len))
        });
        match swapped {
            Ok((file, len)) => (self.file, self.len) = (file, len),
            Err(error) => tracing::warn!(path = %self.path.display(), %error, "the lock's store can't be compacted"),
        }
    }
}

impl Store for FileStore {
    fn read(&mut self, record: Record, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let Some(value) = self.records.get(&record) else { return Ok(None) };
        out.get_mut(..value.len()).ok_or(StoreError::Io)?.copy_from_slice(value);
        Ok(Some(value.len()))
    }

    fn write(&mut self, record: Record, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > record.max_len() {
            return Err(StoreError::Full);
        }
        self.append(record, Some(value))
    }

    fn erase(&mut self, record: Record) -> Result<(), StoreError> {
        if self.records.contains_key(&record) { self.append(record, None) } else { Ok(()) }
    }

    fn audit_slots(&self) -> u32 {
        AUDIT_SLOTS
    }
}

impl std::fmt::Debug for FileStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.path)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            "lock-running",
            format_args!("{} is in use by another process", path.display()),
            "The lock runs already: stop that process first, or choose another door.",
        )),
        Err(TryLockError::Error(error)) => Err(Failure::file(path, &error)),
    }
}

fn write_log(path: &Path, records: &BTreeMap<Record, Zeroizing<Vec<u8>>>) -> io::Result<u64> {
    let mut content = Zeroizing::new(MAGIC.to_vec());
    for (record, value) in records {
        let entry = encode(*record, Some(value)).ok_or(io::ErrorKind::InvalidData)?;
        content.extend_from_slice(&entry);
    }
    let mut file = private_file(path)?;
    file.write_all(&content)?;
    file.sync_all()?;
    sync_parent(path)?;
    Ok(content.len() as u64)
}

/// Reads a log: its records and how much of it is good. The error is where it is damaged.
#[expect(clippy::type_complexity, reason = "named by the line above")]
fn read_log(content: &[u8]) -> Result<(BTreeMap<Record, Zeroizing<Vec<u8>>>, usize), usize> {
    let mut records = BTreeMap::new();
    let mut rest = content.strip_prefix(MAGIC).ok_or(0_usize)?;
    while !rest.is_empty() {
        let at = content.len() - rest.len();
        match decode(rest) {
            Entry::Whole { record, value, len } => {
                match value {
                    Some(value) => records.insert(record, Zeroizing::new(value.to_vec())),
                    None => records.remove(&record),
                };
                rest = rest.get(len..).unwrap_or_default();
            }
            Entry::Torn => return Ok((records, at)),
            Entry::Damaged => return Err(at),
        }
    }
    Ok((records, content.len()))
}

enum Entry<'a> {
    Whole { record: Record, value: Option<&'a [u8]>, len: usize },
    Torn,
    Damaged,
}

fn decode(bytes: &[u8]) -> Entry<'_> {
    // A file system may have made the file longer before the data arrived.
    if bytes.iter().all(|byte| *byte == 0) {
        return Entry::Torn;
    }
    let Some((head, rest)) = bytes.split_at_checked(HEAD + HEAD_CHECK) else { return Entry::Torn };
    let (head, head_check) = head.split_at(HEAD);
    if check(&[head])[..HEAD_CHECK] != *head_check {
        // A head that was cut at a block's border has only zeros behind it.
        return if rest.iter().all(|byte| *byte == 0) { Entry::Torn } else { Entry::Damaged };
    }
    let [kind, a, b, c, d, high, low] = *head else { return Entry::Damaged };
    let length = u16::from_be_bytes([high, low]);
    let value_len = if length == ERASED { 0 } else { usize::from(length) };
    let Some((value, rest)) = rest.split_at_checked(value_len) else { return Entry::Torn };
    let Some((whole_check, rest)) = rest.split_at_checked(CHECK) else { return Entry::Torn };
    if check(&[head, value])[..CHECK] != *whole_check {
        return if rest.is_empty() { Entry::Torn } else { Entry::Damaged };
    }
    let Some(record) = record(kind, u32::from_be_bytes([a, b, c, d])) else { return Entry::Damaged };
    let value = (length != ERASED).then_some(value);
    Entry::Whole { record, value, len: bytes.len() - rest.len() }
}

fn encode(record: Record, value: Option<&[u8]>) -> Option<Zeroizing<Vec<u8>>> {
    let (kind, slot) = name(record);
    let length = match value {
        Some(value) => u16::try_from(value.len()).ok().filter(|length| *length != ERASED)?,
        None => ERASED,
    };
    let mut entry = Zeroizing::new(vec![kind]);
    entry.extend_from_slice(&slot.to_be_bytes());
    entry.extend_from_slice(&length.to_be_bytes());
    let head = check(&[&entry]);
    let whole = check(&[&entry, value.unwrap_or_default()]);
    entry.extend_from_slice(&head[..HEAD_CHECK]);
    entry.extend_from_slice(value.unwrap_or_default());
    entry.extend_from_slice(&whole[..CHECK]);
    Some(entry)
}

fn check(parts: &[&[u8]]) -> [u8; 32] {
    let joined = Zeroizing::new(parts.concat());
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, &joined).as_ref());
    out
}

fn name(record: Record) -> (u8, u32) {
    match record {
        Record::Setup => (1, 0),
        Record::Mode => (2, 0),
        Record::Clock => (3, 0),
        Record::Floors => (4, 0),
        Record::Revocations => (5, 0),
        Record::AuditMark => (6, 0),
        Record::Known(slot) => (7, slot.into()),
        Record::Fast(slot) => (8, slot.into()),
        Record::Uses(slot) => (9, slot.into()),
        Record::Audit(slot) => (10, slot),
    }
}

fn record(kind: u8, slot: u32) -> Option<Record> {
    let small = || u8::try_from(slot).ok();
    match kind {
        1 => Some(Record::Setup),
        2 => Some(Record::Mode),
        3 => Some(Record::Clock),
        4 => Some(Record::Floors),
        5 => Some(Record::Revocations),
        6 => Some(Record::AuditMark),
        7 => small().map(Record::Known),
        8 => small().map(Record::Fast),
        9 => small().map(Record::Uses),
        10 => Some(Record::Audit(slot)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
