//! The must-fail cases of `docs/PROTOCOL.md` section 24 about the transaction itself, at a real lock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use keybutton_lock::{Event, Failure, Input, store::Record};
use keybutton_protocol::{
    document::Restrictions,
    exchange::SyncKind,
    ids::{GroupId, Intent, UnixTime},
    issue::IssuedValidity,
    message,
    verdict::{Reason, Status},
};

/// A press in which the phone's `n`-th message (0 is Initiate) is changed on its way to the lock.
fn tampered(world: &mut World, phone: &mut Phone, n: usize, change: impl Fn(&mut Vec<u8>)) -> Log {
    let press = phone.press(Intent::Unlock);
    let mut seen = 0;
    world.press_with(phone, press, 185, &mut |to_lock, message| {
        if to_lock {
            if seen == n {
                change(message);
            }
            seen += 1;
        }
    })
}

/// Nothing moved, nothing was learnt, and this is why.
fn assert_closed(world: &World, log: &Log, failure: Failure) {
    assert!(log.closed && log.verdict.is_none(), "{log:?}");
    assert!(world.bolts.is_empty());
    assert_eq!(world.store.value(Record::Known(0)), None);
    let last = world.events.iter().rev().find_map(|event| match event {
        Event::Failed { failure, .. } => Some(*failure),
        _ => None,
    });
    assert_eq!(last, Some(failure), "{:?}", world.events);
}

fn set_length(message: &mut [u8]) {
    let len = u16::try_from(message.len() - 4).unwrap().to_be_bytes();
    message[2..4].copy_from_slice(&len);
}

const ERROR: message::Event = message::Event::Error(message::EventError::Unknown);

#[test]
fn l_auth0_off_curve() {
    let off_curve = |m: &mut Vec<u8>| m[10] ^= 1;
    let wrong_length = |m: &mut Vec<u8>| {
        m[5] = 0x40;
        m.remove(10);
        set_length(m);
    };
    let zeros = |m: &mut Vec<u8>| m[7..71].fill(0);
    type Change<'c> = &'c dyn Fn(&mut Vec<u8>);
    let changes: [Change<'_>; 3] = [&off_curve, &wrong_length, &zeros];
    for change in changes {
        let mut world = World::new();
        let mut phone = world.member(1);
        let log = tampered(&mut world, &mut phone, 1, change);
        assert_closed(&world, &log, Failure::Rejected);
        assert_eq!(log.events, [ERROR]);
    }
}

#[test]
fn l_unasked_cryptogram() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let log = tampered(&mut world, &mut phone, 1, |m| {
        let status = m.split_off(m.len() - 2);
        m.extend([0x9D, 0x40]);
        m.extend([7; 64]);
        m.extend(status);
        set_length(m);
    });
    assert_closed(&world, &log, Failure::Rejected);
    assert_eq!(log.events, [ERROR]);
}

#[test]
fn l_auth1_tag() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let log = tampered(&mut world, &mut phone, 2, |m| {
        let at = m.len() - 3;
        m[at] ^= 1;
    });
    assert_closed(&world, &log, Failure::Unauthentic);
    assert_eq!(log.events, [ERROR]);
}

#[test]
fn l_auth1_replay() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let mut recorded = Vec::new();
    let press = phone.press(Intent::Unlock);
    let mut n = 0;
    world.press_with(&mut phone, press, 185, &mut |to_lock, message| {
        if to_lock {
            n += 1;
            if n == 3 {
                recorded = message.clone();
            }
        }
    });
    let mut world = World::new();
    let log = tampered(&mut world, &mut phone, 2, |m| m.clone_from(&recorded));
    assert_closed(&world, &log, Failure::Unauthentic);
}

#[test]
fn l_device_sig_and_l_device_sig_usage() {
    for sign_with in [SignWith::AnotherKey, SignWith::LockUsage] {
        let mut world = World::new();
        let mut phone = world.member(1);
        phone.sign_with = sign_with;
        let log = world.press(&mut phone, Intent::Unlock);
        let verdict = log.verdict.unwrap();
        assert_eq!((verdict.status, verdict.report), (Status::DEVICE_SIGNATURE, None));
        assert!(world.bolts.is_empty() && log.closed && !log.stepped_up);
    }
}

