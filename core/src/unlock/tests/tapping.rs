//! Presses that go by tap.

use keybutton_protocol::{
    api::{AccessRefusal, Decision},
    document::{Interfaces, Restrictions},
    profile::UserPolicy,
};

use super::{
    super::*,
    rig::{Rig, refused},
};
use crate::{
    error::ErrorCode,
    keyring::fixture::{Plan, World, door},
    outcome::{Outcome, Route},
    radio::RadioState,
};

const NOT_NOW: [u8; 2] = [0x69, 0x85];

/// A press that a reader began.
fn by_reader() -> UnlockOptions {
    UnlockOptions { tap: true, radio: false, ..UnlockOptions::default() }
}

fn opened(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Opened(_))
}

/// A phone whose key opens doors by tap only.
fn tap_only() -> Rig {
    let mut world = World::new();
    let restrictions = Restrictions { interfaces: Some(Interfaces::NFC), ..Restrictions::default() };
    let keyring = world.keyring(&Plan { restrictions, ..Plan::default() });
    Rig::with(world, keyring)
}

/// The service says this of door 1.
fn service_says(rig: &mut Rig, reason: AccessRefusal) {
    rig.rights.as_mut().unwrap().as_mut().unwrap().doors[0].decision = Decision::Refuse { reason };
}

#[test]
fn a_tap_runs_the_same_press() {
    let mut rig = Rig::new();
    rig.out_of_range = true;
    for fast in [false, true] {
        let options = UnlockOptions { tap: true, ..rig.options(1) };
        rig.start(1 + u8::from(fast), options);
        rig.turn();
        tap(&mut rig);
        let press = rig.run_to_end();
        assert!(opened(&press.outcome));
        assert_eq!((press.route, press.metrics.fast), (Some(Route::Tap), fast));
    }
    assert_eq!((rig.moved(), rig.connects), (2, 0));
}

#[test]
fn a_phone_without_bluetooth_waits_for_the_tap() {
    let mut rig = Rig::new();
    rig.radio = RadioState::Off;
    let options = UnlockOptions { tap: true, ..UnlockOptions::default() };
    rig.start(1, options);
    rig.turn();
    assert_eq!(rig.phase_names(), ["searching", "hold-to-lock"]);
    tap(&mut rig);
    let press = rig.run_to_end();
    assert!(opened(&press.outcome));
    assert_eq!(press.door, Some(door(rig.world.group, 1)), "known from the lock's own word");
}

#[test]
fn a_reader_that_comes_by_itself_is_answered_and_no_radio_is_used() {
    let mut rig = Rig::new();
    rig.start(1, by_reader());
    rig.turn();
    tap(&mut rig);
    let press = rig.run_to_end();
    assert!(opened(&press.outcome));
    assert_eq!((press.route, rig.connects), (Some(Route::Tap), 0));
    assert_eq!(rig.phase_names(), ["hold-to-lock", "proving", "opening"]);
    assert!(!rig.log.iter().any(|action| action.contains("Scan")), "{:?}", rig.log);
}

#[test]
fn without_a_key_the_first_tap_fetches_it_and_the_second_opens() {
    let mut rig = Rig::without_key();
    rig.download = Some(Ok(Plan::default()));
    rig.start(1, by_reader());
    rig.turn();
    tap(&mut rig);
    assert_eq!(rig.apdus, [NOT_NOW]);
    while rig.phase_names().last() != Some(&"hold-to-lock") {
        rig.turn();
    }
    tap(&mut rig);
    let press = rig.run_to_end();
    assert!(opened(&press.outcome), "{:?}", rig.log);
    assert_eq!((press.metrics.downloaded, rig.connects), (true, 0));
}

#[test]
fn a_reader_that_does_not_come_again_is_why_nothing_moved() {
    let mut rig = Rig::new();
    rig.start(1, by_reader());
    rig.turn();
    let select = first_apdu(&mut rig);
    assert!(answer_of(&mut rig, &select).unwrap().ends_with(&[0x90, 0x00]));
    rig.feed(Input::FieldLost);
    assert_eq!(refused(&rig.run_to_end()), ErrorCode::LinkLost);
    assert_eq!(rig.phase_names(), ["hold-to-lock", "hold-to-lock"]);
}

#[test]
fn a_door_that_only_a_tap_opens_is_never_asked_by_radio() {
    for chosen in [true, false] {
        let mut rig = tap_only();
        let door = rig.options(1).door.filter(|_| chosen);
        rig.start(1, UnlockOptions { door, tap: true, ..UnlockOptions::default() });
        while rig.phase_names().last() != Some(&"hold-to-lock") {
            rig.turn();
        }
        for _ in 0..50 {
            rig.now = rig.now.after(30_000);
            rig.feed(Input::Heard(rig.advertisement(1)));
        }
        assert_eq!(rig.phases.iter().filter(|phase| phase.name() == "hold-to-lock").count(), 1, "said once");
        tap(&mut rig);
        let press = rig.run_to_end();
        assert!(opened(&press.outcome), "{:?}", rig.log);
        assert_eq!((press.route, rig.connects), (Some(Route::Tap), 0));
    }
}

