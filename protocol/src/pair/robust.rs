//! Any bytes at any step: never a panic, and never a session other than the one the two meant.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{apdu, apdu::Ins, testing::crypto};

/// Flips one bit of one of the six messages from AUTH0 to the answer to EXCHANGE.
#[derive(Clone, Copy, Debug)]
struct Flip {
    message: usize,
    byte: usize,
    bit: u8,
}

impl Flip {
    fn apply(self, message: usize, bytes: &mut [u8]) {
        if self.message == message && !bytes.is_empty() {
            let at = self.byte % bytes.len();
            bytes[at] ^= 1 << self.bit;
        }
    }
}

/// A whole transaction with a flipped bit; what the lock believes of the phone, and the phone of the verdict.
fn run(flip: Flip, fast: bool) -> Result<(reader::Peer, Verdict), Broken> {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    member.trust.persistent = Some(Kpersistent::new([3; 32]));
    let entries = [(Kpersistent::new([3; 32]), member.phone.device_key)];
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let (mut buf, mut out) = (buffer(), buffer());
    let (opened, waiting) = pair.open()?;
    let prepared = Prepared::new(pair.lock).unwrap();
    let (sent, len) = opened.auth0(&door.setup(), prepared, fast, UserPolicy::PhoneSetting, &mut buf)?;
    flip.apply(0, &mut buf[..len]);
    let trust = pair.member.trust_store();
    let (phone, len) = waiting.auth0(&mut env(pair.phone, &trust, pair.member), &buf[..len], &mut out)?;
    flip.apply(1, &mut out[..len]);
    let done = sent.response(pair.lock, &out[..len])?;

    let found = done.find(pair.lock, entries.iter().map(|(persistent, key)| (persistent, key)))?;
    let (deciding, phone) = match found {
        Some(found) => (done.into_fast(pair.lock, found)?, PhoneState::Auth0(phone)),
        None => {
            let (sent, len) = done.auth1(&door.setup(), &mut door.signer.clone(), &mut buf)?;
            flip.apply(2, &mut buf[..len]);
            let next = phone.handle(&mut env(pair.phone, &trust, pair.member), &mut buf[..len], &mut out)?;
            let Auth0Next::Sign(to_sign) = next else { return Err(InitiatorError::WrongState.into()) };
            let signature = pair.member.signer.sign(to_sign.data().as_bytes()).unwrap();
            let (phone, len) = to_sign.signed(pair.phone, &signature, &mut out)?;
            flip.apply(3, &mut out[..len]);
            (sent.response(pair.lock, &mut out[..len])?, PhoneState::Secured(phone))
        }
    };
    let peer = *deciding.peer();
    let (sent, len) = deciding.verdict(pair.lock, &Verdict::of_report(report(Reason::Granted), false), &mut buf)?;
    flip.apply(4, &mut buf[..len]);
    let (state, request) = match phone {
        PhoneState::Auth0(phone) => {
            match phone.handle(&mut env(pair.phone, &trust, pair.member), &mut buf[..len], &mut out)? {
                Auth0Next::Exchange { state, request } => (state, request),
                _ => return Err(InitiatorError::WrongState.into()),
            }
        }
        PhoneState::Secured(phone) => match phone.handle(pair.phone, &mut buf[..len], &mut out)? {
            SecuredNext::Exchange { state, request } => (state, request),
            _ => return Err(InitiatorError::WrongState.into()),
        },
    };
    let Request::Verdict(seen) = request else { return Err(InitiatorError::WrongState.into()) };
    let (_, len) = state.respond(pair.phone, Reply::DONE, &mut out)?;
    flip.apply(5, &mut out[..len]);
    sent.reply(pair.lock, &mut out[..len])?;
    Ok((peer, seen))
}

/// Builds a command around any data, or leaves the bytes as they are.
fn command(ins: Option<Ins>, data: Vec<u8>) -> Vec<u8> {
    let Some(ins) = ins else { return data };
    let mut out = buffer();
    let len = apdu::command(&mut out, ins, &data).unwrap();
    out.truncate(len);
    out
}

