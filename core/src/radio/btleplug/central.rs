//! The one task that listens to the adapter: scanning, advertisements, the ends of links, the adapter's state.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use ::btleplug::{
    api::{Central as _, CentralEvent, CentralState, Peripheral as _, ScanFilter},
    platform::{Peripheral, PeripheralId as PlatformId},
};
use futures_util::{Stream, StreamExt as _};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use super::{
    SERVICE, Shared, State, faults,
    link::ToLink,
    sightings::{Report, Sightings},
};
use crate::radio::{PeripheralId, RadioState};

/// How often the adapter's state is asked for while somebody scans or is connected: not every system says when its
/// Bluetooth service goes away. Also how long to wait before a scan that did not start is tried again.
const CHECK: Duration = Duration::from_secs(2);

/// Word to the watch.
#[derive(Debug)]
pub(super) enum Scan {
    Start,
    Stop,
    /// Forget who was heard.
    Forget,
    /// Say so once what was asked for before is done.
    Settled(oneshot::Sender<()>),
    /// The radio was dropped.
    End,
}

pub(super) type Events = Pin<Box<dyn Stream<Item = CentralEvent> + Send>>;

/// Listens until the radio is dropped.
pub(super) async fn watch(shared: Arc<Shared>, mut events: Events, mut commands: mpsc::UnboundedReceiver<Scan>) {
    let mut watch = Watch { shared, sightings: Sightings::default(), wanted: false, scanning: false };
    let mut check = interval(CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(Scan::Start) => {
                    watch.start().await;
                    // A check now would hold up the first advertisements.
                    check.reset();
                }
                Some(Scan::Stop) => watch.stop().await,
                Some(Scan::Forget) => watch.forget(),
                // Whoever asked may have given up.
                Some(Scan::Settled(asker)) => drop(asker.send(())),
                Some(Scan::End) | None => return watch.stop().await,
            },
            event = events.next() => match event {
                Some(event) => watch.event(event).await,
                // The connection to the system's Bluetooth service is gone, and does not come back.
                None => return watch.shared.state_changed(RadioState::Absent),
            },
            _ = check.tick(), if watch.is_busy() => watch.check().await,
        }
    }
}

struct Watch {
    shared: Arc<Shared>,
    sightings: Sightings,
    wanted: bool,
    scanning: bool,
}

impl Watch {
    fn is_busy(&self) -> bool {
        self.wanted || !self.shared.lock().links.is_empty()
    }

    async fn start(&mut self) {
        self.wanted = true;
        self.sightings.forget_strangers();
        // On Linux a scan switches the adapter on. Whoever switched it off meanwhile wants it off.
        let state = self.shared.read_state().await;
        if state != RadioState::On {
            return self.shared.state_changed(state);
        }
        let filter = ScanFilter { services: vec![SERVICE] };
        match self.shared.adapter.start_scan(filter).await {
            Ok(()) => {
                tracing::trace!("scanning");
                self.scanning = true;
            }
            Err(error) => {
                tracing::warn!(%error, "the scan did not start");
                if let Some(state) = faults::state(&error) {
                    self.shared.state_changed(state);
                }
            }
        }
    }

    async fn stop(&mut self) {
        self.wanted = false;
        if std::mem::take(&mut self.scanning)
            && let Err(error) = self.shared.adapter.stop_scan().await
        {
            // A scan that ended with the adapter's power, most likely.
            tracing::debug!(%error, "the scan did not stop");
        }
    }

    async fn check(&mut self) {
        let state = self.shared.read_state().await;
        self.state(state).await;
        self.sightings.forget_silent(Instant::now());
        self.tidy();
    }

    fn forget(&mut self) {
        self.sightings = Sightings::default();
        self.tidy();
    }

    /// Forgets how peripherals are reached that no longer matter.
    fn tidy(&self) {
        let State { addresses, handles, links, .. } = &mut *self.shared.lock();
        let matters = |peripheral: &PeripheralId| self.sightings.knows(peripheral) || links.contains_key(peripheral);
        addresses.retain(|peripheral, _| matters(peripheral));
        handles.retain(|peripheral, _| matters(peripheral));
    }

