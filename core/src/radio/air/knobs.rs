//! What can be set about a participant of the air and the links it has.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a participant stands, metres.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// East.
    pub x: f32,
    /// North.
    pub y: f32,
}

impl Position {
    /// The distance to `other`, metres.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// How a participant's radio and links behave.
///
/// A link is shaped by both ends: the longer interval, the smaller MTU, the sum of the latencies, either side's loss,
/// the smaller number of values for each event, the shorter supervision time-out, and whichever cut comes first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// A lock's advertising interval; 0 to 10 ms of random delay are added to each, as Bluetooth does.
    #[serde(with = "micros")]
    pub advertising_interval: Duration,
    /// A lock's transmit power, dBm.
    pub tx_power: i8,
    /// How many links a lock accepts at once.
    pub max_links: u8,
    /// How long a phone goes on trying to connect.
    #[serde(with = "micros")]
    pub connect_timeout: Duration,
    /// Time between two connection events of a link.
    #[serde(with = "micros")]
    pub connection_interval: Duration,
    /// Connection events from the first one to a link that is subscribed: MTU exchange, discovery, subscription.
    pub setup_events: u8,
    /// ATT values that fit into one connection event, in each direction.
    pub values_per_event: u8,
    /// The largest ATT MTU offered (23 to 517).
    pub mtu: u16,
    /// Added to the way of every ATT value.
    #[serde(with = "micros")]
    pub latency: Duration,
    /// The share of packets that are lost and sent again at the next event (0 to 1).
    pub loss: f32,
    /// Silence after which a link counts as lost.
    #[serde(with = "micros")]
    pub supervision_timeout: Duration,
    /// Cuts this participant's links at a chosen value.
    pub cut: Option<Cut>,
}

impl Default for Knobs {
    /// A mains-powered lock and a phone in its foreground, as bench figures assume them: 30 ms advertising, 15 ms
    /// connection interval, MTU 185.
    fn default() -> Self {
        Self {
            advertising_interval: Duration::from_millis(30),
            tx_power: 0,
            max_links: 2,
            connect_timeout: Duration::from_secs(5),
            connection_interval: Duration::from_millis(15),
            setup_events: 4,
            values_per_event: 4,
            mtu: 185,
            latency: Duration::ZERO,
            loss: 0.0,
            supervision_timeout: Duration::from_secs(2),
            cut: None,
        }
    }
}

impl Knobs {
    /// Brings every value into the range the simulation can keep.
    pub(super) fn clamped(mut self) -> Self {
        let event = Duration::from_micros(1_250);
        self.advertising_interval = self.advertising_interval.clamp(Duration::from_millis(1), Duration::from_secs(11));
        self.connection_interval = self.connection_interval.clamp(event, Duration::from_secs(4));
        self.setup_events = self.setup_events.max(1);
        self.values_per_event = self.values_per_event.max(1);
        self.mtu = self.mtu.clamp(23, 517);
        self.loss = if self.loss.is_nan() { 0.0 } else { self.loss.clamp(0.0, 1.0) };
        self.supervision_timeout = self.supervision_timeout.clamp(Duration::from_millis(10), Duration::from_secs(32));
        self
    }
}

/// Cuts a link once a number of values went through. Links that are there already are left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cut {
    /// Which way the values are counted.
    pub direction: Direction,
    /// How many still arrive on the link; 0 cuts as soon as it is up.
    pub after: u32,
    /// How the link ends.
    pub manner: Manner,
    /// How many links are cut before the knob wears off; `None` for all.
    #[serde(default)]
    pub links: Option<u32>,
}

/// A way along a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the phone to the lock.
    ToLock,
    /// From the lock to the phone.
    ToPhone,
}

impl Direction {
    /// Both ways; the phone, as the central, begins each connection event.
    pub(super) const BOTH: [Self; 2] = [Self::ToLock, Self::ToPhone];

    /// Picks this direction's element.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::ToLock => 0,
            Self::ToPhone => 1,
        }
    }
}

/// How a link is cut.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// Both ends hear of it at once.
    Drop,
    /// Nothing arrives any more; both ends find out by the supervision time-out.
    Silent,
}

/// Durations as whole microseconds.
mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}
