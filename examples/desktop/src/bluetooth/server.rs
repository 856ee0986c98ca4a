//! A lock's radio as a BlueZ GATT server.
//!
//! BlueZ before 5.76 hands a notification to every phone that has subscribed, whoever it is meant for; later versions,
//! which address it by way of `AcquireNotify`, have not been tried. So one phone is talked to at a time, the lock does
//! not advertise meanwhile, and who connects all the same is sent away at once: phones go on looking, and find the door a
//! moment later.

use std::{
    future::{Ready, ready},
    pin::Pin,
    time::{Duration, Instant},
};

use bluer::{
    Adapter, Address, AddressType, Device, Session,
    gatt::local::{
        Application, ApplicationHandle, Characteristic, CharacteristicNotifier, CharacteristicNotify,
        CharacteristicNotifyMethod, CharacteristicWrite, CharacteristicWriteMethod, CharacteristicWriteRequest,
        ReqError, ReqResult, Service,
    },
};
use keybutton::radio::air::{AdvertisingData, LinkId, PeripheralEvent};
use keybutton_protocol::advert::{SERVICE_UUID, TO_LOCK_UUID, TO_PHONE_UUID};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use uuid::Uuid;

use super::{
    advertiser::Advertiser,
    links::{Arrival, Links, Word},
    management::Management,
    switched_off, watcher,
};
use crate::failure::Failure;

/// How many phones are talked to at once.
const PHONES: usize = 1;

/// How long the values before a close may take to leave: a few connection events, and a repetition or two.
const LEAVE: Duration = Duration::from_millis(300);

/// How long stopping may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// A lock's radio on one of the computer's adapters, which should be the lock's alone.
///
/// Has to live on a single-threaded runtime: values are handed over in tasks of their own, and only there these run
/// in the order in which they were written.
#[derive(Debug)]
pub struct GattServer {
    inputs: mpsc::UnboundedSender<Input>,
    events: mpsc::UnboundedReceiver<PeripheralEvent>,
    advertiser: JoinHandle<()>,
    _tasks: JoinSet<()>,
}

/// What the server's one task is told.
pub(super) enum Input {
    /// The lock: advertise this, or nothing.
    Advertise(Option<AdvertisingData>),
    /// The lock: notify a value.
    Notify(LinkId, Vec<u8>),
    /// The lock: drop a link.
    Close(LinkId),
    /// A phone wrote a value.
    Wrote { address: Address, mtu: u16, value: Vec<u8> },
    /// A phone subscribed.
    Subscribed(CharacteristicNotifier),
    /// A phone connected.
    Arrived(Address),
    /// A phone disconnected.
    Left(Address),
    /// The adapter was switched on or off.
    Powered(bool),
    /// BlueZ or the adapter is gone, or the lock stops.
    Down,
}

impl GattServer {
    /// Puts the lock's service on the adapter called `adapter`, or the first one, and switches it on. The phone sees
    /// nothing until [`GattServer::advertise`].
    pub async fn start(adapter: Option<&str>) -> Result<Self, Failure> {
        let session = Session::new().await.map_err(|error| failed("reach BlueZ", &error))?;
        let adapter = match adapter {
            Some(name) => session.adapter(name),
            None => session.default_adapter().await,
        }
        .map_err(|error| failed("find the adapter", &error))?;
        power_on(&adapter).await?;
        let management = Management::new(adapter.name());
        let advertiser = Advertiser::new(management.clone(), last_instance(&adapter).await?).await?;
        let (inputs, to_do) = mpsc::unbounded_channel();
        let application = adapter
            .serve_gatt_application(application(&inputs))
            .await
            .map_err(|error| failed("offer the lock's service", &error))?;
        let (report, events) = mpsc::unbounded_channel();
        let (wanted, advertised) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let advertiser = tokio::spawn(advertiser.run_to_end(advertised));
        tasks.spawn(watcher::watch(adapter.clone(), inputs.clone()));
        let server = Server {
            _session: session,
            _application: application,
            adapter,
            management,
            links: Links::new(PHONES),
            notifier: None,
            data: None,
            wanted,
            report,
        };
        tasks.spawn(server.run(to_do));
        Ok(Self { inputs, events, advertiser, _tasks: tasks })
    }