    async fn state(&mut self, state: RadioState) {
        if state != RadioState::On {
            self.scanning = false;
        }
        self.shared.state_changed(state);
        if state == RadioState::On && self.wanted && !self.scanning {
            self.start().await;
        }
    }

    async fn event(&mut self, event: CentralEvent) {
        tracing::trace!(?event, "the system says");
        match event {
            CentralEvent::DeviceDiscovered(id)
            | CentralEvent::DeviceUpdated(id)
            | CentralEvent::ServicesAdvertisement { id, .. } => self.look_at(id, None, None).await,
            CentralEvent::ServiceDataAdvertisement { id, mut service_data } => {
                if let Some(data) = service_data.remove(&SERVICE) {
                    self.look_at(id, Some(data), None).await;
                }
            }
            CentralEvent::RssiUpdate { id, rssi } => self.look_at(id, None, Some(rssi)).await,
            CentralEvent::DeviceConnected(id) => self.shared.tell_link(&name(&id), ToLink::Arrived),
            CentralEvent::DeviceDisconnected(id) => self.shared.tell_link(&name(&id), ToLink::Departed),
            CentralEvent::StateUpdate(CentralState::PoweredOn) => self.state(RadioState::On).await,
            CentralEvent::StateUpdate(CentralState::PoweredOff | CentralState::Unknown) => {
                let state = self.shared.read_state().await;
                self.state(state).await;
            }
            CentralEvent::DeviceServicesModified(_) | CentralEvent::ManufacturerDataAdvertisement { .. } => {}
        }
    }

    /// Takes in what an event says of a peripheral. The system is asked for the rest only when there is nothing yet:
    /// asking costs a round trip on the bus, and strangers advertise all the time.
    async fn look_at(&mut self, id: PlatformId, data: Option<Vec<u8>>, rssi: Option<i16>) {
        // Systems also report what they remember, and what other programs scan for.
        if !self.scanning {
            return;
        }
        let peripheral = name(&id);
        let said = data.is_some() || rssi.is_some();
        let mut report = Report { ours: data.is_some(), service_data: data, rssi, tx_power: None };
        let mut handle = None;
        if (!said || !self.sightings.knows(&peripheral))
            && let Some((asked, asked_handle)) = self.ask(&id).await
        {
            handle = Some(asked_handle);
            report = Report {
                ours: report.ours || asked.ours,
                service_data: report.service_data.or(asked.service_data),
                rssi: report.rssi.or(asked.rssi),
                tx_power: asked.tx_power,
            };
        }
        let Some(advertisement) = self.sightings.hear(&peripheral, report, Instant::now()) else { return };
        let mut state = self.shared.lock();
        if let Some(handle) = handle {
            state.handles.insert(peripheral.clone(), handle);
        }
        state.addresses.insert(peripheral, id);
        let scan = state.scan.clone();
        drop(state);
        if let Some(events) = scan {
            events.advertisement(advertisement);
        }
    }

    async fn ask(&self, id: &PlatformId) -> Option<(Report, Peripheral)> {
        let peripheral = self.shared.adapter.peripheral(id).await.ok()?;
        let mut said = peripheral.properties().await.ok()??;
        let data = said.service_data.remove(&SERVICE);
        let report = Report {
            ours: data.is_some() || carries(&said.services, &said.service_data),
            service_data: data,
            rssi: said.rssi,
            tx_power: said.tx_power_level,
        };
        Some((report, peripheral))
    }
}

fn carries(services: &[Uuid], data: &HashMap<Uuid, Vec<u8>>) -> bool {
    services.contains(&SERVICE) || data.contains_key(&SERVICE)
}

/// How the core names a peripheral of the platform.
fn name(id: &PlatformId) -> PeripheralId {
    PeripheralId(id.to_string())
}
