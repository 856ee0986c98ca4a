//! What works.

use std::{vec, vec::Vec};

use super::*;
use crate::{
    exchange::SyncKind,
    message::{Kind, LockState},
    reader::Phase,
    testing::crypto,
    verdict::Status,
};

const GRANTED: fn() -> Verdict = || Verdict::of_report(report(Reason::Granted), false);

/// Standard, step-up and fast over one interface.
fn all_phases<L: Crypto, P: Crypto>(interface: Interface, profile: Profile, lock: &mut L, phone: &mut P) {
    let door = Door::new(profile);
    let mut member = Member::of(&door);
    let device_response: Vec<u8> = (0..1500u32).map(|at| at as u8).collect();

    let mut pair = Pair::new(interface, &door, &mut member, lock, phone);
    let (deciding, secured) = pair.standard().unwrap();
    assert_eq!(deciding.peer().phase, Phase::Standard);
    assert_eq!(deciding.peer().device_key, pair.member.phone.device_key);
    assert_eq!(deciding.peer().press, profile.vendor_a5.then_some(PRESS));
    assert_eq!(deciding.peer().access_signed, Some(NOW));
    let persistent = deciding.persistent().unwrap().clone();
    assert_eq!(secured.persistent(), Some(&persistent));
    let (deciding, secured, got) = pair.step_up(deciding, secured, &[0xA2; 60], &device_response).unwrap();
    assert_eq!(got, device_response);
    let (_, _, seen) = pair.verdict(deciding, PhoneState::Secured(secured), &GRANTED()).unwrap();
    assert!(seen.is_granted());
    assert_eq!(seen.report.is_some(), profile.verdict_report);

    pair.member.trust.persistent = Some(persistent.clone());
    let device_key = pair.member.phone.device_key;
    let entries = [(Kpersistent::new([1; 32]), device_key), (persistent, device_key)];
    let (deciding, phone) = pair.fast(&entries).unwrap();
    assert_eq!(deciding.peer().phase, Phase::Fast);
    assert_eq!(deciding.peer().access_signed, Some(NOW));
    assert!(deciding.persistent().is_none());
    let (_, secured, seen) = pair.verdict(deciding, phone, &GRANTED()).unwrap();
    assert!(seen.is_granted() && secured.is_fast());

    let (deciding, phone) = pair.fast(&entries[..1]).unwrap();
    assert_eq!(deciding.peer().phase, Phase::Standard);
    assert!(pair.verdict(deciding, phone, &GRANTED()).unwrap().2.is_granted());
}

#[test]
fn rustcrypto_meets_rustcrypto_in_every_phase() {
    for interface in [Interface::Nfc, Interface::Ble] {
        for profile in [Profile::PRODUCT, Profile::INTEROP] {
            all_phases(interface, profile, &mut crypto(1), &mut crypto(2));
        }
    }
}

#[cfg(feature = "ring")]
#[test]
fn rustcrypto_meets_ring_in_every_phase() {
    use crate::crypto::ring::Ring;

    for interface in [Interface::Nfc, Interface::Ble] {
        all_phases(interface, Profile::PRODUCT, &mut crypto(1), &mut Ring::new());
        all_phases(interface, Profile::INTEROP, &mut Ring::new(), &mut crypto(2));
    }
}

#[test]
fn locks_without_certificate_and_with_subject_anchor_work() {
    let door = Door::without_certificate(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone).standard().unwrap();

    // A reader that puts the certificate's subject key into the salts: the phone must be set to do the same.
    let mut door = Door::new(Profile::INTEROP);
    let mut member = Member::of(&door);
    door.anchor = door.signer.public_key();
    let refused = Pair::new(Interface::Nfc, &door, &mut member, &mut lock, &mut phone).standard();
    assert!(matches!(refused, Err(Broken::Lock(_))));
    member.phone.profile.salt_anchor = crate::profile::SaltAnchor::Subject;
    Pair::new(Interface::Nfc, &door, &mut member, &mut lock, &mut phone).standard().unwrap();
}

