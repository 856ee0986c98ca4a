//! The driver in front of a lock that is the other half of the transaction.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use keybutton_protocol::{
    advert::{AdvertFlags, ServiceData},
    crypto::ring::Ring,
    exchange::SyncKind,
    frame::{Fragmenter, Reassembler},
    ids::{GroupResolvingKey, LockNumber, PublicKey, UnixTime},
    keys::{AuthenticationData, Usage},
};

use super::{
    fake::{Phone, Story, config, token},
    *,
};
use crate::{
    clock::Clock,
    device_key::{DeviceKey, DeviceKeyError, SignatureAnswer, UserAnswer},
    discovery::Candidate,
    keyring::fixture::{NOW, Plan, World, door, resolving_key},
    outcome::{Outcome, PressOutcome},
    press::PressOptions,
    radio::{Advertisement, PeripheralId, Radio, RadioError, RadioEvents, RadioState},
    unlock::tests::{
        lock::{Lock, Want},
        rig::rights,
    },
};

const MTU: u16 = 185;

/// Bluetooth with one lock in range. Everything happens within the calls.
pub(super) struct OneLock {
    world: Arc<Mutex<World>>,
    at: Mutex<At>,
}

pub(super) struct At {
    pub(super) lock: Lock,
    link: Option<(Fragmenter, Reassembler, Arc<dyn RadioEvents>)>,
    scan: Option<Arc<dyn RadioEvents>>,
    pub(super) state: RadioState,
    /// How many scans the system refuses for now.
    throttled: usize,
    /// How many messages of the lock get through; after them the link dies and no other comes up.
    left: usize,
    /// The ends of links that the phone drops are reported late: when a test says so, or with the next link.
    pub(super) ends_late: bool,
    pub(super) ended: Vec<Arc<dyn RadioEvents>>,
}

/// Whom to tell, and the values of the lock's answer; `None` when the link is gone.
type Said = (Arc<dyn RadioEvents>, Option<Vec<Vec<u8>>>);

impl OneLock {
    fn peripheral() -> PeripheralId {
        PeripheralId("lock-1".into())
    }

    pub(super) fn at(&self) -> std::sync::MutexGuard<'_, At> {
        self.at.lock().unwrap()
    }

    fn switch(&self, state: RadioState) {
        self.at().state = state;
        let scan = self.at().scan.clone();
        scan.unwrap().state_changed(state);
    }

    /// Reports the links that have ended.
    pub(super) fn report_ends(&self) {
        let ended = std::mem::take(&mut self.at().ended);
        ended.into_iter().for_each(|events| events.disconnected(Self::peripheral(), RadioError::Closed));
    }

    /// What the lock says to a value; `None` while a message is not complete.
    fn exchange(&self, value: &[u8]) -> Option<Said> {
        let mut at = self.at();
        let At { lock, link, left, .. } = &mut *at;
        let (out, back, events) = link.as_mut()?;
        let message = back.push(value).unwrap()?;
        let said = lock.message(message).filter(|_| *left > 0);
        *left = left.saturating_sub(1);
        let values = said.map(|said| out.split(&said).map(|value| value.to_vec()).collect());
        let events = events.clone();
        if values.is_none() {
            *link = None;
        }
        Some((events, values))
    }
}

impl Radio for OneLock {
    fn state(&self) -> RadioState {
        self.at().state
    }

    fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        let throttled = self.at().throttled;
        if throttled > 0 {
            self.at().throttled = throttled - 1;
            return Err(RadioError::Throttled);
        }
        let group = self.world.lock().unwrap().group;
        let key = GroupResolvingKey::new(resolving_key(group));
        let data = ServiceData::make(&Ring::new(), &key, [1, 2, 3], LockNumber(1), AdvertFlags::default());
        events.advertisement(Advertisement {
            peripheral: Self::peripheral(),
            rssi: -50,
            tx_power: Some(4),
            service_data: data.to_bytes().to_vec(),
        });
        self.at().scan = Some(events);
        Ok(())
    }

    fn stop_scan(&self) {
        self.at().scan = None;
    }

    fn connect(&self, peripheral: PeripheralId, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        self.report_ends();
        let mut at = self.at();
        if at.left == 0 {
            return Err(RadioError::OutOfRange);
        }
        if at.link.is_some() {
            return Err(RadioError::Throttled);
        }
        at.lock.reset();
        at.link = Some((Fragmenter::new(MTU), Reassembler::new(), events.clone()));
        events.connected(peripheral, MTU);
        Ok(())
    }

    fn write(&self, peripheral: PeripheralId, value: Vec<u8>) -> Result<(), RadioError> {
        match self.exchange(&value) {
            None => {}
            Some((events, None)) => events.disconnected(peripheral, RadioError::LinkLost),
            Some((events, Some(values))) => {
                values.into_iter().for_each(|value| events.notification(peripheral.clone(), value));
            }
        }
        Ok(())
    }

    fn disconnect(&self, peripheral: PeripheralId) {
        assert_eq!(peripheral, Self::peripheral());
        let mut at = self.at();
        let link = at.link.take();
        at.ended.extend(link.map(|(_, _, events)| events));
        let late = at.ends_late;
        drop(at);
        if !late {
            self.report_ends();
        }
    }
}

