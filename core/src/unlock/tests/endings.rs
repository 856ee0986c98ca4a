//! Presses that don't open, and what they say.

use keybutton_protocol::{
    api::{AccessRefusal, ButtonState, Decision, HiddenReason},
    ids::{Kpersistent, UnlockId},
};

use super::{
    super::*,
    lock::Lock,
    rig::{Rig, refused, rights},
};
use crate::{
    error::{ErrorCode, Retry},
    keyring::fixture::{Plan, World},
    outcome::{Cause, Outcome},
    radio::RadioState,
};

fn hidden(rig: &Rig, reason: HiddenReason) -> Option<Result<keybutton_protocol::api::Rights, crate::error::KeyError>> {
    Some(Ok(rights(&rig.world, ButtonState::Hidden(reason))))
}

#[test]
fn the_service_stops_a_press_before_the_lock_is_asked() {
    let mut rig = Rig::new();
    rig.rights = hidden(&rig, HiddenReason::ModuleDisabled);
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::ModuleDisabled);
    assert_eq!(rig.moved(), 0);

    let mut rig = Rig::new();
    let mut taken = rights(&rig.world, ButtonState::Visible);
    taken.doors[0].decision = Decision::Refuse { reason: AccessRefusal::NoPermission };
    rig.rights = Some(Ok(taken));
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::NoPermission, "the key would still open");
    assert_eq!(rig.moved(), 0);
}

#[test]
fn the_service_can_stop_it_at_any_step_before_and_at_none_after() {
    let mut before_and_after = (0, 0);
    for turns in 1..60 {
        let mut rig = Rig::new();
        rig.rights = None;
        let options = rig.options(1);
        rig.start(1, options);
        for _ in 0..turns {
            if rig.outcomes.is_empty() {
                rig.turn();
            }
        }
        if !rig.outcomes.is_empty() {
            break;
        }
        let asked = rig.phase_names().contains(&"opening");
        let answer = hidden(&rig, HiddenReason::MemberSuspended).unwrap();
        rig.feed(Input::Rights(answer));
        let press = rig.run_to_end();
        if asked {
            before_and_after.1 += 1;
            assert!(matches!(press.outcome, Outcome::Opened(_)), "the lock decides");
        } else {
            before_and_after.0 += 1;
            assert_eq!(refused(&press), ErrorCode::MemberSuspended);
            assert_eq!(rig.moved(), 0);
        }
    }
    assert!(before_and_after.0 > 3 && before_and_after.1 > 1, "{before_and_after:?}");
}

#[test]
fn without_key_and_service_the_reason_is_the_network() {
    let mut rig = Rig::without_key();
    rig.rights = Some(Err(ErrorCode::ServiceUnreachable.into()));
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::ServiceUnreachable);
    let mut rig = Rig::without_key();
    rig.rights = None;
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::ServiceUnreachable, "at the deadline");
}

#[test]
fn an_expired_key_without_service_is_expired() {
    let mut world = World::new();
    let signed = keybutton_protocol::ids::UnixTime(crate::keyring::fixture::NOW.0 - 3 * 86_400);
    let keyring = world.keyring(&Plan { signed, ..Plan::default() });
    let mut rig = Rig::with(world, keyring);
    rig.rights = Some(Err(ErrorCode::ServiceUnreachable.into()));
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::Expired);
    rig.rights = Some(Ok(rights(&rig.world, ButtonState::Visible)));
    rig.download = Some(Ok(Plan::default()));
    assert!(matches!(rig.press_door(2, 1).outcome, Outcome::Opened(_)), "renewed on the way");
}

#[test]
fn a_button_hidden_at_the_last_contact_stays_so_offline() {
    let mut rig = Rig::new();
    rig.keyring.set_rights(rights(&rig.world, ButtonState::Hidden(HiddenReason::ModuleDisabled)));
    rig.rights = Some(Err(ErrorCode::ServiceUnreachable.into()));
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::ModuleDisabled);
    assert_eq!(rig.connects, 0);
}

#[test]
fn a_download_that_is_not_for_this_phone_is_refused() {
    let mut rig = Rig::without_key();
    rig.rights = Some(Ok(rights(&rig.world, ButtonState::Visible)));
    rig.start(1, UnlockOptions::default());
    while rig.phase_names().last() != Some(&"downloading-key") {
        rig.turn();
    }
    let bundle = World::new().bundle(&Plan::default());
    rig.feed(Input::Keys(Ok(bundle)));
    assert_eq!(refused(&rig.run_to_end()), ErrorCode::ServiceFailed);
    assert!(rig.keyring.is_empty());
}

