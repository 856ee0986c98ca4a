//! What is missing or broken: the right code, a remedy, and nothing made worse.

use std::{fs, path::Path, sync::Arc};

use keybutton::{
    Config, ErrorCode, KeyError, MobileKeys, Platform, PressOptions,
    radio::{PeripheralId, Radio, RadioError, RadioEvents, RadioState},
};
use keybutton_desktop::{phone::Phone, service_host::ServiceHost};
use keybutton_protocol::api::{ButtonState, HiddenReason};

use crate::world::{
    World, code, hidden, opened, outcome_of, patiently, press, press_and_settle, reach, refused_by_lock,
    refused_by_phone,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_radio_that_is_off_or_goes_off_or_gone() {
    let (mut world, door, _group, ann) = World::with_ann().await;
    opened(&press_and_settle(&ann, &door).await);
    world.air.set_radio("Ann", false).await.unwrap();
    refused_by_phone(&press(&ann, &door).await, "bluetooth-off");
    assert_eq!(ann.keys().key_button(), ButtonState::Visible, "the member can switch it on");
    world.switch_on(&ann, "Ann").await;
    opened(&press_and_settle(&ann, &door).await);

    // While the lock is looked for.
    world.air.set_radio(&door.name, false).await.unwrap();
    let mut pressing = ann.press(door.options()).unwrap();
    reach(&mut pressing, "searching").await;
    world.air.set_radio("Ann", false).await.unwrap();
    refused_by_phone(&outcome_of(pressing).await, "bluetooth-off");
    world.switch_on(&ann, "Ann").await;

    // The air itself goes: as if the adapter was pulled out.
    let mut pressing = ann.press(door.options()).unwrap();
    reach(&mut pressing, "searching").await;
    world.stop_air();
    refused_by_phone(&outcome_of(pressing).await, "unsupported-device");
    assert_eq!(ann.keys().key_button(), hidden(HiddenReason::UnsupportedDevice));
    refused_by_phone(&press(&ann, &door).await, "unsupported-device");
    assert_eq!(patiently(door.lock().ended()).await.code, "air-gone", "the lock says why it stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_without_a_radio_has_no_key_button() {
    let world = World::new().await;
    let folder = world.vault("Desk");
    let platform = Platform::desktop(Arc::new(NoRadio), &folder).unwrap();
    let config = Config {
        service_url: world.organization.client().base().to_owned(),
        app: world.organization.app().clone(),
        device_name: "Desk".into(),
        platform: "linux".into(),
    };
    let keys = MobileKeys::new(config, platform).unwrap();
    let door = world.door("Front", 0.0).await;
    let group = world.group("Members", &[&door]).await;
    world.member("Ann", &[&group]).await;
    let state = keys.sign_in(world.organization.token("Ann").unwrap()).unwrap().done().await.unwrap();
    assert_eq!(state, hidden(HiddenReason::UnsupportedDevice));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_the_first_press_needs_the_service() {
    let mut world = World::new().await;
    let door = world.door("Front", 0.0).await;
    let group = world.group("Members", &[&door]).await;
    world.member("Ann", &[&group]).await;
    let ann = world.phone("Ann").await;
    ann.set_online(false);
    let token = world.organization.token("Ann").unwrap();
    assert_eq!(code(ann.sign_in(token).await), "service-unreachable");
    assert_eq!(ann.keys().key_button(), hidden(HiddenReason::DeviceNotEnrolled));
    refused_by_phone(&press(&ann, &door).await, "service-unreachable");
    // Back on the network, the press makes up for what sign-in could not do.
    ann.set_online(true);
    opened(&press_and_settle(&ann, &door).await);

    let ben = world.phone("Ben").await;
    let token = world.organization.token("Ben").unwrap();
    world.stop_service().await;
    assert_eq!(code(ben.sign_in(token).await), "service-unreachable");
    refused_by_phone(&press(&ben, &door).await, "service-unreachable");
    opened(&press(&ann, &door).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_restarted_has_forgotten_nothing() {
    let (mut world, door, group, ann) = World::with_ann().await;
    let ben_member = world.member("Ben", &[&group]).await;
    let ben = world.signed_in("Ben").await;
    for phone in [&ann, &ben] {
        opened(&press_and_settle(phone, &door).await);
    }
    let before = world.presses().await;
    ben.set_online(false);
    world.take(&ben_member, &group).await;
    let revoked = world.revocations().await;

    world.restart_service().await;

    assert_eq!(world.presses().await, before);
    assert_eq!(world.revocations().await, revoked);
    assert_eq!(ann.refresh().await.unwrap(), ButtonState::Visible, "the session still counts");
    let outcome = press_and_settle(&ann, &door).await;
    opened(&outcome);
    assert_eq!(world.press(outcome.press).await.witness, "lock", "audit goes on where it was");
    refused_by_lock(&press(&ben, &door).await, "revoked");
    // A lock added now is one more of the same site.
    let back = world.door("Back", 2.0).await;
    let more = world.group("Back", &[&back]).await;
    world.organization.grant(&world.member("Cid", &[]).await, &more).await.unwrap();
    let cid = world.signed_in("Cid").await;
    opened(&press(&cid, &back).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_not_there() {
    let (world, door, _group, ann) = World::with_ann().await;
    world.air.set_radio(&door.name, false).await.unwrap();
    let options = PressOptions { deadline: std::time::Duration::from_secs(2), ..door.options() };
    let outcome = crate::world::press_with(&ann, options).await;
    refused_by_phone(&outcome, "lock-not-found");
    assert_eq!(outcome.metrics.links, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_vault_is_named_and_left_alone() {
    let (world, door, _group, ann) = World::with_ann().await;
    opened(&press_and_settle(&ann, &door).await);
    drop(ann);
    world.left("Ann").await;
    let vault = world.vault("Ann").join("vault");
    let names: Vec<_> = fs::read_dir(&vault).unwrap().map(|entry| entry.unwrap().path()).collect();
    let good = snapshot(&vault);
    for entry in ["member.kbv", "keyring.kbv"] {
        let path = vault.join(entry);
        assert!(names.contains(&path), "{names:?}");
        for damage in [flip_last as fn(&mut Vec<u8>), cut_in_half, Vec::clear] {
            let mut content = fs::read(&path).unwrap();
            damage(&mut content);
            fs::write(&path, &content).unwrap();
            let damaged = snapshot(&vault);
            let failure = Phone::start(world.phone_options("Ann")).await.unwrap_err();
            assert_eq!(failure.code, "vault-damaged");
            assert!(failure.message.contains(path.to_str().unwrap()), "{}", failure.message);
            assert!(failure.remedy.contains("sign in"), "{}", failure.remedy);
            assert_eq!(snapshot(&vault), damaged, "nothing was written");
            world.left("Ann").await;
            for (path, content) in &good {
                fs::write(path, content).unwrap();
            }
        }
    }
    // Restored from a backup, all is as it was.
    let ann = world.phone("Ann").await;
    ann.set_online(false);
    let outcome = press(&ann, &door).await;
    opened(&outcome);
    assert!(outcome.metrics.fast);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_named_and_left_alone() {
    let (mut world, _door, _group, _ann) = World::with_ann().await;
    world.stop_service().await;
    let folder = world.state.service().unwrap();
    let path = folder.join("keybutton.db");
    let good = fs::read(&path).unwrap();
    for range in [0..16, 4096..good.len()] {
        let mut content = good.clone();
        content[range].fill(0xA5);
        fs::write(&path, &content).unwrap();
        let failure = ServiceHost::start(&folder, ([127, 0, 0, 1], 0).into()).await.unwrap_err();
        assert!(failure.message.contains(path.to_str().unwrap()), "{}", failure.message);
        assert!(failure.message.contains("damaged"), "{}", failure.message);
        assert_eq!(fs::read(&path).unwrap(), content, "nothing was repaired");
    }
    // Without its master key a database is of no use, and no new key is made for it.
    fs::write(&path, &good).unwrap();
    let key = folder.join("keybutton.db.key");
    let secret = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let failure = ServiceHost::start(&folder, ([127, 0, 0, 1], 0).into()).await.unwrap_err();
    assert!(failure.message.contains(key.to_str().unwrap()), "{}", failure.message);
    assert!(!key.exists());

    // Restored, it goes on.
    fs::write(&key, secret).unwrap();
    restrict(&key);
    ServiceHost::start(&folder, ([127, 0, 0, 1], 0).into()).await.unwrap().stop().await.unwrap();
}

#[test]
fn every_code_has_a_remedy_and_a_side() {
    for entry in keybutton::error::TABLE {
        assert!(!entry.remedy.is_empty() && !entry.message.is_empty(), "{}", entry.name);
        assert_eq!(ErrorCode::from_name(entry.name), Some(entry.code));
        assert_eq!(KeyError::new(entry.code).to_string(), entry.message);
    }
}

fn flip_last(content: &mut Vec<u8>) {
    let last = content.pop().unwrap();
    content.push(last ^ 1);
}

fn cut_in_half(content: &mut Vec<u8>) {
    content.truncate(content.len() / 2);
}

fn snapshot(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn restrict(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// A machine without Bluetooth.
struct NoRadio;

impl Radio for NoRadio {
    fn state(&self) -> RadioState {
        RadioState::Absent
    }

    fn start_scan(&self, _: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        Err(RadioError::Unavailable)
    }

    fn stop_scan(&self) {}

    fn connect(&self, _: PeripheralId, _: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        Err(RadioError::Unavailable)
    }

    fn write(&self, _: PeripheralId, _: Vec<u8>) -> Result<(), RadioError> {
        Err(RadioError::Unavailable)
    }

    fn disconnect(&self, _: PeripheralId) {}
}
