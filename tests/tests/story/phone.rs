//! A phone of the story: the real core with the air for its radio.

use std::{
    collections::BTreeSet,
    sync::{Arc, mpsc},
    time::Instant,
};

use keybutton::{
    AppId, ButtonState, Config, KeyError, MobileKeys, NearbyListener, Pending, Platform,
    discovery::Candidate,
    doctor::CheckResult,
    radio::{
        Radio as _, RadioState,
        air::{AirRadio, Endpoint, Participant},
    },
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    listener::{PATIENCE, Running},
    stage::Introduction,
};

pub struct Phone {
    config: Config,
    radio: Arc<AirRadio>,
    keys: Option<MobileKeys>,
    /// Every press that began; the last one is the running press.
    pub presses: Vec<Running>,
    folder: TempDir,
}

impl Phone {
    pub fn start(runtime: &Runtime, stage: &Introduction, name: &str, [x, y]: [f32; 2]) -> Self {
        let endpoint = Endpoint::Tcp(stage.air.parse().unwrap());
        let radio = runtime.block_on(AirRadio::join(&endpoint, &Participant::named(name).at(x, y))).unwrap();
        let config = Config {
            service_url: stage.service_url.clone(),
            app: AppId(stage.app.clone()),
            device_name: name.to_owned(),
            platform: "linux".to_owned(),
        };
        let folder = TempDir::new().unwrap();
        let mut phone = Self { config, radio: Arc::new(radio), keys: None, presses: Vec::new(), folder };
        phone.restart();
        phone
    }

    /// Ends the app and starts it again.
    pub fn restart(&mut self) {
        self.keys = None;
        let platform = Platform::desktop(self.radio.clone(), self.folder.path()).unwrap();
        self.keys = Some(MobileKeys::new(self.config.clone(), platform).unwrap());
    }

    pub fn keys(&self) -> &MobileKeys {
        self.keys.as_ref().unwrap()
    }

    pub fn running(&self) -> &Running {
        self.presses.last().expect("a press was started")
    }

    /// The doctor's findings, as the story spells them.
    pub fn doctor(&self) -> Vec<(&'static str, String)> {
        let spell = |result| match result {
            CheckResult::Passed => "passed".to_owned(),
            CheckResult::Skipped => "skipped".to_owned(),
            CheckResult::Warning(code) => format!("warning:{}", code.as_str()),
            CheckResult::Failed(code) => format!("failed:{}", code.as_str()),
        };
        let checks = self.keys().doctor().unwrap().wait().unwrap();
        checks.into_iter().map(|check| (check.name.as_str(), spell(check.result))).collect()
    }

    /// Lists the doors in range until all of these were in one list.
    pub fn nearby(&self, doors: &BTreeSet<String>) {
        let (sender, lists) = mpsc::channel();
        let nearby = self.keys().nearby(Arc::new(Lists(sender))).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let list = lists.recv_timeout(deadline - Instant::now()).expect("the doors came into range");
            if doors.is_subset(&list) {
                break;
            }
        }
        nearby.stop();
    }

    /// Waits until the radio says so. It tells its state to whoever uses it, and nobody does now: it has to be asked.
    pub fn wait_radio(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        let name = |state| match state {
            RadioState::On => "on",
            RadioState::Off => "off",
            RadioState::Unauthorized => "unauthorized",
            RadioState::Absent => "absent",
        };
        while name(self.radio.state()) != wanted {
            assert!(Instant::now() < deadline, "the radio did not go {wanted}");
            std::thread::yield_now();
        }
    }
}

/// The answer to a question about the Key Button, as the story spells it.
pub fn state(asked: Result<Pending<Result<ButtonState, KeyError>>, KeyError>) -> String {
    match asked.and_then(|pending| pending.wait()) {
        Ok(state) => button(state),
        Err(error) => format!("error:{}", error.code().as_str()),
    }
}

/// A state of the Key Button, as the story spells it.
pub fn button(state: ButtonState) -> String {
    match state {
        ButtonState::Visible => "visible".to_owned(),
        ButtonState::Hidden(reason) => format!("hidden:{}", KeyError::from(reason).code().as_str()),
    }
}

/// Passes on the names of the doors in range.
struct Lists(mpsc::Sender<BTreeSet<String>>);

impl NearbyListener for Lists {
    fn on_doors(&self, doors: Vec<Candidate>) {
        // The player may have seen enough.
        let _ = self.0.send(doors.into_iter().map(|door| door.name).collect());
    }

    fn on_blocked(&self, error: KeyError) {
        panic!("the scan is blocked: {error}");
    }
}
