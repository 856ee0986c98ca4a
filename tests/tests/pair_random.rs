//! Anything may arrive at any time: nothing panics, nothing opens, and every press still ends.
#![allow(clippy::unwrap_used)]

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use keybutton::{outcome::Outcome, unlock::UnlockOptions};
use keybutton_lock::{
    Address, Input, LinkId,
    config::FastPolicy,
    env::{BoltEvent, DoorEvent},
};
use keybutton_protocol::{
    apdu::{Command, Ins},
    frame::Fragmenter,
    ids::{Interface, UnlockId},
    message::{self, Kind},
};
use keybutton_tests::pair::{
    air::Direction,
    bench::{Bench, assert_chain},
    dialog::Dialog,
    lock::{Did, TestLock},
    phone::TestPhone,
    raw_lock::{RawLock, command},
    site::{Member, Site},
    talk::BleLink,
    tlv::find,
    world::World,
};
use proptest::{collection::vec, prelude::*};

const PRESS: UnlockId = UnlockId([0xD9; 16]);

/// What somebody between phone and lock does to a message.
#[derive(Clone, Debug)]
enum Change {
    Flip { at: usize, bit: u8 },
    Set { at: usize, byte: u8 },
    Insert { at: usize, bytes: Vec<u8> },
    Remove { at: usize, count: usize },
    Replace(Vec<u8>),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            4 => (any::<usize>(), 0_u8..8).prop_map(|(at, bit)| Self::Flip { at, bit }),
            2 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Self::Set { at, byte }),
            1 => (any::<usize>(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Self::Insert { at, bytes }),
            1 => (any::<usize>(), 1_usize..20).prop_map(|(at, count)| Self::Remove { at, count }),
            1 => vec(any::<u8>(), 1..300).prop_map(Self::Replace),
        ]
    }

    /// Changes the payload; where its length changes, the header follows, so that the framing stays right.
    fn apply(&self, message: &mut Vec<u8>, header_too: bool) {
        let start = if header_too { 0 } else { 4 };
        let len = message.len() - start;
        match self {
            Self::Flip { at, bit } => message[start + at % len] ^= 1 << bit,
            Self::Set { at, byte } => message[start + at % len] = *byte,
            Self::Insert { at, bytes } => {
                let at = start + at % (len + 1);
                message.splice(at..at, bytes.iter().copied());
            }
            Self::Remove { at, count } => {
                let at = start + at % len;
                let end = (at + count).min(message.len());
                message.drain(at..end);
            }
            Self::Replace(bytes) => {
                message.truncate(start);
                message.extend(bytes);
            }
        }
        if !header_too && message.len() > 4 {
            let len = (message.len() - 4) as u16;
            message[2..4].copy_from_slice(&len.to_be_bytes());
        }
    }
}

/// What of a message the two must agree on: everything but what a receiver has to skip or may ignore (unknown tags, Le).
fn essence(direction: Direction, message: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (kind, payload) = message::parse(message).ok()?;
    match (direction, kind) {
        (Direction::ToLock, Kind::Initiate) => Some(vec![message::attribute(payload, 0).ok()?.to_vec()]),
        (Direction::ToLock, Kind::Response) => {
            let (data, status) = payload.split_last_chunk::<2>()?;
            // An answer to AUTH0 is in clear, everything after it is sealed as a whole.
            match find(data, 0x86).filter(|key| key.len() == 65) {
                // A cryptogram that does not fit is one of a stranger: the lock goes on by AUTH1.
                Some(key) => {
                    let cryptogram = find(data, 0x9D).map(|sealed| vec![0; sealed.len()]);
                    Some(vec![key, cryptogram.unwrap_or_default(), status.to_vec()])
                }
                None => Some(vec![payload.to_vec()]),
            }
        }
        (Direction::ToPhone, Kind::Command) => {
            let command = Command::parse(payload).ok()?;
            let fields: &[u16] = match command.meaning()? {
                Ins::Auth0 => &[0x41, 0x42, 0x5C, 0x87, 0x4C, 0x4D],
                Ins::Auth1 => &[0x9E, 0x90],
                _ => return Some(vec![vec![command.ins], command.data.to_vec()]),
            };
            Some(fields.iter().map(|tag| find(command.data, *tag).unwrap_or_default()).collect())
        }
        _ => Some(vec![message.to_vec()]),
    }
}