/// The device key the site's documents are made for.
pub(super) struct WorldsKey(pub(super) Arc<Mutex<World>>);

impl DeviceKey for WorldsKey {
    fn public_key(&self) -> Result<PublicKey, DeviceKeyError> {
        Ok(self.0.lock().unwrap().device_key())
    }

    fn sign(&self, data: AuthenticationData, answer: Arc<SignatureAnswer>) {
        answer.succeed(self.0.lock().unwrap().device.sign_shared(data.as_bytes()).unwrap());
    }

    fn authenticate_user(&self, answer: Arc<UserAnswer>) {
        answer.succeed();
    }

    fn remove(&self) -> Result<(), DeviceKeyError> {
        Ok(())
    }
}

/// The fixture's time, going on only where a test says so; elapsed time is real.
struct WorldsClock(crate::clock::SystemClock, AtomicU64);

impl Clock for WorldsClock {
    fn unix_ms(&self) -> u64 {
        u64::from(NOW.0) * 1000 + self.1.load(Ordering::Relaxed) / 1000
    }

    fn monotonic_us(&self) -> u64 {
        self.0.monotonic_us() + self.1.load(Ordering::Relaxed)
    }
}

pub(super) struct Scene {
    pub(super) phone: Phone,
    pub(super) world: Arc<Mutex<World>>,
    pub(super) radio: Arc<OneLock>,
    clock: Arc<WorldsClock>,
}

impl Scene {
    pub(super) fn new() -> Self {
        let mut world = World::new();
        let lock = Lock::new(&mut world, 1);
        let phone = Phone::new();
        {
            let mut script = phone.service.script();
            script.rights = Some(rights(&world, ButtonState::Visible));
            script.bundle = Some(world.bundle(&Plan::default()));
            script.ack = Some(world.ack(1, 1));
            script.member = Some("m".into());
        }
        let world = Arc::new(Mutex::new(world));
        let at = Mutex::new(At {
            lock,
            link: None,
            scan: None,
            state: RadioState::On,
            throttled: 0,
            left: usize::MAX,
            ends_late: false,
            ended: Vec::new(),
        });
        let radio = Arc::new(OneLock { world: world.clone(), at });
        let clock = Arc::new(WorldsClock(crate::clock::SystemClock::new(), AtomicU64::new(0)));
        Self { phone, world, radio, clock }
    }

    pub(super) fn platform(&self) -> Platform {
        Platform {
            radio: self.radio.clone(),
            device_key: Arc::new(WorldsKey(self.world.clone())),
            clock: self.clock.clone(),
            ..self.phone.platform().unwrap()
        }
    }

    pub(super) fn start(&self) -> MobileKeys {
        MobileKeys::new(config(), self.platform()).unwrap()
    }

    pub(super) fn options(&self) -> PressOptions {
        PressOptions::door(door(self.world.lock().unwrap().group, 1))
    }

    fn press(&self, keys: &MobileKeys) -> PressOutcome {
        let press = keys.press(self.options(), Arc::new(Story::default())).unwrap();
        press.settled().wait();
        press.outcome().get().unwrap()
    }

    pub(super) fn moved(&self) -> u32 {
        self.radio.at().lock.moved
    }
}

pub(super) fn report(outcome: &PressOutcome) -> &crate::outcome::LockReport {
    match &outcome.outcome {
        Outcome::Opened(report) => report,
        Outcome::Refused(_) | Outcome::Unconfirmed(_) => panic!("not opened: {outcome:?}"),
    }
}

