//! A lock's radio: the simulated air, or real Bluetooth.

use keybutton::radio::air::{AdvertisingData, Endpoint, LinkId, Participant, Peripheral, PeripheralEvent};

#[cfg(all(feature = "bluetooth", target_os = "linux"))]
use crate::bluetooth::GattServer;
use crate::failure::Failure;

/// Where a lock is heard.
#[derive(Clone, Debug)]
pub enum Medium {
    /// On a simulated air.
    Air(Endpoint),
    /// By real Bluetooth, on this adapter or the first one.
    Bluetooth(Option<String>),
}

/// The radio of a lock that runs.
pub(super) enum LockRadio {
    Air(Peripheral),
    #[cfg(all(feature = "bluetooth", target_os = "linux"))]
    Bluetooth(GattServer),
}

impl LockRadio {
    /// Joins the medium. Nobody hears the lock until [`LockRadio::advertise`].
    pub(super) async fn join(medium: &Medium, who: &Participant) -> Result<Self, Failure> {
        match medium {
            Medium::Air(endpoint) => Ok(Self::Air(Peripheral::join(endpoint, who).await?)),
            #[cfg(all(feature = "bluetooth", target_os = "linux"))]
            Medium::Bluetooth(adapter) => Ok(Self::Bluetooth(GattServer::start(adapter.as_deref()).await?)),
            #[cfg(not(all(feature = "bluetooth", target_os = "linux")))]
            Medium::Bluetooth(_) => Err(crate::bluetooth::not_built()),
        }
    }

    pub(super) fn advertise(&self, data: Option<AdvertisingData>) {
        match self {
            Self::Air(peripheral) => peripheral.advertise(data),
            #[cfg(all(feature = "bluetooth", target_os = "linux"))]
            Self::Bluetooth(server) => server.advertise(data),
        }
    }

    pub(super) fn notify(&self, link: LinkId, value: Vec<u8>) {
        match self {
            Self::Air(peripheral) => peripheral.notify(link, value),
            #[cfg(all(feature = "bluetooth", target_os = "linux"))]
            Self::Bluetooth(server) => server.notify(link, value),
        }
    }

    pub(super) fn close(&self, link: LinkId) {
        match self {
            Self::Air(peripheral) => peripheral.close(link),
            #[cfg(all(feature = "bluetooth", target_os = "linux"))]
            Self::Bluetooth(server) => server.close(link),
        }
    }

    pub(super) async fn next_event(&mut self) -> PeripheralEvent {
        match self {
            Self::Air(peripheral) => peripheral.next_event().await,
            #[cfg(all(feature = "bluetooth", target_os = "linux"))]
            Self::Bluetooth(server) => server.next_event().await,
        }
    }

    /// Takes leave of the medium, where it does not notice by itself that the lock is gone.
    pub(super) async fn stop(&mut self) {
        match self {
            Self::Air(_) => {}
            #[cfg(all(feature = "bluetooth", target_os = "linux"))]
            Self::Bluetooth(server) => server.stop().await,
        }
    }

    /// What a lock says that has lost its radio for good.
    pub(super) fn lost(&self) -> Failure {
        match self {
            Self::Air(_) => Failure::new(
                "air-gone",
                "the air's broker has stopped",
                "Start `keybutton serve` again, then the lock.",
            ),
            #[cfg(all(feature = "bluetooth", target_os = "linux"))]
            Self::Bluetooth(_) => Failure::new(
                "bluetooth-gone",
                "BlueZ has stopped, or the adapter was pulled out",
                "See that bluetoothd runs and that `bluetoothctl list` shows the adapter, then start the lock again.",
            ),
        }
    }
}
