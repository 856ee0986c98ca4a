//! The real phone machine face to face with a test that plays the lock, command by command.

use keybutton::{
    radio::{Advertisement, PeripheralId, RadioError},
    unlock::{Input, UnlockOptions},
};
use keybutton_protocol::{
    advert::{AdvertFlags, ServiceData},
    frame::{Fragmenter, Reassembler},
    ids::{LockNumber, UnlockId},
    message::{self, Kind},
};

use super::{
    keys::crypto,
    phone::{TestPhone, Wants},
    site::{Member, Site},
};

const MTU: u16 = 185;

/// A phone that is about to meet one lock of a site, played by the test.
pub struct Dialog {
    /// The phone.
    pub phone: TestPhone,
    /// The site.
    pub site: Site,
    /// The time, microseconds.
    pub micros: u64,
    /// Peripherals it wanted to connect to.
    pub connects: Vec<PeripheralId>,
    /// The phone dropped the link.
    pub closed: bool,
    /// Whole messages of the phone that nobody has read.
    pub outbox: Vec<Vec<u8>>,
    /// APDUs of the phone (NFC) that nobody has read.
    pub apdus: Vec<Vec<u8>>,
    fragmenter: Fragmenter,
    reassembler: Reassembler,
    peripheral: Option<PeripheralId>,
    number: u16,
}

impl Dialog {
    /// A member's phone with a key for lock 7 of the site.
    pub fn new() -> Self {
        let site = Site::new("north");
        let phone = TestPhone::new(&site, &Member::new("ada"), &[7]);
        Self::with(site, phone)
    }

    /// With another phone.
    pub fn with(site: Site, phone: TestPhone) -> Self {
        Self {
            phone,
            site,
            micros: 1_000_000,
            connects: Vec::new(),
            closed: false,
            outbox: Vec::new(),
            apdus: Vec::new(),
            fragmenter: Fragmenter::new(MTU),
            reassembler: Reassembler::new(),
            peripheral: None,
            number: 7,
        }
    }

    /// The advertisement of a lock of the site.
    pub fn advertisement(&self, number: u16) -> Advertisement {
        let data = ServiceData::make(
            &crypto(),
            &self.site.resolving_key(),
            [1, 2, 3],
            LockNumber(number),
            AdvertFlags::default(),
        );
        Advertisement {
            peripheral: PeripheralId(format!("lock-{number}")),
            rssi: -50,
            tx_power: Some(0),
            service_data: data.to_bytes().to_vec(),
        }
    }

    /// Options that name the door.
    pub fn options(&self) -> UnlockOptions {
        UnlockOptions { door: Some(self.site.door(self.number)), ..UnlockOptions::default() }
    }

    /// The member presses by radio; the phone hears the lock, connects, and sends its Initiate. Returns its A5 template.
    pub fn meet(&mut self, id: UnlockId) -> Vec<u8> {
        self.press(id);
        self.hear();
        self.link()
    }

    /// The member presses.
    pub fn press(&mut self, id: UnlockId) {
        let options = self.options();
        let wants = self.phone.press(self.micros, id, options);
        self.take(wants);
    }

    /// The phone hears the lock.
    pub fn hear(&mut self) {
        let heard = self.advertisement(self.number);
        self.input(Input::Heard(heard));
    }

    /// The link comes up that the phone asked for. Returns the A5 template of its Initiate.
    pub fn link(&mut self) -> Vec<u8> {
        let peripheral = self.connects.last().expect("the phone connects").clone();
        self.fragmenter = Fragmenter::new(MTU);
        self.reassembler = Reassembler::new();
        self.closed = false;
        self.outbox.clear();
        self.peripheral = Some(peripheral.clone());
        self.input(Input::Connected(peripheral, MTU));
        let initiate = self.outbox.remove(0);
        let (kind, payload) = message::parse(&initiate).expect("a message");
        assert_eq!(kind, Kind::Initiate);
        message::attribute(payload, 0).expect("the A5 template").to_vec()
    }

