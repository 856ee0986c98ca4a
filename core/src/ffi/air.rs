//! The simulated air, so that an app is tested without a lock and without Bluetooth.

use std::{net::SocketAddr, sync::Arc};

use tokio::runtime::{Builder, Runtime};

use crate::radio::{
    PeripheralId, Radio, RadioError, RadioEvents, RadioState,
    air::{AirError, AirRadio, Endpoint, Participant},
};

/// Joins the air, with a thread that serves the radio.
pub(super) fn join(address: &str, name: &str, x: f32, y: f32) -> Result<Arc<dyn Radio>, AirError> {
    let address: SocketAddr = address.parse().map_err(|_| AirError::Refused(format!("{address} is not HOST:PORT")))?;
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("keybutton-air").enable_all().build()?;
    let radio = runtime.block_on(AirRadio::join(&Endpoint::Tcp(address), &Participant::named(name).at(x, y)))?;
    Ok(Arc::new(OnAir { radio, runtime: Some(runtime) }))
}

/// A radio with the thread that serves it.
struct OnAir {
    radio: AirRadio,
    runtime: Option<Runtime>,
}

impl Drop for OnAir {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last owner may be a thread that must not wait.
            runtime.shutdown_background();
        }
    }
}

impl Radio for OnAir {
    fn state(&self) -> RadioState {
        self.radio.state()
    }

    fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        self.radio.start_scan(events)
    }

    fn stop_scan(&self) {
        self.radio.stop_scan();
    }

    fn connect(&self, peripheral: PeripheralId, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        self.radio.connect(peripheral, events)
    }

    fn write(&self, peripheral: PeripheralId, value: Vec<u8>) -> Result<(), RadioError> {
        self.radio.write(peripheral, value)
    }

    fn disconnect(&self, peripheral: PeripheralId) {
        self.radio.disconnect(peripheral);
    }
}