#[test]
fn l_a5_altered() {
    // The last bytes of Initiate are intent (1) and, before it, the unlock id.
    for from_end in [1, 5] {
        let mut world = World::new();
        let mut phone = world.member(1);
        let log = tampered(&mut world, &mut phone, 0, |m| {
            let at = m.len() - from_end;
            m[at] ^= 3;
        });
        assert_closed(&world, &log, Failure::Unauthentic);
    }
}

#[test]
fn l_policy_altered() {
    let mut options = LockOptions::default();
    options.policy.high_security = true;
    let mut world = World::with(options);
    let mut phone = world.member(1);
    let press = phone.press(Intent::Unlock);
    let log = world.press_with(&mut phone, press, 185, &mut |to_lock, message| {
        // AUTH0: message header 4, APDU header 5, tag 41 (3 bytes), tag 42.
        if !to_lock && message[5] == 0x80 {
            assert_eq!(message[12..15], [0x42, 1, 3]);
            message[14] = 1;
        }
    });
    assert_closed(&world, &log, Failure::Unauthentic);
    assert_eq!(log.events, [ERROR]);
    // Without the change the phone asks for its user.
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(log.error.is_some());
    phone.user_authenticated = true;
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(log.is_granted() && !log.fast);
    assert!(!world.press(&mut phone, Intent::Unlock).fast, "high security keeps no entries");
}

#[test]
fn l_repeat_id() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let press = phone.press(Intent::Unlock);
    let first = world.press_with(&mut phone, press, 185, &mut |_, _| {});
    let audit = world.store.value(Record::Audit(4));
    world.pass(59_000);
    let moves = world.bolts.len();
    let second = world.press_with(&mut phone, press, 185, &mut |_, _| {});
    let (one, two) = (first.verdict.unwrap(), second.verdict.unwrap());
    assert_eq!(one.status, two.status);
    assert_eq!(second.detail(), Some(1));
    assert_eq!(one.report.unwrap().audit, two.report.unwrap().audit);
    assert_eq!(world.bolts.len(), moves);
    assert_eq!(world.store.value(Record::Audit(4)), audit, "no record");
    // After a minute it is judged anew.
    world.pass(2_000);
    let third = world.press_with(&mut phone, press, 185, &mut |_, _| {});
    assert_eq!((third.is_granted(), third.detail()), (true, Some(0)));
}

#[test]
fn a_cut_link_after_the_verdict_is_answered_on_retry_without_moving_again() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let press = phone.press(Intent::Unlock);
    let cut = world.press_with(&mut phone, press, 185, &mut |to_lock, message| {
        // The EXCHANGE with the verdict never arrives.
        if !to_lock && message[5] == 0xC9 {
            message.clear();
        }
    });
    assert!(cut.verdict.is_none());
    assert_eq!(world.bolts.len(), 1);
    let retry = world.press_with(&mut phone, press, 185, &mut |_, _| {});
    assert!(retry.is_granted());
    assert_eq!((retry.detail(), world.bolts.len()), (Some(1), 1));
}

#[test]
fn a_refusal_that_the_phone_can_cure_is_judged_anew() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    let press = phone.press(Intent::Unlock);
    let first = world.press_with(&mut phone, press, 185, &mut |_, _| {});
    assert_eq!(first.reason(), Some(Reason::KeyUnknown));
    world.grant(&mut phone, 42, access_data(1));
    let second = world.press_with(&mut phone, press, 185, &mut |_, _| {});
    assert!(second.is_granted());
}

#[test]
fn l_repeat_id_other_key() {
    let mut world = World::new();
    let (mut one, mut two) = (world.member(1), world.member(2));
    let press = one.press(Intent::Unlock);
    world.press_with(&mut one, press, 185, &mut |_, _| {});
    let other = world.press_with(&mut two, press, 185, &mut |_, _| {});
    assert_eq!((other.is_granted(), other.detail()), (true, Some(0)));
    assert_eq!(world.bolts.len(), 2);
}

