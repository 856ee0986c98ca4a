//! The Key Button as those who watch it hear of it.

use std::sync::{Mutex, mpsc};

use super::{
    fake::{Phone, QuietRadio, Story, token},
    *,
};
use crate::{
    clock::Clock as _,
    discovery::Candidate,
    press::PressOptions,
    radio::{PeripheralId, Radio, RadioError, RadioEvents, RadioState},
};

/// Passes on what it hears.
struct Screen(Mutex<mpsc::Sender<ButtonState>>);

impl ButtonListener for Screen {
    fn on_button(&self, state: ButtonState) {
        self.0.lock().unwrap().send(state).unwrap();
    }
}

fn screen() -> (Arc<Screen>, mpsc::Receiver<ButtonState>) {
    let (sender, shown) = mpsc::channel();
    (Arc::new(Screen(Mutex::new(sender))), shown)
}

/// Waits for a state; those on the way to it are another test's.
fn until(shown: &mpsc::Receiver<ButtonState>, state: ButtonState) {
    while shown.recv().unwrap() != state {}
}

#[test]
fn the_state_of_now_comes_at_once_and_then_each_change_in_order() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    let (listener, shown) = screen();
    let watch = keys.watch_button(listener).unwrap();
    assert_eq!(shown.recv().unwrap(), hidden(HiddenReason::NotSignedIn));

    phone.service.script().silent = true;
    let signing_in = keys.sign_in(token("ann")).unwrap();
    assert_eq!(shown.recv().unwrap(), hidden(HiddenReason::DeviceNotEnrolled), "signed in, not enrolled");
    while phone.service.script().held.is_empty() {
        std::thread::yield_now();
    }
    phone.service.script().silent = false;
    phone.service.script().held.pop().unwrap().fail(crate::http::HttpError::Offline);
    signing_in.wait().unwrap_err();
    assert!(shown.try_recv().is_err(), "a contact that failed changes nothing");

    keys.refresh().unwrap().wait().unwrap();
    assert_eq!(shown.recv().unwrap(), ButtonState::Visible, "enrolled");
    keys.refresh().unwrap().wait().unwrap();
    phone.service.script().button = Some(HiddenReason::NoAccessGroup);
    keys.refresh().unwrap().wait().unwrap();
    assert_eq!(shown.recv().unwrap(), hidden(HiddenReason::NoAccessGroup), "and nothing where nothing changed");
    keys.sign_out().unwrap();
    assert_eq!(shown.recv().unwrap(), hidden(HiddenReason::NotSignedIn));
    keys.sign_in(token("bob")).unwrap().wait().unwrap();
    until(&shown, hidden(HiddenReason::NoAccessGroup));
    drop(watch);
    assert!(shown.recv().is_err(), "the listener was let go");
}

#[test]
fn a_revoked_device_is_heard_of() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let (listener, shown) = screen();
    let _watch = keys.watch_button(listener).unwrap();
    assert_eq!(shown.recv().unwrap(), ButtonState::Visible);
    phone.service.script().devices.clear();
    keys.refresh().unwrap().wait().unwrap();
    assert_eq!(shown.recv().unwrap(), hidden(HiddenReason::DeviceNotEnrolled));
}

#[test]
fn what_a_press_learns_from_the_service_is_heard_of() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let (listener, shown) = screen();
    let _watch = keys.watch_button(listener).unwrap();
    assert_eq!(shown.recv().unwrap(), ButtonState::Visible);
    phone.service.script().button = Some(HiddenReason::ModuleDisabled);
    let press = keys.press(PressOptions::default(), Arc::new(Story::default())).unwrap();
    assert_eq!(press.wait().outcome.code(), Some(ErrorCode::ModuleDisabled));
    assert_eq!(shown.recv().unwrap(), hidden(HiddenReason::ModuleDisabled));
}

#[tokio::test(start_paused = true)]
async fn rights_renewed_in_the_background_are_heard_of() {
    let phone = Phone::new();
    let due = u32::try_from(crate::clock::SystemClock::new().unix_ms() / 1000).unwrap() + 3600;
    let bundle = keybutton_protocol::api::KeyBundle { sites: vec![], renew_after: due, now: 0 };
    phone.service.script().bundle = Some(bundle);
    let keys = phone.start().unwrap();
    keys.inner.threads.lend(tokio::runtime::Handle::current());
    keys.sign_in(token("ann")).unwrap().done().await.unwrap();
    let (listener, shown) = screen();
    let _watch = keys.watch_button(listener).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(shown.try_recv(), Ok(ButtonState::Visible));
    phone.service.script().button = Some(HiddenReason::MemberSuspended);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(shown.try_recv(), Ok(hidden(HiddenReason::MemberSuspended)));
}

