//! What a press costs: round trips and bytes, as `docs/PROTOCOL.md` section 22 has them.
#![allow(clippy::unwrap_used)]

use keybutton::{outcome::Outcome, unlock::UnlockOptions};
use keybutton_lock::config::FastPolicy;
use keybutton_protocol::{
    buf::Buf,
    crypto::{Crypto, Signer},
    frame::Fragmenter,
    ids::{Intent, UnlockId},
};
use keybutton_tests::pair::{
    air::Direction,
    bench::{Bench, tap},
    document::device_response,
    keys::crypto,
    lock::TestLock,
    phone::TestPhone,
    site::{Member, Site},
    talk::BleLink,
    world::World,
};

/// The certificate of the worked example: no names, no dates.
const WORKED_CERTIFICATE: usize = 154;

fn world(alter: impl FnOnce(&mut keybutton_lock::LockConfig)) -> (World, Site) {
    let site = Site::new("north");
    let phone = TestPhone::new(&site, &Member::new("ada"), &[7]);
    let lock = TestLock::with(&site, 7, alter);
    (World::new(vec![phone], vec![lock]), site)
}

fn press(world: &mut World, site: &Site, id: u8) -> (Vec<usize>, usize, bool) {
    world.wait(61_000_000);
    world.reset_traffic();
    let options = UnlockOptions { door: Some(site.door(7)), ..UnlockOptions::default() };
    world.open(0, UnlockId([id; 16]), options);
    let sizes = world.traffic.messages.iter().map(|(_, message)| message.len()).collect();
    let press = &world.phones[0].outcomes[0];
    assert!(matches!(press.outcome, Outcome::Opened(_)), "{:?}", press.outcome);
    assert_eq!(
        (press.metrics.bytes_sent + press.metrics.bytes_received) as usize,
        world.traffic.bytes(),
        "the phone counts what the air carries"
    );
    assert_eq!(press.metrics.round_trips as usize, world.traffic.round_trips());
    (sizes, world.traffic.round_trips(), press.metrics.fast)
}

/// How much longer the lock's certificate is than the one of the worked example. It names the lock, and has no serial:
/// 7 bytes, and up to 2 by its signature.
fn longer(site: &Site) -> usize {
    site.certificate(7).len() - WORKED_CERTIFICATE
}

#[test]
fn the_document_of_the_numbers_has_478_bytes() {
    let site = Site::new("north");
    assert_eq!(device_response(&[site.document(&Member::new("ada"))]).len(), 478);
}

#[test]
fn first_opening_known_key_and_fast() {
    let (mut world, site) = world(|_| {});
    let longer = longer(&site);
    let (first, round_trips, fast) = press(&mut world, &site, 1);
    assert_eq!(first, [47, 139, 73, 236 + longer, 181, 94, 509, 121, 26]);
    assert_eq!((round_trips, fast), (3, false));
    assert_eq!(first.iter().sum::<usize>(), 1_426 + longer);

    let (again, round_trips, fast) = press(&mut world, &site, 2);
    assert_eq!(again, [47, 139, 139, 121, 26]);
    assert_eq!((round_trips, fast), (1, true));
    assert!(again.iter().sum::<usize>() <= 480);

    // Without the fast phase.
    let (mut world, site) = self::world(|config| config.policy.fast = FastPolicy::Off);
    press(&mut world, &site, 1);
    let (known, round_trips, fast) = press(&mut world, &site, 2);
    assert_eq!(known, [47, 139, 73, 236 + longer, 181, 121, 26]);
    assert_eq!((round_trips, fast), (2, false));
    assert_eq!(known.iter().sum::<usize>(), 823 + longer);
    assert!((7..=9).contains(&longer), "a shortest signature makes 830 bytes");
}

/// The worked example's certificate in shape: everything that may be left out is left out. A phone that binds the
/// subject refuses it, therefore a bare one is met here.
fn short_certificate(site: &Site) -> Vec<u8> {
    let key = site.reader_key(7).public_key();
    let mut certificate = Vec::new();
    // Signatures differ in length: one of 70 bytes, as in the example.
    for serial in 0..200_u32 {
        let mut fields = vec![0x80, 0x01, 0x2A, 0x85, 0x42, 0x00];
        fields.extend(key.0);
        let digest = crypto().sha256(&[&serial.to_be_bytes()]);
        let mut signature = vec![0x30, 0x44, 0x02, 0x20];
        signature.extend(&digest);
        signature.extend([0x02, 0x20]);
        signature.extend(&digest);
        fields.extend([0x86, 71, 0x00]);
        fields.extend(&signature);
        certificate =
            vec![0x30, 0x81, 4 + 3 + fields.len() as u8, 0x04, 0x02, 0x00, 0x00, 0x30, 0x81, fields.len() as u8];
        certificate.extend(fields);
        if digest[0] < 0x80 {
            break;
        }
    }
    certificate
}

