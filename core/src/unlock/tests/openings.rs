//! Presses that reach the lock.

use keybutton_protocol::{api::ButtonState, exchange::SyncKind, profile::UserPolicy, verdict::Reason};

use super::{
    super::*,
    lock::{Lock, Want},
    rig::{Rig, refused, rights},
};
use crate::{
    error::{ErrorCode, KeyError},
    keyring::fixture::{Plan, World, door, sub},
    outcome::{Outcome, Route},
};

/// Bytes of a transaction with a lock that knows the key, and of the certificate in it (docs/PROTOCOL.md section 22).
/// Certificates with names and dates are longer, and AUTH1 with it.
const KNOWN_KEY: u32 = 823;
const CERTIFICATE: u32 = 154;

fn opened(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Opened(_))
}

#[test]
fn the_first_press_shows_the_key_and_the_second_is_fast() {
    let mut rig = Rig::new();
    let first = rig.press_door(1, 1);
    assert!(opened(&first.outcome));
    assert_eq!(rig.phase_names(), ["searching", "connecting", "proving", "opening"]);
    assert_eq!((first.route, first.metrics.round_trips, first.metrics.fast), (Some(Route::Radio), 3, false));
    assert!(rig.keyring.fast_key(rig.world.reader(1)).is_some());
    assert_eq!(rig.keyring.last_opened(&door(rig.world.group, 1)).map(|at| at.0 > 0), Some(true));

    let second = rig.press_door(2, 1);
    assert!(opened(&second.outcome));
    assert_eq!((second.metrics.round_trips, second.metrics.fast), (1, true));
    let bytes = second.metrics.bytes_sent + second.metrics.bytes_received;
    assert!(bytes <= 480, "{bytes} bytes");
    assert_eq!(rig.moved(), 2);
}

#[test]
fn a_lock_that_was_just_heard_is_not_searched_for() {
    let mut rig = Rig::new();
    let scans = |rig: &Rig| rig.log.iter().filter(|action| action.ends_with("Scan")).cloned().collect::<Vec<_>>();
    assert!(opened(&rig.press_door(1, 1).outcome));
    assert_eq!(scans(&rig), ["StartScan", "StopScan"]);
    // As when the doors in range are being listed.
    rig.discovery.hear(&rig.advertisement(1), rig.now, &rig.keyring, &rig.crypto);
    assert!(opened(&rig.press_door(2, 1).outcome));
    assert_eq!(scans(&rig), [""; 0], "a scan that would have ended as it began");
}

#[test]
fn values_are_as_long_as_every_lock_takes_them_and_no_longer() {
    // What desktops, Android phones and iPhones say of their links.
    for (mtu, longest) in [(23, 20), (185, 182), (247, 244), (513, 510), (517, 510), (527, 510)] {
        let mut rig = Rig::new();
        rig.mtu = mtu;
        assert!(opened(&rig.press_door(1, 1).outcome));
        assert_eq!(rig.longest, longest, "an ATT MTU of {mtu}");
    }
}

#[test]
fn a_lock_that_knows_the_key_does_not_ask_for_it() {
    let mut rig = Rig::new();
    rig.lock().step_up = false;
    rig.lock().fast = false;
    let press = rig.press_door(1, 1);
    assert!(opened(&press.outcome));
    assert_eq!(press.metrics.round_trips, 2);
    let bytes = press.metrics.bytes_sent + press.metrics.bytes_received;
    let extended_length = 3;
    assert_eq!(bytes, KNOWN_KEY + rig.lock().certificate_len() - CERTIFICATE + extended_length);
}

#[test]
fn a_lock_that_forgot_the_phone_gets_a_signature() {
    let mut rig = Rig::new();
    rig.press_door(1, 1);
    rig.lock().forget_phones();
    let press = rig.press_door(2, 1);
    assert!(opened(&press.outcome));
    assert_eq!((press.metrics.round_trips, press.metrics.fast), (3, false));
    assert_eq!(rig.phase_names(), ["searching", "connecting", "proving", "opening", "proving", "opening"]);
}

