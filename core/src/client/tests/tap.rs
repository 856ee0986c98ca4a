//! Taps: the driver in front of a lock's reader.

use std::sync::{
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use keybutton_protocol::{
    document::{Interfaces, Restrictions},
    ids::PublicKey,
    keys::{AuthenticationData, Usage},
    profile::UserPolicy,
};

use super::{
    door::{Scene, WorldsKey, report},
    fake::{Story, config, token},
    *,
};
use crate::{
    device_key::{DeviceKey, DeviceKeyError, SignatureAnswer, UserAnswer},
    keyring::fixture::Plan,
    outcome::{PressOutcome, Route},
    radio::RadioState,
    unlock::{Phase, tests::lock::Lock},
};

const NOT_NOW: [u8; 2] = [0x69, 0x85];

/// What the reader hears.
struct Field {
    answers: Mutex<mpsc::Sender<Vec<u8>>>,
    panics: bool,
}

impl TapListener for Field {
    fn on_response(&self, response: Vec<u8>) {
        // The test may have gone on without listening.
        let _ = self.answers.lock().unwrap().send(response);
        assert!(!self.panics, "as told");
    }
}

/// A host with NFC, and what its background presses come to.
struct Host {
    link: Arc<TapLink>,
    answers: mpsc::Receiver<Vec<u8>>,
    story: Arc<Told>,
    ends: mpsc::Receiver<PressOutcome>,
}

/// Hears a press and passes its outcome on.
struct Told {
    phases: Mutex<Vec<&'static str>>,
    ends: Mutex<mpsc::Sender<PressOutcome>>,
}

impl PressListener for Told {
    fn on_phase(&self, phase: Phase) {
        self.phases.lock().unwrap().push(phase.name());
    }

    fn on_outcome(&self, outcome: PressOutcome) {
        let _ = self.ends.lock().unwrap().send(outcome);
    }
}

impl Host {
    fn new(keys: &MobileKeys) -> Self {
        Self::with(keys, false)
    }

    fn with(keys: &MobileKeys, panics: bool) -> Self {
        let (sender, answers) = mpsc::channel();
        let (end, ends) = mpsc::channel();
        let story = Arc::new(Told { phases: Mutex::default(), ends: Mutex::new(end) });
        let field = Arc::new(Field { answers: Mutex::new(sender), panics });
        Self { link: keys.tap(field, story.clone()).unwrap(), answers, story, ends }
    }

    /// One command and its answer.
    fn ask(&self, apdu: &[u8]) -> Vec<u8> {
        self.link.apdu(apdu.to_vec(), true);
        self.answers.recv().unwrap()
    }

    /// Holds the phone to the lock until the lock is done or hears "not now".
    fn tap(&self, lock: &mut Lock) {
        lock.tap(|apdu| Some(self.ask(apdu)).filter(|answer| *answer != NOT_NOW));
        self.link.field_lost();
    }

    fn phases(&self) -> Vec<&'static str> {
        self.story.phases.lock().unwrap().clone()
    }

    fn until_phase(&self, name: &str) {
        while self.phases().last() != Some(&name) {
            std::thread::yield_now();
        }
    }
}

/// A phone with NFC, no Bluetooth in reach, and a member signed in.
fn scene() -> (Scene, MobileKeys) {
    let scene = Scene::new();
    let keys = start(&scene);
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    (scene, keys)
}

fn start(scene: &Scene) -> MobileKeys {
    let platform = Platform { radio: scene.phone.radio.clone(), nfc: true, ..scene.platform() };
    MobileKeys::new(config(), platform).unwrap()
}

fn select() -> Vec<u8> {
    let aid = TapLink::application_id();
    [&[0x00, 0xA4, 0x04, 0x00, u8::try_from(aid.len()).unwrap()], aid, &[0]].concat()
}

#[test]
fn a_press_of_the_member_answers_the_reader() {
    let (scene, keys) = scene();
    let host = Host::new(&keys);
    let story = Arc::new(Story::default());
    let press = keys.press(scene.options(), story.clone()).unwrap();
    while !story.phases.lock().unwrap().contains(&"searching") {
        std::thread::yield_now();
    }
    host.tap(&mut scene.radio.at().lock);
    let outcome = press.wait();
    report(&outcome);
    assert_eq!((outcome.press, outcome.route), (press.id(), Some(Route::Tap)));
    assert_eq!(host.phases(), Vec::<&str>::new(), "there was no other press");
    assert_eq!(*scene.phone.radio.scans.lock().unwrap(), 0);
}

