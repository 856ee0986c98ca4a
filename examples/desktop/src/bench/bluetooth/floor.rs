//! What cannot be left out: find, connect, subscribe, write, be notified.

use std::{
    fmt,
    pin::Pin,
    time::{Duration, Instant},
};

use btleplug::{
    api::{
        Central as _, CentralEvent, Characteristic, Manager as _, Peripheral as _, ScanFilter, ValueNotification,
        WriteType,
    },
    platform::{Adapter, Manager, Peripheral},
};
use futures_util::{Stream, StreamExt as _};
use keybutton::radio::PeripheralId;
use keybutton_protocol::{
    advert::{SERVICE_UUID, TO_LOCK_UUID, TO_PHONE_UUID},
    frame::Fragmenter,
    message,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{JITTER, LOOK, REST, judge::Sample};
use crate::{bluetooth::ECHO, failure::Failure};

/// Who answers the floor's write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Peer {
    /// A service beside the lock's, which notifies what was written to it.
    Echo,
    /// The lock itself: it answers a phone's first message.
    Lock,
}

/// Write-to-notify round trips of each link after the first one.
const ROUND_TRIPS: usize = 5;

/// The bytes of an echo: what a value of a fast press has on average, for bytes take their time on the air.
const VALUE: [u8; 112] = [0x4B; 112];

/// How long any step may take.
const PATIENCE: Duration = Duration::from_secs(30);

type Notifications = Pin<Box<dyn Stream<Item = ValueNotification> + Send>>;
type Events = Pin<Box<dyn Stream<Item = CentralEvent> + Send>>;

/// A bare program on the phone's adapter.
pub(super) struct Floor {
    adapter: Adapter,
    events: Events,
    peer: Peer,
}

/// What one turn took.
pub(super) struct Found {
    pub(super) sample: Sample,
    pub(super) round_trips: Vec<Duration>,
}

impl Floor {
    /// Opens the adapter with this name.
    pub(super) async fn open(name: &str, peer: Peer) -> Result<Self, Failure> {
        let manager = Manager::new().await.map_err(failed)?;
        for adapter in manager.adapters().await.map_err(failed)? {
            // BlueZ adds the make of the adapter behind its name.
            let info = adapter.adapter_info().await.map_err(failed)?;
            if info.split(" (").next() == Some(name) {
                let events = adapter.events().await.map_err(failed)?;
                return Ok(Self { adapter, events, peer });
            }
        }
        Err(failed(format_args!("the adapter {name} is gone")))
    }

    /// Does it once, with a peripheral that was heard before, and waits until the link is gone.
    pub(super) async fn once(&mut self, peripheral: &PeripheralId) -> Result<Found, Failure> {
        let begun = Instant::now();
        let service = Uuid::from_u128(SERVICE_UUID);
        self.adapter.start_scan(ScanFilter { services: vec![service] }).await.map_err(failed)?;
        let heard = patiently("hearing the lock", async {
            while let Some(event) = self.events.next().await {
                tracing::debug!(?event, "the floor hears");
                if let Some(id) = heard(event).filter(|id| id.to_string() == peripheral.0) {
                    return Ok(id);
                }
            }
            Err(failed("the system's Bluetooth service has stopped"))
        })
        .await?;
        let found = Instant::now();
        let target = self.adapter.peripheral(&heard).await.map_err(failed)?;
        // First the one, then the other: a scan that stops while a link is set up confuses BlueZ.
        self.adapter.stop_scan().await.map_err(failed)?;
        patiently("connecting", async { target.connect().await.map_err(failed) }).await?;
        let result = self.talk(&target, [begun, found, Instant::now()]).await;
        target.disconnect().await.map_err(failed)?;
        self.rest(peripheral).await?;
        result
    }