#[test]
fn two_seconds_between_triggers_without_an_unlock_id() {
    let mut world = World::new();
    let mut phone = world.member(1);
    phone.profile.vendor_a5 = false;
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
    assert_eq!(world.bolts.len(), 1);
    world.pass(2_000);
    let third = world.press(&mut phone, Intent::Unlock);
    assert!(third.is_granted() && third.verdict.unwrap().report.is_none());
    assert_eq!(world.bolts.len(), 2);
}

/// A world and a phone with an entry for the fast phase.
fn met() -> (World, Phone) {
    let mut world = World::new();
    let mut phone = world.member(1);
    world.press(&mut phone, Intent::Unlock);
    assert!(world.press(&mut phone, Intent::Unlock).fast);
    assert!(world.store.value(Record::Fast(0)).is_some());
    (world, phone)
}

#[test]
fn l_fast_expired() {
    let (mut world, mut phone) = met();
    world.pass(49 * 3_600 * 1_000);
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(!log.fast);
    assert_eq!(log.reason(), Some(Reason::Expired));
    assert_eq!(world.store.value(Record::Fast(0)), None);
}

#[test]
fn l_fast_iteration() {
    let (mut world, mut phone) = met();
    let mut newer = world.phone(2);
    world.grant(&mut newer, 50, access_data(2));
    assert!(world.press(&mut newer, Intent::Unlock).is_granted());
    assert!(world.reader.config().is_some());
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(!log.fast);
    assert_eq!(log.reason(), Some(Reason::StaleDocument));
}

#[test]
fn l_fast_revoked_is_erased_with_the_list() {
    let (mut world, phone) = met();
    let mut carrier = world.member(2);
    let entry = world.entry(&phone);
    world.revoke(&mut carrier, 9, &[entry]);
    world.press(&mut carrier, Intent::Unlock);
    let key = phone.device_key();
    for slot in 0..32 {
        for record in [Record::Fast(slot), Record::Known(slot)] {
            let value = world.store.value(record).unwrap_or_default();
            assert!(!value.windows(65).any(|window| window == key.0), "{record:?}");
        }
    }
}

#[test]
fn l_fast_other_doc() {
    let (mut world, mut phone) = met();
    world.pass(3_600_000);
    world.grant(&mut phone, 42, access_data(1));
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(log.is_granted() && !log.fast && log.stepped_up);
    assert!(world.press(&mut phone, Intent::Unlock).fast);
}

#[test]
fn fast_needs_a_clock_and_gives_way_to_a_newer_revocation_document() {
    let (mut world, mut phone) = met();
    world.options.set_time = false;
    world.restart();
    assert!(!world.press(&mut phone, Intent::Unlock).fast);

    let (mut world, mut phone) = met();
    world.pass(5_000);
    world.revoke(&mut phone, 9, &[]);
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(log.is_granted() && !log.fast && log.stepped_up, "{log:?}");
    assert!(world.press(&mut phone, Intent::Unlock).fast);
}

#[test]
fn fast_evaluates_the_schedule_anew() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    world.grant(&mut phone, 42, weekly(access_data(1)));
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
    // 09:45 plus ten hours is after 19:00.
    world.pass(10 * 3_600_000);
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(log.fast);
    assert_eq!(log.reason(), Some(Reason::OutsideSchedule));
}

#[test]
fn fast_uses_count_against_the_limit() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    let mut data = access_data(1);
    data.restrictions = Restrictions { use_limit: Some(3), ..data.restrictions };
    world.grant(&mut phone, 42, data);
    for _ in 0..3 {
        assert!(world.press(&mut phone, Intent::Unlock).is_granted());
    }
    assert_eq!(world.press(&mut phone, Intent::Unlock).reason(), Some(Reason::UseLimit));
}

/// The lock's time as a verdict tells it.
fn lock_time(world: &mut World, phone: &mut Phone) -> (Option<UnixTime>, u8) {
    let report = world.press(phone, Intent::Status).verdict.unwrap().report.unwrap();
    (report.lock_time, report.clock as u8)
}

