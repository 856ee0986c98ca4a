//! What is between the two: BLE with messages and fragments, or NFC with chaining. Counts every byte.

use std::{vec, vec::Vec};

use super::Joined;
use crate::{
    apdu::{Answer, CommandPieces, PhoneChain, Received, ResponseAssembler},
    frame::{Fragmenter, Reassembler},
    message::{self, Kind},
};

const CHAIN: usize = 2064;

pub(crate) enum Link {
    Ble(Box<Ble>),
    Nfc(Box<Nfc>),
}

use std::boxed::Box;

pub(crate) struct Ble {
    to_phone: (Fragmenter, Reassembler),
    to_lock: (Fragmenter, Reassembler),
    pub(crate) messages: Vec<usize>,
    pub(crate) fragments: usize,
}

pub(crate) struct Nfc {
    phone: PhoneChain<CHAIN>,
    lock: ResponseAssembler<CHAIN>,
    pub(crate) bytes: Vec<usize>,
}

impl Link {
    pub(crate) fn ble(mtu: u16) -> Self {
        let direction = || (Fragmenter::new(mtu), Reassembler::new());
        Self::Ble(Box::new(Ble { to_phone: direction(), to_lock: direction(), messages: vec![], fragments: 0 }))
    }

    pub(crate) fn nfc() -> Self {
        Self::Nfc(Box::new(Nfc { phone: PhoneChain::new(), lock: ResponseAssembler::new(), bytes: vec![] }))
    }

    /// The bytes of each message (BLE), or of each command with its answers (NFC), so far.
    pub(crate) fn sizes(&self) -> &[usize] {
        match self {
            Self::Ble(ble) => &ble.messages,
            Self::Nfc(nfc) => &nfc.bytes,
        }
    }

    /// The ATT values so far.
    pub(crate) fn fragments(&self) -> usize {
        match self {
            Self::Ble(ble) => ble.fragments,
            Self::Nfc(_) => 0,
        }
    }

    /// Carries a command APDU to the phone.
    pub(crate) fn carry_to_phone(&mut self, apdu: &[u8]) -> Vec<u8> {
        match self {
            Self::Ble(ble) => {
                let message = ble.carry(true, &wrap(Kind::Command, apdu));
                unwrap(Kind::Command, &message)
            }
            Self::Nfc(nfc) => nfc.command(apdu),
        }
    }

    /// Carries a response APDU to the lock.
    pub(crate) fn carry_to_lock(&mut self, apdu: &[u8]) -> Vec<u8> {
        match self {
            Self::Ble(ble) => {
                let message = ble.carry(false, &wrap(Kind::Response, apdu));
                unwrap(Kind::Response, &message)
            }
            Self::Nfc(nfc) => nfc.response(apdu),
        }
    }

    /// Carries a whole BLE message to the lock.
    pub(crate) fn message_to_lock(&mut self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ble(ble) => ble.carry(false, message),
            Self::Nfc(_) => panic!("NFC has no messages"),
        }
    }
}

impl Ble {
    fn carry(&mut self, to_phone: bool, message: &[u8]) -> Vec<u8> {
        let (fragmenter, reassembler) = if to_phone { &mut self.to_phone } else { &mut self.to_lock };
        self.messages.push(message.len());
        for value in fragmenter.split(message) {
            self.fragments += 1;
            if let Some(message) = reassembler.push(&value).unwrap() {
                return message.to_vec();
            }
        }
        panic!("message not complete")
    }
}

impl Nfc {
    fn command(&mut self, apdu: &[u8]) -> Vec<u8> {
        let mut pieces = CommandPieces::new(apdu, None).unwrap();
        let (mut piece, mut answer) = ([0; 300], [0; 300]);
        let mut bytes = 0;
        while let Some(len) = pieces.next(&mut piece).unwrap() {
            assert!(len <= 261);
            bytes += len;
            match self.phone.receive(&piece[..len], &mut answer) {
                Received::Command(command) => {
                    let command = command.to_vec();
                    self.bytes.push(bytes);
                    return command;
                }
                Received::Answered(len) => {
                    assert_eq!(answer[..len], [0x90, 0]);
                    bytes += len;
                }
                Received::Over(status) => panic!("chain over: {status:?}"),
            }
        }
        panic!("command not complete")
    }

    fn response(&mut self, apdu: &[u8]) -> Vec<u8> {
        let mut piece = [0; 300];
        let mut len = self.phone.respond(apdu, &mut piece).unwrap();
        self.lock.clear();
        let mut bytes = 0;
        loop {
            bytes += len;
            match self.lock.push(&piece[..len]).unwrap() {
                Answer::Complete(whole) => {
                    *self.bytes.last_mut().unwrap() += bytes;
                    return Joined::from_slice(whole).unwrap().to_vec();
                }
                Answer::More(get_response) => {
                    bytes += get_response.len();
                    let Received::Answered(next) = self.phone.receive(&get_response, &mut piece) else {
                        panic!("GET RESPONSE refused")
                    };
                    len = next;
                }
            }
        }
    }
}

fn wrap(kind: Kind, apdu: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 2048];
    let len = message::encode(&mut out, kind, apdu).unwrap();
    out.truncate(len);
    out
}

fn unwrap(expected: Kind, message: &[u8]) -> Vec<u8> {
    let (kind, payload) = message::parse(message).unwrap();
    assert_eq!(kind, expected);
    payload.to_vec()
}