/// Bluetooth that can be unplugged.
struct Dongle {
    state: Mutex<RadioState>,
    events: Mutex<Option<Arc<dyn RadioEvents>>>,
    rest: QuietRadio,
}

impl Dongle {
    fn turn(&self, state: RadioState) {
        *self.state.lock().unwrap() = state;
        let events = self.events.lock().unwrap().clone();
        events.unwrap().state_changed(state);
    }
}

impl Radio for Dongle {
    fn state(&self) -> RadioState {
        *self.state.lock().unwrap()
    }

    fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        self.events.lock().unwrap().replace(events);
        Ok(())
    }

    fn stop_scan(&self) {}

    fn connect(&self, peripheral: PeripheralId, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        self.rest.connect(peripheral, events)
    }

    fn write(&self, peripheral: PeripheralId, value: Vec<u8>) -> Result<(), RadioError> {
        self.rest.write(peripheral, value)
    }

    fn disconnect(&self, _: PeripheralId) {}
}

struct NoList;

impl NearbyListener for NoList {
    fn on_doors(&self, _: Vec<Candidate>) {}

    fn on_blocked(&self, _: KeyError) {}
}

#[test]
fn a_radio_that_comes_and_goes_is_heard_of() {
    let phone = Phone::new();
    let radio =
        Arc::new(Dongle { state: Mutex::new(RadioState::On), events: Mutex::default(), rest: QuietRadio::default() });
    let platform = Platform { radio: radio.clone(), ..phone.platform().unwrap() };
    let keys = MobileKeys::new(fake::config(), platform).unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let (listener, shown) = screen();
    let _watch = keys.watch_button(listener).unwrap();
    assert_eq!(shown.recv().unwrap(), ButtonState::Visible);
    let nearby = keys.nearby(Arc::new(NoList)).unwrap();
    while radio.events.lock().unwrap().is_none() {
        std::thread::yield_now();
    }
    nearby.stop();
    // The scan is over; whoever has the events may still report.
    radio.turn(RadioState::Absent);
    assert_eq!(shown.recv().unwrap(), hidden(HiddenReason::UnsupportedDevice));
    radio.turn(RadioState::On);
    assert_eq!(shown.recv().unwrap(), ButtonState::Visible);
    radio.turn(RadioState::Off);
    keys.sign_out().unwrap();
    assert_eq!(shown.recv().unwrap(), hidden(HiddenReason::NotSignedIn), "switched off is not absent");
}

/// Asks the core from within the call, and panics.
struct Rude {
    keys: std::sync::Weak<MobileKeys>,
    shown: Mutex<mpsc::Sender<ButtonState>>,
}

impl ButtonListener for Rude {
    fn on_button(&self, state: ButtonState) {
        if let Some(keys) = self.keys.upgrade() {
            assert_eq!(keys.doors().len(), 0);
            keys.support_report();
        }
        self.shown.lock().unwrap().send(state).unwrap();
        panic!("as told");
    }
}

#[test]
fn a_listener_may_call_the_core_and_may_panic() {
    let phone = Phone::new();
    let keys = Arc::new(phone.start().unwrap());
    let (sender, shown) = mpsc::channel();
    let _watch = keys.watch_button(Arc::new(Rude { keys: Arc::downgrade(&keys), shown: Mutex::new(sender) })).unwrap();
    assert_eq!(shown.recv().unwrap(), hidden(HiddenReason::NotSignedIn));
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    until(&shown, ButtonState::Visible);
    keys.sign_out().unwrap();
    until(&shown, hidden(HiddenReason::NotSignedIn));
}

#[test]
fn stopping_ends_it_and_so_does_dropping_the_core() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    let ((first, first_shown), (second, second_shown)) = (screen(), screen());
    let watch = keys.watch_button(first).unwrap();
    let _kept = keys.watch_button(second).unwrap();
    assert_eq!(first_shown.recv().unwrap(), hidden(HiddenReason::NotSignedIn));
    assert_eq!(second_shown.recv().unwrap(), hidden(HiddenReason::NotSignedIn));
    watch.stop();
    watch.stop();
    assert!(first_shown.recv().is_err());
    drop(keys);
    assert!(second_shown.recv().is_err());
}