#[test]
fn a_phone_that_also_holds_the_reader_key_meets_both_kinds_of_lock() {
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    for profile in [Profile::PRODUCT, Profile::INTEROP] {
        let certified = Door::new(profile);
        let bare = Door::without_certificate(profile);
        let mut member = Member::of(&certified);
        member.reader_key = Some(bare.anchor);
        for door in [&certified, &bare] {
            let mut pair = Pair::new(Interface::Nfc, door, &mut member, &mut lock, &mut phone);
            let (deciding, secured) = pair.standard().unwrap();
            let persistent = deciding.persistent().unwrap().clone();
            let (_, _, seen) = pair.verdict(deciding, PhoneState::Secured(secured), &GRANTED()).unwrap();
            assert!(seen.is_granted());

            // The fast phase has the anchor under which they have met.
            pair.member.trust.persistent = Some(persistent.clone());
            pair.member.fast_anchor = Some(door.anchor);
            let entries = [(persistent, pair.member.phone.device_key)];
            let (deciding, phone) = pair.fast(&entries).unwrap();
            assert_eq!(deciding.peer().phase, Phase::Fast);
            assert!(pair.verdict(deciding, phone, &GRANTED()).unwrap().2.is_granted());
            // A lock that has forgotten the phone goes on with AUTH1, whatever it shows there.
            let (deciding, _) = pair.fast(&[]).unwrap();
            assert_eq!(deciding.peer().phase, Phase::Standard);
        }
        // Only the reader key proves a lock that shows no certificate.
        member.reader_key = Some(certified.anchor);
        let refused = Pair::new(Interface::Nfc, &bare, &mut member, &mut lock, &mut phone).standard();
        assert!(matches!(refused, Err(Broken::Phone(InitiatorError::LockSignature))));
    }
}

#[test]
fn the_subject_anchor_is_for_certificates_that_were_loaded() {
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    member.phone.profile.salt_anchor = crate::profile::SaltAnchor::Subject;
    Pair::new(Interface::Nfc, &door, &mut member, &mut lock, &mut phone).standard().unwrap();
}

#[test]
fn tokens_and_audit_travel_before_and_after_the_verdict() {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let (deciding, secured) = pair.standard().unwrap();
    let (mut buf, mut out) = (buffer(), buffer());

    let (sent, len) = deciding.ask(pair.lock, SyncKind::TimeToken, &mut buf).unwrap();
    let mut command = pair.link.carry_to_phone(&buf[..len]);
    let SecuredNext::Exchange { state, request } = secured.handle(pair.phone, &mut command, &mut out).unwrap() else {
        panic!("EXCHANGE leads elsewhere")
    };
    assert_eq!(request, Request::Ask(SyncKind::TimeToken));
    let (secured, len) = state.respond(pair.phone, Reply::object(&[5; 127]), &mut out).unwrap();
    let mut response = pair.link.carry_to_lock(&out[..len]);
    let (deciding, reply) = sent.reply(pair.lock, &mut response).unwrap();
    assert_eq!(reply, Reply::object(&[5; 127]));

    let (mut decided, mut secured, _) = pair.verdict(deciding, PhoneState::Secured(secured), &GRANTED()).unwrap();
    assert!(decided.can_sync());

    let envelope = vec![0xEE; 1900];
    let mut lock_ble = decided.take_ble().unwrap();
    let (sent, len) = decided.hand_over(pair.lock, &envelope, &mut buf).unwrap();
    let mut command = pair.link.carry_to_phone(&buf[..len]);
    let mut phone_ble = secured.take_ble().unwrap();
    let SecuredNext::Exchange { state, request } = secured.handle(pair.phone, &mut command, &mut out).unwrap() else {
        panic!("EXCHANGE leads elsewhere")
    };
    assert_eq!(request, Request::HandOver(&envelope));
    let (_, len) = state.respond(pair.phone, Reply::DONE, &mut out).unwrap();
    let mut response = pair.link.carry_to_lock(&out[..len]);
    assert_eq!(sent.reply(pair.lock, &mut response).unwrap().1, Reply::DONE);

    let payload = message::state_payload(0, LockState::Unsecured);
    let len = lock_ble.seal(pair.lock, Kind::StatusChanged, &payload, &mut buf).unwrap();
    let (kind, opened) = phone_ble.open(pair.phone, &mut buf[..len]).unwrap();
    assert_eq!((kind, message::parse_state(opened)), (Kind::StatusChanged, Ok((0, LockState::Unsecured))));
}

