//! Who connects to the adapter and who leaves it, as BlueZ tells.

use std::collections::HashMap;

use bluer::{Adapter, AdapterEvent, AdapterProperty, Address, Device, DeviceEvent, DeviceProperty};
use futures_util::StreamExt as _;
use tokio::{sync::mpsc, task::JoinSet};

use super::server::Input;

/// Reports connections, and the adapter's power, until the adapter or the listener is gone.
pub(super) async fn watch(adapter: Adapter, inputs: mpsc::UnboundedSender<Input>) {
    // The events first, then what is there already: a device told twice is better than one never told.
    let Ok(events) = adapter.events().await else { return gone(&inputs) };
    let mut events = std::pin::pin!(events);
    let mut devices =
        Devices { adapter: adapter.clone(), inputs: inputs.clone(), watched: HashMap::new(), tasks: JoinSet::new() };
    for address in adapter.device_addresses().await.unwrap_or_default() {
        devices.watch(address);
    }
    while let Some(event) = events.next().await {
        let heard = match event {
            AdapterEvent::DeviceAdded(address) => {
                devices.watch(address);
                Ok(())
            }
            AdapterEvent::DeviceRemoved(address) => {
                devices.forget(address);
                inputs.send(Input::Left(address))
            }
            AdapterEvent::PropertyChanged(AdapterProperty::Powered(on)) => inputs.send(Input::Powered(on)),
            AdapterEvent::PropertyChanged(_) => Ok(()),
        };
        if heard.is_err() {
            return;
        }
        while devices.tasks.try_join_next().is_some() {}
    }
    gone(&inputs);
}

fn gone(inputs: &mpsc::UnboundedSender<Input>) {
    // Whoever would hear of it is gone as well.
    let _ = inputs.send(Input::Down);
}

struct Devices {
    adapter: Adapter,
    inputs: mpsc::UnboundedSender<Input>,
    watched: HashMap<Address, tokio::task::AbortHandle>,
    tasks: JoinSet<()>,
}

impl Devices {
    fn watch(&mut self, address: Address) {
        let Ok(device) = self.adapter.device(address) else { return };
        let task = self.tasks.spawn(watch_device(device, self.inputs.clone()));
        if let Some(old) = self.watched.insert(address, task) {
            old.abort();
        }
    }

    fn forget(&mut self, address: Address) {
        if let Some(task) = self.watched.remove(&address) {
            task.abort();
        }
    }
}

async fn watch_device(device: Device, inputs: mpsc::UnboundedSender<Input>) {
    let Ok(events) = device.events().await else { return };
    let mut events = std::pin::pin!(events);
    if device.is_connected().await.unwrap_or(false) && report(&device, true, &inputs).await.is_err() {
        return;
    }
    while let Some(event) = events.next().await {
        let DeviceEvent::PropertyChanged(property) = event;
        if let DeviceProperty::Connected(connected) = property
            && report(&device, connected, &inputs).await.is_err()
        {
            return;
        }
    }
}

/// Phones never pair with a lock: what is paired is the computer's own mouse or keyboard.
async fn report(device: &Device, connected: bool, inputs: &mpsc::UnboundedSender<Input>) -> Result<(), ()> {
    if connected && device.is_paired().await.unwrap_or(false) {
        return Ok(());
    }
    let address = device.address();
    inputs.send(if connected { Input::Arrived(address) } else { Input::Left(address) }).map_err(drop)
}
