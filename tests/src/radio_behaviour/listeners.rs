//! What holds for whoever listens, beside the cases: it may call back, and it is let go.

use std::sync::{Arc, Mutex, Weak};

use keybutton::radio::{Advertisement, PeripheralId, Radio, RadioError, RadioEvents, RadioState};

use super::{
    player::{Stand, patiently},
    recorder::{LinkEvent, Recorder},
    script::{Hex, Peer},
};

/// The peer that takes part.
pub const LOCK: &str = "lock";
const MTU: u16 = 185;

/// A listener may connect again from within the report of an end.
pub async fn connects_again_from_within(mut stand: impl Stand) {
    let (radio, lock) = (stand.radio(), stand.id(LOCK));
    let recorder = Recorder::new();
    hear_the_lock(&mut stand, &recorder).await;
    let again = Arc::new(Again { radio: radio.clone(), recorder: recorder.clone(), result: Mutex::default() });
    radio.connect(lock.clone(), again.clone()).unwrap();
    radio.disconnect(lock.clone());
    stand.act(accept(Some(Hex(vec![1])))).await;
    assert_eq!(patiently(recorder.link_event(&lock)).await, LinkEvent::Connected(MTU));
    assert_eq!(patiently(recorder.link_event(&lock)).await, LinkEvent::Notification(vec![1]));
    assert_eq!(*again.result.lock().unwrap(), Some(Ok(())));
}

/// A listener is let go once scan and links have ended.
pub async fn is_let_go(mut stand: impl Stand) {
    let (radio, lock) = (stand.radio(), stand.id(LOCK));
    let recorder = Recorder::new();
    hear_the_lock(&mut stand, &recorder).await;
    radio.connect(lock.clone(), recorder.clone()).unwrap();
    stand.act(accept(None)).await;
    assert_eq!(patiently(recorder.link_event(&lock)).await, LinkEvent::Connected(MTU));
    radio.stop_scan();
    let watched: Weak<Recorder> = Arc::downgrade(&recorder);
    drop(recorder);
    stand.rest().await;
    assert!(watched.upgrade().is_some(), "there is a link");
    radio.disconnect(lock);
    patiently(async {
        while watched.upgrade().is_some() {
            stand.rest().await;
        }
    })
    .await;
    // Nobody listens any more, and nothing comes of it.
    stand.act(Peer::AdapterOff {}).await;
    stand.rest().await;
    assert_eq!(radio.state(), RadioState::Off);
}

/// Has the lock advertise, and scans until it was heard; the scan goes on.
pub async fn hear_the_lock(stand: &mut impl Stand, recorder: &Arc<Recorder>) {
    let service_data = Some(Hex(vec![0x10; 10]));
    stand.act(Peer::Advertise { peripheral: LOCK.to_owned(), service_data, tx_power: None, service: true }).await;
    stand.radio().start_scan(recorder.clone()).unwrap();
    let lock = stand.id(LOCK);
    patiently(recorder.next(|streams| streams.heard.get(&lock).map(drop))).await;
}

fn accept(says: Option<Hex>) -> Peer {
    Peer::Accept { peripheral: LOCK.to_owned(), mtu: MTU, says }
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
