//! The air's radio, with virtual peripherals on a medium whose clock stands still until everybody waits.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keybutton::radio::{
    PeripheralId, Radio,
    air::{
        AdvertisingData, AirControl, AirRadio, Broker, BrokerOptions, Knobs, LinkId, Participant, Peripheral,
        PeripheralEvent, Position,
    },
};
use keybutton_tests::radio_behaviour::{
    player::Stand,
    script::{Hex, Need, Peer},
};
use tokio::time::{sleep, timeout};

/// What an air can show beside links and values.
pub const CAN: [Need; 2] = [Need::Strangers, Need::SuddenOff];

/// Whatever is under way has happened by then: longer than any supervision or connection time-out.
const REST: Duration = Duration::from_secs(10);

const PHONE: &str = "phone";
const SERVICE_UUID_LE: [u8; 16] = keybutton_protocol::advert::SERVICE_UUID.to_le_bytes();

pub struct AirStand {
    radio: Arc<AirRadio>,
    air: AirControl,
    peers: BTreeMap<String, Lock>,
    _broker: Broker,
}

/// A peer: a lock's radio, and what came of it so far.
struct Lock {
    address: [u8; 6],
    radio: Peripheral,
    link: Option<LinkId>,
}

impl AirStand {
    pub async fn set() -> Self {
        let broker = Broker::local(BrokerOptions { seed: 11 });
        let air = AirControl::join(broker.endpoint()).await.unwrap();
        let phone = Participant::named(PHONE).at(1.0, 0.0).with(Knobs { mtu: 517, ..Knobs::default() });
        let radio = Arc::new(AirRadio::join(broker.endpoint(), &phone).await.unwrap());
        let mut peers = BTreeMap::new();
        for (number, name) in (1..).zip(["lock", "other", "stranger"]) {
            let who = Participant::named(name).with(knobs(0, 185));
            let radio = Peripheral::join(broker.endpoint(), &who).await.unwrap();
            peers.insert(name.to_owned(), Lock { address: [0xC0, 0, 0, 0, 0, number], radio, link: None });
        }
        Self { radio, air, peers, _broker: broker }
    }

    fn peer(&mut self, name: &str) -> &mut Lock {
        self.peers.get_mut(name).expect("a peer of this name")
    }

    async fn accept(&mut self, name: &str, mtu: u16, says: Option<Hex>) {
        self.air.set_knobs(name, knobs(1, mtu)).await.unwrap();
        let peer = self.peer(name);
        // An attempt that was given up comes to nothing.
        let link = timeout(REST, peer.connected()).await;
        if let (Ok(link), Some(says)) = (link, says) {
            peer.radio.notify(link, says.0);
        }
        self.air.set_knobs(name, knobs(0, mtu)).await.unwrap();
    }

    async fn move_to(&self, name: &str, x: f32) {
        self.air.move_to(name, Position { x, y: 0.0 }).await.unwrap();
    }
}

impl Stand for AirStand {
    fn radio(&self) -> Arc<dyn Radio> {
        self.radio.clone()
    }

    fn id(&self, peripheral: &str) -> PeripheralId {
        let address = self.peers[peripheral].address;
        PeripheralId(address.map(|byte| format!("{byte:02x}")).join(":"))
    }

    async fn act(&mut self, action: Peer) {
        match action {
            Peer::Advertise { peripheral, service_data, tx_power, service } => {
                let peer = self.peer(&peripheral);
                peer.radio.advertise(Some(packet(peer.address, service_data, tx_power, service)));
            }
            Peer::Accept { peripheral, mtu, says } => self.accept(&peripheral, mtu, says).await,
            // A lock without a free place lets the phone try until it gives up.
            Peer::Refuse { .. } => sleep(REST).await,
            Peer::Notify { peripheral, value } => {
                let peer = self.peer(&peripheral);
                peer.radio.notify(peer.link.expect("there was a link"), value.0);
            }
            Peer::Drop { peripheral } => {
                let peer = self.peer(&peripheral);
                peer.radio.close(peer.link.expect("there is a link"));
            }
            Peer::WalkAway { peripheral } => self.move_to(&peripheral, 100_000.0).await,
            Peer::ComeBack { peripheral } => self.move_to(&peripheral, 0.0).await,
            Peer::AdapterOff {} => self.air.set_radio(PHONE, false).await.unwrap(),
            Peer::AdapterOn {} => self.air.set_radio(PHONE, true).await.unwrap(),
            Peer::ServiceMissing { .. } | Peer::PermissionTaken {} => panic!("an air can't show {action:?}"),
        }
    }

    async fn received(&mut self, peripheral: &str) -> Vec<u8> {
        let peer = self.peer(peripheral);
        loop {
            if let PeripheralEvent::Value { value, .. } = peer.radio.next_event().await {
                return value;
            }
        }
    }

    async fn left(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut left = Vec::new();
        for (name, peer) in &mut self.peers {
            while let Ok(event) = timeout(Duration::from_millis(1), peer.radio.next_event()).await {
                match event {
                    PeripheralEvent::Value { value, .. } => left.push((name.clone(), value)),
                    PeripheralEvent::Down => break,
                    PeripheralEvent::Connected { .. } | PeripheralEvent::Closed { .. } | PeripheralEvent::Radio(_) => {}
                }
            }
        }
        left
    }

    async fn rest(&mut self) {
        sleep(REST).await;
    }
}

impl Lock {
    async fn connected(&mut self) -> LinkId {
        loop {
            if let PeripheralEvent::Connected { link, .. } = self.radio.next_event().await {
                self.link = Some(link);
                return link;
            }
        }
    }
}

/// Advertises, and has so many places for links.
fn knobs(max_links: u8, mtu: u16) -> Knobs {
    Knobs { max_links, mtu, ..Knobs::default() }
}

fn packet(address: [u8; 6], service_data: Option<Hex>, tx_power: Option<i8>, service: bool) -> AdvertisingData {
    let uuid = if service { SERVICE_UUID_LE } else { [0xEE; 16] };
    let mut advertisement = [&[2, 1, 6, 0x11, 7][..], &uuid].concat();
    if let Some(dbm) = tx_power {
        advertisement.extend([2, 0x0A, dbm.cast_unsigned()]);
    }
    let scan_response = service_data.map_or_else(Vec::new, |data| {
        let len = u8::try_from(1 + uuid.len() + data.0.len()).expect("a scan response has 31 bytes");
        [&[len, 0x21][..], &uuid, &data.0].concat()
    });
    AdvertisingData { address, advertisement, scan_response }
}