#[test]
fn the_budget_with_a_certificate_of_154_bytes() {
    let site = Site::new("north");
    let certificate = short_certificate(&site);
    assert_eq!(certificate.len(), WORKED_CERTIFICATE);
    let run = |mtu: u16, fast: bool| {
        let mut bench = Bench::with(|config| {
            config.certificate = Some(Buf::from_slice(&certificate).unwrap());
            config.policy.fast = if fast { FastPolicy::TryAll { entries: 8 } } else { FastPolicy::Off };
        });
        let mut runs = Vec::new();
        for _ in 0..2 {
            bench.lock.advance(std::time::Duration::from_secs(61));
            bench.phone.press(Intent::Unlock);
            let mut link = BleLink::connect(&mut bench.lock, 1, mtu);
            let a5 = bench.phone.a5.clone();
            link.initiate(&mut bench.lock, &a5);
            link.serve(&mut bench.lock, &mut bench.phone);
            bench.assert_granted();
            runs.push((link.bytes(), link.values));
        }
        runs
    };
    let [(first, values), (known, _)] = run(185, false)[..] else { panic!("two runs") };
    assert_eq!((first, known, values), (1_426, 823, 12));
    assert!(first <= 1_430 && known <= 830);
    let [_, (fast, _)] = run(185, true)[..] else { panic!("two runs") };
    assert_eq!(fast, 472);
    // ATT packets of a first opening at each MTU.
    for (mtu, packets) in [(23, 79), (185, 12), (247, 11), (517, 9)] {
        assert_eq!(run(mtu, false)[0].1, packets, "MTU {mtu}");
    }
}

#[test]
fn by_tap() {
    let site = Site::new("north");
    let certificate = short_certificate(&site);
    let mut bench = Bench::with(|config| config.certificate = Some(Buf::from_slice(&certificate).unwrap()));
    let first = tap(&mut bench.lock, &mut bench.phone);
    bench.assert_granted();
    let commands = first.messages.iter().filter(|(own, _)| !own).count();
    // The AIDs of the product are one byte shorter than the standard's: two bytes less in each SELECT.
    let bytes = |talk: &keybutton_tests::pair::talk::Talk| talk.messages.iter().map(|(_, m)| m.len()).sum::<usize>();
    assert_eq!(commands, 7);
    assert!(bytes(&first) <= 1_471, "{}", bytes(&first));
    bench.lock.advance(std::time::Duration::from_secs(61));
    bench.phone.press(Intent::Unlock);
    let fast = tap(&mut bench.lock, &mut bench.phone);
    bench.assert_granted();
    assert_eq!(fast.messages.iter().filter(|(own, _)| !own).count(), 3);
    assert!(bytes(&fast) <= 480, "{}", bytes(&fast));
    bench.lock.advance(std::time::Duration::from_secs(61));
    bench.phone.kpersistent = None;
    bench.phone.press(Intent::Unlock);
    let known = tap(&mut bench.lock, &mut bench.phone);
    assert_eq!(known.messages.iter().filter(|(own, _)| !own).count(), 4);
    // A phone without the secret answers the question for a cryptogram all the same: 66 bytes.
    assert!(bytes(&known) <= 823 + 66, "{}", bytes(&known));
}

#[test]
fn every_direction_and_header_is_counted() {
    let (mut world, site) = world(|_| {});
    let options = UnlockOptions { door: Some(site.door(7)), ..UnlockOptions::default() };
    world.open(0, UnlockId([1; 16]), options);
    let directions: Vec<Direction> = world.traffic.messages.iter().map(|(direction, _)| *direction).collect();
    for pair in directions.windows(2) {
        assert_ne!(pair[0], pair[1], "phone and lock take turns");
    }
    let fragmenter = Fragmenter::new(world.conditions.mtu);
    let values: usize = world.traffic.messages.iter().map(|(_, message)| fragmenter.count(message.len())).sum();
    assert_eq!(world.traffic.values, values);
    let metrics = &world.phones[0].outcomes[0].metrics;
    assert_eq!((metrics.packets_sent + metrics.packets_received) as usize, values);
}
