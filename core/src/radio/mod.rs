//! The radio: what the core asks of Bluetooth, and what comes back.
//!
//! A [`Radio`] is synchronous so that a host can implement it in any language: commands go in and return at once,
//! results come back through [`RadioEvents`], which the core hands out. A radio moves ATT values, nothing more: it
//! neither fragments nor reads them.

#[cfg(feature = "air")]
pub mod air;
#[cfg(feature = "btleplug")]
pub mod btleplug;

use std::{fmt, sync::Arc};

use thiserror::Error;

/// Names a peripheral for as long as the radio lives; opaque, never stored.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeripheralId(pub String);

/// What the core asks of Bluetooth. Calls return at once; results arrive as events.
#[cfg_attr(feature = "uniffi", uniffi::export(rust, foreign))]
pub trait Radio: Send + Sync + 'static {
    /// Tells whether the radio can be used now, and if not, why.
    fn state(&self) -> RadioState;

    /// Starts reporting advertisements that carry our service, until [`Radio::stop_scan`].
    fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError>;

    /// Stops reporting advertisements.
    fn stop_scan(&self);

    /// Connects, discovers the service and subscribes to the lock's notifications. Ends in
    /// [`RadioEvents::connected`] or [`RadioEvents::disconnected`]. News of this link go to `events` and to nobody else:
    /// so the end of a link is told from that of the next one to the same peripheral.
    fn connect(&self, peripheral: PeripheralId, events: Arc<dyn RadioEvents>) -> Result<(), RadioError>;

    /// Sends one ATT value to the lock. Values arrive in the order of the calls.
    fn write(&self, peripheral: PeripheralId, value: Vec<u8>) -> Result<(), RadioError>;

    /// Drops the link, or gives up connecting. Ends in [`RadioEvents::disconnected`].
    fn disconnect(&self, peripheral: PeripheralId);
}

/// What comes back from a [`Radio`]. Implemented by the core; may be called from any thread.
#[cfg_attr(feature = "uniffi", uniffi::export)]
pub trait RadioEvents: Send + Sync {
    /// An advertisement (with its scan response, where one was received) was heard.
    fn advertisement(&self, advertisement: Advertisement);

    /// The link is up and subscribed; `mtu` is the ATT MTU (23 to 517).
    fn connected(&self, peripheral: PeripheralId, mtu: u16);

    /// The lock notified one ATT value.
    fn notification(&self, peripheral: PeripheralId, value: Vec<u8>);

    /// The link is gone, or never came up.
    fn disconnected(&self, peripheral: PeripheralId, cause: RadioError);

    /// The radio was switched on or off, or lost its permission.
    fn state_changed(&self, state: RadioState);
}

/// An advertisement of our service.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Advertisement {
    /// Who sent it.
    pub peripheral: PeripheralId,
    /// Received signal strength, dBm.
    pub rssi: i8,
    /// The advertised transmit power, dBm, where the packet carried it.
    pub tx_power: Option<i8>,
    /// The service data of our service: info byte, 8-byte tag, masked flags. Empty until the scan response is heard.
    pub service_data: Vec<u8>,
}

/// Whether Bluetooth can be used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum RadioState {
    /// Ready.
    On,
    /// Switched off by the user.
    Off,
    /// The app lacks a permission.
    Unauthorized,
    /// There is no usable adapter.
    Absent,
}

impl fmt::Display for RadioState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "switched off",
            Self::Unauthorized => "permission missing",
            Self::Absent => "no adapter",
        })
    }
}

/// Why a radio command failed or a link went away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Error))]
pub enum RadioError {
    /// The radio is not usable: see [`Radio::state`].
    #[error("the radio is not usable")]
    Unavailable,
    /// The peripheral is not known or not in range any more.
    #[error("the peripheral is out of range")]
    OutOfRange,
    /// The link could not be set up.
    #[error("the link could not be set up")]
    ConnectFailed,
    /// The other side, or the air, dropped the link.
    #[error("the link was lost")]
    LinkLost,
    /// We dropped the link.
    #[error("the link was closed")]
    Closed,
    /// The peripheral does not have our service.
    #[error("the peripheral does not have the lock service")]
    WrongService,
    /// Too many scans or links at once; the system says to wait.
    #[error("the system limits the radio for now")]
    Throttled,
}