#[test]
fn a_lost_verdict_is_asked_for_again_and_the_bolt_moves_once() {
    let mut rig = Rig::new();
    // AUTH0, AUTH1, ENVELOPE, verdict: the fourth never arrives.
    rig.cut_at = vec![4];
    let press = rig.press_door(1, 1);
    let Outcome::Opened(report) = press.outcome else { panic!("opened") };
    assert!(report.replayed);
    assert_eq!((rig.moved(), rig.connects, press.metrics.links), (1, 2, 2));
}

#[test]
fn a_verdict_lost_for_good_leaves_the_press_unconfirmed_and_repeatable() {
    let mut rig = Rig::new();
    rig.cut_at = vec![4];
    let options = rig.options(1);
    rig.start(1, options.clone());
    while rig.moved() == 0 {
        rig.turn();
    }
    rig.out_of_range = true;
    let press = rig.run_to_end();
    assert!(matches!(press.outcome, Outcome::Unconfirmed(Cause::LinkLost | Cause::Deadline)), "{:?}", press.outcome);
    assert_eq!((press.outcome.code(), press.outcome.retry()), (Some(ErrorCode::NoVerdict), Retry::SamePressOnly));

    // A repeat that does not even find the lock still can't say that nothing moved.
    let again = UnlockOptions { repeats: true, ..options };
    let press = rig.press(1, again.clone());
    assert!(matches!(press.outcome, Outcome::Unconfirmed(_)));
    rig.out_of_range = false;
    let press = rig.press(1, again);
    let Outcome::Opened(report) = press.outcome else { panic!("opened") };
    assert!(report.replayed);
    assert_eq!(rig.moved(), 1);
}

#[test]
fn a_link_that_keeps_breaking_before_the_lock_is_asked_is_certain() {
    let mut rig = Rig::new();
    rig.lock().fast = false;
    rig.cut_at = vec![1, 2, 3];
    let press = rig.press_door(1, 1);
    assert_eq!(refused(&press), ErrorCode::LinkLost);
    assert_eq!((rig.moved(), rig.connects), (0, 3));
    rig.cut_at = vec![4, 5];
    assert!(matches!(rig.press_door(2, 1).outcome, Outcome::Opened(_)), "twice is not for good");
}

#[test]
fn a_silent_lock_does_not_hold_the_press_up() {
    let mut rig = Rig::new();
    let options = rig.options(1);
    rig.start(1, options);
    while rig.connects == 0 {
        rig.turn();
    }
    // Connected and subscribed, but nothing the phone sends arrives.
    rig.locks.clear();
    rig.inputs.clear();
    let began = rig.now;
    let press = rig.run_to_end();
    assert!(matches!(refused(&press), ErrorCode::LockNotFound | ErrorCode::TimedOut | ErrorCode::LinkLost));
    assert!(rig.now.since(began) < 11_000_000);
}

#[test]
fn p_verdict_other_id_is_no_verdict() {
    let mut rig = Rig::new();
    rig.lock().unlock_id = Some(UnlockId([9; 16]));
    let press = rig.press_door(1, 1);
    assert_eq!(press.outcome, Outcome::Unconfirmed(Cause::Unreadable));
    assert!(rig.keyring.fast_key(rig.world.reader(1)).is_none());
}

#[test]
fn p_verdict_forged_is_no_answer() {
    let mut rig = Rig::new();
    let options = rig.options(1);
    rig.start(1, options);
    while rig.moved() == 0 {
        rig.turn();
    }
    for input in &mut rig.inputs {
        if let Input::Value(_, value) = input {
            value[20] ^= 1;
        }
    }
    rig.out_of_range = true;
    let press = rig.run_to_end();
    assert!(matches!(press.outcome, Outcome::Unconfirmed(_)), "{:?}", press.outcome);
}

#[test]
fn an_address_that_a_lock_has_left_is_not_tried_again() {
    let mut rig = Rig::new();
    let gone =
        crate::radio::Advertisement { peripheral: crate::radio::PeripheralId("left".into()), ..rig.advertisement(1) };
    rig.discovery.hear(&gone, rig.now, &rig.keyring, &rig.crypto);
    let press = rig.press_door(1, 1);
    assert!(matches!(press.outcome, Outcome::Opened(_)));
    assert_eq!(rig.connects, 2);
}

