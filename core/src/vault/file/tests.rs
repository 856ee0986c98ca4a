use std::error::Error;

use tempfile::TempDir;

use super::*;

type TestResult = Result<(), Box<dyn Error>>;

fn vault(dir: &TempDir) -> FileVault {
    open(dir).unwrap()
}

fn open(dir: &TempDir) -> Result<FileVault, VaultError> {
    FileVault::open(dir.path().join("vault"), VaultKey::File(dir.path().join("vault.key")))
}

fn entry(dir: &TempDir, name: &str) -> PathBuf {
    dir.path().join("vault").join(name).with_extension("kbv")
}

#[test]
fn values_survive_reopening() -> TestResult {
    let dir = TempDir::new()?;
    vault(&dir).store("keys".into(), b"secret".to_vec())?;
    assert_eq!(vault(&dir).load("keys".into())?, Some(b"secret".to_vec()));
    assert_eq!(vault(&dir).load("rights".into())?, None);
    assert!(!fs::read(entry(&dir, "keys"))?.windows(6).any(|w| w == b"secret"));
    Ok(())
}

#[test]
fn every_damaged_byte_and_every_truncation_is_noticed_and_kept() -> TestResult {
    let dir = TempDir::new()?;
    let vault = vault(&dir);
    vault.store("keys".into(), b"0123456789".to_vec())?;
    let path = entry(&dir, "keys");
    let good = fs::read(&path)?;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        fs::write(&path, &bad)?;
        let error = vault.load("keys".into()).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(vault.store("keys".into(), b"new".to_vec()).unwrap_err(), error);
        assert_eq!(fs::read(&path)?, bad, "byte {at}");
    }
    for len in 0..good.len() {
        fs::write(&path, &good[..len])?;
        assert_eq!(vault.load("keys".into()).unwrap_err(), VaultError::Damaged { path: path.clone() });
        assert!(vault.store("keys".into(), b"new".to_vec()).is_err());
        assert_eq!(fs::read(&path)?, &good[..len]);
    }
    Ok(())
}

#[test]
fn a_file_larger_than_any_entry_is_damage() -> TestResult {
    let dir = TempDir::new()?;
    let vault = vault(&dir);
    fs::write(entry(&dir, "keys"), vec![0; MAX_VALUE + 1024])?;
    assert_eq!(vault.load("keys".into()).unwrap_err(), VaultError::Damaged { path: entry(&dir, "keys") });
    Ok(())
}

#[test]
fn an_entry_does_not_pass_for_another() -> TestResult {
    let dir = TempDir::new()?;
    let vault = vault(&dir);
    vault.store("keys".into(), b"k".to_vec())?;
    fs::copy(entry(&dir, "keys"), entry(&dir, "rights"))?;
    assert_eq!(vault.load("rights".into()).unwrap_err(), VaultError::Damaged { path: entry(&dir, "rights") });
    Ok(())
}

#[test]
fn a_wrong_key_is_told_from_damage() -> TestResult {
    let dir = TempDir::new()?;
    let path = dir.path().join("vault");
    let one = FileVault::open(&path, VaultKey::Bytes(Zeroizing::new([1; 32])))?;
    one.store("keys".into(), b"k".to_vec())?;
    let two = FileVault::open(&path, VaultKey::Bytes(Zeroizing::new([2; 32])))?;
    assert_eq!(two.load("keys".into()).unwrap_err(), VaultError::WrongKey { path: entry(&dir, "keys") });
    assert!(two.store("keys".into(), b"x".to_vec()).is_err());
    assert_eq!(one.load("keys".into())?, Some(b"k".to_vec()));
    two.wipe()?;
    assert_eq!(one.load("keys".into())?, None);
    Ok(())
}

#[test]
fn a_newer_format_is_left_alone() -> TestResult {
    let dir = TempDir::new()?;
    let vault = vault(&dir);
    vault.store("keys".into(), b"k".to_vec())?;
    let mut file = fs::read(entry(&dir, "keys"))?;
    file[MAGIC.len()] = 2;
    fs::write(entry(&dir, "keys"), file)?;
    let expected = VaultError::NewerFormat { path: entry(&dir, "keys"), version: 2 };
    assert_eq!(vault.load("keys".into()).unwrap_err(), expected);
    Ok(())
}