#[test]
fn a_tap_by_itself_opens_and_is_told_to_whoever_registered() {
    let (scene, keys) = scene();
    let host = Host::new(&keys);
    for fast in [false, true] {
        host.tap(&mut scene.radio.at().lock);
        let outcome = host.ends.recv().unwrap();
        report(&outcome);
        assert_eq!((outcome.route, outcome.metrics.fast), (Some(Route::Tap), fast));
        assert_eq!(outcome.door, scene.options().door);
    }
    let once = ["hold-to-lock", "proving", "opening"];
    assert_eq!(host.phases(), once.repeat(2));
    assert_eq!(scene.moved(), 2);
    // The same doors as ever, and the service hears of it.
    keys.refresh().unwrap().wait().unwrap();
    let told = scene.phone.service.asked();
    assert_eq!(told.iter().filter(|asked| *asked == "POST /v1/presses").count(), 2, "{told:?}");
}

#[test]
fn one_stay_in_the_field_is_one_press() {
    let (scene, keys) = scene();
    let host = Host::new(&keys);
    let lock = &mut scene.radio.at().lock;
    lock.tap(|apdu| Some(host.ask(apdu)));
    report(&host.ends.recv().unwrap());
    assert_eq!(host.ask(&select()), NOT_NOW, "the phone was not lifted");
    host.link.field_lost();
    assert!(host.ask(&select()).ends_with(&[0x90, 0x00]));
}

#[test]
fn what_is_no_transaction_of_ours_begins_no_press() {
    let (_scene, keys) = scene();
    let host = Host::new(&keys);
    let payment = [0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x00, 0x03];
    assert_eq!(host.ask(&payment), [0x6A, 0x82]);
    for nothing in [&[][..], &[0x80], &[0x80, 0x80, 0x00, 0x00], &[0x00, 0xC0, 0x00, 0x00, 0x00]] {
        assert_eq!(host.ask(nothing), NOT_NOW);
    }
    host.link.field_lost();
    assert_eq!(host.phases(), Vec::<&str>::new());
}

#[test]
fn nobody_signed_in_is_said_once_for_each_stay() {
    let scene = Scene::new();
    let keys = start(&scene);
    let host = Host::new(&keys);
    for _ in 0..2 {
        assert_eq!(host.ask(&select()), NOT_NOW);
        assert_eq!(host.ask(&select()), NOT_NOW);
        host.link.field_lost();
        assert_eq!(host.ends.recv().unwrap().outcome.code(), Some(ErrorCode::NotSignedIn));
    }
    assert!(host.ends.try_recv().is_err());
}

#[test]
fn a_phone_without_nfc_has_no_reader() {
    let scene = Scene::new();
    let keys = scene.start();
    let (sender, _answers) = mpsc::channel();
    let field = Arc::new(Field { answers: Mutex::new(sender), panics: false });
    assert_eq!(code(keys.tap(field, Arc::new(Story::default()))), ErrorCode::UnsupportedDevice);
}

#[test]
fn nfc_alone_shows_the_key_button_and_holds_the_phone_to_the_lock() {
    let scene = Scene::new();
    scene.radio.at().state = RadioState::Absent;
    let keys = MobileKeys::new(config(), Platform { nfc: true, ..scene.platform() }).unwrap();
    assert_eq!(keys.sign_in(token("ann")).unwrap().wait(), VISIBLE);
    let host = Host::new(&keys);
    let story = Arc::new(Story::default());
    let press = keys.press(scene.options(), story.clone()).unwrap();
    while !story.phases.lock().unwrap().contains(&"hold-to-lock") {
        std::thread::yield_now();
    }
    host.tap(&mut scene.radio.at().lock);
    report(&press.wait());
}