fn pair(fast: bool) -> (World, Site) {
    let site = Site::new("north");
    let phone = TestPhone::new(&site, &Member::new("ada"), &[7]);
    let lock = TestLock::with(&site, 7, |config| {
        config.policy.fast = if fast { FastPolicy::TryAll { entries: 64 } } else { FastPolicy::Off };
    });
    let mut world = World::new(vec![phone], vec![lock]);
    if fast {
        world.open(0, UnlockId([1; 16]), options(&site));
        world.wait(61_000_000);
    }
    world.locks[0].log.retain(|(_, did)| matches!(did, Did::Advertise(_)));
    world.reset_traffic();
    (world, site)
}

fn options(site: &Site) -> UnlockOptions {
    UnlockOptions { door: Some(site.door(7)), ..UnlockOptions::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    /// One message of a press is changed on its way. The door opens only if what matters arrived unchanged.
    #[test]
    fn a_changed_message_opens_nothing(
        number in 0_usize..9,
        change in Change::any(),
        header_too in prop::bool::weighted(0.2),
        fast: bool,
    ) {
        let (mut world, site) = pair(fast);
        world.conditions.links_at_most = Some(u16::from(fast) + 1);
        let seen = Rc::new(RefCell::new(None));
        let note = seen.clone();
        world.tamper_messages = Some(Box::new(move |direction, at, message| {
            if at == number {
                let original = message.clone();
                change.apply(message, header_too);
                *note.borrow_mut() = Some((direction, original, message.clone()));
            }
        }));
        world.open(0, PRESS, options(&site));
        let openings = world.locks[0].openings();
        let outcome = world.phones[0].outcome();
        match outcome {
            Outcome::Opened(_) => prop_assert_eq!(openings, 1),
            Outcome::Refused(_) => prop_assert_eq!(openings, 0),
            Outcome::Unconfirmed(_) => prop_assert!(openings <= 1),
        }
        let decided = world.traffic.at_verdict.unwrap_or(usize::MAX);
        if let Some((direction, original, changed)) = seen.borrow().as_ref() {
            let same = essence(*direction, original) == essence(*direction, changed);
            if openings == 1 && number < decided {
                prop_assert!(same, "opened on {changed:02x?} in place of {original:02x?}");
            }
            if matches!(outcome, Outcome::Opened(_)) && number <= decided {
                prop_assert!(same, "said to be open on {changed:02x?} in place of {original:02x?}");
            }
        }
        assert_chain(&world.locks[0]);
    }

    /// One packet is changed on its way.
    #[test]
    fn a_changed_packet_opens_nothing_that_is_not_told(
        number in 0_usize..14,
        at: usize,
        bit in 0_u8..8,
        fast: bool,
    ) {
        let (mut world, site) = pair(fast);
        world.conditions.links_at_most = Some(u16::from(fast) + 1);
        world.tamper_values = Some(Box::new(move |_, count, value| {
            if count == number {
                let len = value.len();
                value[at % len] ^= 1 << bit;
            }
        }));
        world.open(0, PRESS, options(&site));
        let openings = world.locks[0].openings();
        match world.phones[0].outcome() {
            Outcome::Opened(_) => prop_assert_eq!(openings, 1),
            Outcome::Refused(_) => prop_assert_eq!(openings, 0),
            Outcome::Unconfirmed(_) => prop_assert!(openings <= 1),
        }
    }

    /// Anything at all at a lock: it does not panic, serves two links at most, moves nothing and forgets nothing.
    #[test]
    fn a_lock_survives_anything(ops in vec(Op::any(), 1..60)) {
        let mut bench = Bench::new();
        let rights = keybutton_tests::pair::bench::rights(&bench.lock);
        let mut open = BTreeSet::new();
        for op in &ops {
            let position = op.apply(&mut bench.lock, &mut open);
            for did in bench.lock.log[position..].iter().map(|(_, did)| did) {
                match did {
                    Did::Close(link) => {
                        open.remove(&link.0);
                    }
                    Did::Notify(link, value) => {
                        prop_assert!(open.contains(&link.0), "notified on a link that is not there");
                        prop_assert!(value.len() <= 512);
                    }
                    _ => {}
                }
            }
            prop_assert!(open.len() <= 2, "{} links", open.len());
        }
        prop_assert_eq!(bench.lock.openings(), 0);
        prop_assert!(bench.lock.verdicts().is_empty());
        let mut after = keybutton_tests::pair::bench::rights(&bench.lock);
        after.remove(&keybutton_lock::store::Record::Mode);
        after.remove(&keybutton_lock::store::Record::Clock);
        let mut before = rights;
        before.remove(&keybutton_lock::store::Record::Clock);
        prop_assert_eq!(after, before);
        assert_chain(&bench.lock);
        // And it still opens for who may, once strangers have been dropped.
        bench.lock.input(Input::Privacy { on: false });
        bench.lock.input(Input::Battery { percent: 0xFF });
        bench.lock.advance(Duration::from_secs(40));
        bench.press();
        bench.assert_granted();
    }

    /// Anything at all in place of the answer that is due.
    #[test]
    fn a_lock_survives_any_answer(steps in 0_usize..4, answer in vec(any::<u8>(), 0..600), wrapped: bool) {
        let mut bench = Bench::new();
        let mut link = BleLink::connect(&mut bench.lock, 1, 185);
        let a5 = bench.phone.a5.clone();
        link.initiate(&mut bench.lock, &a5);
        for _ in 0..steps {
            let Some((_, command)) = link.receive() else { break };
            let response = bench.phone.answer(Interface::Ble, &command).unwrap();
            link.send_kind(&mut bench.lock, Kind::Response, &response);
        }
        let openings = bench.lock.openings();
        let mut answer = answer;
        if wrapped {
            answer.extend([0x90, 0x00]);
        }
        if !answer.is_empty() {
            link.send_kind(&mut bench.lock, Kind::Response, &answer);
        }
        prop_assert_eq!(bench.lock.openings(), openings, "something made up has opened the door");
        bench.lock.advance(Duration::from_secs(31));
        assert_chain(&bench.lock);
    }

    /// Anything at all at a phone: it does not panic, never says "opened", and the press ends.
    #[test]
    fn a_phone_survives_anything(steps in 0_usize..3, words in vec(Word::any(), 1..12)) {
        let mut dialog = Dialog::new();
        let a5 = dialog.meet(PRESS);
        let mut lock = RawLock::new(&dialog.site, 7, 77);
        if steps > 0 {
            let auth0 = lock.auth0(Interface::Ble, &a5);
            let response = dialog.command(&auth0).unwrap();
            lock.auth0_answer(&response);
        }
        if steps > 1 {
            let auth1 = lock.auth1();
            let _ = dialog.command(&auth1).unwrap();
        }
        let signatures = dialog.phone.signatures;
        for word in &words {
            if dialog.closed {
                break;
            }
            match word {
                Word::Value(value) => dialog.value(value),
                Word::Message(kind, id, payload) => {
                    let mut message = vec![*kind, *id];
                    message.extend((payload.len() as u16).to_be_bytes());
                    message.extend(payload);
                    dialog.raw_message(&message);
                }
                Word::Command(ins, data) => {
                    dialog.outbox.clear();
                    let _ = dialog.command(&command(*ins, data));
                }
                Word::Wait(micros) => dialog.advance(*micros),
            }
        }
        prop_assert_eq!(dialog.phone.signatures, signatures, "the device key has signed for a stranger");
        dialog.to_end();
        prop_assert!(!matches!(dialog.phone.outcome(), Outcome::Opened(_)));
        if steps < 2 {
            prop_assert!(matches!(dialog.phone.outcome(), Outcome::Refused(_)), "the lock was never asked");
        }
    }

    /// Any APDUs by tap.
    #[test]
    fn a_phone_survives_any_reader(apdus in vec(vec(any::<u8>(), 0..300), 1..12), selected: bool) {
        let mut dialog = Dialog::new();
        let select = command(Ins::Select, keybutton_protocol::profile::AID_EXPEDITED);
        let first = if selected { select } else { vec![0x00] };
        let _ = dialog.tap(PRESS, &first);
        for apdu in &apdus {
            let answer = dialog.apdu(apdu);
            prop_assert!(answer.len() >= 2);
        }
        prop_assert_eq!(dialog.phone.signatures, 0);
        dialog.to_end();
        prop_assert!(!matches!(dialog.phone.outcome(), Outcome::Opened(_)));
    }
}

/// What may happen to a lock.
#[derive(Clone, Debug)]
enum Op {
    Connect(u16, u16),
    Disconnect(u16),
    Value(u16, Vec<u8>),
    Message(u16, u8, u8, Vec<u8>),
    Initiate(u16),
    Mtu(u16, u16),
    Wait(u64),
    NfcArrived,
    NfcResponse(Vec<u8>),
    NfcLost,
    Bolt(u8),
    Door(bool),
    Battery(u8),
    Privacy(bool),
}

impl Op {
    fn any() -> impl Strategy<Value = Self> {
        let link = 0_u16..4;
        prop_oneof![
            3 => (link.clone(), any::<u16>()).prop_map(|(link, mtu)| Self::Connect(link, mtu)),
            1 => link.clone().prop_map(Self::Disconnect),
            3 => (link.clone(), vec(any::<u8>(), 0..520)).prop_map(|(link, value)| Self::Value(link, value)),
            3 => (link.clone(), 0_u8..6, 0_u8..8, vec(any::<u8>(), 0..400))
                .prop_map(|(link, kind, id, payload)| Self::Message(link, kind, id, payload)),
            3 => link.clone().prop_map(Self::Initiate),
            1 => (link, any::<u16>()).prop_map(|(link, mtu)| Self::Mtu(link, mtu)),
            2 => (0_u64..8_000).prop_map(Self::Wait),
            1 => Just(Self::NfcArrived),
            2 => vec(any::<u8>(), 0..300).prop_map(Self::NfcResponse),
            1 => Just(Self::NfcLost),
            1 => (0_u8..2).prop_map(Self::Bolt),
            1 => any::<bool>().prop_map(Self::Door),
            1 => any::<u8>().prop_map(Self::Battery),
            1 => any::<bool>().prop_map(Self::Privacy),
        ]
    }

    fn apply(&self, lock: &mut TestLock, open: &mut BTreeSet<u16>) -> usize {
        let position = lock.log.len();
        match self {
            Self::Connect(link, mtu) if !open.contains(link) => {
                open.insert(*link);
                lock.input(Input::Connected { link: LinkId(*link), address: Address([*link as u8; 6]), mtu: *mtu });
            }
            Self::Connect(..) => {}
            Self::Disconnect(link) => {
                open.remove(link);
                lock.input(Input::Disconnected { link: LinkId(*link) });
            }
            Self::Value(link, value) => {
                lock.input(Input::Received { link: LinkId(*link), value });
            }
            Self::Message(link, kind, id, payload) => {
                let mut message = vec![*kind, *id];
                message.extend((payload.len() as u16).to_be_bytes());
                message.extend(payload);
                let values: Vec<_> = Fragmenter::new(247).split(&message).collect();
                for value in &values {
                    lock.input(Input::Received { link: LinkId(*link), value });
                }
            }
            Self::Initiate(link) => {
                let a5 = keybutton_tests::pair::raw_phone::press_a5(PRESS, keybutton_protocol::ids::Intent::Unlock);
                let mut message = [0; 64];
                let len = message::initiate(&mut message, &a5).unwrap();
                let values: Vec<_> = Fragmenter::new(247).split(&message[..len]).collect();
                for value in &values {
                    lock.input(Input::Received { link: LinkId(*link), value });
                }
            }
            Self::Mtu(link, mtu) => {
                lock.input(Input::MtuChanged { link: LinkId(*link), mtu: *mtu });
            }
            Self::Wait(millis) => lock.advance(Duration::from_millis(*millis)),
            Self::NfcArrived => {
                lock.input(Input::NfcArrived);
            }
            Self::NfcResponse(apdu) => {
                lock.input(Input::NfcResponse { apdu });
            }
            Self::NfcLost => {
                lock.input(Input::NfcLost);
            }
            Self::Bolt(event) => {
                lock.bolt_event(if *event == 0 { BoltEvent::Secured } else { BoltEvent::Withdrawn });
            }
            Self::Door(opened) => {
                lock.input(Input::Door(if *opened { DoorEvent::Opened } else { DoorEvent::Closed }));
            }
            Self::Battery(percent) => {
                lock.input(Input::Battery { percent: *percent });
            }
            Self::Privacy(on) => {
                lock.input(Input::Privacy { on: *on });
            }
        }
        position
    }
}

/// What a stranger may say to a phone.
#[derive(Clone, Debug)]
enum Word {
    Value(Vec<u8>),
    Message(u8, u8, Vec<u8>),
    Command(Ins, Vec<u8>),
    Wait(u64),
}

impl Word {
    fn any() -> impl Strategy<Value = Self> {
        let ins = prop_oneof![
            Just(Ins::Select),
            Just(Ins::Auth0),
            Just(Ins::LoadCert),
            Just(Ins::Auth1),
            Just(Ins::Exchange),
            Just(Ins::ControlFlow),
            Just(Ins::Envelope),
            Just(Ins::GetResponse),
        ];
        prop_oneof![
            1 => vec(any::<u8>(), 0..300).prop_map(Self::Value),
            2 => (0_u8..6, 0_u8..8, vec(any::<u8>(), 1..300))
                .prop_map(|(kind, id, payload)| Self::Message(kind, id, payload)),
            4 => (ins, vec(any::<u8>(), 0..600)).prop_map(|(ins, data)| Self::Command(ins, data)),
            1 => (0_u64..900_000).prop_map(Self::Wait),
        ]
    }
}
