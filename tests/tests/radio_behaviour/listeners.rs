//! What holds for whoever listens, beside the cases: it may call back, and it is let go.

use std::sync::{Arc, Mutex, Weak};

use keybutton::radio::{Advertisement, PeripheralId, Radio, RadioError, RadioEvents, RadioState};

use crate::{
    air::AirStand,
    player::Stand as _,
    recorder::{LinkEvent, Recorder},
    script::{Hex, Peer},
};

#[tokio::test(start_paused = true)]
async fn a_listener_may_connect_again_from_within_the_report() {
    let mut stand = AirStand::set().await;
    let (radio, lock) = (stand.radio(), stand.id("lock"));
    stand.act(advertise()).await;
    let recorder = Recorder::new();
    let again = Arc::new(Again { radio: radio.clone(), recorder: recorder.clone(), result: Mutex::default() });
    radio.connect(lock.clone(), again.clone()).unwrap();
    radio.disconnect(lock.clone());
    stand.act(Peer::Accept { peripheral: "lock".to_owned(), mtu: 185, says: Some(Hex(vec![1])) }).await;
    stand.rest().await;
    assert_eq!(*again.result.lock().unwrap(), Some(Ok(())));
    let seen = recorder.with(|streams| streams.links.remove(&lock).unwrap_or_default());
    assert_eq!(seen, [LinkEvent::Connected(185), LinkEvent::Notification(vec![1])]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_let_go_once_scan_and_links_have_ended() {
    let mut stand = AirStand::set().await;
    let (radio, lock) = (stand.radio(), stand.id("lock"));
    stand.act(advertise()).await;
    let recorder = Recorder::new();
    let watched: Weak<Recorder> = Arc::downgrade(&recorder);
    radio.start_scan(recorder.clone()).unwrap();
    radio.connect(lock.clone(), recorder).unwrap();
    stand.act(Peer::Accept { peripheral: "lock".to_owned(), mtu: 185, says: None }).await;
    radio.stop_scan();
    assert!(watched.upgrade().is_some(), "there is a link");
    radio.disconnect(lock);
    stand.rest().await;
    assert!(watched.upgrade().is_none());
    // Nobody listens any more, and nothing comes of it.
    stand.act(Peer::AdapterOff {}).await;
    stand.rest().await;
    assert_eq!(radio.state(), RadioState::Off);
}

fn advertise() -> Peer {
    let service_data = Some(Hex(vec![0x10; 10]));
    Peer::Advertise { peripheral: "lock".to_owned(), service_data, tx_power: None, service: true }
}

/// Connects again as soon as it hears of an end.
struct Again {
    radio: Arc<dyn Radio>,
    recorder: Arc<Recorder>,
    result: Mutex<Option<Result<(), RadioError>>>,
}

impl RadioEvents for Again {
    fn advertisement(&self, _: Advertisement) {}

    fn connected(&self, _: PeripheralId, _: u16) {
        panic!("the attempt was given up");
    }

    fn notification(&self, _: PeripheralId, _: Vec<u8>) {}

    fn disconnected(&self, peripheral: PeripheralId, _: RadioError) {
        assert_eq!(self.radio.write(peripheral.clone(), vec![1]), Err(RadioError::LinkLost));
        *self.result.lock().unwrap() = Some(self.radio.connect(peripheral, self.recorder.clone()));
    }

    fn state_changed(&self, _: RadioState) {}
}
