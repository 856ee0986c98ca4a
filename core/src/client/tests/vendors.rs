//! Doors that a vendor's SDK opens: the driver and the host's part.

use std::sync::mpsc;

use keybutton_protocol::{
    api::{Decision, DoorId, DoorRights, IntegrationKind},
    ids::UnlockId,
};

use super::{
    fake::{Phone, Story, config, token},
    *,
};
use crate::{
    outcome::{PressOutcome, Route},
    vendor::{VendorAnswer, VendorRequest, VendorUnlock},
};

/// A vendor's SDK that does what the test says.
struct Sdk {
    asked: Mutex<mpsc::Sender<(VendorRequest, Arc<VendorAnswer>)>>,
    cancelled: Mutex<mpsc::Sender<UnlockId>>,
    panics: bool,
}

impl VendorUnlock for Sdk {
    fn unlock(&self, request: VendorRequest, answer: Arc<VendorAnswer>) {
        assert!(!self.panics, "as told");
        self.asked.lock().unwrap().send((request, answer)).unwrap();
    }

    fn cancel(&self, press: UnlockId) {
        let _ = self.cancelled.lock().unwrap().send(press);
    }
}

struct Scene {
    phone: Phone,
    keys: MobileKeys,
    asked: mpsc::Receiver<(VendorRequest, Arc<VendorAnswer>)>,
    cancelled: mpsc::Receiver<UnlockId>,
}

impl Scene {
    fn new(panics: bool) -> Self {
        let phone = Phone::new();
        phone.service.script().rights = Some(Rights {
            member: MemberId("m".into()),
            organization: "Org".into(),
            button: ButtonState::Visible,
            doors: vec![DoorRights {
                id: DoorId("gate".into()),
                name: "Gate".into(),
                site: "Harbour".into(),
                integration: IntegrationKind::Vendor,
                reader_id: None,
                vendor_door: Some("lock 4711".into()),
                decision: Decision::Allow { until: u32::MAX },
            }],
            now: 0,
        });
        phone.service.script().member = Some("m".into());
        let ((asks, asked), (cancels, cancelled)) = (mpsc::channel(), mpsc::channel());
        let sdk = Sdk { asked: Mutex::new(asks), cancelled: Mutex::new(cancels), panics };
        let platform = Platform { vendor: Some(Arc::new(sdk)), ..phone.platform().unwrap() };
        let keys = MobileKeys::new(config(), platform).unwrap();
        keys.sign_in(token("ann")).unwrap().wait().unwrap();
        Self { phone, keys, asked, cancelled }
    }

    fn press(&self) -> Arc<Press> {
        self.keys.press(PressOptions::default(), Arc::new(Story::default())).unwrap()
    }
}

fn opened(outcome: &PressOutcome) -> bool {
    matches!(outcome.outcome, Outcome::Opened(_))
}

#[test]
fn the_host_is_asked_with_all_it_needs_and_its_word_is_the_outcome() {
    let scene = Scene::new(false);
    let press = scene.press();
    let (request, answer) = scene.asked.recv().unwrap();
    assert_eq!((request.press, request.door.0.as_str()), (press.id(), "gate"));
    assert_eq!((request.vendor_door.as_deref(), request.intent), (Some("lock 4711"), crate::Intent::Unlock));
    assert!(request.deadline <= PressOptions::DEADLINE && !request.deadline.is_zero());
    assert!(answer.is_wanted());
    answer.opened();
    answer.refused(ErrorCode::Busy);
    assert!(!answer.is_wanted());
    let outcome = press.wait();
    assert!(opened(&outcome) && outcome.route == Some(Route::Vendor), "{outcome:?}");
    press.settled().wait();
    assert!(scene.phone.service.asked().contains(&"POST /v1/presses".to_owned()));

    let press = scene.press();
    scene.asked.recv().unwrap().1.refused(ErrorCode::Hardware);
    assert_eq!(press.wait().outcome.code(), Some(ErrorCode::Hardware));
    assert!(scene.cancelled.try_recv().is_err(), "what was answered is not called off");
}

#[test]
fn an_unanswered_press_is_called_off_and_repeated_under_its_id() {
    let scene = Scene::new(false);
    let options = PressOptions { deadline: Duration::from_millis(100), ..PressOptions::default() };
    let press = scene.keys.press(options, Arc::new(Story::default())).unwrap();
    let (_, answer) = scene.asked.recv().unwrap();
    assert_eq!(press.wait().outcome.code(), Some(ErrorCode::NoVerdict));
    assert_eq!(scene.cancelled.recv().unwrap(), press.id());
    assert!(!answer.is_wanted());
    answer.opened();
    let again = scene.keys.retry(press.id(), Arc::new(Story::default())).unwrap();
    let (request, answer) = scene.asked.recv().unwrap();
    assert_eq!(request.press, press.id());
    answer.opened();
    assert!(opened(&again.wait()));
}

#[test]
fn cancelling_and_signing_out_call_the_vendor_off() {
    for signs_out in [false, true] {
        let scene = Scene::new(false);
        let press = scene.press();
        let (_, _answer) = scene.asked.recv().unwrap();
        if signs_out {
            scene.keys.sign_out().unwrap();
        } else {
            press.cancel();
        }
        assert_eq!(press.wait().outcome.code(), Some(ErrorCode::CancelledLate));
        assert_eq!(scene.cancelled.recv().unwrap(), press.id());
    }
}

#[test]
fn a_host_that_drops_its_answer_or_panics_leaves_the_press_unconfirmed_at_once() {
    let scene = Scene::new(false);
    let press = scene.press();
    drop(scene.asked.recv().unwrap());
    assert_eq!(press.wait().outcome.code(), Some(ErrorCode::NoVerdict));
    let scene = Scene::new(true);
    assert_eq!(scene.press().wait().outcome.code(), Some(ErrorCode::NoVerdict));
}

#[test]
fn without_a_connection_or_a_vendors_part_nothing_is_asked() {
    let scene = Scene::new(false);
    scene.phone.service.script().offline = true;
    assert_eq!(scene.press().wait().outcome.code(), Some(ErrorCode::ServiceUnreachable));
    scene.phone.service.script().offline = false;
    drop(scene.keys);
    let keys = scene.phone.start().unwrap();
    let press = keys.press(PressOptions::default(), Arc::new(Story::default())).unwrap();
    assert_eq!(press.wait().outcome.code(), Some(ErrorCode::UnlockMethodNative));
    assert!(scene.asked.try_recv().is_err());
}
