//! The phone's end of the air.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use keybutton_protocol::api::Bytes;
use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    AirError, Participant,
    broker::{Endpoint, Reader},
    control::Role,
    peripheral::send_frames,
    wire::{self, FromBroker, Payload, ToBroker},
};
use crate::radio::{Advertisement, PeripheralId, Radio, RadioError, RadioEvents, RadioState};

/// The lock service's UUID as it stands in an advertisement, little-endian (docs/PROTOCOL.md section 14).
const SERVICE_UUID_LE: [u8; 16] =
    [0x01, 0x6A, 0xA6, 0x66, 0x77, 0xC1, 0x55, 0x93, 0xE2, 0x45, 0xD6, 0x75, 0x80, 0xD3, 0x6D, 0x3B];

/// A phone's radio on the simulated air. Leaves the air when dropped.
#[derive(Debug)]
pub struct AirRadio {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
    /// Dropped with the radio, it ends the thread that serves it.
    _thread: Option<oneshot::Sender<()>>,
}

struct Shared {
    frames: mpsc::UnboundedSender<ToBroker>,
    state: Mutex<State>,
}

struct State {
    radio: RadioState,
    scan: Option<Arc<dyn RadioEvents>>,
    links: HashMap<PeripheralId, Connection>,
    /// Whoever used the radio last hears of its state, also between scans and links.
    listener: Option<Weak<dyn RadioEvents>>,
}

struct Connection {
    events: Arc<dyn RadioEvents>,
    /// Known once the link is up.
    link: Option<u32>,
    mtu: u16,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl AirRadio {
    /// Joins the air as a phone. Its tasks run on the Tokio runtime of the caller.
    pub async fn join(endpoint: &Endpoint, who: &Participant) -> Result<Self, AirError> {
        let stream = endpoint.join(Role::Phone, who).await?;
        let (frames, to_send) = mpsc::unbounded_channel();
        let state = State { radio: RadioState::On, scan: None, links: HashMap::new(), listener: None };
        let shared = Arc::new(Shared { frames, state: Mutex::new(state) });
        let mut tasks = JoinSet::new();
        tasks.spawn(send_frames(stream.writer, to_send));
        tasks.spawn(receive_frames(stream.reader, Arc::clone(&shared)));
        Ok(Self { shared, _tasks: tasks, _thread: None })
    }

    /// Joins the air as a phone, for a caller without a runtime: the radio has a thread of its own.
    pub fn join_apart(endpoint: &Endpoint, who: &Participant) -> Result<Self, AirError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let radio = runtime.block_on(Self::join(endpoint, who))?;
        let (there, gone) = oneshot::channel();
        std::thread::Builder::new().name("keybutton-air".into()).spawn(move || {
            // Nothing is ever sent: the sender goes away with the radio.
            let _ = runtime.block_on(gone);
        })?;
        Ok(Self { _thread: Some(there), ..radio })
    }
}

impl Radio for AirRadio {
    fn state(&self) -> RadioState {
        self.shared.lock().radio
    }

    fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        let mut state = self.shared.usable()?;
        state.listener = Some(Arc::downgrade(&events));
        state.scan = Some(events);
        self.shared.send(ToBroker::Scan(true));
        Ok(())
    }

    fn stop_scan(&self) {
        if self.shared.lock().scan.take().is_some() {
            self.shared.send(ToBroker::Scan(false));
        }
    }

    fn connect(&self, peripheral: PeripheralId, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        let mut state = self.shared.usable()?;
        if state.links.contains_key(&peripheral) {
            return Err(RadioError::Throttled);
        }
        state.listener = Some(Arc::downgrade(&events));
        state.links.insert(peripheral.clone(), Connection { events, link: None, mtu: 0 });
        self.shared.send(ToBroker::Connect { address: peripheral.0.clone() });
        Ok(())
    }

    fn write(&self, peripheral: PeripheralId, value: Vec<u8>) -> Result<(), RadioError> {
        let state = self.shared.usable()?;
        let connection = state.links.get(&peripheral).ok_or(RadioError::LinkLost)?;
        let link = connection.link.ok_or(RadioError::LinkLost)?;
        debug_assert!(value.len() + 3 <= usize::from(connection.mtu), "an ATT value longer than the link's MTU allows");
        self.shared.send(ToBroker::Value { link, value: Bytes(value) });
        Ok(())
    }

    fn disconnect(&self, peripheral: PeripheralId) {
        let state = self.shared.lock();
        let Some(connection) = state.links.get(&peripheral) else { return };
        self.shared.send(match connection.link {
            Some(link) => ToBroker::Close { link },
            None => ToBroker::GiveUp { address: peripheral.0.clone() },
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a single assignment: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Result<MutexGuard<'_, State>, RadioError> {
        let state = self.lock();
        if state.radio == RadioState::On { Ok(state) } else { Err(RadioError::Unavailable) }
    }

    fn send(&self, frame: ToBroker) {
        // A broker that is gone is reported as an absent adapter.
        let _ = self.frames.send(frame);
    }

    /// Takes one frame. Listeners are called with the lock released, for they may call back.
    fn receive(&self, frame: FromBroker) {
        match frame {
            FromBroker::Heard { rssi, payload } => self.heard(rssi, &payload),
            FromBroker::Connected { link, address, mtu } => self.connected(link, PeripheralId(address), mtu),
            FromBroker::ConnectFailed { address, cause } => self.closed(PeripheralId(address), cause.into()),
            FromBroker::Value { link, value } => {
                if let Some((peripheral, events)) = self.by_link(link) {
                    events.notification(peripheral, value.0);
                }
            }
            FromBroker::Closed { link, cause } => {
                if let Some((peripheral, _)) = self.by_link(link) {
                    self.closed(peripheral, cause.into());
                }
            }
            FromBroker::Radio(true) => self.state_changed(RadioState::On),
            FromBroker::Radio(false) => self.state_changed(RadioState::Off),
            FromBroker::Welcome | FromBroker::Refused { .. } | FromBroker::Control(_) => {}
        }
    }

    fn heard(&self, rssi: i8, payload: &Payload) {
        let scan = self.lock().scan.clone();
        if let Some(events) = scan
            && carries_service(&payload.advertisement.0)
        {
            events.advertisement(Advertisement {
                peripheral: PeripheralId(payload.address.clone()),
                rssi,
                tx_power: structure(&payload.advertisement.0, 0x0A)
                    .and_then(|data| data.first())
                    .map(|b| b.cast_signed()),
                service_data: service_data(&payload.scan_response.0).unwrap_or_default(),
            });
        }
    }

    fn connected(&self, link: u32, peripheral: PeripheralId, mtu: u16) {
        let events = self.lock().links.get_mut(&peripheral).map(|connection| {
            connection.link = Some(link);
            connection.mtu = mtu;
            Arc::clone(&connection.events)
        });
        match events {
            Some(events) => events.connected(peripheral, mtu),
            None => self.send(ToBroker::Close { link }),
        }
    }

    fn closed(&self, peripheral: PeripheralId, cause: RadioError) {
        let connection = self.lock().links.remove(&peripheral);
        if let Some(connection) = connection {
            connection.events.disconnected(peripheral, cause);
        }
    }

    fn by_link(&self, link: u32) -> Option<(PeripheralId, Arc<dyn RadioEvents>)> {
        self.lock()
            .links
            .iter()
            .find(|(_, connection)| connection.link == Some(link))
            .map(|(peripheral, connection)| (peripheral.clone(), Arc::clone(&connection.events)))
    }

    fn state_changed(&self, radio: RadioState) {
        let mut state = self.lock();
        if state.radio == radio {
            return;
        }
        state.radio = radio;
        let listener = state.listener.as_ref().and_then(Weak::upgrade);
        drop(state);
        if let Some(events) = listener {
            events.state_changed(radio);
        }
    }

    /// The broker has gone: so has the adapter.
    fn down(&self) {
        let lost: Vec<PeripheralId> = self.lock().links.keys().cloned().collect();
        for peripheral in lost {
            self.closed(peripheral, RadioError::LinkLost);
        }
        self.state_changed(RadioState::Absent);
    }
}

async fn receive_frames(mut reader: Reader, shared: Arc<Shared>) {
    while let Ok(frame) = wire::receive::<FromBroker>(&mut reader).await {
        shared.receive(frame);
    }
    shared.down();
}

/// The data of the first AD structure of type `kind` (Bluetooth Core 5.4, volume 3 part C section 11).
fn structure(mut payload: &[u8], kind: u8) -> Option<&[u8]> {
    loop {
        let (&len, rest) = payload.split_first()?;
        let (body, rest) = rest.split_at_checked(usize::from(len))?;
        match body.split_first() {
            Some((&found, data)) if found == kind => return Some(data),
            _ => payload = rest,
        }
    }
}

/// The list of 128-bit service UUIDs, complete or not, has ours.
fn carries_service(advertisement: &[u8]) -> bool {
    [0x06, 0x07]
        .into_iter()
        .filter_map(|kind| structure(advertisement, kind))
        .any(|list| list.chunks_exact(16).any(|uuid| uuid == SERVICE_UUID_LE))
}

/// The service data of our service.
fn service_data(scan_response: &[u8]) -> Option<Vec<u8>> {
    structure(scan_response, 0x21)?.strip_prefix(&SERVICE_UUID_LE[..]).map(<[u8]>::to_vec)
}
