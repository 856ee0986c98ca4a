//! One link: connect, discover, subscribe, move values, and end for one stated cause, whatever happens on the way.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use ::btleplug::{
    api::{Characteristic, Peripheral as _, ValueNotification, WriteType},
    platform::{Peripheral, PeripheralId as PlatformId},
};
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use keybutton_protocol::frame::{MAX_MTU, MIN_MTU};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{interval, timeout},
};
use uuid::Uuid;

use super::{LinkSteps, SERVICE, Shared, faults};
use crate::radio::{PeripheralId, RadioError, RadioEvents};

const TO_LOCK: Uuid = Uuid::from_u128(keybutton_protocol::advert::TO_LOCK_UUID);
const TO_PHONE: Uuid = Uuid::from_u128(keybutton_protocol::advert::TO_PHONE_UUID);

/// How long connecting may take. Systems try for half a minute or for ever; a press waits for no more than this.
const CONNECT: Duration = Duration::from_secs(10);

/// How long discovery may take, and how long subscribing.
const SET_UP: Duration = Duration::from_secs(8);

/// How long a system may take to drop a link. BlueZ takes two seconds for each.
const DROP: Duration = Duration::from_secs(6);

/// How long the values before a close may take to leave, and news of the end to arrive.
const SETTLE: Duration = Duration::from_secs(1);

/// Whether a system's handle of a peripheral keeps what services it has beyond a link. CoreBluetooth's and `WinRT`'s are no
/// good any more once the link has ended.
const KEEPS_SERVICES: bool = cfg!(target_os = "linux");

/// How often a link in use is asked whether it is still there: not every system says so when it dies.
const ALIVE: Duration = Duration::from_secs(5);

/// Word to a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ToLink {
    /// Send this value.
    Write(Vec<u8>),
    /// Drop the link once the values before are sent, or give up connecting.
    Close,
    /// The system says that the peripheral has connected.
    Arrived,
    /// The system says that the peripheral has disconnected.
    Departed,
    /// The adapter went off or away.
    RadioLost,
}

type Notifications = Pin<Box<dyn Stream<Item = ValueNotification> + Send>>;

/// Runs a link from the wish to connect to its end, which is always reported.
pub(super) async fn run(
    shared: Arc<Shared>,
    name: PeripheralId,
    id: PlatformId,
    events: Arc<dyn RadioEvents>,
    commands: mpsc::UnboundedReceiver<ToLink>,
) {
    let mut line = Line { commands, arrived: false, departed: false };
    // BlueZ and the kernel lose track of a scan that starts or stops while a link is set up: the next scan hears nothing.
    shared.scan_settles().await;
    let cause = match shared.handle(&name, &id).await {
        Err(error) => faults::step(&error),
        Ok(peripheral) => {
            let cause = match open(&name, &peripheral, &mut line).await {
                Err(cause) => cause,
                Ok(up) => {
                    shared.link_is_up(&name, up.mtu, up.steps.clone());
                    events.connected(name.clone(), up.mtu);
                    let remembered = up.remembered;
                    let ended = serve(&name, &events, up, &mut line).await;
                    if remembered && !ended.heard {
                        // The lock may not be what it was: the next link looks again.
                        shared.forget_handle(&name);
                    }
                    ended.cause
                }
            };
            hang_up(&peripheral, &mut line).await;
            cause
        }
    };
    tracing::debug!(peripheral = name.0, %cause, "link ended");
    shared.link_ended(name, &events, cause);
}

/// A link that is up and subscribed.
struct Up {
    peripheral: Peripheral,
    to_lock: Characteristic,
    notifications: Notifications,
    mtu: u16,
    /// The services are those of an earlier link.
    remembered: bool,
    steps: LinkSteps,
}

/// How a link that was up ended.
struct Ended {
    cause: RadioError,
    /// The lock said something.
    heard: bool,
}