#[test]
fn a_tap_that_does_not_come_is_what_the_member_is_told() {
    let mut rig = tap_only();
    let options = UnlockOptions { tap: true, ..rig.options(1) };
    assert_eq!(refused(&rig.press(1, options)), ErrorCode::TapOnly);
    let mut rig = Rig::new();
    rig.radio = RadioState::Off;
    let options = UnlockOptions { tap: true, ..rig.options(1) };
    assert_eq!(refused(&rig.press(1, options.clone())), ErrorCode::BluetoothOff, "the other way was barred");
    rig.radio = RadioState::Absent;
    assert_eq!(refused(&rig.press(2, options)), ErrorCode::LockNotFound);
}

#[test]
fn what_the_service_wants_tapped_is_refused_to_a_phone_that_cannot() {
    for (tap_there, code) in [(true, None), (false, Some(ErrorCode::TapOnly))] {
        let mut rig = Rig::new();
        service_says(&mut rig, AccessRefusal::TapOnly);
        let options = UnlockOptions { tap: tap_there, ..rig.options(1) };
        rig.start(1, options);
        rig.turn();
        // The service's answer is the first thing that happens after the beginning.
        rig.turn();
        if tap_there {
            for _ in 0..20 {
                rig.turn();
            }
            tap(&mut rig);
        }
        let press = rig.run_to_end();
        assert_eq!(press.outcome.code(), code, "{:?}", rig.log);
        assert_eq!(rig.connects, 0);
    }
}

#[test]
fn the_service_is_heard_before_a_tapped_lock_is_given_anything() {
    let mut rig = Rig::new();
    service_says(&mut rig, AccessRefusal::PrimaryDeviceOnly);
    assert!(opened(&Rig::new().press_door(1, 1).outcome));
    rig.start(1, by_reader());
    rig.turn();
    rig.turn();
    tap(&mut rig);
    assert_eq!(rig.apdus, [NOT_NOW], "in place of the answer to AUTH0");
    let press = rig.run_to_end();
    assert_eq!((refused(&press), press.door), (ErrorCode::PrimaryDeviceOnly, Some(door(rig.world.group, 1))));
    assert_eq!(rig.moved(), 0);
}

#[test]
fn a_tapped_door_that_the_key_does_not_name_yet_gets_a_newer_key_first() {
    let mut world = World::new();
    let keyring = world.keyring(&Plan { locks: vec![(1, false), (2, true)], ..Plan::default() });
    let mut rig = Rig::with(world, keyring);
    rig.download = Some(Ok(Plan::default()));
    rig.start(1, by_reader());
    rig.turn();
    rig.turn();
    tap(&mut rig);
    while rig.phase_names().last() != Some(&"hold-to-lock") {
        rig.turn();
    }
    tap(&mut rig);
    let press = rig.run_to_end();
    assert!(opened(&press.outcome), "{:?}", rig.log);
    assert_eq!(rig.phase_names()[..4], ["hold-to-lock", "proving", "downloading-key", "hold-to-lock"]);
}

#[test]
fn a_locked_phone_is_unlocked_between_two_taps() {
    let mut rig = Rig::new();
    rig.lock().policy = UserPolicy::Force;
    rig.start(1, UnlockOptions { user_authenticated: false, ..by_reader() });
    rig.turn();
    tap(&mut rig);
    assert_eq!(rig.moved(), 0);
    while rig.phase_names().last() != Some(&"hold-to-lock") {
        rig.turn();
    }
    tap(&mut rig);
    assert!(opened(&rig.run_to_end().outcome));
}

#[test]
fn a_radio_that_goes_and_comes_back_is_made_use_of() {
    let mut rig = Rig::new();
    rig.out_of_range = true;
    let options = UnlockOptions { tap: true, ..rig.options(1) };
    rig.start(1, options);
    rig.turn();
    for state in [RadioState::Off, RadioState::On] {
        rig.radio = state;
        rig.feed(Input::RadioState(state));
    }
    assert_eq!(rig.phase_names(), ["searching", "hold-to-lock", "searching"]);
    rig.out_of_range = false;
    let press = rig.run_to_end();
    assert!(opened(&press.outcome));
    assert_eq!(press.route, Some(Route::Radio));
}

/// Holds the phone to lock 1 until it is served or let go.
fn tap(rig: &mut Rig) {
    let mut lock = rig.locks.remove(0);
    rig.apdus.clear();
    lock.1.tap(|apdu| answer_of(rig, apdu).filter(|answer| *answer != NOT_NOW));
    rig.locks.insert(0, lock);
}

/// What a reader begins with.
fn first_apdu(rig: &mut Rig) -> Vec<u8> {
    let mut first = None;
    rig.lock().tap(|apdu| {
        first = Some(apdu.to_vec());
        None
    });
    first.unwrap()
}

/// Feeds an APDU and drives on until the phone has answered it.
fn answer_of(rig: &mut Rig, apdu: &[u8]) -> Option<Vec<u8>> {
    rig.apdus.clear();
    rig.feed(Input::Apdu(apdu.to_vec()));
    for _ in 0..10 {
        if let Some(answer) = rig.apdus.last() {
            return Some(answer.clone());
        }
        if rig.over {
            return None;
        }
        rig.turn();
    }
    None
}