    /// The member presses and holds the phone to a reader: everything goes by NFC. Returns the answer to SELECT.
    pub fn tap(&mut self, id: UnlockId, select: &[u8]) -> Vec<u8> {
        let options = UnlockOptions { tap: true, ..self.options() };
        let wants = self.phone.press(self.micros, id, options);
        self.take(wants);
        self.apdu(select)
    }

    /// Sends an APDU by NFC and returns the answer.
    pub fn apdu(&mut self, apdu: &[u8]) -> Vec<u8> {
        self.apdus.clear();
        self.input(Input::Apdu(apdu.to_vec()));
        assert_eq!(self.apdus.len(), 1, "a reader gets exactly one answer: {:#?}", self.phone.log);
        self.apdus.remove(0)
    }

    /// Sends a command over the link and returns the response; `None` when the phone says nothing.
    pub fn command(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        self.message(Kind::Command, command);
        if self.outbox.is_empty() {
            return None;
        }
        let response = self.outbox.remove(0);
        let (kind, payload) = message::parse(&response).expect("a message");
        assert_eq!(kind, Kind::Response);
        Some(payload.to_vec())
    }

    /// Sends a message over the link.
    pub fn message(&mut self, kind: Kind, payload: &[u8]) {
        let mut message = vec![0; payload.len() + message::HEADER_LEN];
        message::encode(&mut message, kind, payload).expect("there is room");
        self.raw_message(&message);
    }

    /// Sends the bytes of a message over the link, cut into fragments.
    pub fn raw_message(&mut self, message: &[u8]) {
        let values: Vec<Vec<u8>> = self.fragmenter.split(message).map(|value| value.to_vec()).collect();
        for value in values {
            self.value(&value);
        }
    }

    /// Notifies one ATT value.
    pub fn value(&mut self, value: &[u8]) {
        let peripheral = self.peripheral.clone().expect("there was a link");
        self.input(Input::Value(peripheral, value.to_vec()));
    }

    /// The lock drops the link.
    pub fn hang_up(&mut self) {
        if let Some(peripheral) = self.peripheral.clone() {
            self.input(Input::Disconnected(peripheral, RadioError::LinkLost));
        }
    }

    /// Lets time pass; the phone hears nothing.
    pub fn advance(&mut self, micros: u64) {
        let end = self.micros + micros;
        while let Some(due) = self.phone.next_timer().filter(|due| *due <= end) {
            self.micros = self.micros.max(due);
            self.input(Input::Timer);
            if self.phone.over {
                break;
            }
        }
        self.micros = end;
    }

    /// Lets time pass until the press has ended.
    pub fn to_end(&mut self) {
        self.advance(40_000_000);
        assert_eq!(self.phone.outcomes.len(), 1, "{:#?}", self.phone.log);
    }

    /// Hands in any input.
    pub fn input(&mut self, input: Input) {
        let wants = self.phone.input(self.micros, input);
        self.take(wants);
    }

    fn take(&mut self, wants: Vec<Wants>) {
        let mut asked = false;
        for want in wants {
            match want {
                Wants::StartScan | Wants::StopScan => {}
                Wants::Connect(peripheral) => self.connects.push(peripheral),
                Wants::Write(to, value) => {
                    assert_eq!(Some(&to), self.peripheral.as_ref(), "written to another lock");
                    if let Some(message) = self.reassembler.push(&value).expect("the phone fragments as it should") {
                        self.outbox.push(message.to_vec());
                    }
                }
                Wants::Disconnect(peripheral) => {
                    self.closed = true;
                    // The radio confirms at once.
                    let more = self.phone.input(self.micros, Input::Disconnected(peripheral, RadioError::Closed));
                    self.take(more);
                }
                Wants::Apdu(response) => self.apdus.push(response),
                Wants::AuthenticateUser => asked = true,
            }
        }
        if asked {
            self.micros += 1_000_000;
            let answer = self.phone.user_answer();
            self.input(answer);
        }
    }
}

impl Default for Dialog {
    fn default() -> Self {
        Self::new()
    }
}
