//! The link breaks: at every message, at every packet. Nothing moves twice, and nobody is told a door is open that is not.
#![allow(clippy::unwrap_used)]

use keybutton::{outcome::Outcome, unlock::UnlockOptions};
use keybutton_lock::config::FastPolicy;
use keybutton_protocol::ids::UnlockId;
use keybutton_tests::pair::{
    air::Direction,
    lock::TestLock,
    phone::TestPhone,
    site::{Member, Site},
    world::World,
};

const PRESS: UnlockId = UnlockId([0xC7; 16]);

/// How the lock and the phone know each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Acquaintance {
    Strangers,
    Known,
    Fast,
}

const ALL: [Acquaintance; 3] = [Acquaintance::Strangers, Acquaintance::Known, Acquaintance::Fast];

/// A phone and a lock that know each other so far, with the log of the lock's bolt cleared.
fn world(acquaintance: Acquaintance) -> (World, Site) {
    let site = Site::new("north");
    let phone = TestPhone::new(&site, &Member::new("ada"), &[7]);
    let lock = TestLock::with(&site, 7, |config| {
        config.policy.fast = match acquaintance {
            Acquaintance::Fast => FastPolicy::TryAll { entries: 64 },
            Acquaintance::Strangers | Acquaintance::Known => FastPolicy::Off,
        };
        config.audit_key = Some(site.audit_key().1);
    });
    let mut world = World::new(vec![phone], vec![lock]);
    if acquaintance != Acquaintance::Strangers {
        world.open(0, UnlockId([1; 16]), options(&site));
        assert!(matches!(world.phones[0].outcome(), Outcome::Opened(_)));
        world.wait(61_000_000);
    }
    world.locks[0].log.retain(|(_, did)| matches!(did, keybutton_tests::pair::lock::Did::Advertise(_)));
    world.reset_traffic();
    (world, site)
}

fn options(site: &Site) -> UnlockOptions {
    UnlockOptions { door: Some(site.door(7)), ..UnlockOptions::default() }
}

/// The message after which the lock may have decided, as far as the phone can know: its answer to AUTH1, or its
/// cryptogram.
fn decisive(acquaintance: Acquaintance) -> usize {
    match acquaintance {
        Acquaintance::Strangers | Acquaintance::Known => 4,
        Acquaintance::Fast => 2,
    }
}

/// How many messages a press takes that nothing disturbs, post-verdict exchange included.
fn messages(acquaintance: Acquaintance) -> (usize, usize) {
    let (mut world, site) = world(acquaintance);
    world.open(0, PRESS, options(&site));
    assert!(matches!(world.phones[0].outcome(), Outcome::Opened(_)));
    (world.traffic.messages.len(), world.traffic.values)
}

#[test]
fn a_cut_at_every_message_is_mended_under_the_same_unlock_id() {
    for acquaintance in ALL {
        let (count, _) = messages(acquaintance);
        assert!(count >= 5);
        for at in 0..count {
            let (mut world, site) = world(acquaintance);
            world.conditions.cut_at_message = Some(at);
            world.open(0, PRESS, options(&site));
            let outcome = world.phones[0].outcome();
            let openings = world.locks[0].openings();
            let context = format!("{acquaintance:?}, cut at message {at}: {outcome:?}");
            assert_eq!(openings, 1, "the bolt moves once: {context}");
            assert!(matches!(outcome, Outcome::Opened(_)), "{context}");
            // Whoever reconnects says the same unlock id, and is told so if the lock had decided.
            let initiates: Vec<&Vec<u8>> = world
                .traffic
                .messages
                .iter()
                .filter(|(direction, message)| *direction == Direction::ToLock && message[..2] == [2, 5])
                .map(|(_, message)| message)
                .collect();
            assert!(initiates.iter().all(|message| message.windows(16).any(|window| window == PRESS.0)), "{context}");
            let verdicts = world.locks[0].verdicts();
            assert_eq!(verdicts.iter().filter(|(_, _, repeated)| !repeated).count(), 1, "{context}");
            if let Outcome::Opened(report) = outcome {
                assert_eq!(report.replayed, verdicts.iter().any(|(_, _, repeated)| *repeated), "{context}");
            }
        }
    }
}

