use std::time::Duration;

use keybutton::radio::air::{Direction, Knobs, Manner};
use serde::Deserialize;

/// What is to change about a participant's radio and links; what is not given stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnobSettings {
    latency_us: Option<u64>,
    loss: Option<f32>,
    mtu: Option<u16>,
    advertising_interval_us: Option<u64>,
    connection_interval_us: Option<u64>,
    setup_events: Option<u8>,
    values_per_event: Option<u8>,
    supervision_timeout_us: Option<u64>,
    connect_timeout_us: Option<u64>,
    max_links: Option<u8>,
    tx_power_dbm: Option<i8>,
}

/// The way along a link in which a cut counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountedWay {
    /// From the phone to the lock.
    ToLock,
    /// From the lock to the phone.
    ToPhone,
}

/// How a link is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutManner {
    /// Both ends hear of it at once.
    #[default]
    Drop,
    /// Both ends find out by the supervision time-out.
    Silent,
}

impl KnobSettings {
    /// The knobs that `base` becomes.
    pub(super) fn apply(&self, base: Knobs) -> Knobs {
        let time = |micros: Option<u64>, otherwise| micros.map_or(otherwise, Duration::from_micros);
        Knobs {
            advertising_interval: time(self.advertising_interval_us, base.advertising_interval),
            tx_power: self.tx_power_dbm.unwrap_or(base.tx_power),
            max_links: self.max_links.unwrap_or(base.max_links),
            connect_timeout: time(self.connect_timeout_us, base.connect_timeout),
            connection_interval: time(self.connection_interval_us, base.connection_interval),
            setup_events: self.setup_events.unwrap_or(base.setup_events),
            values_per_event: self.values_per_event.unwrap_or(base.values_per_event),
            mtu: self.mtu.unwrap_or(base.mtu),
            latency: time(self.latency_us, base.latency),
            loss: self.loss.unwrap_or(base.loss),
            supervision_timeout: time(self.supervision_timeout_us, base.supervision_timeout),
            cut: base.cut,
        }
    }
}

impl From<CountedWay> for Direction {
    fn from(way: CountedWay) -> Self {
        match way {
            CountedWay::ToLock => Self::ToLock,
            CountedWay::ToPhone => Self::ToPhone,
        }
    }
}

impl From<CutManner> for Manner {
    fn from(manner: CutManner) -> Self {
        match manner {
            CutManner::Drop => Self::Drop,
            CutManner::Silent => Self::Silent,
        }
    }
}
