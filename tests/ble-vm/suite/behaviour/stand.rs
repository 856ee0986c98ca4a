//! The desktop's radio on BlueZ, and peers of bumble's on the same air.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keybutton::radio::{PeripheralId, Radio, btleplug::BtleplugRadio};
use keybutton_tests::radio_behaviour::{player::Stand, script::Peer};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::sleep,
};

use crate::{
    air::Air,
    bluez,
    line::{Line, hex, unhex},
    world::{World, patiently},
};

/// How long nothing has to happen for everything to be at rest: three of the peers' intervals of advertising. A wait
/// that is too short fails no case.
const REST: Duration = Duration::from_millis(300);

const PEERS: [&str; 3] = ["lock", "other", "stranger"];

pub struct BluezStand<'a> {
    radio: Arc<BtleplugRadio>,
    adapter: &'static str,
    air: &'a Air,
    peers: BTreeMap<&'static str, Lock>,
}

/// A peer: a lock's radio, and what it says.
struct Lock {
    address: String,
    line: Line,
    values: UnboundedReceiver<Vec<u8>>,
    notified: Option<Vec<u8>>,
}

impl<'a> BluezStand<'a> {
    /// A fresh radio on Bob's adapter, which has met nobody and hears nobody, and silent peers.
    pub async fn set(world: &'a World) -> Self {
        let (air, adapter) = (world.air.as_ref().unwrap(), world.bob.adapter);
        // The doors' service is ours too.
        for door in [&world.front, &world.back] {
            air.set_heard(door.adapter, false).await;
        }
        // A case that failed may have left it off.
        bluez::power(adapter, true);
        let mut peers = BTreeMap::new();
        for name in PEERS {
            air.set_heard(name, true).await;
            peers.insert(name, Lock::reset(name).await);
        }
        patiently(async {
            air.unlinked(adapter).await;
            while bluez::is_linked(adapter) || bluez::is_scanning(adapter) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        bluez::forget_all(adapter);
        let radio = Arc::new(BtleplugRadio::open(Some(adapter)).await.unwrap());
        Self { radio, adapter, air, peers }
    }

    fn order(&self, peer: &str, order: Value) {
        self.peers[peer].line.order(&order);
    }

    /// What BlueZ calls a peer.
    fn device(&self, peer: &str) -> String {
        format!("dev_{}", self.peers[peer].address.replace(':', "_"))
    }

    /// The lock drops the link, once BlueZ has what it notified before. On the air there is a connection event between
    /// the two; here none, and BlueZ 5.66 loses a value that it finds together with the end of the link.
    async fn drop_link(&mut self, peer: &str) {
        if let Some(value) = self.peers.get_mut(peer).unwrap().notified.take() {
            let device = self.device(peer);
            patiently(async {
                while !bluez::has_value(self.adapter, &device, &value) {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        self.order(peer, json!({ "do": "close" }));
    }
}

impl Stand for BluezStand<'_> {
    fn radio(&self) -> Arc<dyn Radio> {
        self.radio.clone()
    }

    fn id(&self, peripheral: &str) -> PeripheralId {
        PeripheralId(format!("{}/{}", self.adapter, self.device(peripheral)))
    }

    async fn act(&mut self, action: Peer) {
        match action {
            Peer::Advertise { peripheral, service_data, tx_power, service } => {
                let data = service_data.map(|data| hex(&data.0));
                let order = json!({ "do": "advertise", "data": data, "tx_power": tx_power, "service": service });
                self.order(&peripheral, order);
            }
            Peer::Accept { peripheral, mtu, says } => {
                self.order(&peripheral, json!({ "do": "accept", "mtu": mtu, "says": says.map(|value| hex(&value.0)) }));
            }
            Peer::Refuse { peripheral } => self.order(&peripheral, json!({ "do": "refuse" })),
            Peer::ServiceMissing { peripheral } => {
                self.order(&peripheral, json!({ "do": "accept", "service": false }));
            }
            Peer::Notify { peripheral, value } => {
                self.order(&peripheral, json!({ "do": "notify", "value": hex(&value.0) }));
                self.peers.get_mut(peripheral.as_str()).unwrap().notified = Some(value.0);
            }
            Peer::Drop { peripheral } => self.drop_link(&peripheral).await,
            Peer::WalkAway { peripheral } => self.air.set_heard(&peripheral, false).await,
            Peer::ComeBack { peripheral } => self.air.set_heard(&peripheral, true).await,
            Peer::AdapterOff {} => bluez::power(self.adapter, false),
            Peer::AdapterOn {} => bluez::power(self.adapter, true),
            Peer::PermissionTaken {} => panic!("nobody can take it here"),
        }
    }

    async fn received(&mut self, peripheral: &str) -> Vec<u8> {
        self.peers.get_mut(peripheral).unwrap().values.recv().await.unwrap()
    }

    async fn left(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut left = Vec::new();
        for (name, peer) in &mut self.peers {
            while let Ok(value) = peer.values.try_recv() {
                left.push(((*name).to_owned(), value));
            }
        }
        left
    }

    async fn rest(&mut self) {
        sleep(REST).await;
    }
}

impl Lock {
    /// Silences a peer, which takes no link from now on.
    async fn reset(name: &str) -> Self {
        let (silent, mut address) = mpsc::unbounded_channel();
        let (wrote, values) = mpsc::unbounded_channel();
        let line = Line::open(name, move |said| {
            // Who listens may be gone, at the end.
            match said["say"].as_str().unwrap() {
                "silent" => drop(silent.send(said["address"].as_str().unwrap().to_owned())),
                "value" => drop(wrote.send(unhex(&said["value"]))),
                "closed" => {}
                other => panic!("the peer says {other}"),
            }
        })
        .unwrap();
        line.order(&json!({ "do": "reset", "places": 0 }));
        let address = patiently(address.recv()).await.unwrap();
        Self { address, line, values, notified: None }
    }
}
