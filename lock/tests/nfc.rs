//! Taps: SELECT, chaining, GET RESPONSE, and the seven APDUs of a first one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use keybutton_lock::{Event, Failure, Input};
use keybutton_protocol::{ids::Intent, profile::CertificateCarrier};

const SELECT: u8 = 0xA4;
const AUTH0: u8 = 0x80;
const LOAD_CERT: u8 = 0xD1;
const AUTH1: u8 = 0x81;
const ENVELOPE: u8 = 0xC3;
const GET_RESPONSE: u8 = 0xC0;
const EXCHANGE: u8 = 0xC9;

#[test]
fn a_first_tap_takes_seven_apdus() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    world.grant(&mut phone, 42, weekly(access_data(1)));
    let log = world.tap(&mut phone, Intent::Unlock);
    assert!(log.is_granted(), "{log:?} {:?}", world.events);
    assert_eq!(log.apdus, [SELECT, AUTH0, AUTH1, SELECT, ENVELOPE, GET_RESPONSE, EXCHANGE]);
    assert_eq!(log.handed_over, 0);
}

#[test]
fn known_and_fast_taps() {
    let mut world = World::new();
    let mut phone = world.member(1);
    world.tap(&mut phone, Intent::Unlock);
    world.pass(3_000);
    let fast = world.tap(&mut phone, Intent::Unlock);
    assert_eq!(fast.apdus, [SELECT, AUTH0, EXCHANGE]);
    assert!(fast.is_granted() && fast.fast);
    world.pass(3_000);
    phone.persistent = None;
    let known = world.tap(&mut phone, Intent::Unlock);
    assert_eq!(known.apdus, [SELECT, AUTH0, AUTH1, EXCHANGE]);
}

#[test]
fn a_phone_that_taps_again_by_itself_moves_nothing() {
    let mut world = World::new();
    let mut phone = world.member(1);
    assert!(world.tap(&mut phone, Intent::Unlock).is_granted());
    let again = world.tap(&mut phone, Intent::Unlock);
    assert!(again.is_granted());
    assert_eq!((again.detail(), world.bolts.len()), (Some(1), 1));
    world.pass(2_000);
    assert!(world.tap(&mut phone, Intent::Unlock).is_granted());
    assert_eq!(world.bolts.len(), 2);
}

#[test]
fn the_certificate_may_travel_by_load_cert() {
    let mut options = LockOptions::default();
    options.profile.certificate = CertificateCarrier::LoadCert;
    let mut world = World::with(options);
    let mut phone = world.member(1);
    let log = world.tap(&mut phone, Intent::Unlock);
    assert!(log.is_granted(), "{log:?}");
    assert_eq!(log.apdus[..4], [SELECT, AUTH0, LOAD_CERT, AUTH1]);
}

#[test]
fn l_chain() {
    let mut world = World::new();
    // A phone that answers SELECT with pieces that never end.
    world.input(Input::NfcArrived);
    let mut piece = vec![7; 256];
    piece.extend([0x61, 0x00]);
    for _ in 0..9 {
        world.input(Input::NfcResponse { apdu: &piece });
    }
    assert!(
        world.events.contains(&Event::Failed {
            interface: keybutton_protocol::ids::Interface::Nfc,
            failure: Failure::Rejected
        })
    );
    assert!(world.bolts.is_empty());
}

#[test]
fn a_phone_that_leaves_or_says_nothing_is_forgotten() {
    let mut world = World::new();
    let mut phone = world.member(1);
    world.input(Input::NfcArrived);
    world.input(Input::NfcLost);
    assert!(world.tap(&mut phone, Intent::Unlock).is_granted());
    world.input(Input::NfcArrived);
    world.pass(5_000);
    assert!(world.events.iter().any(|event| matches!(event, Event::Failed { failure: Failure::Timeout, .. })));
}

#[test]
fn a_tap_that_fails_is_reported_once() {
    let mut world = World::new();
    world.input(Input::NfcArrived);
    world.input(Input::NfcResponse { apdu: &[0x6A, 0x82] });
    world.pass(5_000);
    let failed = Event::Failed { interface: keybutton_protocol::ids::Interface::Nfc, failure: Failure::Rejected };
    let told: Vec<&Event> = world.events.iter().filter(|event| matches!(event, Event::Failed { .. })).collect();
    assert_eq!(told, [&failed]);
}

#[test]
fn garbage_never_panics_and_never_opens() {
    for seed in 0..200u64 {
        let mut world = World::new();
        let mut crypto = crypto(seed);
        world.input(Input::NfcArrived);
        for _ in 0..6 {
            let mut apdu = vec![0; (seed % 60) as usize];
            keybutton_protocol::crypto::Crypto::random(&mut crypto, &mut apdu).unwrap();
            world.input(Input::NfcResponse { apdu: &apdu });
        }
        assert!(world.bolts.is_empty());
    }
}