    /// Advertises `data` from now on, or nothing. The address in it does not count: BlueZ chooses its own.
    pub fn advertise(&self, data: Option<AdvertisingData>) {
        self.tell(Input::Advertise(data));
    }

    /// Notifies one ATT value. On a link that is gone nothing happens.
    pub fn notify(&self, link: LinkId, value: Vec<u8>) {
        self.tell(Input::Notify(link, value));
    }

    /// Drops a link once the values notified before are through. Ends in [`PeripheralEvent::Closed`].
    pub fn close(&self, link: LinkId) {
        self.tell(Input::Close(link));
    }

    /// Stops advertising and sends everybody away, as far as BlueZ does so in a moment.
    pub async fn stop(&mut self) {
        self.tell(Input::Down);
        let _ = timeout(GOODBYE, &mut self.advertiser).await;
    }

    /// Waits for what happens next. Cancelling loses nothing.
    pub async fn next_event(&mut self) -> PeripheralEvent {
        self.events.recv().await.unwrap_or(PeripheralEvent::Down)
    }

    fn tell(&self, input: Input) {
        // A server that is gone is reported by `next_event`.
        let _ = self.inputs.send(input);
    }
}

struct Server {
    _session: Session,
    _application: ApplicationHandle,
    adapter: Adapter,
    management: Management,
    links: Links,
    notifier: Option<CharacteristicNotifier>,
    data: Option<AdvertisingData>,
    wanted: watch::Sender<Option<AdvertisingData>>,
    report: mpsc::UnboundedSender<PeripheralEvent>,
}

impl Server {
    async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        loop {
            let silent = self.links.silent();
            tokio::select! {
                biased;
                input = inputs.recv() => match input {
                    Some(Input::Down) | None => {
                        for address in self.links.everybody() {
                            if let Ok(device) = self.adapter.device(address) {
                                hang_up(device, self.management.clone(), Duration::ZERO).await;
                            }
                        }
                        self.tell(PeripheralEvent::Down);
                        return;
                    }
                    Some(input) => self.take(input).await,
                },
                () = until(silent.map(|(_, at)| at)) => {
                    if let Some((address, _)) = silent {
                        tracing::debug!(%address, "a phone says nothing");
                        self.send_away(address);
                    }
                }
            }
            self.settle_advertising();
        }
    }

    async fn take(&mut self, input: Input) {
        match input {
            Input::Advertise(data) => self.data = data,
            Input::Notify(link, value) => self.notify(link, value).await,
            Input::Close(link) => {
                if let Some(address) = self.links.address(link) {
                    self.send_away(address);
                }
            }
            Input::Wrote { address, mtu, value } => self.wrote(address, mtu, value),
            Input::Subscribed(notifier) => self.notifier = Some(notifier),
            Input::Arrived(address) => {
                if self.links.arrived(address, Instant::now()) == Arrival::Full {
                    self.send_away(address);
                }
            }
            Input::Left(address) => {
                if let Some(link) = self.links.left(address) {
                    self.tell(PeripheralEvent::Closed { link });
                }
            }
            Input::Powered(on) => {
                if !on {
                    for link in self.links.all_left() {
                        self.tell(PeripheralEvent::Closed { link });
                    }
                }
                self.tell(PeripheralEvent::Radio(on));
                // What was advertised is gone with the power: say it again.
                self.wanted.send_replace(None);
            }
            Input::Down => {}
        }
    }

    fn wrote(&mut self, address: Address, mtu: u16, value: Vec<u8>) {
        match self.links.wrote(address, Instant::now()) {
            Word::First(link) => {
                self.tell(PeripheralEvent::Connected { link, peer: address.0, mtu });
                self.tell(PeripheralEvent::Value { link, value });
            }
            Word::More(link) => self.tell(PeripheralEvent::Value { link, value }),
            Word::Nobodys => {}
        }
    }

    async fn notify(&mut self, link: LinkId, value: Vec<u8>) {
        let Some(address) = self.links.address(link) else { return };
        let sent = match &mut self.notifier {
            Some(notifier) => notifier.notify(value).await.is_ok(),
            None => false,
        };
        if !sent {
            // A phone that does not listen can't be answered.
            self.send_away(address);
        }
    }

    fn send_away(&mut self, address: Address) {
        self.links.leaving(address);
        let Ok(device) = self.adapter.device(address) else { return };
        tokio::spawn(hang_up(device, self.management.clone(), LEAVE));
    }

    fn settle_advertising(&self) {
        let data = self.data.clone().filter(|_| self.links.has_room());
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != data;
            *wanted = data;
            changed
        });
    }

    fn tell(&self, event: PeripheralEvent) {
        // The board may be powering down.
        let _ = self.report.send(event);
    }
}