#[test]
fn the_first_press_downloads_and_opens_and_the_second_is_fast() {
    let scene = Scene::new();
    let keys = scene.start();
    // Signed in where there is no connection: the press has to do everything.
    scene.phone.service.script().offline = true;
    keys.sign_in(token("ann")).unwrap().wait().unwrap_err();
    scene.phone.service.script().offline = false;
    let story = Arc::new(Story::default());
    let press = keys.press(scene.options(), story.clone()).unwrap();
    press.settled().wait();
    let first = press.wait();
    report(&first);
    assert!(first.metrics.downloaded && !first.metrics.fast, "{first:?}");
    let told = ["checking-access", "downloading-key", "searching", "connecting", "proving", "opening"];
    drop(press);
    while Arc::strong_count(&story) > 1 {
        std::thread::yield_now();
    }
    assert_eq!(*story.phases.lock().unwrap(), told);
    assert_eq!(*story.outcomes.lock().unwrap(), [first]);

    let second = scene.press(&keys);
    report(&second);
    assert!(second.metrics.fast && !second.metrics.downloaded, "{second:?}");
    assert_eq!(scene.moved(), 2);
}

#[test]
fn keys_and_what_locks_shared_survive_a_restart_without_the_service() {
    let scene = Scene::new();
    let keys = scene.start();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    report(&scene.press(&keys));
    drop(keys);
    scene.phone.service.script().offline = true;
    let keys = scene.start();
    let outcome = scene.press(&keys);
    report(&outcome);
    assert!(outcome.metrics.fast, "the shared secret was kept: {outcome:?}");
}

#[test]
fn an_unconfirmed_press_is_confirmed_under_the_same_id_and_moves_once() {
    let scene = Scene::new();
    let keys = scene.start();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    // AUTH0, AUTH1 and ENVELOPE get through, the verdict does not.
    scene.radio.at().left = 3;
    let options = PressOptions { deadline: Duration::from_millis(300), ..scene.options() };
    let press = keys.press(options, Arc::new(Story::default())).unwrap();
    let outcome = press.wait();
    assert!(matches!(outcome.outcome, Outcome::Unconfirmed(_)), "{outcome:?}");
    assert_eq!(scene.moved(), 1);

    scene.radio.at().left = usize::MAX;
    let again = keys.retry(press.id(), Arc::new(Story::default()));
    // The repeat has all the time that is left.
    let confirmed = again.unwrap().wait();
    assert_eq!(confirmed.press, press.id());
    assert!(report(&confirmed).replayed, "{confirmed:?}");
    assert_eq!(scene.moved(), 1);
    assert_eq!(code(keys.retry(press.id(), Arc::new(Story::default()))), ErrorCode::InvalidRequest, "confirmed");
}

#[test]
fn an_unconfirmed_press_is_not_repeated_once_the_lock_may_have_forgotten_it() {
    let scene = Scene::new();
    let keys = scene.start();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    scene.radio.at().left = 3;
    let options = PressOptions { deadline: Duration::from_millis(100), ..scene.options() };
    let press = keys.press(options, Arc::new(Story::default())).unwrap();
    assert_eq!(press.wait().outcome.name(), "unconfirmed");
    scene.clock.1.fetch_add(45_000_000, Ordering::Relaxed);
    assert_eq!(code(keys.retry(press.id(), Arc::new(Story::default()))), ErrorCode::InvalidRequest);
}

#[test]
fn the_next_member_cannot_repeat_an_unconfirmed_press() {
    let scene = Scene::new();
    let keys = scene.start();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    scene.radio.at().left = 3;
    let options = PressOptions { deadline: Duration::from_millis(100), ..scene.options() };
    let press = keys.press(options, Arc::new(Story::default())).unwrap();
    assert_eq!(press.wait().outcome.name(), "unconfirmed");
    keys.sign_in(token("bob")).unwrap().wait().unwrap();
    assert_eq!(code(keys.retry(press.id(), Arc::new(Story::default()))), ErrorCode::InvalidRequest);
}

/// A device key that waits for the member before it signs for a lock.
struct PromptingKey(WorldsKey, Mutex<Vec<Arc<SignatureAnswer>>>);

impl DeviceKey for PromptingKey {
    fn public_key(&self) -> Result<PublicKey, DeviceKeyError> {
        self.0.public_key()
    }

