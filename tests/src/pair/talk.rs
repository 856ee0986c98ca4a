//! A whole transaction between the real lock and a [`RawPhone`], message by message.

use keybutton_lock::{Input, LinkId};
use keybutton_protocol::{
    apdu::{Command, Ins},
    frame::{Fragmenter, Reassembler},
    ids::Interface,
    message::{self, Event, Kind},
};

use super::{
    lock::{Did, TestLock},
    raw_phone::RawPhone,
};

/// One link of a phone to the lock, at message level.
pub struct BleLink {
    /// The link's number.
    pub link: u16,
    /// Cuts what the phone sends.
    pub fragmenter: Fragmenter,
    reassembler: Reassembler,
    position: usize,
    /// Messages received and not yet taken.
    inbox: Vec<Vec<u8>>,
    /// The lock closed the link.
    pub closed: bool,
    /// Every message, `true` for those of the phone.
    pub messages: Vec<(bool, Vec<u8>)>,
    /// ATT values both ways.
    pub values: usize,
}

impl BleLink {
    /// Connects.
    pub fn connect(lock: &mut TestLock, link: u16, mtu: u16) -> Self {
        let position = lock.connect(link, mtu);
        let mut new = Self {
            link,
            fragmenter: Fragmenter::new(mtu),
            reassembler: Reassembler::new(),
            position,
            inbox: Vec::new(),
            closed: false,
            messages: Vec::new(),
            values: 0,
        };
        new.collect(lock);
        new
    }

    /// Sends a whole message.
    pub fn send(&mut self, lock: &mut TestLock, message: &[u8]) {
        self.messages.push((true, message.to_vec()));
        let values: Vec<Vec<u8>> = self.fragmenter.split(message).map(|value| value.to_vec()).collect();
        for value in values {
            self.send_value(lock, &value);
        }
    }

    /// Sends one ATT value, whatever it is.
    pub fn send_value(&mut self, lock: &mut TestLock, value: &[u8]) {
        self.values += 1;
        lock.input(Input::Received { link: LinkId(self.link), value });
        self.collect(lock);
    }

    /// Sends a message with a header of `kind` around `payload`.
    pub fn send_kind(&mut self, lock: &mut TestLock, kind: Kind, payload: &[u8]) {
        let mut out = vec![0; payload.len() + message::HEADER_LEN];
        message::encode(&mut out, kind, payload).expect("there is room");
        self.send(lock, &out);
    }

    /// Sends an Initiate.
    pub fn initiate(&mut self, lock: &mut TestLock, a5: &[u8]) {
        let mut out = vec![0; a5.len() + 6];
        message::initiate(&mut out, a5).expect("there is room");
        self.send(lock, &out);
    }

    /// Takes over what the lock did on this link since the last look.
    pub fn collect(&mut self, lock: &TestLock) {
        let link = LinkId(self.link);
        for (_, did) in &lock.log[self.position..] {
            match did {
                Did::Notify(on, value) if *on == link => {
                    self.values += 1;
                    let message = self.reassembler.push(value).expect("the lock fragments as it should");
                    if let Some(message) = message {
                        self.messages.push((false, message.to_vec()));
                        self.inbox.push(message.to_vec());
                    }
                }
                Did::Close(on) if *on == link => self.closed = true,
                _ => {}
            }
        }
        self.position = lock.log.len();
    }

    /// Takes the next message of the lock: kind and payload.
    pub fn receive(&mut self) -> Option<(Kind, Vec<u8>)> {
        if self.inbox.is_empty() {
            return None;
        }
        let message = self.inbox.remove(0);
        let (kind, payload) = message::parse(&message).expect("the lock writes well-formed messages");
        Some((kind, payload.to_vec()))
    }

    /// The phone leaves.
    pub fn disconnect(&mut self, lock: &mut TestLock) {
        lock.input(Input::Disconnected { link: LinkId(self.link) });
        self.closed = true;
    }