#[test]
fn without_a_key_the_press_validates_downloads_and_opens() {
    let mut rig = Rig::without_key();
    rig.download = Some(Ok(Plan::default()));
    let press = rig.press_door(1, 1);
    assert!(opened(&press.outcome));
    assert!(press.metrics.downloaded);
    assert_eq!(
        rig.phase_names(),
        ["checking-access", "downloading-key", "searching", "connecting", "proving", "opening"]
    );
    assert_eq!(press.metrics.phases.iter().map(|time| time.phase.as_str()).collect::<Vec<_>>(), rig.phase_names());
    assert_eq!(press.metrics.phases.iter().map(|time| time.micros).sum::<u64>(), press.metrics.total_us);
}

#[test]
fn with_a_key_the_service_may_be_down_or_slow() {
    for rights in
        [None, Some(Err(KeyError::from(ErrorCode::ServiceUnreachable))), Some(Err(ErrorCode::SessionRejected.into()))]
    {
        let mut rig = Rig::new();
        rig.rights = rights;
        assert!(opened(&rig.press_door(1, 1).outcome));
    }
}

#[test]
fn with_no_door_chosen_the_clearly_nearest_is_taken() {
    let mut rig = Rig::new();
    let press = rig.press(1, UnlockOptions::default());
    assert!(opened(&press.outcome));
    assert_eq!(press.door, Some(door(rig.world.group, 1)));
    assert_eq!(rig.connects, 1);
}

#[test]
fn doors_too_close_to_call_are_for_the_member_to_choose() {
    let mut rig = Rig::new();
    let second = Lock::new(&mut rig.world, 2);
    rig.locks = vec![(3, rig.locks.remove(1).1), (2, second)];
    rig.start(1, UnlockOptions::default());
    while !rig.phases.iter().any(|phase| matches!(phase, Phase::Choose(_))) {
        rig.turn();
    }
    let Some(Phase::Choose(candidates)) = rig.phases.last() else { panic!("a list") };
    assert_eq!(candidates.len(), 2);
    assert_eq!(rig.connects, 0);
    rig.feed(Input::Choose(door(rig.world.group, 1)));
    assert_eq!(rig.connects, 0, "not on the list");
    rig.feed(Input::Choose(door(rig.world.group, 2)));
    let press = rig.run_to_end();
    assert!(opened(&press.outcome));
    assert_eq!(press.door, Some(door(rig.world.group, 2)));
}

#[test]
fn a_door_that_key_and_service_refuse_says_so_itself() {
    let mut rig = Rig::new();
    let press = rig.press_door(1, 3);
    assert_eq!(refused(&press), ErrorCode::NoPermission, "the lock saw no key, because none names it");
    assert!(press.outcome.lock_report().is_some(), "the lock spoke");
    assert_eq!(rig.phase_names()[..2], ["checking-access", "searching"]);
    let mut rig = Rig::new();
    rig.locks.remove(1);
    let press = rig.press_door(1, 3);
    assert_eq!(refused(&press), ErrorCode::NoPermission, "not found, but known all the same");
    assert!(press.outcome.lock_report().is_none());
}

#[test]
fn a_newly_granted_door_is_downloaded_first() {
    let mut rig = Rig::new();
    let mut granted = rights(&rig.world, ButtonState::Visible);
    granted.doors[2].decision = granted.doors[0].decision.clone();
    rig.rights = Some(Ok(granted));
    rig.download = Some(Ok(Plan { locks: vec![(1, true), (2, true), (3, true)], iteration: 2, ..Plan::default() }));
    let press = rig.press_door(1, 3);
    assert!(opened(&press.outcome));
    assert!(press.metrics.downloaded);
}

