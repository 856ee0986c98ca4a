//! Phones that misbehave, and what locks do.

use std::vec;

use super::*;
use crate::{apdu::StatusWord, keys::AuthenticationData, reader::ReaderError};

/// AUTH0 with the phone's answer changed on its way; returns why the lock gave up.
fn after_auth0(interface: Interface, fast: bool, change: fn(&mut Vec<u8>)) -> Failure {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(interface, &door, &mut member, &mut lock, &mut phone);
    let (opened, waiting) = pair.open().unwrap();
    let (mut buf, mut out) = (buffer(), buffer());
    let prepared = Prepared::new(pair.lock).unwrap();
    let (sent, len) = opened.auth0(&door.setup(), prepared, fast, UserPolicy::PhoneSetting, &mut buf).unwrap();
    let trust = pair.member.trust_store();
    let (_, len) = waiting.auth0(&mut env(pair.phone, &trust, pair.member), &buf[..len], &mut out).unwrap();
    let mut response = out[..len].to_vec();
    change(&mut response);
    sent.response(pair.lock, &response).err().unwrap()
}

#[test]
fn l_auth0_off_curve_and_other_bad_answers() {
    for (change, error) in [
        ((|response| response[66] ^= 1) as fn(&mut Vec<u8>), ReaderError::InvalidPoint),
        (|response| response[1] = 0x40, ReaderError::Malformed),
        (|response| response.truncate(1), ReaderError::Malformed),
        (|response| *response = vec![0x6A, 0x80], ReaderError::Refused(StatusWord(0x6A80))),
    ] {
        let failure = after_auth0(Interface::Nfc, false, change);
        assert_eq!((failure.error, &farewell(&failure)[..]), (error, &CONTROL_FLOW[..]));
        let failure = after_auth0(Interface::Ble, false, change);
        assert_eq!((failure.error, &farewell(&failure)[..]), (error, &EVENT[..]));
    }
}

#[test]
fn l_unasked_cryptogram() {
    let unasked = after_auth0(Interface::Nfc, false, |response| {
        let at = response.len() - 2;
        response.splice(at..at, [&[0x9D, 0x40][..], &[7; 64]].concat());
    });
    assert_eq!((unasked.error, &farewell(&unasked)[..]), (ReaderError::Cryptogram, &CONTROL_FLOW[..]));
    let missing = after_auth0(Interface::Nfc, true, |response| drop(response.drain(67..133)));
    assert_eq!(missing.error, ReaderError::Cryptogram);
}

#[test]
fn no_common_version_is_said_so_on_nfc() {
    let fci = [0x6F, 20, 0x84, 8, 0xF0, 0x4B, 0x45, 0x59, 0x42, 0x54, 0x4E, 1, 0xA5, 8, 0x80, 2, 0, 0, 0x5C, 2, 0, 9];
    let failure = reader::Opened::from_select(&Profile::PRODUCT, &[&fci[..], &[0x90, 0]].concat()).unwrap_err();
    assert_eq!(failure.error, ReaderError::NoCommonVersion);
    assert_eq!(farewell(&failure), [0x80, 0x3C, 0, 0, 6, 0x41, 1, 0, 0x42, 1, 0x27]);
    let failure = reader::Opened::from_initiate(&[&[0, 10][..], &fci[12..]].concat()).unwrap_err();
    assert_eq!((failure.error, &farewell(&failure)[..]), (ReaderError::NoCommonVersion, &EVENT[..]));
}

/// AUTH1 with another signer on the phone and its answer changed on its way; returns why the lock gave up.
fn after_auth1(
    interface: Interface,
    signer: &mut impl Signer,
    change: impl FnOnce(&mut Vec<u8>),
) -> (Failure, Secured) {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(interface, &door, &mut member, &mut lock, &mut phone);
    let (done, phone) = pair.auth0(false, UserPolicy::PhoneSetting).unwrap();
    let (mut buf, mut out) = (buffer(), buffer());
    let (sent, len) = done.auth1(&door.setup(), &mut door.signer.clone(), &mut buf).unwrap();
    let trust = pair.member.trust_store();
    let next = phone.handle(&mut env(pair.phone, &trust, pair.member), &mut buf[..len], &mut out).unwrap();
    let Auth0Next::Sign(to_sign) = next else { panic!("AUTH1 leads elsewhere") };
    let signature = signer.sign(to_sign.data().as_bytes()).unwrap();
    let (secured, len) = to_sign.signed(pair.phone, &signature, &mut out).unwrap();
    let mut response = out[..len].to_vec();
    change(&mut response);
    (sent.response(pair.lock, &mut response).err().unwrap(), secured)
}

#[test]
fn l_auth1_tag() {
    for interface in [Interface::Nfc, Interface::Ble] {
        let (failure, _) = after_auth1(interface, &mut signer("device"), |response| {
            let at = response.len() - 3;
            response[at] ^= 1;
        });
        assert_eq!(failure.error, ReaderError::Unauthentic);
        let expected = if interface == Interface::Nfc { &CONTROL_FLOW[..] } else { &EVENT[..] };
        assert_eq!(farewell(&failure), expected);
    }
}

