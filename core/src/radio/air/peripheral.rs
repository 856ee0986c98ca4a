//! The lock's end of the air.

use keybutton_protocol::api::Bytes;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    AirError, Participant,
    broker::{Endpoint, Reader, Writer},
    control::Role,
    wire::{self, FromBroker, Payload, ToBroker},
};

/// A lock's radio: advertises, accepts links, moves ATT values.
#[derive(Debug)]
pub struct Peripheral {
    frames: mpsc::UnboundedSender<ToBroker>,
    events: mpsc::UnboundedReceiver<PeripheralEvent>,
    _tasks: JoinSet<()>,
}

/// Names a link for as long as the broker lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u32);

/// What a lock advertises.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdvertisingData {
    /// The random address; changes together with the tag.
    pub address: [u8; 6],
    /// The advertising packet's data, at most 31 bytes.
    pub advertisement: Vec<u8>,
    /// The scan response's data, at most 31 bytes.
    pub scan_response: Vec<u8>,
}

/// What happens at a lock's radio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeripheralEvent {
    /// A phone connected and subscribed.
    Connected {
        /// The new link.
        link: LinkId,
        /// The phone's address.
        peer: [u8; 6],
        /// The link's ATT MTU.
        mtu: u16,
    },
    /// A phone wrote one ATT value.
    Value {
        /// Along this link.
        link: LinkId,
        /// The value.
        value: Vec<u8>,
    },
    /// A link is gone.
    Closed {
        /// This one.
        link: LinkId,
    },
    /// The radio was switched on or off.
    Radio(bool),
    /// The broker went away; nothing will happen any more.
    Down,
}

impl Peripheral {
    /// Joins the air as a lock. The phone sees nothing until [`Peripheral::advertise`].
    pub async fn join(endpoint: &Endpoint, who: &Participant) -> Result<Self, AirError> {
        let stream = endpoint.join(Role::Lock, who).await?;
        let (frames, to_send) = mpsc::unbounded_channel();
        let (report, events) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(send_frames(stream.writer, to_send));
        tasks.spawn(receive_frames(stream.reader, report));
        Ok(Self { frames, events, _tasks: tasks })
    }

    /// Advertises `data` from now on, or nothing.
    pub fn advertise(&self, data: Option<AdvertisingData>) {
        self.send(ToBroker::Advertise(data.map(|data| Payload {
            address: address_text(data.address),
            advertisement: Bytes(data.advertisement),
            scan_response: Bytes(data.scan_response),
        })));
    }

    /// Notifies one ATT value. On a link that is gone nothing happens.
    pub fn notify(&self, link: LinkId, value: Vec<u8>) {
        self.send(ToBroker::Value { link: link.0, value: Bytes(value) });
    }

    /// Drops a link once the values notified before are through. Ends in [`PeripheralEvent::Closed`].
    pub fn close(&self, link: LinkId) {
        self.send(ToBroker::Close { link: link.0 });
    }

    /// Waits for what happens next. Cancelling loses nothing.
    pub async fn next_event(&mut self) -> PeripheralEvent {
        self.events.recv().await.unwrap_or(PeripheralEvent::Down)
    }

    fn send(&self, frame: ToBroker) {
        // A broker that is gone is reported by `next_event`.
        let _ = self.frames.send(frame);
    }
}

/// An address as a phone sees it.
fn address_text(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// Reads an address as the broker writes it; all zeros where it is none.
fn parse_address(text: &str) -> [u8; 6] {
    let mut address = [0; 6];
    for (byte, hex) in address.iter_mut().zip(text.split(':')) {
        *byte = u8::from_str_radix(hex, 16).unwrap_or_default();
    }
    address
}

/// Writes a participant's frames until either side has gone.
pub(super) async fn send_frames(mut writer: Writer, mut frames: mpsc::UnboundedReceiver<ToBroker>) {
    while let Some(frame) = frames.recv().await {
        if wire::send(&mut writer, &frame).await.is_err() {
            return;
        }
    }
}

async fn receive_frames(mut reader: Reader, report: mpsc::UnboundedSender<PeripheralEvent>) {
    while let Ok(frame) = wire::receive::<FromBroker>(&mut reader).await {
        let event = match frame {
            FromBroker::Connected { link, address, mtu } => {
                PeripheralEvent::Connected { link: LinkId(link), peer: parse_address(&address), mtu }
            }
            FromBroker::Value { link, value } => PeripheralEvent::Value { link: LinkId(link), value: value.0 },
            FromBroker::Closed { link, .. } => PeripheralEvent::Closed { link: LinkId(link) },
            FromBroker::Radio(on) => PeripheralEvent::Radio(on),
            FromBroker::Welcome
            | FromBroker::Refused { .. }
            | FromBroker::Heard { .. }
            | FromBroker::ConnectFailed { .. }
            | FromBroker::Control(_) => continue,
        };
        if report.send(event).is_err() {
            return;
        }
    }
    let _ = report.send(PeripheralEvent::Down);
}