/// What a link is told, and what it knows of the system's news.
struct Line {
    commands: mpsc::UnboundedReceiver<ToLink>,
    arrived: bool,
    departed: bool,
}

impl Line {
    /// Waits for a word that ends the link before it is up.
    async fn interrupted(&mut self) -> RadioError {
        while let Some(word) = self.commands.recv().await {
            match word {
                ToLink::Write(_) => {}
                ToLink::Close => return RadioError::Closed,
                ToLink::Arrived => self.arrived = true,
                // News of an earlier link, when this one has not come up yet.
                ToLink::Departed if !self.arrived => {}
                ToLink::Departed => {
                    self.departed = true;
                    return RadioError::ConnectFailed;
                }
                ToLink::RadioLost => return RadioError::Unavailable,
            }
        }
        RadioError::Closed
    }
}

/// Does one step towards a link, unless something ends the link before.
async fn step<T>(
    line: &mut Line,
    limit: Duration,
    work: impl Future<Output = ::btleplug::Result<T>>,
) -> Result<T, RadioError> {
    tokio::select! {
        biased;
        cause = line.interrupted() => Err(cause),
        done = timeout(limit, work) => match done {
            Ok(result) => result.map_err(|error| {
                tracing::debug!(%error, "a step towards a link failed");
                faults::step(&error)
            }),
            Err(_) => Err(RadioError::OutOfRange),
        },
    }
}

async fn open(name: &PeripheralId, peripheral: &Peripheral, line: &mut Line) -> Result<Up, RadioError> {
    let begun = Instant::now();
    step(line, CONNECT, peripheral.connect_with_timeout(CONNECT)).await?;
    line.arrived = true;
    let connected = Instant::now();
    let remembered = if KEEPS_SERVICES { LockService::of(peripheral) } else { None };
    let (mut service, mut discovered) = match &remembered {
        Some(service) => (service.clone(), connected),
        None => discover(peripheral, line).await?,
    };
    // The stream first: what is notified right after subscribing would be missed.
    let notifications = step(line, SET_UP, peripheral.notifications()).await?;
    let mut remembered = remembered.is_some();
    match step(line, SET_UP, peripheral.subscribe(&service.to_phone)).await {
        Err(RadioError::ConnectFailed | RadioError::OutOfRange) if remembered && !line.departed => {
            // The system does not know them any more: the lock has put its service elsewhere.
            remembered = false;
            (service, discovered) = discover(peripheral, line).await?;
            step(line, SET_UP, peripheral.subscribe(&service.to_phone)).await?;
        }
        subscribed => subscribed?,
    }
    // Linux tells it with the services. Those of an earlier link may have an earlier MTU: a value that is too long for
    // this link is not sent then, and the link ends.
    let mtu = peripheral.mtu().clamp(MIN_MTU, MAX_MTU);
    let steps = LinkSteps {
        peripheral: name.clone(),
        connect: connected - begun,
        discover: discovered - connected,
        subscribe: discovered.elapsed(),
    };
    Ok(Up { peripheral: peripheral.clone(), to_lock: service.to_lock, notifications, mtu, remembered, steps })
}

/// The two ends of a lock's service.
#[derive(Clone)]
struct LockService {
    to_lock: Characteristic,
    to_phone: Characteristic,
}

impl LockService {
    /// Finds it among the services that are known of a peripheral.
    fn of(peripheral: &Peripheral) -> Option<Self> {
        let all = peripheral.characteristics();
        let find = |uuid| all.iter().find(|known| known.service_uuid == SERVICE && known.uuid == uuid).cloned();
        Some(Self { to_lock: find(TO_LOCK)?, to_phone: find(TO_PHONE)? })
    }
}

/// Asks what services there are; tells when that was known.
async fn discover(peripheral: &Peripheral, line: &mut Line) -> Result<(LockService, Instant), RadioError> {
    step(line, SET_UP, peripheral.discover_services_with_timeout(SET_UP)).await?;
    let service = LockService::of(peripheral).ok_or(RadioError::WrongService)?;
    Ok((service, Instant::now()))
}

