//! The real radio of a desktop: BlueZ on Linux, CoreBluetooth on macOS, WinRT on Windows, all through `btleplug`.
//!
//! What the platforms leave open is settled here: scans are filtered again, because systems report more than what was
//! asked for; repeated advertisements are thinned out; every step towards a link has a time limit and is watched for
//! the link's end; values are drained into a queue of our own, because some platforms drop what nobody collects; and
//! an adapter that is off, absent or forbidden is told apart.

mod central;
mod faults;
mod link;
mod sightings;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use ::btleplug::{
    api::{Central as _, CentralState, Manager as _},
    platform::{Adapter, Manager, Peripheral, PeripheralId as PlatformId},
};
use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::timeout,
};
use uuid::Uuid;

use self::{central::Scan, link::ToLink};
use super::{PeripheralId, Radio, RadioError, RadioEvents, RadioState};

/// The lock service (docs/PROTOCOL.md section 14).
const SERVICE: Uuid = Uuid::from_u128(keybutton_protocol::advert::SERVICE_UUID);

/// How long a link waits for a scan to stop.
const SCAN_SETTLES: Duration = Duration::from_secs(1);

/// A desktop's own Bluetooth.
///
/// Lives on the Tokio runtime it was opened on, whose threads must not be blocked. Dropping it drops its links.
pub struct BtleplugRadio {
    shared: Arc<Shared>,
}

/// How long the steps towards a link took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkSteps {
    /// Whom it leads to.
    pub peripheral: PeripheralId,
    /// From asking for the link to its being up. On Linux the system looks through the peripheral's services meanwhile.
    pub connect: Duration,
    /// Reading what services there are; nothing where they are known of an earlier link.
    pub discover: Duration,
    /// Subscribing to the lock's notifications.
    pub subscribe: Duration,
}

/// Why Bluetooth can't be opened. Each text says what to do.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum OpenError {
    /// The system's Bluetooth service does not answer.
    #[error("the system's Bluetooth service does not answer: {0}; on Linux start it with `systemctl start bluetooth`")]
    NoService(
        /// What the system said.
        String,
    ),
    /// This user, or this program, may not use Bluetooth.
    #[error(
        "this program may not use Bluetooth: {0}; on Linux join the group `bluetooth` or run as root, on macOS allow it \
         under Privacy & Security"
    )]
    Forbidden(
        /// What the system said.
        String,
    ),
    /// No Bluetooth adapter is there.
    #[error("there is no Bluetooth adapter; plug one in, or switch it on in the firmware's settings")]
    NoAdapter,
    /// There are adapters, but not the one asked for.
    #[error("there is no adapter called {wanted}; there are: {}", known.join(", "))]
    UnknownAdapter {
        /// The one asked for.
        wanted: String,
        /// Those that are there.
        known: Vec<String>,
    },
}

impl BtleplugRadio {
    /// Opens the adapter called `adapter`, such as `hci0`, or the first one. An adapter that is switched off is
    /// opened as well: [`Radio::state`] says so. Has to be called on a Tokio runtime, on which the radio then lives.
    pub async fn open(adapter: Option<&str>) -> Result<Self, OpenError> {
        let manager = Manager::new().await.map_err(|error| faults::open_error(&error))?;
        let (name, adapter) = choose(&manager, adapter).await?;
        let events = adapter.events().await.map_err(|error| faults::open_error(&error))?;
        let (scans, commands) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared { manager, adapter, name, runtime: Handle::current(), scans, state: Mutex::default() });
        shared.lock().radio = shared.read_state().await;
        tokio::spawn(central::watch(shared.clone(), events, commands));
        Ok(Self { shared })
    }

    /// The adapter's name, such as `hci0`.
    pub fn adapter(&self) -> &str {
        &self.shared.name
    }

    /// How long the steps towards the link took that came up last; `None` before the first one.
    pub fn last_link_steps(&self) -> Option<LinkSteps> {
        self.shared.lock().steps.clone()
    }

    /// Forgets every peripheral that it is not linked to: who was heard, and what services it has. The next link to each is
    /// like the first one.
    pub fn forget_peripherals(&self) {
        self.shared.tell(Scan::Forget);
    }
}

impl Radio for BtleplugRadio {
    fn state(&self) -> RadioState {
        self.shared.lock().radio
    }

    fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        let mut state = self.shared.usable()?;
        state.listener = Some(Arc::downgrade(&events));
        state.scan = Some(events);
        self.shared.tell(Scan::Start);
        Ok(())
    }

    fn stop_scan(&self) {
        if self.shared.lock().scan.take().is_some() {
            self.shared.tell(Scan::Stop);
        }
    }

    fn connect(&self, peripheral: PeripheralId, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        let mut state = self.shared.usable()?;
        let Some(address) = state.addresses.get(&peripheral).cloned() else { return Err(RadioError::OutOfRange) };
        state.listener = Some(Arc::downgrade(&events));
        match state.links.get_mut(&peripheral) {
            Some(link) if link.closing && link.next.is_none() => link.next = Some(events),
            Some(_) => return Err(RadioError::Throttled),
            None => self.shared.start_link(&mut state, peripheral, address, events),
        }
        Ok(())
    }

    fn write(&self, peripheral: PeripheralId, value: Vec<u8>) -> Result<(), RadioError> {
        let state = self.shared.usable()?;
        let link = state.links.get(&peripheral).filter(|link| !link.closing).ok_or(RadioError::LinkLost)?;
        let mtu = link.mtu.ok_or(RadioError::LinkLost)?;
        debug_assert!(value.len() + 3 <= usize::from(mtu), "an ATT value longer than the link's MTU allows");
        link.commands.send(ToLink::Write(value)).map_err(|_| RadioError::LinkLost)
    }

    fn disconnect(&self, peripheral: PeripheralId) {
        let mut state = self.shared.lock();
        let Some(link) = state.links.get_mut(&peripheral) else { return };
        link.closing = true;
        // A link that has just ended needs no word.
        let _ = link.commands.send(ToLink::Close);
        let given_up = link.next.take();
        drop(state);
        if let Some(events) = given_up {
            events.disconnected(peripheral, RadioError::Closed);
        }
    }
}

impl Drop for BtleplugRadio {
    fn drop(&mut self) {
        for link in self.shared.lock().links.values_mut() {
            link.next = None;
            // A link that has just ended needs no word.
            let _ = link.commands.send(ToLink::Close);
        }
        self.shared.tell(Scan::End);
    }
}

impl fmt::Debug for BtleplugRadio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BtleplugRadio").field("adapter", &self.shared.name).finish_non_exhaustive()
    }
}

struct Shared {
    manager: Manager,
    adapter: Adapter,
    name: String,
    runtime: Handle,
    scans: mpsc::UnboundedSender<Scan>,
    state: Mutex<State>,
}

struct State {
    radio: RadioState,
    scan: Option<Arc<dyn RadioEvents>>,
    links: HashMap<PeripheralId, Link>,
    /// How the platform names what was heard.
    addresses: HashMap<PeripheralId, PlatformId>,
    /// What the platform reaches them by, where it was asked for already.
    handles: HashMap<PeripheralId, Peripheral>,
    /// Whoever used the radio last hears of its state, also between scans and links.
    listener: Option<Weak<dyn RadioEvents>>,
    /// Of the link that came up last.
    steps: Option<LinkSteps>,
}