/// The lock's service (docs/PROTOCOL.md section 14).
fn application(inputs: &mpsc::UnboundedSender<Input>) -> Application {
    let (to_lock, to_phone) = (inputs.clone(), inputs.clone());
    Application {
        services: vec![Service {
            uuid: Uuid::from_u128(SERVICE_UUID),
            primary: true,
            characteristics: vec![
                Characteristic {
                    uuid: Uuid::from_u128(TO_LOCK_UUID),
                    write: Some(CharacteristicWrite {
                        write: true,
                        write_without_response: true,
                        method: CharacteristicWriteMethod::Fun(Box::new(move |value, request| {
                            Box::pin(ready(wrote(&to_lock, value, &request))) as Answer<ReqResult<()>>
                        })),
                        ..CharacteristicWrite::default()
                    }),
                    ..Characteristic::default()
                },
                Characteristic {
                    uuid: Uuid::from_u128(TO_PHONE_UUID),
                    notify: Some(CharacteristicNotify {
                        notify: true,
                        method: CharacteristicNotifyMethod::Fun(Box::new(move |notifier| {
                            // The server may be stopping.
                            let _ = to_phone.send(Input::Subscribed(notifier));
                            Box::pin(ready(())) as Answer<()>
                        })),
                        ..CharacteristicNotify::default()
                    }),
                    ..Characteristic::default()
                },
            ],
            ..Service::default()
        }],
        ..Application::default()
    }
}

type Answer<T> = Pin<Box<Ready<T>>>;

fn wrote(inputs: &mpsc::UnboundedSender<Input>, value: Vec<u8>, request: &CharacteristicWriteRequest) -> ReqResult<()> {
    // Never the value itself: what phones send is theirs.
    tracing::trace!(header = value.first(), len = value.len(), ?request, "a phone wrote");
    // Values are at most one ATT value long: there are no long writes.
    if request.offset != 0 || request.prepare_authorize {
        return Err(ReqError::InvalidOffset);
    }
    let input = Input::Wrote { address: request.device_address, mtu: request.mtu, value };
    inputs.send(input).map_err(|_| ReqError::Failed)
}

/// Drops a phone's link once what it was told has had time to leave.
async fn hang_up(device: Device, management: Management, leave: Duration) {
    // BlueZ takes what it is told in order: once it answers, the values notified before are on their way.
    let kind = device.address_type().await.unwrap_or(AddressType::LePublic);
    tokio::time::sleep(leave).await;
    let Err(why) = management.disconnect(device.address(), kind).await else { return };
    tracing::debug!(address = %device.address(), why, "the phone does not go, or is gone already");
    if let Err(error) = device.disconnect().await {
        tracing::debug!(address = %device.address(), %error, "the phone was gone already");
    }
}

async fn power_on(adapter: &Adapter) -> Result<(), Failure> {
    if adapter.is_powered().await.map_err(|error| failed("ask the adapter", &error))? {
        return Ok(());
    }
    adapter.set_powered(true).await.map_err(|error| {
        tracing::warn!(%error, "the adapter can't be switched on");
        switched_off(adapter.name())
    })
}

/// The kernel's last advertising instance: BlueZ gives its own from the first one on.
async fn last_instance(adapter: &Adapter) -> Result<u8, Failure> {
    let failed = |error| failed("ask the adapter", &error);
    let used = adapter.active_advertising_instances().await.map_err(failed)?;
    let free = adapter.supported_advertising_instances().await.map_err(failed)?;
    Ok(used.saturating_add(free).max(1))
}

fn failed(what: &str, error: &bluer::Error) -> Failure {
    Failure::new(
        "bluetooth-failed",
        format_args!("the lock can't {what}: {error}"),
        "See that bluetoothd runs (`systemctl start bluetooth`), that `bluetoothctl list` shows the adapter, and that \
         this user may use it (root, or the group bluetooth).",
    )
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