#[test]
fn third_parties_get_the_result_by_completed() {
    let door = Door::new(Profile::INTEROP);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let (deciding, mut secured) = pair.standard().unwrap();
    assert!(deciding.reports_by_completed());
    let mut buf = buffer();
    let (_, len) = deciding.completed(pair.lock, 0x20, LockState::Unsecured, &mut buf).unwrap();
    let (kind, payload) = secured.take_ble().unwrap().open(pair.phone, &mut buf[..len]).map(|(k, p)| (k, &*p)).unwrap();
    assert_eq!((kind, message::parse_state(payload)), (Kind::Completed, Ok((0x20, LockState::Unsecured))));
}

#[test]
fn an_interop_phone_finds_the_step_up_channel_by_itself() {
    for (profile, works) in
        [(Profile::INTEROP, true), (Profile { try_other_channel: false, ..Profile::INTEROP }, false)]
    {
        let door = Door::new(profile);
        let mut member = Member::of(&door);
        let (mut lock, mut phone) = (crypto(1), crypto(2));
        let mut pair = Pair::new(Interface::Nfc, &door, &mut member, &mut lock, &mut phone);
        let (deciding, secured) = pair.standard().unwrap();
        let deciding = deciding.on_step_up_channel();
        let result = pair.verdict(deciding, PhoneState::Secured(secured), &Verdict::bare(Status::UNSECURED));
        assert_eq!(result.is_ok(), works);
    }
}

/// The sizes of section 22: the worked example's certificate of 154 bytes, a request of 60, a response of 478.
fn worked_door(profile: Profile) -> Door {
    let mut door = Door::new(profile);
    let scalar = hex("de0364369e1ea38c72eb9a5f263e346a0d5d44e68568ebe3a6cb6c2462f61100");
    door.signer = RustSigner::from_bytes(&scalar.try_into().unwrap()).unwrap();
    door.anchor = PublicKey::from_slice(&hex(
        "045660a8f5dcdca2d6d50acb2d1e29f69bee7525437429404ac2f03e539570901fa397cf587f9283549974e2ea5a4420\
         b3d84c116c4c222311d1c142f7b283e76b",
    ))
    .unwrap();
    door.certificate =
        Some(hex("3081970402000030819080012a85420004361c01c8cd14f9170dea462fb42f7e41f2ad038d91994627ea3098e75bd7ff\
         9ad7628118d7e42aacdc3c33c5546f9286b39173c3edbb77423245476dbb71196686470030440220600c5ef868fe034d\
         6812b7c97f6157c834f3318cae90749fd57f119c0255abb302206370128bd07492921401c9bbe0a028901b8603364882\
         e9c0e690f5b7001aaa00"));
    door
}

