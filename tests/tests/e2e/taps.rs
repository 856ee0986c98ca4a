//! Doors opened by holding the phone to the lock: the real lock's reader, the real core behind a host's NFC.

use std::sync::{Arc, Mutex, mpsc};

use keybutton::{
    Config, MobileKeys, Outcome, Phase, Platform, PressListener, PressOutcome, TapLink, TapListener, outcome::Route,
    radio::air::AirRadio,
};
use keybutton_desktop::{lock_host::LockFolder, organization::DoorWish};
use keybutton_lock::Input;
use keybutton_protocol::{api::DoorId, ids::UnixTime};
use keybutton_tests::pair::{
    lock::{Did, TestLock},
    store::PowerCutStore,
};
use serde_json::json;

use crate::world::{World, now, patiently};

/// A lock that has claimed itself at the real service, and is reached by NFC alone.
async fn tap_door(world: &World, name: &str) -> (DoorId, TestLock) {
    let door = world.organization.add_door(DoorWish::named(name)).await.unwrap();
    let folder = LockFolder::new(world.state.lock(name).unwrap());
    let code = world.organization.claim_code(&door).await.unwrap();
    folder.claim(world.organization.client(), &code).await.unwrap();
    let (config, _) = folder.config().unwrap().unwrap();
    let mut lock = TestLock::start(config, folder.signer().unwrap(), PowerCutStore::new(64), 7);
    lock.set_time(UnixTime(u32::try_from(now()).unwrap()));
    (door, lock)
}

/// The member's phone with NFC, signed in.
async fn phone(world: &World, member: &str) -> MobileKeys {
    let options = world.phone_options(member);
    let radio = Arc::new(AirRadio::join(&options.endpoint, &options.participant).await.unwrap());
    let platform = Platform { nfc: true, ..Platform::desktop(radio, &options.folder).unwrap() };
    let config = Config {
        service_url: options.service,
        app: options.app,
        device_name: member.to_owned(),
        platform: "android".into(),
    };
    let keys = MobileKeys::new(config, platform).unwrap();
    keys.sign_in(world.organization.token(member).unwrap()).unwrap().done().await.unwrap();
    keys
}

/// What a host's NFC service hears.
struct Hears<T>(Mutex<mpsc::Sender<T>>);

impl TapListener for Hears<Vec<u8>> {
    fn on_response(&self, response: Vec<u8>) {
        self.0.lock().unwrap().send(response).unwrap();
    }
}

impl PressListener for Hears<PressOutcome> {
    fn on_phase(&self, _: Phase) {}

    fn on_outcome(&self, outcome: PressOutcome) {
        self.0.lock().unwrap().send(outcome).unwrap();
    }
}

fn hears<T>() -> (Arc<Hears<T>>, mpsc::Receiver<T>) {
    let (sender, heard) = mpsc::channel();
    (Arc::new(Hears(Mutex::new(sender))), heard)
}

/// The member holds the phone to the lock for one transaction.
fn hold(lock: &mut TestLock, link: &TapLink, answers: &mpsc::Receiver<Vec<u8>>) {
    let command_since = |lock: &TestLock, position| {
        lock.since(position).find_map(|did| match did {
            Did::Transmit(apdu) => Some(apdu.clone()),
            _ => None,
        })
    };
    let mut position = lock.input(Input::NfcArrived);
    while let Some(command) = command_since(lock, position) {
        link.apdu(command, true);
        let response = answers.recv().unwrap();
        position = lock.input(Input::NfcResponse { apdu: &response });
    }
    if !lock.since(position).any(|did| *did == Did::NfcRelease) {
        lock.input(Input::NfcLost);
    }
    link.field_lost();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_only_door_opens_for_a_phone_held_to_it() {
    let world = World::new().await;
    let (door, mut lock) = tap_door(&world, "Vault").await;
    let group = json!({ "name": "Tap", "doors": [door], "restrictions": { "tap_only": true } });
    let group: keybutton_service::operator::GroupInfo =
        world.organization.client().post("/v1/operator/groups", &group).await.unwrap();
    let member = world.member("Ann", &[&group.id]).await;
    let keys = phone(&world, "Ann").await;
    let ((reader, answers), (presses, ends)) = (hears(), hears());
    let link = keys.tap(reader, presses).unwrap();

    for fast in [false, true] {
        hold(&mut lock, &link, &answers);
        let outcome = ends.recv().unwrap();
        assert!(matches!(outcome.outcome, Outcome::Opened(_)), "{outcome:?} {:?}", lock.failures());
        assert_eq!((outcome.route, outcome.door.as_ref()), (Some(Route::Tap), Some(&door)));
        assert_eq!(outcome.metrics.fast, fast);
        // Past the two seconds in which one key can't trigger twice.
        lock.advance(std::time::Duration::from_secs(10));
    }
    assert_eq!(lock.openings(), 2);

    // What the service takes away it takes away from the tap as well.
    world.take(&member, &group.id).await;
    keys.refresh().unwrap().done().await.unwrap();
    hold(&mut lock, &link, &answers);
    let outcome = ends.recv().unwrap();
    assert!(matches!(outcome.outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(lock.openings(), 2);
    patiently(async { while world.presses().await.len() < 3 {} }).await;
}