#[test]
fn a_cut_for_good_at_every_message_leaves_an_honest_outcome() {
    for acquaintance in ALL {
        let (count, _) = messages(acquaintance);
        let mut seen = [0; 3];
        for at in 0..count {
            let (mut world, site) = world(acquaintance);
            world.conditions.cut_at_message = Some(at);
            world.conditions.cut_for_good = true;
            world.open(0, PRESS, options(&site));
            let openings = world.locks[0].openings();
            let context = format!("{acquaintance:?}, cut at message {at}");
            assert!(openings <= 1, "{context}");
            // The phone has sent what the lock can decide on, whole or in part.
            let could_have = at >= decisive(acquaintance);
            match world.phones[0].outcome() {
                Outcome::Opened(_) => {
                    assert_eq!(openings, 1, "opened, and is not: {context}");
                    seen[0] += 1;
                }
                Outcome::Refused(_) => {
                    assert_eq!(openings, 0, "refused, and open: {context}");
                    assert!(!could_have, "the lock could have decided: {context}");
                    seen[1] += 1;
                }
                Outcome::Unconfirmed(_) => {
                    assert!(could_have, "the lock was never asked: {context}");
                    seen[2] += 1;
                }
            }
        }
        assert!(seen.iter().all(|count| *count > 0), "{acquaintance:?} has every outcome somewhere: {seen:?}");
    }
}

#[test]
fn a_cut_at_every_packet_moves_the_bolt_at_most_once() {
    for acquaintance in ALL {
        for mtu in [23, 185] {
            for for_good in [false, true] {
                let values = {
                    let (mut world, site) = world(acquaintance);
                    world.conditions.mtu = mtu;
                    world.open(0, PRESS, options(&site));
                    world.traffic.values
                };
                // Every packet at the larger MTU; every seventh at the smallest, where there are many alike.
                for at in (0..values).step_by(if mtu == 23 { 7 } else { 1 }) {
                    let (mut world, site) = world(acquaintance);
                    world.conditions.mtu = mtu;
                    world.conditions.cut_at_value = Some(at);
                    world.conditions.cut_for_good = for_good;
                    world.open(0, PRESS, options(&site));
                    let openings = world.locks[0].openings();
                    let context = format!("{acquaintance:?}, MTU {mtu}, cut at packet {at}, for good {for_good}");
                    match world.phones[0].outcome() {
                        Outcome::Opened(_) => assert_eq!(openings, 1, "{context}"),
                        Outcome::Refused(_) => assert_eq!(openings, 0, "{context}"),
                        Outcome::Unconfirmed(_) => assert!(openings <= 1 && for_good, "{context}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_press_repeated_after_unconfirmed_says_what_happened() {
    // The verdict is lost and the phone walks out of range; moments later the member asks again under the same id.
    let (mut world, site) = world(Acquaintance::Known);
    world.conditions.cut_at_message = Some(5);
    world.conditions.cut_for_good = true;
    world.open(0, PRESS, options(&site));
    assert!(matches!(world.phones[0].outcome(), Outcome::Unconfirmed(_)));
    assert_eq!(world.locks[0].openings(), 1);
    world.conditions = Default::default();
    world.reset_traffic();
    world.open(0, PRESS, UnlockOptions { repeats: true, ..options(&site) });
    assert!(matches!(world.phones[0].outcome(), Outcome::Opened(report) if report.replayed));
    assert_eq!(world.locks[0].openings(), 1, "nothing moves twice");
}

#[test]
fn a_lock_that_loses_power_after_deciding_has_it_on_record() {
    let (mut world, site) = world(Acquaintance::Strangers);
    world.conditions.cut_at_message = Some(7);
    world.conditions.cut_for_good = true;
    world.open(0, PRESS, options(&site));
    assert_eq!(world.locks[0].openings(), 1);
    assert!(matches!(world.phones[0].outcome(), Outcome::Unconfirmed(_)));
    world.locks[0].restart();
    let recorded = world.locks[0].audit().iter().filter(|record| record[1] == 1 && record[2] == 0).count();
    assert_eq!(recorded, 1);
}