#[test]
fn p_tag_replay_opens_nothing() {
    // Another lock of the site under door 1's tag: nothing it could open on reaches it, fast key or not.
    let mut rig = Rig::new();
    let (reader, secret) = (rig.world.reader(1), Kpersistent::new([1; 32]));
    rig.keyring.put_fast_key(reader, secret);
    rig.locks[0].1 = Lock::new(&mut rig.world, 2);
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::WrongLock);
    assert_eq!(rig.moved(), 0);
    // A stranger's lock under door 1's identifier.
    let mut rig = Rig::new();
    let mut stranger = World::new();
    rig.locks[0].1 = Lock::new(&mut stranger, 1);
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::LockNotRecognised);
    assert_eq!(rig.moved(), 0);
}

#[test]
fn p_no_press_never_connects_and_never_answers_a_reader() {
    let mut rig = Rig::new();
    let (heard, before) = (rig.advertisement(1), format!("{:?}", rig.machine));
    for input in [
        Input::Heard(heard),
        Input::Apdu(vec![0, 0xA4, 4, 0, 0]),
        Input::Timer,
        Input::RadioState(RadioState::On),
        Input::Rights(rig.rights.clone().unwrap()),
    ] {
        rig.feed(input);
    }
    assert_eq!(rig.connects, 0);
    assert_eq!(rig.apdus, [vec![0x69, 0x85]]);
    assert_eq!(format!("{:?}", rig.machine), before);
}

#[test]
fn a_radio_that_is_off_or_goes_off_is_the_reason() {
    let mut rig = Rig::new();
    rig.radio = RadioState::Unauthorized;
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::BluetoothUnauthorized);
    let mut rig = Rig::new();
    rig.out_of_range = true;
    let options = rig.options(1);
    rig.start(1, options);
    rig.turn();
    rig.feed(Input::RadioState(RadioState::Off));
    assert_eq!(refused(&rig.run_to_end()), ErrorCode::BluetoothOff);
}

#[test]
fn a_lock_out_of_range_is_not_found_by_the_deadline() {
    let mut rig = Rig::new();
    rig.out_of_range = true;
    let began = rig.now;
    let press = rig.press_door(1, 1);
    assert_eq!(refused(&press), ErrorCode::LockNotFound);
    assert!((10_000_000..10_100_000).contains(&rig.now.since(began)));
    assert_eq!(press.metrics.links, 0);
}

#[test]
fn a_device_key_that_does_not_sign_ends_the_press() {
    let mut rig = Rig::new();
    rig.signs = false;
    assert_eq!(refused(&rig.press_door(1, 1)), ErrorCode::DeviceKeyFailed);
    assert_eq!(rig.moved(), 0);
}

#[test]
fn a_press_can_be_cancelled_at_every_step() {
    let mut seen = std::collections::BTreeSet::new();
    for without_key in [false, true] {
        for turns in 0..80 {
            let mut rig = if without_key { Rig::without_key() } else { Rig::new() };
            rig.download = Some(Ok(Plan::default()));
            let options = rig.options(1);
            rig.start(1, options);
            for _ in 0..turns {
                rig.turn();
                if rig.over {
                    break;
                }
            }
            if rig.over {
                break;
            }
            let (asked, ended) = (rig.phase_names().contains(&"opening"), !rig.outcomes.is_empty());
            seen.insert(rig.phase_names().last().copied().unwrap_or("idle"));
            rig.inputs.clear();
            rig.feed(Input::Cancel);
            assert!(rig.over, "cancelling ends the machine at once");
            let press = rig.run_to_end();
            match press.outcome {
                Outcome::Opened(_) => assert!(ended, "it was over before"),
                Outcome::Refused(refusal) => {
                    assert!(!asked);
                    assert_eq!((refusal.code, rig.moved()), (ErrorCode::PressCancelled, 0));
                }
                Outcome::Unconfirmed(cause) => {
                    assert!(asked);
                    assert_eq!((cause, cause.code()), (Cause::Cancelled, ErrorCode::CancelledLate));
                }
            }
        }
    }
    let expected = ["idle", "checking-access", "downloading-key", "searching", "connecting", "proving", "opening"];
    assert!(expected.into_iter().all(|phase| seen.contains(phase)), "{seen:?}");
}
