use std::fs;

use tempfile::TempDir;

use super::*;

fn open(dir: &TempDir) -> FileStore {
    FileStore::open(&dir.path().join("store.log")).unwrap()
}

fn value(store: &mut FileStore, record: Record) -> Option<Vec<u8>> {
    let mut out = vec![0; record.max_len()];
    let len = store.read(record, &mut out).unwrap()?;
    out.truncate(len);
    Some(out)
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    store.write(Record::Clock, &[1; 8]).unwrap();
    store.write(Record::Audit(3), &[2; 96]).unwrap();
    store.write(Record::Known(9), &[3; 40]).unwrap();
    store.write(Record::Clock, &[4; 8]).unwrap();
    store.erase(Record::Known(9)).unwrap();
    drop(store);
    let mut store = open(&dir);
    assert_eq!(value(&mut store, Record::Clock), Some(vec![4; 8]));
    assert_eq!(value(&mut store, Record::Audit(3)), Some(vec![2; 96]));
    assert_eq!(value(&mut store, Record::Known(9)), None);
}

#[test]
fn a_power_cut_at_any_byte_leaves_the_old_value_or_the_new_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.log");
    let mut store = open(&dir);
    store.write(Record::Mode, &[1; 8]).unwrap();
    let before = fs::metadata(&path).unwrap().len() as usize;
    store.write(Record::Mode, &[2; 8]).unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    for cut in before..=whole.len() {
        let mut content = whole[..cut].to_vec();
        // Either nothing of the rest is there, or the file is longer already and reads as zeros.
        for zeros in [0, whole.len() - cut] {
            content.resize(cut + zeros, 0);
            if zeros > 0 && cut > before {
                continue;
            }
            fs::write(&path, &content).unwrap();
            let mut store = open(&dir);
            let expected = if cut == whole.len() { [2; 8] } else { [1; 8] };
            assert_eq!(value(&mut store, Record::Mode), Some(expected.to_vec()), "cut at {cut}");
            store.write(Record::Clock, &[7; 8]).unwrap();
            drop(store);
            assert_eq!(value(&mut open(&dir), Record::Clock), Some(vec![7; 8]), "cut at {cut}");
        }
    }
}

#[test]
fn damage_before_the_end_stops_the_lock() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.log");
    let mut store = open(&dir);
    store.write(Record::Revocations, &[1; 64]).unwrap();
    store.write(Record::Mode, &[2; 8]).unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    let first_entry = MAGIC.len() + HEAD + HEAD_CHECK + 64 + CHECK;
    for at in 0..first_entry {
        let mut content = whole.clone();
        content[at] ^= 0x10;
        fs::write(&path, content).unwrap();
        let failure = FileStore::open(&path).unwrap_err();
        assert_eq!(failure.code, "lock-store-damaged", "byte {at}");
        assert!(failure.message.contains("store.log"));
    }
}

#[test]
fn the_log_stays_short_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.log");
    let mut store = open(&dir);
    store.write(Record::Known(1), &[9; 300]).unwrap();
    let mut last = Vec::new();
    for round in 0..120_u8 {
        last = vec![round; 3_000];
        store.write(Record::Revocations, &last).unwrap();
    }
    assert!(fs::metadata(&path).unwrap().len() < COMPACT_FROM);
    drop(store);
    let mut store = open(&dir);
    assert_eq!(value(&mut store, Record::Revocations), Some(last));
    assert_eq!(value(&mut store, Record::Known(1)), Some(vec![9; 300]));
}

#[test]
fn one_process_at_a_time() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let second = FileStore::open(&dir.path().join("store.log"));
    assert_eq!(second.unwrap_err().code, "lock-running");
    drop(store);
    open(&dir);
}

#[test]
fn values_that_are_too_long_are_refused() {
    let dir = TempDir::new().unwrap();
    assert_eq!(open(&dir).write(Record::Clock, &[0; 9]), Err(StoreError::Full));
}