    fn sign(&self, data: AuthenticationData, answer: Arc<SignatureAnswer>) {
        match data.usage() {
            Usage::Phone => self.1.lock().unwrap().push(answer),
            _ => self.0.sign(data, answer),
        }
    }

    fn authenticate_user(&self, answer: Arc<UserAnswer>) {
        self.0.authenticate_user(answer);
    }

    fn remove(&self) -> Result<(), DeviceKeyError> {
        self.0.remove()
    }
}

#[test]
fn a_prompt_that_outlives_its_press_is_not_wanted() {
    let scene = Scene::new();
    let key = Arc::new(PromptingKey(WorldsKey(scene.world.clone()), Mutex::default()));
    let keys = MobileKeys::new(config(), Platform { device_key: key.clone(), ..scene.platform() }).unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let press = keys.press(scene.options(), Arc::new(Story::default())).unwrap();
    while key.1.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let prompt = key.1.lock().unwrap().pop().unwrap();
    assert!(prompt.is_wanted());
    press.cancel();
    assert_eq!(press.wait().outcome.code(), Some(ErrorCode::PressCancelled));
    while prompt.is_wanted() {
        std::thread::yield_now();
    }
}

#[test]
fn audit_is_carried_to_the_service_and_its_answer_back() {
    let scene = Scene::new();
    let keys = scene.start();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    scene.radio.at().lock.wants = [Want::HandOver(vec![7; 100])].into();
    scene.phone.service.script().offline = true;
    report(&scene.press(&keys));
    assert!(scene.phone.service.script().audit.is_empty());
    drop(keys);
    let keys = scene.start();
    scene.phone.service.script().offline = false;
    keys.refresh().unwrap().wait().unwrap();
    {
        let script = scene.phone.service.script();
        assert_eq!(script.audit.len(), 1);
        assert_eq!(script.audit[0].envelope.0, [7; 100]);
    }
    scene.radio.at().lock.got.clear();
    scene.radio.at().lock.wants = [Want::Ask(SyncKind::AckToken)].into();
    report(&scene.press(&keys));
    let ack = scene.phone.service.script().ack.clone().unwrap();
    assert_eq!(scene.radio.at().lock.got, [Some(ack.token.0)]);
    assert_eq!(scene.phone.service.script().audit.len(), 1, "taken once");
}

#[test]
fn a_new_press_cuts_the_exchange_of_the_last_one_short() {
    let scene = Scene::new();
    let keys = scene.start();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    for _ in 0..5 {
        scene.radio.at().lock.wants = [Want::Ask(SyncKind::TimeToken), Want::HandOver(vec![1; 50])].into();
        let press = keys.press(scene.options(), Arc::new(Story::default())).unwrap();
        report(&press.wait());
    }
    assert_eq!(scene.moved(), 5);
}

