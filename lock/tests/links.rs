//! Links, timers, limits and advertising.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use keybutton_lock::{
    Address, Event, Failure, Input, LinkId, Uptime,
    env::{BoltCommand, BoltEvent, DoorEvent},
    feedback::Signal,
};
use keybutton_protocol::{
    a5::PressInfo,
    advert::{AdvertFlags, Packet},
    frame::{Fragmenter, Reassembler},
    ids::{GroupResolvingKey, Intent, LockNumber},
    initiator::Opened,
    message,
    verdict::Reason,
};

fn initiate() -> Vec<u8> {
    let a5 = [0xA5, 8, 0x80, 2, 0, 0, 0x5C, 2, 1, 0];
    let mut value = vec![0xC0, 2, 5, 0, 12, 0, 10];
    value.extend(a5);
    value
}

/// A first opening up to its documents: the link, and the values with the answer that is not sent yet.
fn up_to_documents(world: &mut World, phone: &mut Phone, press: PressInfo) -> (LinkId, Vec<Vec<u8>>) {
    phone.now = world.unix();
    let link = world.connect(phone.device_key().0[1], 185);
    let (mut down, mut up) = (Reassembler::new(), Fragmenter::new(185));
    let mut buffer = vec![0; 2_048];
    let (opened, len) = Opened::initiate(phone.initiator(press), &mut buffer).unwrap();
    let (mut state, mut len, mut log) = (State::Opened(opened), len, Log::default());
    loop {
        let values: Vec<Vec<u8>> = up.split(&buffer[..len]).map(|value| value.to_vec()).collect();
        if log.stepped_up {
            return (link, values);
        }
        values.iter().for_each(|value| world.write(link, value));
        let mut command = Vec::new();
        for value in world.notified(link) {
            command.extend(down.push(&value).unwrap().map(|message| message.to_vec()).unwrap_or_default());
        }
        let (_, apdu) = message::parse_mut(&mut command).unwrap();
        let (next, response) = phone.answer(state, apdu, &mut log).unwrap();
        state = next;
        len = message::encode(&mut buffer, message::Kind::Response, &response).unwrap();
    }
}

fn flags(world: &World) -> AdvertFlags {
    let last = world.advertising.last().unwrap();
    let data = Packet::parse(&last.scan_response).data.unwrap();
    let resolved = data.resolve(&world.crypto, &GroupResolvingKey::new([9; 16])).unwrap();
    assert_eq!(resolved.lock, LockNumber(42));
    resolved.flags
}

#[test]
fn l_silence_between_fragments() {
    let mut world = World::new();
    let link = world.connect(1, 23);
    world.write(link, &[0x80, 2, 5, 0, 12, 0]);
    world.pass(999);
    assert!(world.closed.is_empty());
    world.pass(1);
    assert_eq!(world.closed, [link]);
}

#[test]
fn l_silence_before_the_first_word_and_after_a_command() {
    let mut world = World::new();
    let link = world.connect(1, 185);
    world.pass(4_999);
    assert!(world.closed.is_empty());
    world.pass(1);
    assert_eq!(world.closed, [link]);

    let link = world.connect(2, 185);
    world.pass(4_000);
    world.write(link, &initiate());
    world.pass(4_999);
    assert!(!world.closed.contains(&link));
    world.pass(1);
    assert!(world.closed.contains(&link));
    assert!(matches!(world.events.last(), Some(Event::Failed { failure: Failure::Timeout, .. })));
}

#[test]
fn l_silence_ends_every_link_after_thirty_seconds() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let press = phone.press(Intent::Unlock);
    // The phone takes 4.9 s for everything; sync after the verdict is cut short.
    let mut pauses = 0;
    let mut slow = |_: bool, _: &mut Vec<u8>| pauses += 1;
    let log = world.press_with(&mut phone, press, 185, &mut slow);
    assert!(log.is_granted() && pauses > 9);

    let link = world.connect(3, 23);
    // One fragment of a long message every half second keeps the silence timer quiet.
    world.write(link, &[0x80, 2, 5, 0x07, 0xF0, 0]);
    let mut sequence = 1;
    for _ in 0..100 {
        world.pass(500);
        world.write(link, &[sequence, 1]);
        sequence = (sequence + 1) & 0x3F;
        if world.closed.contains(&link) {
            break;
        }
    }
    assert!(world.now <= Uptime(31_000), "{:?}", world.now);
    assert!(world.closed.contains(&link));
}