#[test]
fn l_time_back_l_time_jump_l_time_other_site() {
    let options = LockOptions { set_time: false, ..LockOptions::default() };
    let mut world = World::with(options);
    let (mut one, mut two) = (world.member(1), world.member(2));
    one.time_token = Some(world.time_token(GROUP, NOW));
    two.time_token = one.time_token.clone();
    assert_eq!(lock_time(&mut world, &mut one), (None, 1));
    assert_eq!(lock_time(&mut world, &mut two), (Some(NOW), 2), "two keys agree");

    // From here on both are known: no document feeds the clock.
    lock_time(&mut world, &mut one);
    lock_time(&mut world, &mut two);
    // Each of these is offered while the clock asks for one: after an hour.
    let offer = |world: &mut World, phone: &mut Phone, group: GroupId, time: u32| {
        world.pass(3_601_000);
        phone.time_token = Some(world.time_token(group, UnixTime(time)));
        let before = world.unix().0;
        let log = world.press(phone, Intent::Sync);
        assert!(log.asked.contains(&SyncKind::TimeToken), "{log:?}");
        let (after, _) = lock_time(world, phone);
        (before, after.unwrap().0)
    };
    let (before, after) = offer(&mut world, &mut one, GROUP, NOW.0 - 5_000);
    assert!(after.abs_diff(before) < 5, "older: nothing changes");
    let day = 86_400;
    let (before, after) = offer(&mut world, &mut one, GROUP, NOW.0 + 40 * day);
    assert!(after.abs_diff(before) < 5, "beyond the jump limit: waits for a second key");
    let (before, after) = offer(&mut world, &mut one, GroupId([1; 16]), NOW.0 + 10 * day);
    assert!(after.abs_diff(before) < 5, "another site's");
    two.time_token = Some(world.time_token(GROUP, UnixTime(NOW.0 + 40 * day + 10_000)));
    world.pass(3_601_000);
    let log = world.press(&mut two, Intent::Sync);
    assert!(log.asked.contains(&SyncKind::TimeToken), "{log:?}");
    let (after, _) = lock_time(&mut world, &mut one);
    assert!(after.unwrap().0 > NOW.0 + 40 * day);
}

#[test]
fn l_token_as_document() {
    let mut world = World::with(LockOptions { set_time: false, ..LockOptions::default() });
    let mut phone = world.member(1);
    // A document's signature offered as a time token.
    let document = phone.documents[0].clone();
    let at = document.windows(4).position(|w| w == [0x84, 0x43, 0xA1, 0x01]).unwrap();
    phone.time_token = Some(document[at..document.len() - 10].to_vec());
    phone.documents.clear();
    phone.access_signed = None;
    let report = world.press(&mut phone, Intent::Status).verdict.unwrap().report.unwrap();
    assert_eq!(report.clock as u8, 0);
    // A time token offered as a document's signature.
    let mut phone = world.member(2);
    let token = world.time_token(GROUP, NOW);
    let document = &mut phone.documents[0];
    let end = document.len() - 10;
    document.splice(at..end, token);
    let log = world.press(&mut phone, Intent::Unlock);
    assert_eq!((log.reason(), log.detail()), (Some(Reason::NotTrusted), Some(2)));
}

#[test]
fn l_intent_status() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let log = world.press(&mut phone, Intent::Status);
    assert!(log.is_granted());
    assert!(world.bolts.is_empty() && world.feedback.is_empty());
    let log = world.press(&mut phone, Intent::Sync);
    assert!(log.is_granted());
    assert!(world.bolts.is_empty());
}

