//! Keeps what a radio reports, in its streams.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use keybutton::radio::{Advertisement, PeripheralId, RadioError, RadioEvents, RadioState};
use tokio::sync::Notify;

/// Listens to a radio, and keeps what it hears.
#[derive(Default)]
pub struct Recorder {
    streams: Mutex<Streams>,
    more: Notify,
}

/// What was reported and nobody asked for yet, in the order of the reports.
#[derive(Default)]
pub struct Streams {
    /// The advertisements of each peripheral.
    pub heard: HashMap<PeripheralId, VecDeque<Advertisement>>,
    /// What was told of the link to each peripheral.
    pub links: HashMap<PeripheralId, VecDeque<LinkEvent>>,
    /// The radio's states.
    pub states: VecDeque<RadioState>,
}

/// What is told of a link.
#[derive(Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is up, with this ATT MTU.
    Connected(u16),
    /// The lock notified this value.
    Notification(Vec<u8>),
    /// It is gone, or never came up.
    Disconnected(RadioError),
}

impl Recorder {
    /// Listens; nothing was heard so far.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until `take` finds something in the streams.
    pub async fn next<T>(&self, mut take: impl FnMut(&mut Streams) -> Option<T>) -> T {
        loop {
            let more = self.more.notified();
            if let Some(found) = self.with(&mut take) {
                return found;
            }
            more.await;
        }
    }

    /// Waits for what is reported next of the link to this peripheral.
    pub async fn link_event(&self, peripheral: &PeripheralId) -> LinkEvent {
        self.next(|streams| streams.links.get_mut(peripheral)?.pop_front()).await
    }

    /// Looks at the streams.
    pub fn with<T>(&self, look: impl FnOnce(&mut Streams) -> T) -> T {
        look(&mut self.streams.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, note: impl FnOnce(&mut Streams)) {
        self.with(note);
        self.more.notify_one();
    }
}

impl RadioEvents for Recorder {
    fn advertisement(&self, advertisement: Advertisement) {
        self.keep(|streams| {
            streams.heard.entry(advertisement.peripheral.clone()).or_default().push_back(advertisement);
        });
    }

    fn connected(&self, peripheral: PeripheralId, mtu: u16) {
        self.keep(|streams| streams.links.entry(peripheral).or_default().push_back(LinkEvent::Connected(mtu)));
    }

    fn notification(&self, peripheral: PeripheralId, value: Vec<u8>) {
        self.keep(|streams| streams.links.entry(peripheral).or_default().push_back(LinkEvent::Notification(value)));
    }

    fn disconnected(&self, peripheral: PeripheralId, cause: RadioError) {
        self.keep(|streams| streams.links.entry(peripheral).or_default().push_back(LinkEvent::Disconnected(cause)));
    }

    fn state_changed(&self, state: RadioState) {
        self.keep(|streams| streams.states.push_back(state));
    }
}

impl fmt::Debug for LinkEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(mtu) => write!(f, "connected {mtu}"),
            Self::Notification(value) => write!(f, "notification {value:02x?}"),
            Self::Disconnected(cause) => write!(f, "disconnected {}", error_name(*cause)),
        }
    }
}

/// An error as the cases spell it.
pub const fn error_name(error: RadioError) -> &'static str {
    match error {
        RadioError::Unavailable => "unavailable",
        RadioError::OutOfRange => "out-of-range",
        RadioError::ConnectFailed => "connect-failed",
        RadioError::LinkLost => "link-lost",
        RadioError::Closed => "closed",
        RadioError::WrongService => "wrong-service",
        RadioError::Throttled => "throttled",
    }
}

/// A state as the cases spell it.
pub const fn state_name(state: RadioState) -> &'static str {
    match state {
        RadioState::On => "on",
        RadioState::Off => "off",
        RadioState::Unauthorized => "unauthorized",
        RadioState::Absent => "absent",
    }
}