#[test]
fn signing_out_in_the_middle_ends_the_press_and_leaves_nothing() {
    for left in 0..=4 {
        let scene = Scene::new();
        let keys = scene.start();
        keys.sign_in(token("ann")).unwrap().wait().unwrap();
        scene.radio.at().left = left;
        let press = keys.press(scene.options(), Arc::new(Story::default())).unwrap();
        keys.sign_out().unwrap();
        press.wait();
        press.settled().wait();
        assert_eq!(keys.key_button(), hidden(HiddenReason::NotSignedIn));
        drop(keys);
        assert_eq!(scene.phone.entries(), Vec::<String>::new(), "after {left} messages");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_renewed_by_one_timer_and_a_failure_is_left_to_the_next_use() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let scene = Scene::new();
    let keys = scene.start();
    keys.inner.threads.lend(tokio::runtime::Handle::current());
    keys.sign_in(token("ann")).unwrap().done().await.unwrap();
    scene.phone.service.asked();
    tokio::time::sleep(DAY - Duration::from_secs(60)).await;
    assert!(scene.phone.service.asked().is_empty(), "nothing is done before half of the validity");
    scene.clock.1.store(u64::try_from(DAY.as_micros()).unwrap(), Ordering::Relaxed);
    let fresh = Plan { signed: UnixTime(NOW.0 + 24 * 3600), ..Plan::default() };
    let bundle = scene.world.lock().unwrap().bundle(&fresh);
    scene.phone.service.script().bundle = Some(bundle);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(scene.phone.service.asked(), ["GET /v1/me", "POST /v1/keys"]);
    scene.phone.service.script().offline = true;
    tokio::time::sleep(DAY).await;
    assert_eq!(scene.phone.service.asked(), ["GET /v1/me"]);
    tokio::time::sleep(30 * DAY).await;
    assert!(scene.phone.service.asked().is_empty(), "a service out of reach is not asked again and again");
}

/// What the list of nearby doors showed.
#[derive(PartialEq, Eq, Debug)]
enum Shown {
    Doors(Vec<String>),
    Blocked(ErrorCode),
}

struct List(Mutex<std::sync::mpsc::Sender<Shown>>);

impl NearbyListener for List {
    fn on_doors(&self, doors: Vec<Candidate>) {
        let names = doors.into_iter().map(|door| door.name).collect();
        self.0.lock().unwrap().send(Shown::Doors(names)).unwrap();
    }

    fn on_blocked(&self, error: KeyError) {
        self.0.lock().unwrap().send(Shown::Blocked(error.code())).unwrap();
    }
}

#[test]
fn nearby_doors_come_and_go_with_the_radio_and_the_member() {
    let scene = Scene::new();
    let keys = scene.start();
    let list = || {
        let (sender, shown) = std::sync::mpsc::channel();
        (Arc::new(List(Mutex::new(sender))), shown)
    };
    assert_eq!(code(keys.nearby(list().0)), ErrorCode::NotSignedIn);
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let (listener, shown) = list();
    let nearby = keys.nearby(listener).unwrap();
    let there = Shown::Doors(vec!["Door 1".into()]);
    assert_eq!(shown.recv().unwrap(), there);
    scene.radio.switch(RadioState::Off);
    while shown.recv().unwrap() != Shown::Doors(vec![]) {}
    assert_eq!(shown.recv().unwrap(), Shown::Blocked(ErrorCode::BluetoothOff));
    // A press brings its own scan; the radio is on again for both.
    scene.radio.at().state = RadioState::On;
    report(&scene.press(&keys));
    nearby.stop();
    nearby.stop();
    while shown.recv().is_ok() {}
    assert!(scene.radio.at().scan.is_none(), "nobody scans");

    let (listener, shown) = list();
    let nearby = keys.nearby(listener).unwrap();
    assert_eq!(shown.recv().unwrap(), there);
    keys.sign_out().unwrap();
    while shown.recv().is_ok() {}
    assert!(scene.radio.at().scan.is_none(), "signing out ends the scan");
    drop(nearby);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_scan_for_nearby_doors_starts_once_the_system_lets_it() {
    let scene = Scene::new();
    let keys = scene.start();
    keys.inner.threads.lend(tokio::runtime::Handle::current());
    keys.sign_in(token("ann")).unwrap().done().await.unwrap();
    scene.radio.at().throttled = 3;
    let (sender, shown) = std::sync::mpsc::channel();
    let nearby = keys.nearby(Arc::new(List(Mutex::new(sender)))).unwrap();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(shown.try_recv(), Ok(Shown::Doors(vec!["Door 1".into()])));
    drop(nearby);
}

#[test]
fn a_listener_of_nearby_doors_that_panics_ends_only_its_own_scan() {
    let scene = Scene::new();
    let keys = scene.start();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let (sender, shown) = std::sync::mpsc::channel();
    drop(shown);
    let listener = Arc::new(List(Mutex::new(sender)));
    let nearby = keys.nearby(listener.clone()).unwrap();
    while Arc::strong_count(&listener) > 1 {
        std::thread::yield_now();
    }
    report(&scene.press(&keys));
    drop(nearby);
}

#[test]
fn no_key_and_no_shared_secret_reaches_log_or_report() {
    let scene = Scene::new();
    let keys = scene.start();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    report(&scene.press(&keys));
    report(&scene.press(&keys));
    let report = keys.support_report();
    let text = scene.phone.lines.text() + &report + &format!("{keys:?}");
    let group = scene.world.lock().unwrap().group;
    let resolving = resolving_key(group).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let bundle = serde_json::to_value(scene.phone.service.script().bundle.clone()).unwrap();
    let site = &bundle["sites"][0];
    let named = ["group_resolving_key", "document", "time_token", "access_id", "group_id"];
    let mut secrets: Vec<&str> = named.iter().map(|name| site[name].as_str().unwrap()).collect();
    secrets.extend([resolving.as_str(), fake::CANARY, "door-7-1", "Door 1", "Harbour"]);
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("opened"), "{text}");
}