#[test]
fn l_flood() {
    let mut world = World::new();
    let mut signatures = 0;
    let mut busy = 0;
    for n in 0..20u8 {
        let mut phone = world.member(u64::from(n) + 1);
        let log = world.press(&mut phone, Intent::Unlock);
        signatures += log.apdus.iter().filter(|ins| **ins == 0x81).count();
        busy += log.events.iter().filter(|event| **event == message::Event::Busy).count();
        world.pass(400);
    }
    assert_eq!((signatures, busy), (10, 10));
    assert!(!flags(&world).contains(AdvertFlags::BUSY), "advertising goes on");
    world.pass(10_000);
    let mut phone = world.member(50);
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
}

#[test]
fn a_press_on_two_links_at_once_moves_the_bolt_once() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let press = phone.press(Intent::Unlock);
    let (link, documents) = up_to_documents(&mut world, &mut phone, press);
    assert!(world.press_with(&mut phone, press, 185, &mut |_, _| {}).is_granted());
    documents.iter().for_each(|value| world.write(link, value));
    let verdicts = |again: bool| {
        let is = |event: &&Event| matches!(event, Event::Verdict { repeated, .. } if *repeated == again);
        world.events.iter().filter(is).count()
    };
    assert_eq!((verdicts(false), verdicts(true)), (1, 1));
    assert_eq!(world.bolts.len(), 1);
}

#[test]
fn three_failures_pause_an_address() {
    let mut world = World::new();
    let mut phone = world.member(1);
    for _ in 0..3 {
        let link = world.connect(phone.device_key().0[1], 185);
        world.write(link, &[0x40, 1]);
        world.pass(100);
    }
    let log = world.press(&mut phone, Intent::Unlock);
    assert_eq!(log.events, [message::Event::Busy]);
    let mut other = world.member(2);
    assert!(world.press(&mut other, Intent::Unlock).is_granted());
    world.pass(2_000);
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
}

#[test]
fn two_links_are_served_at_once_and_a_third_is_turned_away() {
    let mut world = World::new();
    let first = world.connect(1, 185);
    assert!(!flags(&world).contains(AdvertFlags::BUSY));
    let second = world.connect(2, 185);
    assert!(flags(&world).contains(AdvertFlags::BUSY));
    let third = world.connect(3, 185);
    assert_eq!(world.closed, [third]);
    world.write(first, &initiate());
    world.write(second, &initiate());
    assert!(!world.notified(first).is_empty());
    assert!(!world.notified(second).is_empty());
    world.input(Input::Disconnected { link: first });
    assert!(!flags(&world).contains(AdvertFlags::BUSY));
    let mut phone = world.member(1);
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
    world.input(Input::Disconnected { link: LinkId(999) });
}

#[test]
fn every_mtu_works() {
    for mtu in [23, 24, 185, 247, 517] {
        let mut world = World::new();
        let mut phone = world.member(1);
        let press = phone.press(Intent::Unlock);
        let log = world.press_with(&mut phone, press, mtu, &mut |_, _| {});
        assert!(log.is_granted() && log.handed_over == 1, "{mtu}");
    }
}

#[test]
fn tag_and_address_change_together_every_quarter_of_an_hour() {
    let mut world = World::new();
    let mut changes = Vec::new();
    let mut last = *world.advertising.last().unwrap();
    for minute in 1..=120u64 {
        world.pass(60_000);
        let now = *world.advertising.last().unwrap();
        assert_eq!(now.address == last.address, now.scan_response[19..22] == last.scan_response[19..22]);
        if now.address != last.address {
            changes.push(minute);
        }
        last = now;
    }
    assert!((7..=8).contains(&changes.len()), "{changes:?}");
    assert!(changes.windows(2).all(|pair| (14..=17).contains(&(pair[1] - pair[0]))), "{changes:?}");
    assert!(world.advertising.iter().all(|adv| adv.address.0[0] & 0xC0 == 0));
}

#[test]
fn the_tag_stays_while_a_link_is_open() {
    let mut world = World::new();
    world.pass(13 * 60_000 + 59_000);
    let before = world.advertising.last().unwrap().address;
    // Links follow each other without a gap for longer than a tag lasts.
    let mut link = world.connect(1, 185);
    for n in 2..60u8 {
        world.pass(4_000);
        let next = world.connect(n, 185);
        world.input(Input::Disconnected { link });
        link = next;
        assert_eq!(world.advertising.last().unwrap().address, before);
    }
    world.input(Input::Disconnected { link });
    assert_ne!(world.advertising.last().unwrap().address, before);
}