#[test]
fn l_frag() {
    let initiate = |sequence: u8| vec![0xC0 | sequence, 2, 5, 0, 3, 0, 1, 0xA5];
    let bad: [&[&[u8]]; 7] = [
        &[&[0x80, 2, 5, 0x08, 0x00, 1]],
        &[&[0xC0, 2, 5, 0, 9, 0, 1, 2]],
        &[&[0xC0, 2, 5, 0, 1, 0, 1, 2]],
        &[&[0x81, 2, 5, 0, 9, 0, 1]],
        &[&[0x80, 2, 5, 0, 9, 0, 1], &[0x81, 2, 5, 0, 9]],
        &[&[0x40, 2, 5, 0, 1, 0]],
        &[&[0x80, 2, 5, 0, 9, 0, 1], &[0x01]],
    ];
    for values in bad {
        let mut world = World::new();
        let link = world.connect(7, 185);
        for value in values {
            world.write(link, value);
        }
        assert_eq!(world.closed, [link], "{values:02x?}");
        assert!(world.notified(link).is_empty(), "nothing is answered");
        // Later values of the same link are not heard.
        world.write(link, &initiate(0));
        assert!(world.notified(link).is_empty());
    }
}

#[test]
fn l_tlv() {
    // In the A5 template: a length past the end, a length not in shortest form, and the length byte 80.
    for a5 in [
        &[0xA5, 9, 0x80, 2, 0, 0, 0x5C, 2, 1, 0][..],
        &[0xA5, 0x81, 0x08, 0x80, 2, 0, 0, 0x5C, 2, 1, 0],
        &[0xA5, 0x80, 0x80, 2, 0, 0, 0x5C, 2, 1, 0],
    ] {
        assert_eq!(first_word(a5), None, "{a5:02x?}");
    }
    // An unknown tag is skipped.
    assert_eq!(first_word(&[0xA5, 11, 0x80, 2, 0, 0, 0x99, 1, 7, 0x5C, 2, 1, 0]), Some(0x80));
}

/// The INS of the lock's answer to an Initiate with this template.
fn first_word(a5: &[u8]) -> Option<u8> {
    let mut world = World::new();
    let link = world.connect(7, 185);
    let mut value = vec![0xC0, 2, 5, 0, u8::try_from(a5.len() + 2).unwrap(), 0, u8::try_from(a5.len()).unwrap()];
    value.extend(a5);
    world.write(link, &value);
    let first = world.notified(link).remove(0);
    (first[1..3] == [0, 0]).then(|| first[6])
}

#[test]
fn no_common_version() {
    let mut world = World::new();
    let link = world.connect(7, 185);
    let a5 = [0xA5, 8, 0x80, 2, 0, 0, 0x5C, 2, 0, 9];
    let mut value = vec![0xC0, 2, 5, 0, 12, 0, 10];
    value.extend(a5);
    world.write(link, &value);
    assert_eq!(world.closed, [link]);
    assert!(matches!(world.events.last(), Some(Event::Failed { failure: Failure::Version, .. })));
}

#[test]
fn messages_out_of_turn_end_the_session() {
    let mut world = World::new();
    let mut phone = world.member(1);
    // A second Initiate in place of the answer to AUTH0.
    let log = tampered(&mut world, &mut phone, 1, |m| {
        m[0] = 2;
        m[1] = 5;
    });
    assert_closed(&world, &log, Failure::Rejected);
    // A response before Initiate.
    let link = world.connect(7, 185);
    world.write(link, &[0xC0, 0, 1, 0, 2, 0x90, 0]);
    assert!(world.closed.contains(&link));
}

#[test]
fn a_clock_that_is_a_little_behind_opens_for_a_fresh_key() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    let fresh = UnixTime(NOW.0 + 200);
    let validity = IssuedValidity { signed: fresh, valid_from: fresh, ..world.validity(42) };
    world.grant_with(&mut phone, validity, &[("l002a", access_data(1))]);
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
}

#[test]
fn privacy_and_lockdown_survive_a_restart_and_keep_members_out() {
    use keybutton_lock::{Lockdown, Maintenance};
    let mut world = World::new();
    let mut phone = world.member(1);
    world.input(Input::Privacy { on: true });
    world.input(Input::Maintenance(Maintenance::Lockdown(Lockdown::Door)));
    world.restart();
    assert_eq!(world.press(&mut phone, Intent::Unlock).reason(), Some(Reason::LockedDown));
    world.input(Input::Maintenance(Maintenance::Lockdown(Lockdown::Off)));
    assert_eq!(world.press(&mut phone, Intent::Unlock).reason(), Some(Reason::Privacy));
    world.input(Input::Privacy { on: false });
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
}
