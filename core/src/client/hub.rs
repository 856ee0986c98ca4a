//! One radio, several listeners: a press and the list of nearby doors share one scan.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{mpsc, watch};

use crate::{
    alive::Alive,
    pairs::Pairs,
    radio::{Advertisement, PeripheralId, Radio, RadioError, RadioEvents, RadioState},
};

/// Advertisements beyond this many unread ones are dropped: the next ones say the same.
const HEARD_BACKLOG: usize = 64;

/// One link, from the wish to connect to its end. The next one to the same peripheral is another: some systems report
/// an end seconds late, when that one is being set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LinkId(u64);

/// What a radio reports of links and of itself. Never dropped.
#[derive(Debug)]
pub(super) enum LinkEvent {
    Connected(LinkId, PeripheralId, u16),
    Value(LinkId, PeripheralId, Vec<u8>),
    Disconnected(LinkId, PeripheralId, RadioError),
    State(RadioState),
}

pub(super) struct Hub {
    radio: Arc<dyn Radio>,
    ears: Mutex<Pairs<u64, EarEnds>>,
    /// Held while the radio is told to scan or not, so that the last word is the right one.
    scan: Mutex<bool>,
    next: AtomicU64,
    /// Marked as changed whenever the radio reports its state.
    states: watch::Sender<()>,
}

struct EarEnds {
    links: mpsc::UnboundedSender<LinkEvent>,
    heard: mpsc::Sender<Advertisement>,
    scans: bool,
}

/// One listener's end. Dropping it ends its scan.
pub(super) struct Ear {
    hub: Arc<Hub>,
    id: u64,
    links: mpsc::UnboundedReceiver<LinkEvent>,
    heard: mpsc::Receiver<Advertisement>,
}

/// Links first: a verdict must not wait behind advertisements.
#[derive(Debug)]
pub(super) enum RadioEvent {
    Link(LinkEvent),
    Heard(Advertisement),
}

impl Hub {
    pub(super) fn new(radio: Arc<dyn Radio>) -> Arc<Self> {
        Arc::new(Self {
            radio,
            ears: Mutex::default(),
            scan: Mutex::new(false),
            next: AtomicU64::new(0),
            states: watch::Sender::new(()),
        })
    }

    /// Hears that the radio reported its state.
    pub(super) fn states(&self) -> watch::Receiver<()> {
        self.states.subscribe()
    }

    pub(super) fn radio(&self) -> &dyn Radio {
        &*self.radio
    }

    pub(super) fn listen(self: &Arc<Self>) -> Ear {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (link_sender, links) = mpsc::unbounded_channel();
        let (heard_sender, heard) = mpsc::channel(HEARD_BACKLOG);
        self.ears().insert(id, EarEnds { links: link_sender, heard: heard_sender, scans: false });
        Ear { hub: self.clone(), id, links, heard }
    }

    /// Whom the radio tells about a link that is about to be asked for, and how its news are known from others'.
    pub(super) fn link_events(self: &Arc<Self>) -> (LinkId, Arc<dyn RadioEvents>) {
        let link = LinkId(self.next.fetch_add(1, Ordering::Relaxed));
        (link, self.events(Some(link)))
    }

    /// The object the radio reports to; it does not keep the hub alive.
    fn events(self: &Arc<Self>, link: Option<LinkId>) -> Arc<dyn RadioEvents> {
        Arc::new(Events { hub: Arc::downgrade(self), link, _alive: Alive::new() })
    }

    fn ears(&self) -> MutexGuard<'_, Pairs<u64, EarEnds>> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the radio in line with what the ears want.
    fn settle_scan(self: &Arc<Self>) -> Result<(), RadioError> {
        let mut scanning = self.scan.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = self.ears().values().any(|ear| ear.scans);
        if wanted && !*scanning {
            self.radio.start_scan(self.events(None))?;
        } else if !wanted && *scanning {
            self.radio.stop_scan();
        }
        *scanning = wanted;
        Ok(())
    }

    fn set_scan(self: &Arc<Self>, id: u64, scans: bool) -> Result<(), RadioError> {
        if let Some(ear) = self.ears().get_mut(&id) {
            ear.scans = scans;
        }
        self.settle_scan().inspect_err(|_| {
            if let Some(ear) = self.ears().get_mut(&id) {
                ear.scans = false;
            }
        })
    }
}

impl Ear {
    pub(super) fn start_scan(&self) -> Result<(), RadioError> {
        self.hub.set_scan(self.id, true)
    }

    pub(super) fn stop_scan(&self) {
        // Stopping has nothing to fail with: only a start does.
        let _ = self.hub.set_scan(self.id, false);
    }

    /// The next event. Safe to drop and call again.
    pub(super) async fn next(&mut self) -> RadioEvent {
        tokio::select! {
            biased;
            Some(event) = self.links.recv() => RadioEvent::Link(event),
            Some(advertisement) = self.heard.recv() => RadioEvent::Heard(advertisement),
            // The hub holds the senders for as long as the ear lives.
            else => std::future::pending().await,
        }
    }