    /// Lets the phone answer everything the lock asks, until the lock is silent. Returns the events received.
    pub fn serve(&mut self, lock: &mut TestLock, phone: &mut RawPhone) -> Vec<Event> {
        let mut events = Vec::new();
        self.collect(lock);
        while let Some((kind, payload)) = self.receive() {
            match kind {
                Kind::Command => {
                    let response = phone.answer(Interface::Ble, &payload).expect("there is no CONTROL FLOW on BLE");
                    if !self.closed {
                        self.send_kind(lock, Kind::Response, &response);
                    }
                }
                Kind::Event => events.push(Event::parse(&payload).expect("a known event")),
                Kind::StatusChanged | Kind::Completed => {}
                Kind::Response | Kind::Initiate | Kind::Other { .. } => panic!("a lock does not send {kind:?}"),
            }
        }
        events
    }

    /// The bytes of all messages, both ways, their 4-byte headers included.
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|(_, message)| message.len()).sum()
    }
}

/// How a transaction went.
#[derive(Clone, Debug)]
pub struct Talk {
    /// Every message or APDU, `true` for those of the phone.
    pub messages: Vec<(bool, Vec<u8>)>,
    /// Events the lock sent in clear (BLE).
    pub events: Vec<Event>,
    /// The data of CONTROL FLOW commands (NFC).
    pub control_flow: Vec<Vec<u8>>,
    /// The lock closed the link or released the phone.
    pub closed: bool,
}

/// A whole transaction over BLE, at MTU 185. The link is left as the lock leaves it, then the phone leaves.
pub fn over_ble(lock: &mut TestLock, phone: &mut RawPhone) -> Talk {
    over_ble_link(lock, phone, 1)
}

/// The same, over a link of this number.
pub fn over_ble_link(lock: &mut TestLock, phone: &mut RawPhone, link: u16) -> Talk {
    let mut link = BleLink::connect(lock, link, 185);
    let a5 = phone.a5_on_air().to_vec();
    link.initiate(lock, &a5);
    let events = link.serve(lock, phone);
    let closed = link.closed;
    if !closed {
        link.disconnect(lock);
    }
    Talk { messages: link.messages, events, control_flow: Vec::new(), closed }
}

/// A whole transaction over NFC, with commands joined and answers handed out in pieces of 256 bytes.
pub fn over_nfc(lock: &mut TestLock, phone: &mut RawPhone) -> Talk {
    let mut talk = Talk { messages: Vec::new(), events: Vec::new(), control_flow: Vec::new(), closed: false };
    let mut chain = Pieces::default();
    let mut position = lock.input(Input::NfcArrived);
    loop {
        let mut command = None;
        for did in lock.since(position) {
            match did {
                Did::Transmit(apdu) => command = Some(apdu.clone()),
                Did::NfcRelease => talk.closed = true,
                _ => {}
            }
        }
        let Some(command) = command else { break };
        talk.messages.push((false, command.clone()));
        let Some(response) = chain.answer(&command, |whole| phone.answer(Interface::Nfc, whole)) else {
            talk.control_flow.push(command[5..].to_vec());
            break;
        };
        talk.messages.push((true, response.clone()));
        position = lock.input(Input::NfcResponse { apdu: &response });
    }
    if !talk.closed {
        lock.input(Input::NfcLost);
    }
    talk
}

/// Chaining, the phone's half: of commands and of answers.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    command: Vec<u8>,
    answer: Vec<u8>,
}

impl Pieces {
    /// Answers one APDU; `None` when the command has no answer.
    pub fn answer(&mut self, apdu: &[u8], whole: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let command = Command::parse(apdu).expect("the lock sends well-formed commands");
        if command.ins == Ins::GetResponse as u8 {
            return Some(self.next());
        }
        if command.cla & 0x10 != 0 {
            self.command.extend(command.data);
            return Some(vec![0x90, 0x00]);
        }
        let joined = std::mem::take(&mut self.command);
        let answer = if joined.is_empty() {
            whole(apdu)
        } else {
            let data = [&joined, command.data].concat();
            let mut rebuilt = vec![command.cla, command.ins, command.p1, command.p2, 0];
            rebuilt.extend((data.len() as u16).to_be_bytes());
            rebuilt.extend(data);
            rebuilt.extend([0, 0]);
            whole(&rebuilt)
        };
        self.answer = answer?;
        Some(self.next())
    }

    fn next(&mut self) -> Vec<u8> {
        if self.answer.len() <= 256 + 2 {
            return std::mem::take(&mut self.answer);
        }
        let mut piece: Vec<u8> = self.answer.drain(..256).collect();
        let left = self.answer.len() - 2;
        piece.extend([0x61, u8::try_from(left).unwrap_or(0)]);
        piece
    }
}
