//! A phone's radio that bumble plays.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use keybutton::radio::{Advertisement, PeripheralId, Radio, RadioError, RadioEvents, RadioState};
use serde_json::{Value, json};

use crate::line::{Line, hex, unhex};

pub struct PeerRadio {
    line: Line,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    scan: Option<Arc<dyn RadioEvents>>,
    links: HashMap<PeripheralId, Arc<dyn RadioEvents>>,
}

impl PeerRadio {
    pub fn reach() -> Arc<Self> {
        let state = Arc::<Mutex<State>>::default();
        let line = Line::open("phone", {
            let state = state.clone();
            move |news| hear(&state, &news)
        })
        .unwrap();
        Arc::new(Self { line, state })
    }
}

impl Radio for PeerRadio {
    fn state(&self) -> RadioState {
        RadioState::On
    }

    fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        self.state.lock().unwrap().scan = Some(events);
        self.line.order(&json!({ "do": "scan" }));
        Ok(())
    }

    fn stop_scan(&self) {
        if self.state.lock().unwrap().scan.take().is_some() {
            self.line.order(&json!({ "do": "stop" }));
        }
    }

    fn connect(&self, peripheral: PeripheralId, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        let mut state = self.state.lock().unwrap();
        if state.links.contains_key(&peripheral) {
            return Err(RadioError::Throttled);
        }
        self.line.order(&json!({ "do": "connect", "peer": peripheral.0 }));
        state.links.insert(peripheral, events);
        Ok(())
    }

    fn write(&self, peripheral: PeripheralId, value: Vec<u8>) -> Result<(), RadioError> {
        if !self.state.lock().unwrap().links.contains_key(&peripheral) {
            return Err(RadioError::LinkLost);
        }
        self.line.order(&json!({ "do": "write", "peer": peripheral.0, "value": hex(&value) }));
        Ok(())
    }

    fn disconnect(&self, peripheral: PeripheralId) {
        self.line.order(&json!({ "do": "disconnect", "peer": peripheral.0 }));
    }
}

/// Passes on what bumble says. Listeners are called with nothing held, for they may call back.
fn hear(state: &Mutex<State>, news: &Value) {
    let peripheral = PeripheralId(news["peer"].as_str().unwrap().to_owned());
    let link = || state.lock().unwrap().links.get(&peripheral).cloned();
    match news["say"].as_str().unwrap() {
        "heard" => {
            let scan = state.lock().unwrap().scan.clone();
            if let Some(events) = scan {
                events.advertisement(Advertisement {
                    peripheral,
                    rssi: small(&news["rssi"]).unwrap(),
                    tx_power: small(&news["tx_power"]),
                    service_data: unhex(&news["data"]),
                });
            }
        }
        "connected" => {
            if let Some(events) = link() {
                events.connected(peripheral.clone(), u16::try_from(news["mtu"].as_u64().unwrap()).unwrap());
            }
        }
        "value" => {
            if let Some(events) = link() {
                events.notification(peripheral.clone(), unhex(&news["value"]));
            }
        }
        "disconnected" => {
            let cause = match news["cause"].as_str().unwrap() {
                "closed" => RadioError::Closed,
                "link-lost" => RadioError::LinkLost,
                "connect-failed" => RadioError::ConnectFailed,
                other => panic!("unknown cause {other}"),
            };
            let events = state.lock().unwrap().links.remove(&peripheral);
            if let Some(events) = events {
                events.disconnected(peripheral, cause);
            }
        }
        other => panic!("the phone's radio says {other}"),
    }
}

fn small(number: &Value) -> Option<i8> {
    number.as_i64().map(|number| i8::try_from(number).unwrap())
}
