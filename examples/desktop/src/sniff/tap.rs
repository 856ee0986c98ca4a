//! A radio that tells what passes through it.

use std::{sync::Arc, time::Instant};

use keybutton::radio::{Advertisement, PeripheralId, Radio, RadioError, RadioEvents, RadioState};
use tokio::sync::mpsc;

use super::Way;

/// What passed, and when.
#[derive(Clone, PartialEq, Eq)]
pub enum Seen {
    /// A link is up with this ATT MTU.
    Up(Instant, PeripheralId, u16),
    /// A value passed.
    Value(Instant, PeripheralId, Way, Vec<u8>),
    /// A link is gone.
    Down(Instant, PeripheralId, RadioError),
    /// A lock was heard; told by a radio that is [`TappedRadio::listening`].
    Heard(Instant, Advertisement),
}

impl std::fmt::Debug for Seen {
    /// Values stay out: they are what is to be redacted.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Up(_, _, mtu) => f.debug_tuple("Up").field(mtu).finish(),
            Self::Value(_, _, way, value) => f.debug_tuple("Value").field(way).field(&value.len()).finish(),
            Self::Down(_, _, cause) => f.debug_tuple("Down").field(cause).finish(),
            Self::Heard(..) => f.write_str("Heard"),
        }
    }
}

/// A radio around another one.
pub struct TappedRadio {
    inner: Arc<dyn Radio>,
    seen: mpsc::UnboundedSender<Seen>,
    advertisements: bool,
}

impl TappedRadio {
    /// Wraps a radio; what passes on its links is told to the receiver.
    pub fn new(inner: Arc<dyn Radio>) -> (Arc<Self>, mpsc::UnboundedReceiver<Seen>) {
        Self::wrap(inner, false)
    }

    /// Wraps a radio; advertisements are told as well.
    pub fn listening(inner: Arc<dyn Radio>) -> (Arc<Self>, mpsc::UnboundedReceiver<Seen>) {
        Self::wrap(inner, true)
    }

    fn wrap(inner: Arc<dyn Radio>, advertisements: bool) -> (Arc<Self>, mpsc::UnboundedReceiver<Seen>) {
        let (seen, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self { inner, seen, advertisements }), receiver)
    }

    fn events(&self, events: Arc<dyn RadioEvents>) -> Arc<dyn RadioEvents> {
        Arc::new(TappedEvents { inner: events, seen: self.seen.clone(), advertisements: self.advertisements })
    }
}

impl Radio for TappedRadio {
    fn state(&self) -> RadioState {
        self.inner.state()
    }

    fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        self.inner.start_scan(self.events(events))
    }

    fn stop_scan(&self) {
        self.inner.stop_scan();
    }

    fn connect(&self, peripheral: PeripheralId, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        self.inner.connect(peripheral, self.events(events))
    }

    fn write(&self, peripheral: PeripheralId, value: Vec<u8>) -> Result<(), RadioError> {
        // Before it leaves, so that no answer overtakes it. Nobody may be listening any more.
        let _ = self.seen.send(Seen::Value(Instant::now(), peripheral.clone(), Way::ToLock, value.clone()));
        self.inner.write(peripheral, value)
    }

    fn disconnect(&self, peripheral: PeripheralId) {
        self.inner.disconnect(peripheral);
    }
}

impl std::fmt::Debug for TappedRadio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TappedRadio").finish_non_exhaustive()
    }
}

struct TappedEvents {
    inner: Arc<dyn RadioEvents>,
    seen: mpsc::UnboundedSender<Seen>,
    advertisements: bool,
}

impl TappedEvents {
    fn tell(&self, seen: Seen) {
        // Nobody may be listening any more.
        let _ = self.seen.send(seen);
    }
}

impl RadioEvents for TappedEvents {
    fn advertisement(&self, advertisement: Advertisement) {
        if self.advertisements {
            self.tell(Seen::Heard(Instant::now(), advertisement.clone()));
        }
        self.inner.advertisement(advertisement);
    }

    fn connected(&self, peripheral: PeripheralId, mtu: u16) {
        self.tell(Seen::Up(Instant::now(), peripheral.clone(), mtu));
        self.inner.connected(peripheral, mtu);
    }

    fn notification(&self, peripheral: PeripheralId, value: Vec<u8>) {
        self.tell(Seen::Value(Instant::now(), peripheral.clone(), Way::ToPhone, value.clone()));
        self.inner.notification(peripheral, value);
    }

    fn disconnected(&self, peripheral: PeripheralId, cause: RadioError) {
        self.tell(Seen::Down(Instant::now(), peripheral.clone(), cause));
        self.inner.disconnected(peripheral, cause);
    }

    fn state_changed(&self, state: RadioState) {
        self.inner.state_changed(state);
    }
}
