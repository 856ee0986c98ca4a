use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::*;
use crate::radio::{Advertisement, PeripheralId, Radio, RadioError, RadioEvents, RadioState};

#[derive(Clone, PartialEq, Eq, Debug)]
enum Event {
    Heard(Advertisement),
    Connected(PeripheralId, u16),
    Value(Vec<u8>),
    Disconnected(RadioError),
    State(RadioState),
}

struct Recorder(mpsc::UnboundedSender<Event>);

impl RadioEvents for Recorder {
    fn advertisement(&self, advertisement: Advertisement) {
        let _ = self.0.send(Event::Heard(advertisement));
    }
    fn connected(&self, peripheral: PeripheralId, mtu: u16) {
        let _ = self.0.send(Event::Connected(peripheral.clone(), mtu));
    }
    fn notification(&self, _: PeripheralId, value: Vec<u8>) {
        let _ = self.0.send(Event::Value(value));
    }
    fn disconnected(&self, _: PeripheralId, cause: RadioError) {
        let _ = self.0.send(Event::Disconnected(cause));
    }
    fn state_changed(&self, state: RadioState) {
        let _ = self.0.send(Event::State(state));
    }
}

const UUID_LE: [u8; 16] =
    [0x01, 0x6A, 0xA6, 0x66, 0x77, 0xC1, 0x55, 0x93, 0xE2, 0x45, 0xD6, 0x75, 0x80, 0xD3, 0x6D, 0x3B];

fn advertising_data() -> AdvertisingData {
    let advertisement = [&[2, 1, 6, 0x11, 7][..], &UUID_LE, &[2, 0x0A, 0xF8]].concat();
    let scan_response = [&[0x1B, 0x21][..], &UUID_LE, &[0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9]].concat();
    AdvertisingData { address: [0xC0, 0, 0, 0, 0, 1], advertisement, scan_response }
}

async fn meet(broker: &Broker) -> (Peripheral, AirRadio, Arc<Recorder>, mpsc::UnboundedReceiver<Event>) {
    let peripheral = Peripheral::join(broker.endpoint(), &Participant::named("door")).await.unwrap();
    let radio = AirRadio::join(broker.endpoint(), &Participant::named("phone").at(1.0, 0.0)).await.unwrap();
    let (sender, events) = mpsc::unbounded_channel();
    (peripheral, radio, Arc::new(Recorder(sender)), events)
}

async fn a_whole_meeting(broker: Broker) {
    let (mut peripheral, radio, recorder, mut events) = meet(&broker).await;
    peripheral.advertise(Some(advertising_data()));
    radio.start_scan(recorder.clone()).unwrap();
    let Some(Event::Heard(advertisement)) = events.recv().await else { panic!("nothing heard") };
    assert_eq!(advertisement.tx_power, Some(-8));
    assert_eq!(advertisement.service_data, [0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    radio.stop_scan();

    radio.connect(advertisement.peripheral.clone(), recorder.clone()).unwrap();
    let connected = loop {
        match events.recv().await {
            Some(Event::Heard(_)) => {}
            other => break other,
        }
    };
    assert_eq!(connected, Some(Event::Connected(advertisement.peripheral.clone(), 185)));
    let PeripheralEvent::Connected { link, mtu: 185, peer: [0x4B, 0x42, ..] } = peripheral.next_event().await else {
        panic!()
    };

    radio.write(advertisement.peripheral.clone(), vec![1, 2, 3]).unwrap();
    assert_eq!(peripheral.next_event().await, PeripheralEvent::Value { link, value: vec![1, 2, 3] });
    peripheral.notify(link, vec![4, 5]);
    assert_eq!(events.recv().await, Some(Event::Value(vec![4, 5])));
    radio.disconnect(advertisement.peripheral);
    assert_eq!(events.recv().await, Some(Event::Disconnected(RadioError::Closed)));
    assert_eq!(peripheral.next_event().await, PeripheralEvent::Closed { link });

    drop(broker);
    assert_eq!(peripheral.next_event().await, PeripheralEvent::Down);
    assert_eq!(events.recv().await, Some(Event::State(RadioState::Absent)));
    assert_eq!(radio.start_scan(recorder), Err(RadioError::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn phone_and_lock_meet_in_one_process() {
    a_whole_meeting(Broker::local(BrokerOptions { seed: 1 })).await;
}

#[tokio::test]
async fn phone_and_lock_meet_over_the_loopback_interface() {
    a_whole_meeting(Broker::listen(([127, 0, 0, 1], 0).into(), BrokerOptions::default()).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn the_director_switches_a_phone_off() {
    let broker = Broker::local(BrokerOptions::default());
    let (_peripheral, radio, recorder, mut events) = meet(&broker).await;
    let director = AirControl::join(broker.endpoint()).await.unwrap();
    radio.start_scan(recorder.clone()).unwrap();
    director.set_radio("phone", false).await.unwrap();
    assert_eq!(events.recv().await, Some(Event::State(RadioState::Off)));
    assert_eq!(radio.state(), RadioState::Off);
    assert_eq!(radio.connect(PeripheralId("c0:00:00:00:00:01".into()), recorder), Err(RadioError::Unavailable));
    director.set_radio("phone", true).await.unwrap();
    assert_eq!(events.recv().await, Some(Event::State(RadioState::On)));
    assert_eq!(director.participants().await.unwrap().len(), 2);
    assert!(matches!(director.set_radio("nobody", true).await, Err(AirError::UnknownParticipant(_))));
}

#[tokio::test(start_paused = true)]
async fn a_name_joins_once() {
    let broker = Broker::local(BrokerOptions::default());
    let _first = Peripheral::join(broker.endpoint(), &Participant::named("door")).await.unwrap();
    let second = Peripheral::join(broker.endpoint(), &Participant::named("door")).await;
    assert!(matches!(second, Err(AirError::Refused(why)) if why.contains("door")));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_says_nothing_is_let_go() {
    let broker = Broker::listen(([127, 0, 0, 1], 0).into(), BrokerOptions::default()).await.unwrap();
    let mut stranger = tokio::net::TcpStream::connect(broker.address().unwrap()).await.unwrap();
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(60), tokio::io::AsyncReadExt::read(&mut stranger, &mut byte));
    assert_eq!(read.await.unwrap().unwrap(), 0, "the broker closes the connection");
}