    async fn talk(&self, target: &Peripheral, [begun, found, connected]: [Instant; 3]) -> Result<Found, Failure> {
        patiently("discovering", async { target.discover_services().await.map_err(failed) }).await?;
        let discovered = Instant::now();
        let [service, to_peer, from_peer] = match self.peer {
            Peer::Echo => ECHO,
            Peer::Lock => [SERVICE_UUID, TO_LOCK_UUID, TO_PHONE_UUID],
        }
        .map(Uuid::from_u128);
        let all = target.characteristics();
        let find = |uuid| all.iter().find(|known| known.service_uuid == service && known.uuid == uuid);
        let (Some(to_peer), Some(from_peer)) = (find(to_peer), find(from_peer)) else {
            return Err(failed("the peripheral lacks the service that answers"));
        };
        let mut notified = target.notifications().await.map_err(failed)?;
        patiently("subscribing", async { target.subscribe(from_peer).await.map_err(failed) }).await?;
        let subscribed = Instant::now();
        let mut round_trips = Vec::new();
        match self.peer {
            Peer::Echo => {
                let value = VALUE.get(..usize::from(target.mtu()) - 3).unwrap_or(&VALUE);
                for _ in 0..=ROUND_TRIPS {
                    round_trips.push(exchange(target, to_peer, &mut notified, &[value.to_vec()]).await?);
                }
            }
            Peer::Lock => {
                let first = initiate(target.mtu())?;
                round_trips.push(exchange(target, to_peer, &mut notified, &first).await?);
                // BlueZ keeps a subscription beyond the link, and tells a value once for each of them: the phone of
                // the next press would hear everything twice.
                target.unsubscribe(from_peer).await.map_err(failed)?;
            }
        }
        let answer = round_trips.first().copied().unwrap_or_default();
        let sample = Sample {
            search: found - begun,
            connect: connected - found,
            discover: discovered - connected,
            subscribe: subscribed - discovered,
            transaction: answer,
            total: subscribed - begun + answer,
        };
        Ok(Found { sample, round_trips })
    }

    /// Waits until a link is gone and the lock can be heard again.
    pub(super) async fn rest(&mut self, peripheral: &PeripheralId) -> Result<(), Failure> {
        patiently("dropping the link", async {
            for known in self.adapter.peripherals().await.map_err(failed)? {
                while known.id().to_string() == peripheral.0 && known.is_connected().await.unwrap_or(false) {
                    tokio::time::sleep(LOOK).await;
                }
            }
            Ok(())
        })
        .await?;
        // News from before is no news for the next turn. Each piece of it is looked up on the system's bus as it is taken, so
        // that it has to be waited for.
        let news = async { while self.events.next().await.is_some() {} };
        if timeout(REST + JITTER.mul_f64(fastrand::f64()), news).await.is_ok() {
            return Err(failed("the system's Bluetooth service has stopped"));
        }
        Ok(())
    }
}

/// Writes values without response, and waits for the first notification after.
async fn exchange(
    target: &Peripheral,
    to_peer: &Characteristic,
    notified: &mut Notifications,
    values: &[Vec<u8>],
) -> Result<Duration, Failure> {
    let begun = Instant::now();
    for value in values {
        target.write(to_peer, value, WriteType::WithoutResponse).await.map_err(failed)?;
    }
    let answered = patiently("waiting for an answer", async { Ok(notified.next().await.is_some()) }).await?;
    if answered { Ok(begun.elapsed()) } else { Err(failed("the link was lost")) }
}

/// What a phone writes first: the lock answers it before it knows who asks.
fn initiate(mtu: u16) -> Result<Vec<Vec<u8>>, Failure> {
    let full = |_| failed("a message is too long");
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(failed)?;
    let mut a5 = vec![0xA5, 0x27, 0x80, 0x02, 0, 0, 0x5C, 0x02, 0x01, 0x00, 0xB3, 0x1D];
    a5.extend([0xC0, 0x03, 0x7A, 0x4B, 0x42, 0xC1, 0x01, 0x01, 0xC2, 0x10]);
    a5.extend(random);
    // Asks for the lock's state: whatever becomes of it, nothing moves.
    a5.extend([0xC3, 0x01, 0x04]);
    let mut room = [0; 128];
    let len = message::initiate(&mut room, &a5).map_err(full)?;
    let whole = room.get(..len).unwrap_or_default();
    Ok(Fragmenter::new(mtu).split(whole).map(|value| value.as_slice().to_vec()).collect())
}

/// Only what the lock advertises tells that it is the lock: its address changes. What else BlueZ says when a scan begins
/// is what it remembers, before anything was on the air.
fn heard(event: CentralEvent) -> Option<btleplug::platform::PeripheralId> {
    match event {
        CentralEvent::ServiceDataAdvertisement { id, service_data } => {
            service_data.contains_key(&Uuid::from_u128(SERVICE_UUID)).then_some(id)
        }
        _ => None,
    }
}

async fn patiently<T>(what: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(failed(format_args!("{what} takes too long"))))
}

fn failed(why: impl fmt::Display) -> Failure {
    super::bench_failed(&format!("the floor: {why}"))
}