/// A link, from the wish to connect to its end.
struct Link {
    commands: mpsc::UnboundedSender<ToLink>,
    /// Known once the link is up.
    mtu: Option<u16>,
    /// We dropped it; some systems take seconds to do so.
    closing: bool,
    /// Who wants to connect again once it is gone.
    next: Option<Arc<dyn RadioEvents>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            radio: RadioState::Absent,
            scan: None,
            links: HashMap::new(),
            addresses: HashMap::new(),
            handles: HashMap::new(),
            listener: None,
            steps: None,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is whole in itself: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Result<MutexGuard<'_, State>, RadioError> {
        let state = self.lock();
        if state.radio == RadioState::On { Ok(state) } else { Err(RadioError::Unavailable) }
    }

    fn tell(&self, scan: Scan) {
        // The watch has gone with its runtime, if it has.
        let _ = self.scans.send(scan);
    }

    /// Waits for a moment until scanning is as it was last asked for.
    async fn scan_settles(&self) {
        let (asker, settled) = oneshot::channel();
        self.tell(Scan::Settled(asker));
        // However long the system takes: a link is worth a try all the same.
        let _ = timeout(SCAN_SETTLES, settled).await;
    }

    fn start_link(
        self: &Arc<Self>,
        state: &mut State,
        peripheral: PeripheralId,
        address: PlatformId,
        events: Arc<dyn RadioEvents>,
    ) {
        let (commands, received) = mpsc::unbounded_channel();
        state.links.insert(peripheral.clone(), Link { commands, mtu: None, closing: false, next: None });
        self.runtime.spawn(link::run(self.clone(), peripheral, address, events, received));
    }

    /// What the platform reaches a peripheral by. Asking costs a round trip on the system's bus, which the member would
    /// wait for; and what was asked for before may know the peripheral's services.
    async fn handle(&self, peripheral: &PeripheralId, address: &PlatformId) -> ::btleplug::Result<Peripheral> {
        if let Some(handle) = self.lock().handles.get(peripheral) {
            return Ok(handle.clone());
        }
        let handle = self.adapter.peripheral(address).await?;
        self.lock().handles.insert(peripheral.clone(), handle.clone());
        Ok(handle)
    }

    /// Has the platform asked anew what it reaches a peripheral by.
    fn forget_handle(&self, peripheral: &PeripheralId) {
        self.lock().handles.remove(peripheral);
    }

    /// Notes that a link is up, unless it is being dropped already.
    fn link_is_up(&self, peripheral: &PeripheralId, mtu: u16, steps: LinkSteps) {
        let mut state = self.lock();
        state.steps = Some(steps);
        if let Some(link) = state.links.get_mut(peripheral) {
            link.mtu = Some(mtu);
        }
    }

    /// Reports the end of a link, and starts the next one to the same peripheral where one waits.
    fn link_ended(self: &Arc<Self>, peripheral: PeripheralId, events: &Arc<dyn RadioEvents>, cause: RadioError) {
        let ended = self.lock().links.remove(&peripheral);
        events.disconnected(peripheral.clone(), cause);
        let Some(next) = ended.and_then(|link| link.next) else { return };
        let mut state = self.lock();
        match state.addresses.get(&peripheral).cloned() {
            Some(address) => self.start_link(&mut state, peripheral, address, next),
            None => {
                drop(state);
                next.disconnected(peripheral, RadioError::OutOfRange);
            }
        }
    }

    fn tell_link(&self, peripheral: &PeripheralId, news: ToLink) {
        if let Some(link) = self.lock().links.get(peripheral) {
            // A link that has just ended needs no word.
            let _ = link.commands.send(news);
        }
    }

    /// Takes over a new state. Listeners are called with the lock released, for they may call back.
    fn state_changed(&self, radio: RadioState) {
        let mut state = self.lock();
        if state.radio == radio {
            return;
        }
        state.radio = radio;
        if radio != RadioState::On {
            for link in state.links.values() {
                let _ = link.commands.send(ToLink::RadioLost);
            }
        }
        let listener = state.listener.as_ref().and_then(Weak::upgrade);
        drop(state);
        if let Some(events) = listener {
            events.state_changed(radio);
        }
    }

    /// Asks the system whether the radio can be used.
    async fn read_state(&self) -> RadioState {
        match self.adapter.adapter_state().await {
            Ok(CentralState::PoweredOn) => RadioState::On,
            Ok(CentralState::PoweredOff) if self.is_present().await => RadioState::Off,
            // BlueZ says of an adapter that was pulled out that it is off.
            Ok(CentralState::PoweredOff) => RadioState::Absent,
            // CoreBluetooth knows more kinds than on and off; a missing permission is the one that lasts.
            Ok(CentralState::Unknown) if cfg!(target_vendor = "apple") => RadioState::Unauthorized,
            Ok(CentralState::Unknown) => RadioState::Absent,
            Err(error) => faults::state(&error).unwrap_or(RadioState::Absent),
        }
    }

    async fn is_present(&self) -> bool {
        match self.manager.adapters().await {
            Ok(adapters) => {
                for adapter in adapters {
                    if name(&adapter).await.is_some_and(|name| name == self.name) {
                        return true;
                    }
                }
                false
            }
            Err(_) => false,
        }
    }
}

/// The adapter called `wanted`, or the first by name: the system's order is not always the same.
async fn choose(manager: &Manager, wanted: Option<&str>) -> Result<(String, Adapter), OpenError> {
    let adapters = manager.adapters().await.map_err(|error| faults::open_error(&error))?;
    let mut named = Vec::with_capacity(adapters.len());
    for adapter in adapters {
        // One that was pulled out meanwhile has no name any more.
        named.extend(name(&adapter).await.map(|name| (name, adapter)));
    }
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    let known: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
    match wanted {
        None => named.into_iter().next().ok_or(OpenError::NoAdapter),
        Some(wanted) => named
            .into_iter()
            .find(|(name, _)| name == wanted)
            .ok_or_else(|| OpenError::UnknownAdapter { wanted: wanted.to_owned(), known }),
    }
}

/// BlueZ adds the make of the adapter behind its name.
async fn name(adapter: &Adapter) -> Option<String> {
    let info = adapter.adapter_info().await.ok()?;
    Some(info.split(" (").next().unwrap_or_default().to_owned())
}
