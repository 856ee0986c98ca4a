//! The lock's own time for a fast opening, with 1 and with 64 phones enrolled (`docs/PROTOCOL.md` section 20).
//!
//! The phone's half runs in between and is not counted.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use keybutton_lock::Input;
use keybutton_protocol::{
    frame::{Fragmenter, Reassembler},
    ids::Intent,
    initiator::Opened,
    message::{self, Kind},
};

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Log, Phone, State, World};

fn fast_openings(criterion: &mut Criterion) {
    for phones in [1_u64, 8, 64] {
        let (mut world, mut members) = enrolled(phones);
        let mut next = 0;
        criterion.bench_function(&format!("lock/fast/{phones} phones"), |bencher| {
            bencher.iter_custom(|rounds| {
                (0..rounds)
                    .map(|_| {
                        // Every phone in turn: the one that was away longest is found last.
                        next = (next + 1) % members.len();
                        world.pass(10);
                        fast_opening(&mut world, &mut members[next])
                    })
                    .sum()
            });
        });
    }
}

/// A lock and phones that have all opened it before.
fn enrolled(phones: u64) -> (World, Vec<Phone>) {
    let mut world = World::new();
    let mut members: Vec<Phone> = (1..=phones).map(|seed| world.member(seed)).collect();
    for member in &mut members {
        assert!(world.press(member, Intent::Unlock).is_granted());
        world.pass(3_000);
    }
    (world, members)
}

/// The lock's time for one fast opening. An entry whose uses are up is made anew first, uncounted.
fn fast_opening(world: &mut World, phone: &mut Phone) -> Duration {
    loop {
        if let Some(spent) = lock_time(world, phone) {
            return spent;
        }
        world.pass(10_000);
        world.press(phone, Intent::Unlock);
    }
}

/// The time the lock spends from the phone's first word to its verdict; `None` when it was not a fast one.
fn lock_time(world: &mut World, phone: &mut Phone) -> Option<Duration> {
    let press = phone.press(Intent::Status);
    let mut log = Log::default();
    let link = world.connect(phone.device_key().0[1], 185);
    let (mut down, mut up) = (Reassembler::new(), Fragmenter::new(185));
    let mut buffer = vec![0; 2_048];
    let (opened, len) = Opened::initiate(phone.initiator(press), &mut buffer).unwrap();
    let mut message = buffer[..len].to_vec();
    let mut state = State::Opened(opened);
    let mut spent = Duration::ZERO;
    while log.verdict.is_none() {
        let values: Vec<_> = up.split(&message).collect();
        let start = Instant::now();
        values.iter().for_each(|value| world.write(link, value));
        spent += start.elapsed();
        let mut answered = false;
        for value in world.notified(link) {
            let Some(command) = down.push(&value).unwrap() else { continue };
            let mut command = command.to_vec();
            let (_, apdu) = message::parse_mut(&mut command).unwrap();
            let (next, response) = phone.answer(state, apdu, &mut log).unwrap();
            state = next;
            let len = message::encode(&mut buffer, Kind::Response, &response).unwrap();
            message = buffer[..len].to_vec();
            answered = true;
        }
        assert!(answered);
    }
    assert!(log.is_granted());
    world.input(Input::Disconnected { link });
    log.fast.then_some(spent)
}

criterion_group!(benches, fast_openings);
criterion_main!(benches);