#[test]
fn a_power_cut_leaves_the_old_or_the_new_value() -> TestResult {
    for cut in [Step::Created, Step::HalfWritten, Step::Written, Step::Synced, Step::Renamed] {
        let dir = TempDir::new()?;
        let writer = vault(&dir);
        writer.store("keys".into(), b"old".to_vec())?;
        let sealed = writer.seal("keys", b"new")?;
        let result = replace(&entry(&dir, "keys"), &sealed, &mut |step| {
            if step == cut { Err(io::Error::other("power cut")) } else { Ok(()) }
        });
        assert!(result.is_err());
        let reader = vault(&dir);
        let expected: &[u8] = if cut == Step::Renamed { b"new" } else { b"old" };
        assert_eq!(reader.load("keys".into())?.as_deref(), Some(expected), "{cut:?}");
        reader.store("keys".into(), b"newer".to_vec())?;
        assert_eq!(reader.load("keys".into())?.as_deref(), Some(&b"newer"[..]), "{cut:?}");
    }
    Ok(())
}

#[test]
fn a_lost_or_damaged_key_file_is_never_replaced() -> TestResult {
    let dir = TempDir::new()?;
    let key = dir.path().join("vault.key");
    vault(&dir).store("keys".into(), b"k".to_vec())?;
    let saved = fs::read(&key)?;
    fs::remove_file(&key)?;
    assert_eq!(open(&dir).err(), Some(VaultError::KeyMissing { path: key.clone() }));
    assert!(!key.exists());
    let mut options = private_file();
    options.create(true).open(&key)?.write_all(&saved[..31])?;
    assert_eq!(open(&dir).err(), Some(VaultError::KeyDamaged { path: key.clone() }));
    options.open(&key)?.write_all(&saved)?;
    assert_eq!(vault(&dir).load("keys".into())?, Some(b"k".to_vec()));
    Ok(())
}

#[cfg(unix)]
#[test]
fn files_are_private_and_an_exposed_key_is_refused() -> TestResult {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new()?;
    let key = dir.path().join("vault.key");
    vault(&dir).store("keys".into(), b"k".to_vec())?;
    let mode = |path: &Path| fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o777);
    assert_eq!(mode(&key)?, 0o600);
    assert_eq!(mode(&entry(&dir, "keys"))?, 0o600);
    assert_eq!(mode(&dir.path().join("vault"))?, 0o700);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640))?;
    assert_eq!(open(&dir).err(), Some(VaultError::KeyExposed { path: key }));
    Ok(())
}

#[test]
fn wipe_removes_damaged_entries_and_left_overs_but_no_strangers() -> TestResult {
    let dir = TempDir::new()?;
    let vault = vault(&dir);
    vault.store("keys".into(), b"k".to_vec())?;
    fs::write(entry(&dir, "rights"), b"damaged")?;
    fs::write(dir.path().join("vault/keys.tmp"), b"left over")?;
    fs::write(dir.path().join("vault/README"), b"a stranger")?;
    vault.wipe()?;
    let left: Vec<_> = fs::read_dir(dir.path().join("vault"))?.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["README"]);
    Ok(())
}

#[test]
fn an_entry_that_cannot_be_removed_does_not_save_the_others() -> TestResult {
    let dir = TempDir::new()?;
    let vault = vault(&dir);
    for name in ["a", "c"] {
        vault.store(name.into(), b"secret".to_vec())?;
    }
    fs::create_dir(entry(&dir, "b"))?;
    let error = vault.wipe().unwrap_err();
    assert!(error.to_string().contains("b.kbv"), "{error}");
    assert!(!entry(&dir, "a").exists() && !entry(&dir, "c").exists());
    Ok(())
}

#[test]
fn names_cannot_leave_the_folder_and_values_are_bounded() -> TestResult {
    let dir = TempDir::new()?;
    let vault = vault(&dir);
    for name in ["", "../keys", "a/b", "A", "a.b", "a\0"] {
        assert!(matches!(vault.load(name.into()), Err(VaultError::InvalidEntry { .. })), "{name:?}");
    }
    assert!(matches!(vault.store("keys".into(), vec![0; MAX_VALUE + 1]), Err(VaultError::InvalidEntry { .. })));
    vault.store("keys".into(), vec![0; MAX_VALUE])?;
    assert_eq!(vault.load("keys".into())?.map(|value| value.len()), Some(MAX_VALUE));
    vault.remove("keys".into())?;
    vault.remove("keys".into())?;
    assert_eq!(vault.load("keys".into())?, None);
    Ok(())
}