fn any_command() -> impl Strategy<Value = Vec<u8>> {
    let ins = proptest::option::of(proptest::sample::select(
        &[
            Ins::Select,
            Ins::Auth0,
            Ins::LoadCert,
            Ins::Auth1,
            Ins::Exchange,
            Ins::ControlFlow,
            Ins::Envelope,
            Ins::GetResponse,
        ][..],
    ));
    (ins, proptest::collection::vec(any::<u8>(), 0..300)).prop_map(|(ins, data)| command(ins, data))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_ends_the_session_or_changes_nothing(
        message in 0usize..6, byte: prop::sample::Index, bit in 0u8..8, fast: bool,
    ) {
        let untouched = run(Flip { message: 9, byte: 0, bit: 0 }, fast).unwrap();
        if let Ok(touched) = run(Flip { message, byte: byte.index(2048), bit }, fast) {
            // A damaged cryptogram leads to AUTH1 instead: the same phone, otherwise authenticated.
            prop_assert_eq!(touched.0.device_key, untouched.0.device_key);
            prop_assert_eq!(touched.0.press, untouched.0.press);
            prop_assert_eq!(touched.1, untouched.1);
        }
    }

    #[test]
    fn any_command_in_any_state_is_judged_without_panic(bytes in any_command()) {
        let door = Door::new(Profile::PRODUCT);
        let mut member = Member::of(&door);
        let (mut lock, mut phone) = (crypto(1), crypto(2));
        let mut pair = Pair::new(Interface::Nfc, &door, &mut member, &mut lock, &mut phone);
        let mut out = buffer();
        let trust = pair.member.trust_store();
        let _ = initiator::Waiting::new(pair.member.phone).select(&bytes, &mut out);
        let (_, waiting) = pair.open().unwrap();
        prop_assert!(waiting.auth0(&mut env(pair.phone, &trust, pair.member), &bytes, &mut out).is_err());
        let (_, auth0) = pair.auth0(true, UserPolicy::PhoneSetting).unwrap();
        prop_assert!(auth0.handle(&mut env(pair.phone, &trust, pair.member), &mut bytes.clone(), &mut out).is_err());
        let (_, secured) = pair.standard().unwrap();
        prop_assert!(secured.handle(pair.phone, &mut bytes.clone(), &mut out).is_err());
    }

    #[test]
    fn any_answer_in_any_state_is_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), ok: bool) {
        let mut bytes = bytes;
        if ok {
            bytes.extend([0x90, 0x00]);
        }
        let door = Door::new(Profile::PRODUCT);
        let mut member = Member::of(&door);
        let (mut lock, mut phone) = (crypto(1), crypto(2));
        let mut pair = Pair::new(Interface::Nfc, &door, &mut member, &mut lock, &mut phone);
        let mut buf = buffer();
        prop_assert!(reader::Opened::from_select(&door.profile, &bytes).is_err());
        prop_assert!(reader::Opened::from_initiate(&bytes).is_err());
        let (opened, _) = pair.open().unwrap();
        let prepared = Prepared::new(pair.lock).unwrap();
        let (sent, _) = opened.auth0(&door.setup(), prepared, true, UserPolicy::PhoneSetting, &mut buf).unwrap();
        prop_assert!(sent.response(pair.lock, &bytes).is_err());
        let (auth0, _) = pair.auth0(false, UserPolicy::PhoneSetting).unwrap();
        let (sent, _) = auth0.auth1(&door.setup(), &mut door.signer.clone(), &mut buf).unwrap();
        prop_assert!(sent.response(pair.lock, &mut bytes.clone()).is_err());
        let (deciding, _) = pair.standard().unwrap();
        let (sent, _) = deciding.envelope(pair.lock, &[1; 9], &mut buf).unwrap();
        prop_assert!(sent.response(pair.lock, &mut bytes.clone()).is_err());
        let (deciding, _) = pair.standard().unwrap();
        let (sent, _) = deciding.verdict(pair.lock, &Verdict::bare(crate::verdict::Status::FAILURE), &mut buf).unwrap();
        prop_assert!(sent.reply(pair.lock, &mut bytes.clone()).is_err());
    }
}