    /// An advertisement that waits, if one does.
    pub(super) fn heard_already(&mut self) -> Option<Advertisement> {
        self.heard.try_recv().ok()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.hub.ears().remove(&self.id);
        // Stopping has nothing to fail with: only a start does.
        let _ = self.hub.settle_scan();
    }
}

struct Events {
    hub: Weak<Hub>,
    /// Whose news these are; a scan's are no link's.
    link: Option<LinkId>,
    _alive: Alive,
}

impl Events {
    fn tell(&self, event: impl Fn() -> LinkEvent) {
        if let Some(hub) = self.hub.upgrade() {
            for ear in hub.ears().values() {
                // An ear that is going away needs no news.
                let _ = ear.links.send(event());
            }
        }
    }

    fn tell_of_link(&self, event: impl Fn(LinkId) -> LinkEvent) {
        if let Some(link) = self.link {
            self.tell(|| event(link));
        }
    }
}

impl RadioEvents for Events {
    fn advertisement(&self, advertisement: Advertisement) {
        if let Some(hub) = self.hub.upgrade() {
            for ear in hub.ears().values().filter(|ear| ear.scans) {
                // A full backlog drops this one.
                let _ = ear.heard.try_send(advertisement.clone());
            }
        }
    }

    fn connected(&self, peripheral: PeripheralId, mtu: u16) {
        self.tell_of_link(|link| LinkEvent::Connected(link, peripheral.clone(), mtu));
    }

    fn notification(&self, peripheral: PeripheralId, value: Vec<u8>) {
        self.tell_of_link(|link| LinkEvent::Value(link, peripheral.clone(), value.clone()));
    }

    fn disconnected(&self, peripheral: PeripheralId, cause: RadioError) {
        self.tell_of_link(|link| LinkEvent::Disconnected(link, peripheral.clone(), cause));
    }

    fn state_changed(&self, state: RadioState) {
        self.tell(|| LinkEvent::State(state));
        if let Some(hub) = self.hub.upgrade() {
            hub.states.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Fake {
        calls: Mutex<Vec<&'static str>>,
        events: Mutex<Option<Arc<dyn RadioEvents>>>,
    }

    impl Radio for Fake {
        fn state(&self) -> RadioState {
            RadioState::On
        }

        fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
            self.calls.lock().unwrap().push("start");
            // A radio may report from within the call.
            events.state_changed(RadioState::On);
            *self.events.lock().unwrap() = Some(events);
            Ok(())
        }

        fn stop_scan(&self) {
            self.calls.lock().unwrap().push("stop");
        }

        fn connect(&self, _: PeripheralId, _: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
            Err(RadioError::Throttled)
        }

        fn write(&self, _: PeripheralId, _: Vec<u8>) -> Result<(), RadioError> {
            Err(RadioError::OutOfRange)
        }

        fn disconnect(&self, _: PeripheralId) {}
    }

    fn heard() -> Advertisement {
        Advertisement { peripheral: PeripheralId("p".into()), rssi: -60, tx_power: None, service_data: Vec::new() }
    }

    #[tokio::test]
    async fn two_ears_share_one_scan() {
        let radio = Arc::new(Fake::default());
        let hub = Hub::new(radio.clone());
        let mut press = hub.listen();
        let nearby = hub.listen();
        nearby.start_scan().unwrap();
        press.start_scan().unwrap();
        drop(nearby);
        assert_eq!(*radio.calls.lock().unwrap(), ["start"]);
        let events = radio.events.lock().unwrap().clone().unwrap();
        for _ in 0..HEARD_BACKLOG * 2 {
            events.advertisement(heard());
        }
        let (first, of_first) = hub.link_events();
        let (second, of_second) = hub.link_events();
        of_first.disconnected(PeripheralId("p".into()), RadioError::LinkLost);
        of_second.connected(PeripheralId("p".into()), 23);
        assert!(matches!(press.next().await, RadioEvent::Link(LinkEvent::State(RadioState::On))));
        let told = [press.next().await, press.next().await];
        assert!(matches!(&told[0], RadioEvent::Link(LinkEvent::Disconnected(link, ..)) if *link == first));
        assert!(matches!(&told[1], RadioEvent::Link(LinkEvent::Connected(link, ..)) if *link == second));
        let mut count = 0;
        while press.heard.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, HEARD_BACKLOG);
        press.stop_scan();
        press.stop_scan();
        drop(press);
        assert_eq!(*radio.calls.lock().unwrap(), ["start", "stop"]);
    }

    #[test]
    fn the_radio_does_not_keep_the_hub_alive() {
        let radio = Arc::new(Fake::default());
        let hub = Hub::new(radio.clone());
        let gone = Arc::downgrade(&hub);
        let ear = hub.listen();
        ear.start_scan().unwrap();
        drop((ear, hub));
        assert!(gone.upgrade().is_none());
        radio.events.lock().unwrap().as_ref().unwrap().advertisement(heard());
    }
}