#[test]
fn the_first_tap_of_a_phone_without_keys_fetches_them_and_the_second_opens() {
    let scene = Scene::new();
    let keys = start(&scene);
    scene.phone.service.script().offline = true;
    keys.sign_in(token("ann")).unwrap().wait().unwrap_err();
    scene.phone.service.script().offline = false;
    let host = Host::new(&keys);
    assert_eq!(host.ask(&select()), NOT_NOW);
    host.link.field_lost();
    host.until_phase("hold-to-lock");
    host.tap(&mut scene.radio.at().lock);
    let outcome = host.ends.recv().unwrap();
    report(&outcome);
    assert!(outcome.metrics.downloaded);
    assert_eq!(host.phases()[..3], ["checking-access", "downloading-key", "hold-to-lock"]);
}

#[test]
fn a_door_that_only_a_tap_opens_is_opened_by_tap_with_the_lock_in_range() {
    let scene = Scene::new();
    let restrictions = Restrictions { interfaces: Some(Interfaces::NFC), ..Restrictions::default() };
    let bundle = scene.world.lock().unwrap().bundle(&Plan { restrictions, ..Plan::default() });
    scene.phone.service.script().bundle = Some(bundle);
    let keys = MobileKeys::new(config(), Platform { nfc: true, ..scene.platform() }).unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let host = Host::new(&keys);
    let story = Arc::new(Story::default());
    let press = keys.press(PressOptions::default(), story.clone()).unwrap();
    while !story.phases.lock().unwrap().contains(&"hold-to-lock") {
        std::thread::yield_now();
    }
    // The radio's calls come from the press's own thread: keep its lock free for them.
    let mut lock = std::mem::replace(&mut scene.radio.at().lock, Lock::new(&mut scene.world.lock().unwrap(), 2));
    host.tap(&mut lock);
    let outcome = press.wait();
    report(&outcome);
    assert_eq!(outcome.route, Some(Route::Tap));
}

#[test]
fn a_reader_in_the_middle_keeps_the_member_waiting_and_one_that_left_does_not() {
    let (scene, keys) = scene();
    let host = Host::new(&keys);
    assert!(host.ask(&select()).ends_with(&[0x90, 0x00]));
    let story = Arc::new(Story::default());
    assert_eq!(code(keys.press(scene.options(), story.clone())), ErrorCode::PressInProgress);
    host.link.field_lost();
    let press = loop {
        match keys.press(scene.options(), story.clone()) {
            Ok(press) => break press,
            Err(error) => assert_eq!(error.code(), ErrorCode::PressInProgress),
        }
    };
    assert_eq!(host.ends.recv().unwrap().outcome.code(), Some(ErrorCode::PressCancelled));
    while !story.phases.lock().unwrap().contains(&"searching") {
        std::thread::yield_now();
    }
    host.tap(&mut scene.radio.at().lock);
    report(&press.wait());
}

#[test]
fn a_reader_that_begins_anew_is_answered_anew() {
    let (scene, keys) = scene();
    let host = Host::new(&keys);
    for _ in 0..2 {
        assert!(host.ask(&select()).ends_with(&[0x90, 0x00]));
    }
    host.tap(&mut scene.radio.at().lock);
    report(&host.ends.recv().unwrap());
    assert_eq!(scene.moved(), 1);
}

/// A device key that is not done by itself, and has somebody to prompt.
struct SlowKey {
    key: WorldsKey,
    /// It signs at once.
    hurry: AtomicBool,
    signs: Mutex<Vec<Arc<SignatureAnswer>>>,
    prompts: Mutex<Vec<Arc<UserAnswer>>>,
}

impl SlowKey {
    fn new(scene: &Scene) -> Arc<Self> {
        let key = WorldsKey(scene.world.clone());
        Arc::new(Self { key, hurry: AtomicBool::new(false), signs: Mutex::default(), prompts: Mutex::default() })
    }
}

impl DeviceKey for SlowKey {
    fn public_key(&self) -> Result<PublicKey, DeviceKeyError> {
        self.key.public_key()
    }

    fn sign(&self, data: AuthenticationData, answer: Arc<SignatureAnswer>) {
        match data.usage() {
            Usage::Phone if !self.hurry.load(Ordering::Relaxed) => self.signs.lock().unwrap().push(answer),
            _ => self.key.sign(data, answer),
        }
    }

