//! A phone on a laptop: the real core with the air for its radio, a software device key and an encrypted vault.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keybutton::{
    MobileKeys,
    client::{Config, Platform},
    error::KeyError,
    http::{Http, HttpAnswer, HttpError, HttpRequest},
    outcome::PressOutcome,
    press::{Press, PressListener, PressOptions},
    radio::{
        Radio,
        air::{AirRadio, Endpoint, Participant},
    },
    unlock::Phase,
};
use keybutton_protocol::{
    api::{AppId, ButtonState, DoorId, DoorRights},
    ids::UnlockId,
};
use tokio::sync::mpsc;

use crate::failure::Failure;

/// How a phone runs.
#[derive(Clone, Debug)]
pub struct PhoneOptions {
    /// Where its vault is.
    pub folder: PathBuf,
    /// The air it joins.
    pub endpoint: Endpoint,
    /// Its name, place and knobs on the air; the name is also what the member sees in the list of devices.
    pub participant: Participant,
    /// The access service.
    pub service: String,
    /// The Branded App on it.
    pub app: AppId,
}

/// A phone with the Branded App on it.
#[derive(Debug)]
pub struct Phone {
    keys: MobileKeys,
    network: Arc<Network>,
}

/// What a press tells while it goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// It entered a phase.
    Phase(Phase),
    /// It ended.
    Outcome(Box<PressOutcome>),
}

/// A press that goes on.
#[derive(Debug)]
pub struct Pressing {
    press: Arc<Press>,
    news: mpsc::UnboundedReceiver<News>,
}

impl Phone {
    /// Starts the app. Whoever was signed in still is.
    pub async fn start(options: PhoneOptions) -> Result<Self, Failure> {
        let radio = Arc::new(AirRadio::join(&options.endpoint, &options.participant).await?);
        Self::with_radio(radio, &options.folder, options.participant.name, options.service, options.app)
    }

    /// Starts the app on a radio of any kind; the name is what the member sees in the list of devices.
    pub fn with_radio(
        radio: Arc<dyn Radio>,
        folder: &Path,
        name: String,
        service: String,
        app: AppId,
    ) -> Result<Self, Failure> {
        let platform = Platform::desktop(radio, folder).map_err(keybutton::client::StartError::from)?;
        let network = Arc::new(Network { online: AtomicBool::new(true), http: platform.http.clone() });
        let platform = Platform { http: network.clone(), ..platform };
        let config = Config { service_url: service, app, device_name: name, platform: platform_name().to_owned() };
        Ok(Self { keys: MobileKeys::new(config, platform)?, network })
    }

    /// The core itself.
    pub fn keys(&self) -> &MobileKeys {
        &self.keys
    }

    /// Takes the phone off the network, or back on.
    pub fn set_online(&self, online: bool) {
        self.network.online.store(online, Ordering::Relaxed);
    }

    /// Signs a member in and waits for the first contact with the service.
    pub async fn sign_in(&self, token: String) -> Result<ButtonState, Failure> {
        Ok(self.keys.sign_in(token)?.done().await?)
    }

    /// Asks the service for rights and keys.
    pub async fn refresh(&self) -> Result<ButtonState, Failure> {
        Ok(self.keys.refresh()?.done().await?)
    }

    /// Finds a door the member may see, by its name or id.
    pub async fn door(&self, name: &str) -> Result<DoorRights, Failure> {
        let mut doors = self.keys.doors();
        if doors.is_empty() {
            // The phone knows nothing of this member: the service says why.
            if let ButtonState::Hidden(reason) = self.refresh().await? {
                return Err(KeyError::from(reason).into());
            }
            doors = self.keys.doors();
        }
        let same = |door: &&DoorRights| door.name.eq_ignore_ascii_case(name) || door.id.0 == name;
        doors.iter().find(same).cloned().ok_or_else(|| {
            let known: Vec<&str> = doors.iter().map(|door| door.name.as_str()).collect();
            Failure::new(
                "unknown-door",
                format_args!("there is no door called {name}"),
                format_args!("Choose one of: {}.", known.join(", ")),
            )
        })
    }

    /// Presses the Key Button.
    pub fn press(&self, options: PressOptions) -> Result<Pressing, Failure> {
        let (listener, news) = Listener::new();
        Ok(Pressing { press: self.keys.press(options, listener)?, news })
    }

    /// Presses the Key Button for one door and waits for the outcome.
    pub async fn press_door(&self, door: &DoorId) -> Result<PressOutcome, Failure> {
        self.press(PressOptions::door(door.clone()))?.outcome().await
    }

    /// Repeats an unconfirmed press under the same id.
    pub fn retry(&self, press: UnlockId) -> Result<Pressing, Failure> {
        let (listener, news) = Listener::new();
        Ok(Pressing { press: self.keys.retry(press, listener)?, news })
    }
}

impl Pressing {
    /// The press.
    pub fn press(&self) -> &Press {
        &self.press
    }

    /// Waits for what it tells next.
    pub async fn next(&mut self) -> Result<News, Failure> {
        self.news.recv().await.ok_or_else(ended)
    }

    /// Waits for its outcome.
    pub async fn outcome(&mut self) -> Result<PressOutcome, Failure> {
        loop {
            if let News::Outcome(outcome) = self.next().await? {
                return Ok(*outcome);
            }
        }
    }
}

struct Listener(mpsc::UnboundedSender<News>);

impl Listener {
    fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<News>) {
        let (sender, news) = mpsc::unbounded_channel();
        (Arc::new(Self(sender)), news)
    }
}

impl PressListener for Listener {
    fn on_phase(&self, phase: Phase) {
        // Whoever started the press may not care how it goes.
        let _ = self.0.send(News::Phase(phase));
    }

    fn on_outcome(&self, outcome: PressOutcome) {
        let _ = self.0.send(News::Outcome(Box::new(outcome)));
    }
}

/// A network that can be out of reach.
struct Network {
    online: AtomicBool,
    http: Arc<dyn Http>,
}

impl Http for Network {
    fn send(&self, request: HttpRequest, answer: Arc<HttpAnswer>) {
        if self.online.load(Ordering::Relaxed) {
            self.http.send(request, answer);
        } else {
            answer.fail(HttpError::Offline);
        }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("online", &self.online).finish_non_exhaustive()
    }
}

fn platform_name() -> &'static str {
    match std::env::consts::OS {
        "macos" => "macos",
        "windows" => "windows",
        _ => "linux",
    }
}

fn ended() -> Failure {
    Failure::new("press-dropped", "the press ended without an outcome", "Press again.")
}

/// A patient deadline for steps that are not presses.
pub const PATIENCE: Duration = Duration::from_secs(10);