#[test]
fn the_bolt_goes_back_by_one_deadline() {
    let mut world = World::new();
    let mut phone = world.member(1);
    world.press(&mut phone, Intent::Unlock);
    assert_eq!(world.bolts.len(), 1);
    world.pass(4_999);
    assert_eq!(world.bolts.len(), 1);
    world.pass(1);
    assert_eq!(world.bolts[1], BoltCommand::Secure);
}

#[test]
fn holding_open_lasts_until_it_is_locked() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    let mut data = access_data(1);
    data.rules.rules = keybutton_protocol::document::list::List::from_slice(&[rule(0x0B)]).unwrap();
    world.grant(&mut phone, 42, data);
    assert!(world.press(&mut phone, Intent::HoldOpen).is_granted());
    world.pass(3_600_000);
    assert_eq!(world.bolts, [BoltCommand::HoldOpen]);
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
    assert_eq!(world.bolts, [BoltCommand::HoldOpen], "it is open already");
    let locked = world.press(&mut phone, Intent::Lock);
    assert_eq!(locked.verdict.unwrap().status.to_bytes(), [1, 0x80]);
    assert_eq!(world.bolts, [BoltCommand::HoldOpen, BoltCommand::Secure]);
}

#[test]
fn a_jammed_bolt_is_told_and_tried_again_after_a_while() {
    let mut world = World::new();
    let mut phone = world.member(1);
    world.press(&mut phone, Intent::Unlock);
    world.input(Input::Bolt(BoltEvent::Jammed));
    let log = world.press(&mut phone, Intent::Unlock);
    assert_eq!((log.reason(), log.detail()), (Some(Reason::Hardware), Some(1)));
    assert_eq!(world.feedback.last().unwrap().signal, Signal::Fault);
    world.pass(5_000);
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
}

#[test]
fn doors_that_are_forced_or_held_are_recorded() {
    let mut options = LockOptions::default();
    options.policy.held_open_s = 30;
    let mut world = World::with(options);
    let mut phone = world.member(1);
    world.press(&mut phone, Intent::Unlock);
    world.input(Input::Door(DoorEvent::Opened));
    assert_ne!(world.feedback.last().unwrap().signal, Signal::Alarm);
    world.pass(30_000);
    assert_eq!(world.feedback.last().unwrap().signal, Signal::Alarm, "held open");
    world.input(Input::Door(DoorEvent::Closed));
    let alarms = world.feedback.len();
    world.pass(10_000);
    world.input(Input::Door(DoorEvent::Opened));
    assert_eq!(world.feedback.len(), alarms + 1, "forced");
}

#[test]
fn an_idle_lock_wakes_only_for_its_tag() {
    let mut world = World::new();
    world.pass(20 * 60_000);
    let start = world.now;
    let mut wakes = 0;
    while let Some(at) = world.deadline.filter(|at| at.0 < start.0 + 3_600_000) {
        world.now = at;
        world.input(Input::Deadline);
        wakes += 1;
    }
    assert!(wakes <= 5, "{wakes}");
}

#[test]
fn the_battery_is_told() {
    let mut world = World::new();
    let mut phone = world.member(1);
    world.input(Input::Battery { percent: 10 });
    assert!(flags(&world).contains(AdvertFlags::BATTERY_LOW));
    let report = world.press(&mut phone, Intent::Unlock).verdict.unwrap().report.unwrap();
    assert_eq!(report.battery, Some(10));
    world.input(Input::Battery { percent: 2 });
    let log = world.press(&mut phone, Intent::Unlock);
    assert_eq!((log.reason(), log.detail()), (Some(Reason::Hardware), Some(3)));
}

#[test]
fn sound_can_be_off_and_light_cannot() {
    let mut options = LockOptions::default();
    options.policy.sound = false;
    let mut world = World::with(options);
    let mut phone = world.member(1);
    world.press(&mut phone, Intent::Unlock);
    let feedback = world.feedback.last().unwrap();
    assert_eq!((feedback.signal, feedback.sound), (Signal::Granted, false));
    assert!(feedback.steps().all(|step| step.tone_hz == 0));
    let _ = Address([0; 6]);
}