#[test]
fn lock_reasons_arrive_with_what_helps() {
    let mut rig = Rig::new();
    rig.lock().reason = Reason::Expired;
    let press = rig.press_door(1, 1);
    let Outcome::Refused(refusal) = &press.outcome else { panic!("refused") };
    assert_eq!(refusal.code, ErrorCode::Expired);
    assert_eq!(refusal.when.map(|at| at.0), Some(crate::keyring::fixture::NOW.0 + 48 * 3600));
    assert_eq!(refusal.retry_after_s, Some(0));
    assert!(rig.keyring.fast_key(rig.world.reader(1)).is_none());
}

#[test]
fn a_door_that_forces_authentication_has_the_phone_unlocked() {
    let mut rig = Rig::new();
    rig.lock().policy = UserPolicy::Force;
    let options = UnlockOptions { user_authenticated: false, ..rig.options(1) };
    assert!(opened(&rig.press(1, options.clone()).outcome));
    assert_eq!(rig.connects, 2);
    let mut rig = Rig::new();
    rig.lock().policy = UserPolicy::Force;
    rig.user_unlocks = false;
    assert_eq!(refused(&rig.press(1, options)), ErrorCode::UserAuthRequired);
    assert_eq!(rig.moved(), 0);
}

#[test]
fn the_lock_gets_what_it_asks_for_and_hands_over_its_audit() {
    let mut world = World::new();
    let mut record = world.record(&Plan { revocation: Some(2), ..Plan::default() });
    record.ack_tokens = vec![world.ack(1, 5)];
    let mut keyring = crate::keyring::Keyring::new();
    let bundle = keybutton_protocol::api::KeyBundle { sites: vec![record], renew_after: 0, now: 0 };
    keyring.install(bundle, &world.device_key(), &world.crypto).unwrap();
    let mut rig = Rig::with(world, keyring);
    rig.lock().asks_time = true;
    rig.lock().wants = [
        Want::Ask(SyncKind::AckToken),
        Want::Ask(SyncKind::RevocationDocument),
        Want::HandOver(vec![7; 1_900]),
        Want::Ask(SyncKind::TimeToken),
    ]
    .into();
    let press = rig.press_door(1, 1);
    assert!(opened(&press.outcome));
    let site = rig.keyring.site(rig.world.group).unwrap();
    let now = crate::keyring::fixture::NOW;
    let expected = vec![
        site.time_token(now).map(<[u8]>::to_vec),
        site.ack_token(sub(1)).map(<[u8]>::to_vec),
        site.revocation().map(|(document, _)| document.to_vec()),
        site.time_token(now).map(<[u8]>::to_vec),
    ];
    assert_eq!(rig.audit, [vec![7; 1_900]]);
    assert_eq!(rig.keyring.pending_audit().next().unwrap().reader_id, rig.world.reader(1));
    assert_eq!(rig.lock().got, expected);
}

#[test]
fn a_lock_that_wants_the_phone_held_to_it_says_so_first() {
    let mut world = World::new();
    let keyring = world.keyring(&Plan { tap_hint: true, ..Plan::default() });
    let mut rig = Rig::with(world, keyring);
    assert!(opened(&rig.press_door(1, 1).outcome));
    assert_eq!(rig.phase_names()[..3], ["searching", "hold-to-lock", "connecting"]);
    assert!(opened(&rig.press(2, UnlockOptions::default()).outcome));
    assert_eq!(rig.phase_names()[..3], ["searching", "hold-to-lock", "connecting"], "also when none was chosen");
}

#[test]
fn doors_forgotten_while_they_are_told_apart_leave_no_timer_behind() {
    let mut rig = Rig::new();
    rig.start(1, UnlockOptions::default());
    rig.turn();
    rig.feed(Input::Heard(rig.advertisement(1)));
    let settled = rig.machine.next_timer().unwrap();
    rig.discovery.keyring_changed();
    rig.now = settled;
    rig.feed(Input::Timer);
    assert!(rig.machine.next_timer().unwrap() > settled, "the driver would spin");
    assert!(opened(&rig.run_to_end().outcome));
}
