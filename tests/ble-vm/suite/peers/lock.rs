//! A lock's radio that bumble plays: our virtual lock stands on a simulated air of its own, and what happens there is
//! carried over to bumble value by value.

use std::{collections::VecDeque, sync::Arc};

use keybutton::radio::{
    Advertisement, PeripheralId, Radio as _, RadioError, RadioEvents, RadioState,
    air::{AirRadio, Broker, BrokerOptions, Endpoint, Knobs, Participant},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::line::{Line, hex, unhex};

/// The ATT MTU between lock and bridge, and of the links over there, or values would not fit through.
pub const MTU: u16 = 517;

pub struct Bridge {
    broker: Broker,
    task: tokio::task::JoinHandle<()>,
}

enum News {
    /// From our lock's side.
    Heard(Advertisement),
    Connected(PeripheralId),
    Notified(Vec<u8>),
    Disconnected,
    /// From the phones' side.
    Said(Value),
}

impl Bridge {
    pub async fn reach() -> Self {
        let broker = Broker::local(BrokerOptions::default());
        let us = Participant::named("bridge").with(Knobs { mtu: MTU, ..Knobs::default() });
        let radio = AirRadio::join(broker.endpoint(), &us).await.unwrap();
        let (sender, news) = mpsc::unbounded_channel();
        let said = sender.clone();
        // The bridge may be gone, at the end.
        let line = Line::open("lock", move |line| drop(said.send(News::Said(line)))).unwrap();
        line.order(&json!({ "do": "reset", "places": null }));
        let events = Arc::new(Events(sender));
        radio.start_scan(events.clone()).unwrap();
        let crossing = Crossing { radio, line, events, lock: None, data: Vec::new(), passing: None, next: None };
        Self { broker, task: tokio::spawn(crossing.run(news)) }
    }

    /// Where the lock is to be.
    pub fn endpoint(&self) -> &Endpoint {
        self.broker.endpoint()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Crossing {
    radio: AirRadio,
    line: Line,
    events: Arc<Events>,
    lock: Option<PeripheralId>,
    data: Vec<u8>,
    passing: Option<Passing>,
    /// Waits until the link before it has ended on the lock's side too.
    next: Option<Passing>,
}

/// A phone's link on its way through.
struct Passing {
    link: u64,
    up: bool,
    /// It has ended at the phone's side.
    over: bool,
    waiting: VecDeque<Vec<u8>>,
}

impl Crossing {
    async fn run(mut self, mut news: mpsc::UnboundedReceiver<News>) {
        while let Some(news) = news.recv().await {
            match news {
                News::Heard(advertisement) => {
                    if self.data != advertisement.service_data {
                        self.data = advertisement.service_data;
                        self.line.order(&json!({ "do": "advertise", "data": hex(&self.data) }));
                    }
                    self.lock = Some(advertisement.peripheral);
                }
                News::Connected(lock) => {
                    if let Some(passing) = &mut self.passing {
                        passing.up = true;
                        for value in passing.waiting.drain(..) {
                            self.radio.write(lock.clone(), value).unwrap();
                        }
                    }
                }
                News::Notified(value) => {
                    if let Some(passing) = &self.passing {
                        self.line.order(&json!({ "do": "notify", "link": passing.link, "value": hex(&value) }));
                    }
                }
                News::Disconnected => {
                    if let Some(passing) = self.passing.take().filter(|passing| !passing.over) {
                        self.line.order(&json!({ "do": "close", "link": passing.link }));
                    }
                    self.passing = self.next.take();
                    if self.passing.is_some() {
                        self.connect();
                    }
                }
                News::Said(said) => self.said(&said),
            }
        }
    }

    fn said(&mut self, said: &Value) {
        let link = || said["link"].as_u64().unwrap();
        match said["say"].as_str().unwrap() {
            "silent" => {}
            "value" => {
                assert_eq!(said["mtu"], MTU);
                self.wrote(link(), unhex(&said["value"]));
            }
            "closed" => {
                let link = link();
                self.next.take_if(|next| next.link == link);
                if let Some(passing) = self.passing.as_mut().filter(|passing| passing.link == link) {
                    passing.over = true;
                    self.radio.disconnect(self.lock.clone().unwrap());
                }
            }
            other => panic!("the lock's radio says {other}"),
        }
    }

    /// A phone's first value makes its link.
    fn wrote(&mut self, link: u64, value: Vec<u8>) {
        let new = || Passing { link, up: false, over: false, waiting: VecDeque::new() };
        match &mut self.passing {
            // A lock that hangs up takes no more.
            Some(passing) if passing.link == link && passing.up && !passing.over => {
                let _ = self.radio.write(self.lock.clone().unwrap(), value);
            }
            Some(passing) if passing.link == link && !passing.over => passing.waiting.push_back(value),
            Some(_) => self.next.get_or_insert_with(new).waiting.push_back(value),
            None => {
                self.passing.insert(new()).waiting.push_back(value);
                self.connect();
            }
        }
    }

    fn connect(&self) {
        self.radio.connect(self.lock.clone().unwrap(), self.events.clone()).unwrap();
    }
}

struct Events(mpsc::UnboundedSender<News>);

impl Events {
    fn pass(&self, news: News) {
        // The bridge may be gone, at the end.
        let _ = self.0.send(news);
    }
}

impl RadioEvents for Events {
    fn advertisement(&self, advertisement: Advertisement) {
        if !advertisement.service_data.is_empty() {
            self.pass(News::Heard(advertisement));
        }
    }

    fn connected(&self, peripheral: PeripheralId, _: u16) {
        self.pass(News::Connected(peripheral));
    }

    fn notification(&self, _: PeripheralId, value: Vec<u8>) {
        self.pass(News::Notified(value));
    }

    fn disconnected(&self, _: PeripheralId, _: RadioError) {
        self.pass(News::Disconnected);
    }

    fn state_changed(&self, _: RadioState) {}
}
