//! The real phone machine and a [`RawLock`] that leads it, by either interface.

use keybutton::{error::ErrorCode, outcome::Outcome};
use keybutton_protocol::{
    apdu::Ins,
    ids::{Interface, UnlockId},
    profile::AID_EXPEDITED,
};

use super::{
    dialog::Dialog,
    raw_lock::{Identity, RawLock, command},
    tlv::{find, tlv},
};

/// The press of a meeting.
pub const PRESS: UnlockId = UnlockId([0xA1; 16]);
/// Security status not satisfied.
pub const NOT_SATISFIED: &[u8] = &[0x69, 0x82];
/// Conditions of use not satisfied.
pub const CONDITIONS: &[u8] = &[0x69, 0x85];
/// Wrong data.
pub const WRONG_DATA: &[u8] = &[0x6A, 0x80];
/// Done.
pub const OK: &[u8] = &[0x90, 0x00];

/// Both interfaces.
pub const BOTH: [Interface; 2] = [Interface::Ble, Interface::Nfc];

/// A phone that has met a lock, by one interface, and the lock that leads it.
pub struct Meeting {
    /// The phone's side.
    pub dialog: Dialog,
    /// The lock.
    pub lock: RawLock,
    /// How they talk.
    pub interface: Interface,
    /// The A5 template the phone sent.
    pub a5: Vec<u8>,
}

impl Meeting {
    /// A phone with a key for lock 7 has met lock 7.
    pub fn new(interface: Interface) -> Self {
        Self::with(interface, Dialog::new())
    }

    /// Another phone has.
    pub fn with(interface: Interface, mut dialog: Dialog) -> Self {
        let lock = RawLock::new(&dialog.site, 7, 900);
        let a5 = match interface {
            Interface::Ble => dialog.meet(PRESS),
            Interface::Nfc => {
                let fci = dialog.tap(PRESS, &command(Ins::Select, AID_EXPEDITED));
                let fci = find(&fci[..fci.len() - 2], 0x6F).unwrap();
                tlv(0xA5, &find(&fci, 0xA5).unwrap())
            }
        };
        Self { dialog, lock, interface, a5 }
    }

    /// Sends a command and returns the response.
    pub fn send(&mut self, command: &[u8]) -> Vec<u8> {
        match self.interface {
            Interface::Ble => self.dialog.command(command).expect("every command is answered"),
            Interface::Nfc => self.dialog.apdu(command),
        }
    }

    /// Sends AUTH0; the lock takes a good answer in.
    pub fn auth0(&mut self) -> Vec<u8> {
        let command = self.lock.auth0(self.interface, &self.a5);
        let response = self.send(&command);
        if response.ends_with(OK) {
            self.lock.auth0_answer(&response);
        }
        response
    }

    /// Sends AUTH1.
    pub fn auth1(&mut self) -> Vec<u8> {
        let command = self.lock.auth1();
        self.send(&command)
    }

    /// AUTH0 and AUTH1, both answered well.
    pub fn authenticate(&mut self) -> Identity {
        assert!(self.auth0().ends_with(OK));
        let response = self.auth1();
        self.lock.auth1_answer(&response)
    }

    /// Sends EXCHANGE.
    pub fn exchange(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let command = self.lock.exchange(plaintext);
        self.send(&command)
    }

    /// Asserts that nothing that names the phone has left it: it has not even signed.
    #[track_caller]
    pub fn assert_unknown(&self, responses: &[&[u8]]) {
        assert_eq!(self.dialog.phone.signatures, 0, "the device key has signed");
        let key = self.dialog.phone.public_key();
        for response in responses {
            assert!(!response.windows(32).any(|window| window == key.x()), "the device key leaves the phone");
        }
    }

    /// Asserts how the press ends: refused with this code, and the link closed.
    #[track_caller]
    pub fn assert_refused(&mut self, code: ErrorCode) {
        if self.interface == Interface::Ble {
            assert!(self.dialog.closed, "the session is over");
        }
        self.dialog.to_end();
        assert_eq!(self.dialog.phone.refusal(), code);
    }

    /// Asserts that the session is over: whatever comes next is refused.
    #[track_caller]
    pub fn assert_over(&mut self) {
        match self.interface {
            Interface::Ble => assert!(self.dialog.closed, "the link stays up: {:#?}", self.dialog.phone.log),
            Interface::Nfc => {
                let next = self.lock.auth0(self.interface, &self.a5);
                assert_eq!(self.dialog.apdu(&next).len(), 2, "another command is served");
            }
        }
        assert!(!self.dialog.phone.outcomes.iter().any(|press| matches!(press.outcome, Outcome::Opened(_))));
    }
}