#[test]
fn l_auth1_replay() {
    let mut earlier = vec![];
    let (failure, _) = after_auth1(Interface::Nfc, &mut signer("other"), |response| earlier.clone_from(response));
    assert_eq!(failure.error, ReaderError::DeviceSignature);
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(3), crypto(4));
    let mut pair = Pair::new(Interface::Nfc, &door, &mut member, &mut lock, &mut phone);
    let (done, _) = pair.auth0(false, UserPolicy::PhoneSetting).unwrap();
    let (sent, _) = done.auth1(&door.setup(), &mut door.signer.clone(), &mut buffer()).unwrap();
    let failure = sent.response(pair.lock, &mut earlier).unwrap_err();
    assert_eq!((failure.error, &farewell(&failure)[..]), (ReaderError::Unauthentic, &CONTROL_FLOW[..]));
}

/// The phone's view of a lock's last word: it opens as status 00 04 without report.
fn tells_bad_signature(failure: &Failure, secured: Secured) {
    assert_eq!(failure.error, ReaderError::DeviceSignature);
    let mut word = farewell(failure);
    let apdu = match failure.interface() {
        Interface::Nfc => &mut word[..],
        Interface::Ble => message::parse_mut(&mut word).unwrap().1,
    };
    let mut out = buffer();
    let next = secured.handle(&crypto(0), apdu, &mut out).unwrap();
    let SecuredNext::Exchange { request: Request::Verdict(verdict), .. } = next else { panic!("no verdict") };
    assert_eq!(verdict.status.to_bytes(), [0, 4]);
    assert!(verdict.report.is_none());
}

#[test]
fn l_device_sig() {
    for interface in [Interface::Nfc, Interface::Ble] {
        let (failure, secured) = after_auth1(interface, &mut signer("other device"), |_| {});
        tells_bad_signature(&failure, secured);
    }
}

#[test]
fn l_device_sig_usage() {
    let (failure, secured) = after_auth1(Interface::Ble, &mut Reflecting(signer("device")), |_| {});
    tells_bad_signature(&failure, secured);
}

#[test]
fn l_a5_altered() {
    // The lock derives its keys from the A5 template it received, the phone from the one it sent.
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let mut buf = buffer();
    let (waiting, len) = initiator::Opened::initiate(pair.member.phone, &mut buf).unwrap();
    buf[len - 1] = Intent::HoldOpen as u8;
    let opened = reader::Opened::from_initiate(message::parse(&buf[..len]).unwrap().1).unwrap();
    assert_eq!(opened.press().unwrap().intent(), Some(Intent::HoldOpen));
    let failure = lock_failure(finish(&mut pair, opened, waiting, |_| {}).unwrap_err());
    assert_eq!(failure.error, ReaderError::Unauthentic);
}

#[test]
fn l_policy_altered() {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let (opened, waiting) = pair.open().unwrap();
    let weaken = |command: &mut [u8]| flip(command, Ins::Auth0, 0x42, |policy| policy[0] = 1);
    let failure = lock_failure(finish(&mut pair, opened, waiting, weaken).unwrap_err());
    assert_eq!(failure.error, ReaderError::Unauthentic);
}

/// AUTH0 (changed by `meddle`, with the policy to force the user) and AUTH1.
fn finish<L: Crypto, P: Crypto>(
    pair: &mut Pair<'_, L, P>,
    opened: reader::Opened,
    waiting: initiator::Opened,
    meddle: fn(&mut [u8]),
) -> Result<(Deciding, Secured), Broken> {
    let (mut buf, mut out) = (buffer(), buffer());
    let policy = if pair.door.profile.vendor_a5 { UserPolicy::Force } else { UserPolicy::PhoneSetting };
    pair.member.user_authenticated = true;
    let prepared = Prepared::new(pair.lock).unwrap();
    let (sent, len) = opened.auth0(&pair.door.setup(), prepared, false, policy, &mut buf)?;
    meddle(&mut buf[..len]);
    let trust = pair.member.trust_store();
    let (phone, len) = waiting.auth0(&mut env(pair.phone, &trust, pair.member), &buf[..len], &mut out)?;
    let done = sent.response(pair.lock, &out[..len])?;
    pair.auth1(done, phone)
}

#[test]
fn interface_is_bound() {
    // An NFC transcript moved to BLE: same bytes, other salt.
    let door = Door::new(Profile { vendor_a5: false, ..Profile::PRODUCT });
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let (opened, _) = pair.open().unwrap();
    pair.link = Link::nfc();
    let (_, waiting) = pair.open().unwrap();
    let failure = lock_failure(finish(&mut pair, opened, waiting, |_| {}).unwrap_err());
    assert_eq!(failure.error, ReaderError::Unauthentic);
}

#[test]
fn enrolment_signatures_open_no_door() {
    let mut device = signer("device");
    let enrolment = AuthenticationData::for_enrolment(&[0xAA; 32]);
    struct Replaying(crate::ids::Signature, PublicKey);
    impl Signer for Replaying {
        fn public_key(&self) -> PublicKey {
            self.1
        }
        fn sign(&mut self, _: &[u8]) -> Result<crate::ids::Signature, crate::crypto::CryptoError> {
            Ok(self.0)
        }
    }
    let replayed = device.sign(enrolment.as_bytes()).unwrap();
    let (failure, secured) = after_auth1(Interface::Ble, &mut Replaying(replayed, device.public_key()), |_| {});
    tells_bad_signature(&failure, secured);
}