#[test]
fn byte_totals_are_those_of_the_protocol_document() {
    let standard_aid =
        Profile { aid: Profile::INTEROP.aid, step_up_aid: Profile::INTEROP.step_up_aid, ..Profile::PRODUCT };
    for (profile, aid) in [(Profile::PRODUCT, 8), (standard_aid, 9)] {
        let ble = totals(Interface::Ble, profile);
        assert_eq!(ble.first, [47, 139, 73, 236, 181, 94, 509, 121, 26]);
        assert_eq!(ble.known, [47, 139, 73, 236, 181, 121, 26]);
        assert_eq!(ble.fast, [47, 139, 139, 121, 26]);
        assert_eq!(ble.first.iter().sum::<usize>(), 1426);
        assert_eq!(ble.known.iter().sum::<usize>(), 823);
        assert_eq!(ble.fast.iter().sum::<usize>(), 472);

        let nfc = totals(Interface::Nfc, profile);
        let select = (5 + aid + 1) + (4 + aid + 41 + 2);
        let step_up = (5 + aid + 1) + (4 + aid + 10 + 2);
        assert_eq!(nfc.first, [select, 204, 409, step_up, 603 + 5, 139]);
        assert_eq!(nfc.known, [select, 204, 409, 139]);
        assert_eq!(nfc.fast, [select, 135 + 135, 139]);
        assert!(aid != 9 || nfc.first.iter().sum::<usize>() == 1471);
        assert!(aid != 9 || nfc.known.iter().sum::<usize>() == 823);
        assert!(aid != 9 || nfc.fast.iter().sum::<usize>() == 480);
    }
}

#[test]
fn att_packets_of_a_first_opening_are_those_of_the_protocol_document() {
    for (mtu, packets) in [(23, 79), (185, 12), (247, 11), (517, 9)] {
        let door = worked_door(Profile::PRODUCT);
        let mut member = Member::of(&door);
        member.trust.bind_subject = false;
        let (mut lock, mut phone) = (crypto(1), crypto(2));
        let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
        pair.link = Link::ble(mtu);
        first_opening(&mut pair);
        assert_eq!(pair.link.fragments(), packets);
    }
}

#[test]
fn a_refused_lock_costs_508_bytes() {
    let door = worked_door(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    // The worked certificate names no lock: refused where the site record asks for the binding.
    let Err(Broken::Phone(error)) = pair.standard() else { panic!("lock accepted") };
    let sizes: usize = pair.link.sizes().iter().sum();
    let event = {
        let mut out = [0; 16];
        message::Event::Error(message::EventError::Unknown).encode(&mut out).unwrap()
    };
    assert_eq!(sizes + (4 + error.response().len()) + event, 508);
}

struct Totals {
    first: Vec<usize>,
    known: Vec<usize>,
    fast: Vec<usize>,
}

fn totals(interface: Interface, profile: Profile) -> Totals {
    let door = worked_door(profile);
    let mut member = Member::of(&door);
    member.trust.bind_subject = false;
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(interface, &door, &mut member, &mut lock, &mut phone);
    let persistent = first_opening(&mut pair);
    let first = pair.link.sizes().to_vec();

    let mut pair = Pair::new(interface, &door, &mut member, &mut lock, &mut phone);
    let (deciding, secured) = pair.standard().unwrap();
    pair.verdict(deciding, PhoneState::Secured(secured), &GRANTED()).unwrap();
    let known = pair.link.sizes().to_vec();

    member.trust.persistent = Some(persistent.clone());
    let entries = [(persistent, member.phone.device_key)];
    let mut pair = Pair::new(interface, &door, &mut member, &mut lock, &mut phone);
    let (deciding, phone) = pair.fast(&entries).unwrap();
    pair.verdict(deciding, phone, &GRANTED()).unwrap();
    Totals { first, known, fast: pair.link.sizes().to_vec() }
}

fn first_opening<L: Crypto, P: Crypto>(pair: &mut Pair<'_, L, P>) -> Kpersistent {
    let (deciding, secured) = pair.standard().unwrap();
    let persistent = deciding.persistent().unwrap().clone();
    let (deciding, secured, _) = pair.step_up(deciding, secured, &[0xA2; 60], &[0xA3; 478]).unwrap();
    pair.verdict(deciding, PhoneState::Secured(secured), &GRANTED()).unwrap();
    persistent
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter_map(|digit| char::from(digit).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
