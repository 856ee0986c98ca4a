//! The real lock and the real phone in bad air, in company, and beside each other's neighbours.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, time::Duration};

use keybutton::{
    error::ErrorCode,
    outcome::Outcome,
    unlock::{Input, UnlockOptions},
};
use keybutton_lock::{Advertising, LINK, Path, Uptime, config::FastPolicy};
use keybutton_protocol::{
    advert::{Packet, ROTATION_JITTER_S, ROTATION_S},
    crypto::ring::Ring,
    ids::{LockNumber, UnlockId},
};
use keybutton_tests::pair::{
    lock::{Did, TestLock},
    phone::TestPhone,
    site::{Member, Site},
    world::World,
};

fn id(n: u64) -> UnlockId {
    let mut id = [0xE0; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    UnlockId(id)
}

fn door(site: &Site, number: u16) -> UnlockOptions {
    UnlockOptions { door: Some(site.door(number)), ..UnlockOptions::default() }
}

fn pair() -> (World, Site) {
    let site = Site::new("north");
    let phone = TestPhone::new(&site, &Member::new("ada"), &[7]);
    (World::new(vec![phone], vec![TestLock::new(&site, 7)]), site)
}

/// The tags that the lock advertised, each with its time and its first flags.
fn advertised(lock: &TestLock) -> Vec<(Uptime, Advertising)> {
    let of = |(at, did): &(Uptime, Did)| match did {
        Did::Advertise(advertising) => Some((*at, **advertising)),
        _ => None,
    };
    let mut said: Vec<_> = lock.log.iter().filter_map(of).collect();
    said.dedup_by_key(|(_, advertising)| advertising.address);
    said
}

#[test]
fn the_tag_and_the_address_change_in_time_and_never_under_a_phone() {
    let (_, site) = pair();
    let mut lock = TestLock::new(&site, 7);
    lock.advance(Duration::from_secs(6 * 3_600));
    let said = advertised(&lock);
    assert!(said.len() >= 22, "{} tags in six hours", said.len());
    let mut tags = BTreeSet::new();
    for (_, advertising) in &said {
        let data = Packet::parse(&advertising.scan_response).data.unwrap();
        let resolved = data.resolve(&Ring::new(), &site.resolving_key()).unwrap();
        assert_eq!(resolved.lock, LockNumber(7), "always the same door to those who know the site");
        assert!(tags.insert((data.tag.0, advertising.address.0)), "used before");
    }
    for (n, pair) in said.windows(2).enumerate() {
        let [(before, _), (after, _)] = pair else { unreachable!() };
        let lasted = after.since(*before).as_secs();
        let (least, most) = (u64::from(ROTATION_S - ROTATION_JITTER_S), u64::from(ROTATION_S + ROTATION_JITTER_S));
        assert!((least..=most).contains(&lasted), "tag {n} lasted {lasted} s");
    }

    // A phone that stays while the tag's time runs out is not cut off from the address it knows.
    let due = lock.next_deadline().unwrap();
    lock.set_now(due);
    let count = said.len();
    lock.connect(1, 185);
    assert_eq!(advertised(&lock).len(), count);
    lock.advance(LINK);
    assert_eq!(advertised(&lock).len(), count + 1, "as soon as it has gone");
}

#[test]
fn every_mtu_opens() {
    for mtu in [23, 24, 100, 185, 247, 516, 517] {
        let (mut world, site) = pair();
        world.conditions.mtu = mtu;
        for n in 1..=3 {
            world.open(0, id(n), door(&site, 7));
            assert!(matches!(world.phones[0].outcome(), Outcome::Opened(_)), "MTU {mtu}, press {n}");
            assert_eq!(world.locks[0].openings() as u64, n);
            world.wait(61_000_000);
        }
    }
}

#[test]
fn loss_costs_time_and_nothing_else() {
    let mut slowest = 0;
    for (loss, seeds) in [(5, 20), (20, 20), (40, 10)] {
        for seed in 0..seeds {
            let (mut world, site) = pair();
            world.seed(seed);
            world.conditions.loss_percent = loss;
            world.conditions.mtu = 23;
            world.open(0, id(seed), door(&site, 7));
            let openings = world.locks[0].openings();
            assert!(openings <= 1, "opened twice at {loss} %, seed {seed}");
            match world.phones[0].outcome() {
                Outcome::Opened(_) => assert_eq!(openings, 1),
                Outcome::Refused(_) => assert_eq!(openings, 0, "opened and refused at {loss} %, seed {seed}"),
                Outcome::Unconfirmed(_) => {}
            }
            if loss <= 20 {
                assert!(matches!(world.phones[0].outcome(), Outcome::Opened(_)), "{loss} % is too much, seed {seed}");
            }
            slowest = slowest.max(world.phones[0].outcomes[0].metrics.total_us);
        }
    }
    assert!(slowest <= 10_000_000, "a press ends within its deadline: {slowest}");
}

#[test]
fn slow_air_is_within_the_timers() {
    for latency in [1_000, 50_000, 200_000, 450_000] {
        let (mut world, site) = pair();
        world.conditions.latency_us = latency;
        world.open(0, id(1), door(&site, 7));
        assert!(
            matches!(world.phones[0].outcome(), Outcome::Opened(_)),
            "latency {latency}: {:?}",
            world.phones[0].log
        );
    }
}

#[test]
fn two_phones_at_one_lock_at_once() {
    let site = Site::new("north");
    let phones = ["ada", "grace"].map(|who| TestPhone::new(&site, &Member::new(who), &[7]));
    let mut world = World::new(phones.into(), vec![TestLock::new(&site, 7)]);
    for round in 0..3 {
        world.press(0, id(10 + round), door(&site, 7));
        world.press(1, id(20 + round), door(&site, 7));
        world.drive();
        for phone in &world.phones {
            assert!(matches!(phone.outcome(), Outcome::Opened(_)), "{:#?}", phone.log);
        }
        world.wait(61_000_000);
    }
    assert_eq!(world.most_links, 2, "both were served at the same time");
    assert_eq!(world.locks[0].openings(), 6);
    assert_eq!(world.locks[0].verdicts().len(), 6);
}

#[test]
fn more_phones_than_links_all_get_in() {
    let site = Site::new("north");
    let who = ["ada", "grace", "mary", "joan", "radia"];
    let phones = who.map(|who| TestPhone::new(&site, &Member::new(who), &[7]));
    let mut world = World::new(phones.into(), vec![TestLock::new(&site, 7)]);
    for phone in 0..who.len() {
        world.press(phone, id(phone as u64), door(&site, 7));
    }
    world.drive();
    for phone in &world.phones {
        assert!(matches!(phone.outcome(), Outcome::Opened(_)), "{:#?}", phone.log);
    }
    assert_eq!(world.locks[0].openings(), who.len());
    assert!(world.most_links <= 3, "a lock serves two links; a third is turned away at once");
}

#[test]
fn two_locks_side_by_side_never_the_wrong_door() {
    for named in [false, true] {
        for wanted in [0, 1] {
            let site = Site::new("north");
            let numbers = [7, 8];
            let phone = TestPhone::new(&site, &Member::new("ada"), &numbers);
            let locks = numbers.map(|number| TestLock::new(&site, number));
            let mut world = World::new(vec![phone], locks.into());
            // Where a door is named the other one may be as near as it likes.
            world.rssi.insert((0, wanted), if named { -80 } else { -45 });
            world.rssi.insert((0, 1 - wanted), if named { -40 } else { -75 });
            let options = if named { door(&site, numbers[wanted]) } else { UnlockOptions::default() };
            world.open(0, id(1), options);
            assert!(matches!(world.phones[0].outcome(), Outcome::Opened(_)), "{:#?}", world.phones[0].log);
            assert_eq!(world.phones[0].outcomes[0].door, Some(site.door(numbers[wanted])));
            assert_eq!(world.locks[wanted].openings(), 1);
            assert_eq!(world.locks[1 - wanted].movements(), 0, "the wrong door");
            assert!(world.locks[1 - wanted].verdicts().is_empty());
        }
    }
}

#[test]
fn two_locks_equally_near_are_left_to_the_member() {
    let site = Site::new("north");
    let numbers = [7, 8];
    let phone = TestPhone::new(&site, &Member::new("ada"), &numbers);
    let mut world = World::new(vec![phone], numbers.map(|number| TestLock::new(&site, number)).into());
    world.rssi.insert((0, 0), -50);
    world.rssi.insert((0, 1), -53);
    world.press(0, id(1), UnlockOptions::default());
    world.wait(3_000_000);
    assert!(world.phones[0].phases.contains(&"choose"), "{:?}", world.phones[0].phases);
    assert!(world.locks.iter().all(|lock| lock.movements() == 0), "nothing moves before the member has chosen");
    let now = world.now();
    let wants = world.phones[0].input(now, Input::Choose(site.door(8)));
    world.carry_out(0, wants);
    world.drive();
    assert!(matches!(world.phones[0].outcome(), Outcome::Opened(_)));
    assert_eq!((world.locks[0].movements(), world.locks[1].openings()), (0, 1));
}

#[test]
fn a_lock_of_another_site_is_never_met() {
    let (north, south) = (Site::new("north"), Site::new("south"));
    let phone = TestPhone::new(&north, &Member::new("ada"), &[7]);
    let mut world = World::new(vec![phone], vec![TestLock::new(&south, 7)]);
    world.open(0, id(1), UnlockOptions::default());
    assert_eq!(world.phones[0].refusal(), ErrorCode::LockNotFound);
    assert_eq!((world.most_links, world.locks[0].movements()), (0, 0));
}

#[test]
fn sixty_four_phones_by_the_fast_phase() {
    let site = Site::new("north");
    let lock = TestLock::with(&site, 7, |config| config.policy.fast = FastPolicy::TryAll { entries: 64 });
    let phones: Vec<_> = (0..64).map(|n| TestPhone::new(&site, &Member::new(&format!("member {n}")), &[7])).collect();
    let mut world = World::new(phones, vec![lock]);
    for phone in 0..64 {
        world.open(phone, id(phone as u64), door(&site, 7));
        assert!(matches!(world.phones[phone].outcome(), Outcome::Opened(_)), "member {phone}");
        // The signing budget is ten in ten seconds.
        world.wait(6_000_000);
    }
    // The first that was enrolled, one in between, and the last: all the same to the member.
    for phone in [0, 31, 63] {
        world.wait(61_000_000);
        world.reset_traffic();
        world.open(phone, id(1_000 + phone as u64), door(&site, 7));
        assert!(matches!(world.phones[phone].outcome(), Outcome::Opened(_)));
        assert_eq!(world.traffic.round_trips(), 1, "member {phone}");
        assert_eq!(world.traffic.bytes(), 472);
        assert!(world.phones[phone].outcomes[0].metrics.fast);
        let path = world.locks[0].log.iter().rev().find_map(|(_, did)| match did {
            Did::Event(keybutton_lock::Event::Verdict { path, .. }) => Some(*path),
            _ => None,
        });
        assert_eq!(path, Some(Path::Fast));
    }
    // A 65th takes the place of the one not seen for longest, who signs again.
    let newcomer = TestPhone::new(&site, &Member::new("newcomer"), &[7]);
    world.add_phone(newcomer);
    world.open(64, id(2_000), door(&site, 7));
    world.wait(61_000_000);
    world.reset_traffic();
    world.open(1, id(2_001), door(&site, 7));
    assert!(matches!(world.phones[1].outcome(), Outcome::Opened(_)));
    assert!(world.traffic.round_trips() > 1, "the entry was given up");
}

#[test]
fn a_press_on_a_busy_lock_waits_for_it() {
    // Somebody holds both links and says nothing: the lock drops him after five seconds.
    let (mut world, site) = pair();
    for link in [900, 901] {
        world.locks[0].connect(link, 185);
    }
    world.open(0, id(1), door(&site, 7));
    assert!(matches!(world.phones[0].outcome(), Outcome::Opened(_)), "{:#?}", world.phones[0].log);
    assert!(world.phones[0].outcomes[0].metrics.total_us >= 4_500_000);
    assert_eq!(world.locks[0].openings(), 1);
}