    fn authenticate_user(&self, answer: Arc<UserAnswer>) {
        self.prompts.lock().unwrap().push(answer);
    }

    fn remove(&self) -> Result<(), DeviceKeyError> {
        self.key.remove()
    }
}

/// A member signed in, with a device key that takes its time, and a reader that waits for the signature.
fn signing() -> (Scene, MobileKeys, Arc<SlowKey>, Host) {
    let scene = Scene::new();
    let key = SlowKey::new(&scene);
    let radio = scene.phone.radio.clone();
    let platform = Platform { radio, nfc: true, device_key: key.clone(), ..scene.platform() };
    let keys = MobileKeys::new(config(), platform).unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let host = Host::new(&keys);
    let signs = key.clone();
    let mut asked = Vec::new();
    scene.radio.at().lock.tap(|apdu| {
        asked.push(apdu.to_vec());
        host.link.apdu(apdu.to_vec(), true);
        loop {
            match host.answers.try_recv() {
                Ok(answer) => return Some(answer),
                Err(_) if signs.signs.lock().unwrap().is_empty() => std::thread::yield_now(),
                Err(_) => return None,
            }
        }
    });
    assert!(!key.signs.lock().unwrap().is_empty(), "{asked:?}");
    (scene, keys, key, host)
}

#[test]
fn a_reader_that_waits_for_the_signature_is_answered_whatever_becomes_of_the_press() {
    for ending in 0..3 {
        let (_scene, keys, key, host) = signing();
        assert!(host.answers.try_recv().is_err());
        match ending {
            0 => keys.sign_out().unwrap(),
            1 => drop(keys),
            _ => key.signs.lock().unwrap()[0].fail(DeviceKeyError::Failed),
        }
        let answer = host.answers.recv().unwrap();
        assert_eq!(answer.len(), 2, "a status word and nothing else");
        let outcome = host.ends.recv().unwrap();
        assert_eq!(outcome.outcome.name(), "refused");
        assert!(host.answers.try_recv().is_err(), "answered once");
    }
}

#[test]
fn a_signature_for_a_field_that_is_gone_is_kept_to_ourselves() {
    let (_scene, keys, key, host) = signing();
    let prompt = key.signs.lock().unwrap().pop().unwrap();
    host.link.field_lost();
    host.until_phase("hold-to-lock");
    prompt.succeed(keybutton_protocol::ids::Signature([1; 64]));
    keys.sign_out().unwrap();
    assert_eq!(host.ends.recv().unwrap().outcome.code(), Some(ErrorCode::PressCancelled));
    assert!(host.answers.try_recv().is_err());
}

#[test]
fn a_locked_phone_asks_the_member_and_the_next_tap_opens() {
    let scene = Scene::new();
    let key = SlowKey::new(&scene);
    let radio = scene.phone.radio.clone();
    let platform = Platform { radio, nfc: true, device_key: key.clone(), ..scene.platform() };
    let keys = MobileKeys::new(config(), platform).unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    scene.radio.at().lock.policy = UserPolicy::Force;
    let host = Host::new(&keys);
    scene.radio.at().lock.tap(|apdu| {
        host.link.apdu(apdu.to_vec(), false);
        Some(host.answers.recv().unwrap()).filter(|answer| answer.ends_with(&[0x90, 0x00]))
    });
    host.link.field_lost();
    while key.prompts.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    key.prompts.lock().unwrap().pop().unwrap().succeed();
    host.until_phase("hold-to-lock");
    key.hurry.store(true, Ordering::Relaxed);
    host.tap(&mut scene.radio.at().lock);
    report(&host.ends.recv().unwrap());
}

#[test]
fn a_host_that_panics_costs_one_answer() {
    let (scene, keys) = scene();
    let host = Host::with(&keys, true);
    host.tap(&mut scene.radio.at().lock);
    report(&host.ends.recv().unwrap());
}

#[test]
fn once_the_core_is_gone_every_reader_hears_not_now() {
    let (_scene, keys) = scene();
    let host = Host::new(&keys);
    drop(keys);
    assert_eq!(host.ask(&select()), NOT_NOW);
    assert_eq!(host.ask(&[0x80, 0x80, 0x00, 0x00]), NOT_NOW);
    host.link.field_lost();
}
