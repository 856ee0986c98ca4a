//! What must not work: the must-fail cases of `docs/PROTOCOL.md` section 24 that belong to the handshake.

mod chain;
mod lock;
mod phone;

use std::vec::Vec;

use super::*;
use crate::{
    apdu::{Command, Ins},
    testing::crypto,
    tlv,
};

/// Runs AUTH0 and AUTH1 with the door and the member changed; returns why it broke.
fn broken(interface: Interface, change: impl FnOnce(&mut Door, &mut Member)) -> Broken {
    let mut door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    change(&mut door, &mut member);
    run(interface, &door, &mut member, |_| {}).unwrap_err()
}

fn run(interface: Interface, door: &Door, member: &mut Member, meddle: fn(&mut Vec<u8>)) -> Result<Deciding, Broken> {
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(interface, door, member, &mut lock, &mut phone);
    pair.meddle = meddle;
    pair.standard().map(|(deciding, _)| deciding)
}

fn phone_error(broken: Broken) -> InitiatorError {
    match broken {
        Broken::Phone(error) => error,
        Broken::Lock(failure) => panic!("the lock broke: {failure:?}"),
    }
}

fn lock_failure(broken: Broken) -> Failure {
    match broken {
        Broken::Lock(failure) => failure,
        Broken::Phone(error) => panic!("the phone broke: {error:?}"),
    }
}

fn farewell(failure: &Failure) -> Vec<u8> {
    let mut out = buffer();
    let len = failure.farewell(&mut out).unwrap_or(0);
    out.truncate(len);
    out
}

const CONTROL_FLOW: [u8; 11] = [0x80, 0x3C, 0, 0, 6, 0x41, 1, 0, 0x42, 1, 0];
const EVENT: [u8; 7] = [2, 0, 0, 3, 1, 1, 0];

/// Changes the first bytes of a field of AUTH0 or AUTH1.
fn flip(command: &mut [u8], ins: Ins, tag: u16, change: fn(&mut [u8])) {
    if command[1] != ins as u8 {
        return;
    }
    let data = Command::parse(command).unwrap().data;
    let field = tlv::Tlvs::new(data).flatten().find(|field| field.tag == tag).unwrap();
    let (at, len) = (field.value.as_ptr() as usize - command.as_ptr() as usize, field.value.len());
    change(&mut command[at..at + len]);
}

/// Signs other bytes than it is asked to: another usage.
struct Reflecting(RustSigner);

impl Signer for Reflecting {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&mut self, message: &[u8]) -> Result<crate::ids::Signature, crate::crypto::CryptoError> {
        let mut other = message.to_vec();
        let usage = other.split_off(122);
        let lock = usage == crate::keys::Usage::Lock.to_bytes();
        other.extend(if lock { crate::keys::Usage::Phone } else { crate::keys::Usage::Lock }.to_bytes());
        self.0.sign(&other)
    }
}