/// Moves values until the link ends.
async fn serve(name: &PeripheralId, events: &Arc<dyn RadioEvents>, up: Up, line: &mut Line) -> Ended {
    let (values, mut arriving) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(drain(up.notifications, values, stopped));
    let (writes, to_write) = mpsc::unbounded_channel();
    let mut writer = tokio::spawn(write(up.peripheral.clone(), up.to_lock, to_write));
    let mut alive = interval(ALIVE);
    alive.reset();
    let mut heard = false;
    let cause = loop {
        tokio::select! {
            biased;
            Some(value) = arriving.recv() => {
                heard = true;
                events.notification(name.clone(), value);
            }
            word = line.commands.recv() => match word {
                Some(ToLink::Write(value)) => {
                    // A writer that failed ends the link below.
                    let _ = writes.send(value);
                }
                Some(ToLink::Close) | None => break RadioError::Closed,
                Some(ToLink::Departed) => {
                    line.departed = true;
                    break RadioError::LinkLost;
                }
                Some(ToLink::RadioLost) => break RadioError::Unavailable,
                Some(ToLink::Arrived) => {}
            },
            _ = &mut writer => break RadioError::LinkLost,
            _ = alive.tick() => {
                if !timeout(SETTLE, up.peripheral.is_connected()).await.is_ok_and(|alive| alive.unwrap_or(false)) {
                    break RadioError::LinkLost;
                }
            }
        }
    };
    // What had arrived before the end counts.
    let _ = stop.send(());
    while let Some(value) = arriving.recv().await {
        heard = true;
        events.notification(name.clone(), value);
    }
    finish(writes, writer).await;
    Ended { cause, heard }
}

/// Lets the values that were given leave, for a while.
async fn finish(writes: mpsc::UnboundedSender<Vec<u8>>, mut writer: JoinHandle<()>) {
    drop(writes);
    if !writer.is_finished() && timeout(SETTLE, &mut writer).await.is_err() {
        writer.abort();
    }
}

/// Empties the platform's stream as fast as it fills: some platforms keep no more than 16 values, and drop the rest
/// without a word. Ends once it was told to and nothing waits.
async fn drain(mut from: Notifications, to: mpsc::UnboundedSender<Vec<u8>>, mut stopped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            biased;
            value = from.next() => match value {
                Some(value) if value.uuid == TO_PHONE => {
                    if to.send(value.value).is_err() {
                        return;
                    }
                }
                Some(_) => {}
                None => return,
            },
            _ = &mut stopped => break,
        }
    }
    while let Some(Some(value)) = from.next().now_or_never() {
        if value.uuid == TO_PHONE && to.send(value.value).is_err() {
            return;
        }
    }
}

/// Writes values in order, each once the platform took the one before. Ends with the first that fails.
async fn write(peripheral: Peripheral, to_lock: Characteristic, mut values: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(value) = values.recv().await {
        if let Err(error) = peripheral.write(&to_lock, &value, WriteType::WithoutResponse).await {
            tracing::debug!(%error, "a value could not be written");
            return;
        }
    }
}

/// Drops the link, or an attempt that the system still makes: no platform gives up by itself when nobody waits.
async fn hang_up(peripheral: &Peripheral, line: &mut Line) {
    if line.departed {
        return;
    }
    match timeout(DROP, peripheral.disconnect()).await {
        // News of this end must not reach the next link.
        Ok(Ok(())) if line.arrived => {
            let departed = async {
                while !matches!(line.commands.recv().await, Some(ToLink::Departed | ToLink::RadioLost) | None) {}
            };
            let _ = timeout(SETTLE, departed).await;
        }
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the link was gone already"),
        Err(_) => tracing::warn!("the system does not drop a link"),
    }
}
