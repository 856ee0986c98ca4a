//! Reports of a link's end that come when the next link to the same lock is wanted already.

use keybutton_protocol::{
    ids::PublicKey,
    keys::{AuthenticationData, Usage},
};

use super::{
    door::{Scene, WorldsKey},
    fake::{Story, config, token},
    *,
};
use crate::{
    device_key::{DeviceKey, DeviceKeyError, SignatureAnswer, UserAnswer},
    outcome::PressOutcome,
    press::Press,
    radio::RadioState,
};

/// A device key that never signs for a lock.
struct FailingKey(WorldsKey);

impl DeviceKey for FailingKey {
    fn public_key(&self) -> Result<PublicKey, DeviceKeyError> {
        self.0.public_key()
    }

    fn sign(&self, data: AuthenticationData, answer: Arc<SignatureAnswer>) {
        match data.usage() {
            Usage::Phone => answer.fail(DeviceKeyError::Failed),
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

/// A phone whose time and threads are the test's.
async fn failing(scene: &Scene) -> MobileKeys {
    let device_key = Arc::new(FailingKey(WorldsKey(scene.world.clone())));
    let keys = MobileKeys::new(config(), Platform { device_key, ..scene.platform() }).unwrap();
    keys.inner.threads.lend(tokio::runtime::Handle::current());
    keys.sign_in(token("ann")).unwrap().done().await.unwrap();
    keys
}

fn press(scene: &Scene, keys: &MobileKeys) -> Arc<Press> {
    keys.press(scene.options(), Arc::new(Story::default())).unwrap()
}

/// The key failed, on the first link.
fn assert_key_failed(outcome: &PressOutcome) {
    assert_eq!(outcome.outcome.code(), Some(ErrorCode::DeviceKeyFailed), "{outcome:?}");
    assert_eq!(outcome.metrics.links, 1, "{outcome:?}");
}

/// The link's end and a new press come together: the press listens already, and the one before is over when it begins.
#[tokio::test(start_paused = true)]
async fn a_press_does_not_take_the_end_of_the_last_link_for_that_of_its_own() {
    let scene = Scene::new();
    let keys = failing(&scene).await;
    scene.radio.at().ends_late = true;
    assert_key_failed(&press(&scene, &keys).outcome().done().await);
    // The press waits for its link to be gone. News puts it in front of the next one, which has not begun.
    let events = scene.radio.at().ended[0].clone();
    events.state_changed(RadioState::On);
    let second = press(&scene, &keys);
    scene.radio.report_ends();
    assert_key_failed(&second.outcome().done().await);
}

/// BlueZ drops a link seconds after it was asked to, and the radio connects again all the same.
#[tokio::test(start_paused = true)]
async fn an_end_that_is_reported_while_the_next_link_comes_up_does_not_end_that_one() {
    let scene = Scene::new();
    let keys = failing(&scene).await;
    scene.radio.at().ends_late = true;
    for _ in 0..3 {
        assert_key_failed(&press(&scene, &keys).outcome().done().await);
    }
}
