//! Locks that misbehave, and what phones answer.

use std::vec;

use super::*;
use crate::{
    apdu::{self, StatusWord},
    certificate::CertificateError,
    reader::ReaderError,
};

#[test]
fn p_unknown_group() {
    // AUTH0 is answered alike, fast or not; only AUTH1 fails.
    let error = phone_error(broken(Interface::Ble, |_, member| member.reader = ReaderId([0; 32])));
    assert_eq!(error, InitiatorError::UnknownGroup);
    assert_eq!(error.response(), [0x69, 0x82]);

    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    member.reader = ReaderId([0; 32]);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone).auth0(true, UserPolicy::PhoneSetting).unwrap();
}

#[test]
fn p_bad_lock_sig() {
    let door = Door::new(Profile::PRODUCT);
    let meddle = |command: &mut Vec<u8>| flip(command, Ins::Auth1, 0x9E, |signature| signature[40] ^= 1);
    let error = phone_error(run(Interface::Ble, &door, &mut Member::of(&door), meddle).unwrap_err());
    assert_eq!((error, error.response()), (InitiatorError::LockSignature, [0x69, 0x82]));
}

#[test]
fn p_lock_sig_wrong_usage() {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let (lock, phone) = pair.auth0(false, UserPolicy::PhoneSetting).unwrap();
    let (mut buf, mut out) = (buffer(), buffer());
    let (_, len) = lock.auth1(&door.setup(), &mut Reflecting(door.signer.clone()), &mut buf).unwrap();
    let trust = pair.member.trust_store();
    let result = phone.handle(&mut env(pair.phone, &trust, pair.member), &mut buf[..len], &mut out);
    assert_eq!(result.unwrap_err(), InitiatorError::LockSignature);
}

#[test]
fn p_cert_other_ca_by_auth1_and_by_load_cert() {
    for profile in [Profile::PRODUCT, Profile { certificate: CertificateCarrier::LoadCert, ..Profile::PRODUCT }] {
        let mut door = Door::new(profile);
        let mut member = Member::of(&door);
        door.certificate = Some(issue("other ca", &door.signer.public_key(), &door.reader, UnixTime(2_000_000_000)));
        // LOAD CERT itself is answered 9000: the pair gets as far as AUTH1.
        let error = phone_error(run(Interface::Nfc, &door, &mut member, |_| {}).unwrap_err());
        assert_eq!(error, InitiatorError::Certificate(CertificateError::Signature));
        assert_eq!(error.response(), [0x69, 0x82]);
    }
}

#[test]
fn p_cert_malformed() {
    for (carrier, status) in
        [(CertificateCarrier::Auth1, StatusWord::SECURITY), (CertificateCarrier::LoadCert, StatusWord::WRONG_DATA)]
    {
        let mut door = Door::new(Profile { certificate: carrier, ..Profile::PRODUCT });
        let certificate = door.certificate.as_mut().unwrap();
        *certificate.last_mut().unwrap() ^= 0xFF;
        certificate.push(0);
        let error = phone_error(run(Interface::Nfc, &door, &mut Member::of(&door), |_| {}).unwrap_err());
        assert_eq!(error.status_word(), status);
    }
}

#[test]
fn p_cert_expired() {
    let expire = |door: &mut Door| {
        let not_after = UnixTime(NOW.0 - 86_401);
        door.certificate = Some(issue("site ca", &door.signer.public_key(), &door.reader, not_after));
    };
    let error = phone_error(broken(Interface::Ble, |door, _| expire(door)));
    assert_eq!(error, InitiatorError::Certificate(CertificateError::Expired));
    assert_eq!(error.response(), [0x69, 0x82]);

    let mut door = Door::new(Profile { check_certificate_dates: false, ..Profile::PRODUCT });
    expire(&mut door);
    run(Interface::Ble, &door, &mut Member::of(&door), |_| {}).unwrap();
}

#[test]
fn p_cert_other_lock() {
    let other = |door: &mut Door| {
        let other = ReaderId::new(door.reader.group(), SubId([0xCC; 16]));
        door.certificate = Some(issue("site ca", &door.signer.public_key(), &other, UnixTime(2_000_000_000)));
    };
    let error = phone_error(broken(Interface::Ble, |door, _| other(door)));
    assert_eq!(error, InitiatorError::Certificate(CertificateError::OtherLock));
    assert_eq!(error.response(), [0x69, 0x82]);

    let mut door = Door::new(Profile::PRODUCT);
    other(&mut door);
    let mut member = Member::of(&door);
    member.trust.bind_subject = false;
    run(Interface::Ble, &door, &mut member, |_| {}).unwrap();
}

/// What the phone answers to AUTH0 after `change`.
fn auth0_error(change: fn(&mut Vec<u8>)) -> InitiatorError {
    let door = Door::new(Profile::PRODUCT);
    phone_error(run(Interface::Ble, &door, &mut Member::of(&door), change).unwrap_err())
}

#[test]
fn p_version() {
    let error = auth0_error(|command| flip(command, Ins::Auth0, 0x5C, |version| version[1] = 1));
    assert_eq!((error, error.response()), (InitiatorError::Version, [0x69, 0x85]));
}

#[test]
fn p_eph_off_curve() {
    let all: [fn(&mut [u8]); 4] =
        [|key| key[64] ^= 1, |key| key.fill(0), |key| key[1..33].fill(0xFF), |key| key[0] = 2];
    for change in all {
        let door = Door::new(Profile::PRODUCT);
        let mut member = Member::of(&door);
        let (mut lock, mut phone) = (crypto(1), crypto(2));
        let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
        let (opened, waiting) = pair.open().unwrap();
        let (mut buf, mut out) = (buffer(), buffer());
        let prepared = Prepared::new(pair.lock).unwrap();
        let (_, len) = opened.auth0(&door.setup(), prepared, false, UserPolicy::PhoneSetting, &mut buf).unwrap();
        flip(&mut buf[..len], Ins::Auth0, 0x87, change);
        let trust = pair.member.trust_store();
        let error = waiting.auth0(&mut env(pair.phone, &trust, pair.member), &buf[..len], &mut out).unwrap_err();
        assert_eq!((error, error.response()), (InitiatorError::InvalidPoint, [0x6A, 0x80]));
    }
}

#[test]
fn malformed_auth0_commands_are_refused() {
    let cut = auth0_error(|command| command.truncate(command.len() - 3));
    assert_eq!(cut.response(), [0x67, 0x00]);
    let policy = auth0_error(|command| flip(command, Ins::Auth0, 0x42, |policy| policy[0] = 9));
    assert_eq!(policy.response(), [0x6A, 0x80]);
    let twice = auth0_error(|command| {
        let at = command.len() - 1;
        command.splice(at..at, [0x41, 1, 0]);
        command[4] += 3;
    });
    assert_eq!(twice.response(), [0x6A, 0x80]);
}

#[test]
fn unknown_tlvs_in_auth0_are_skipped() {
    let door = Door::new(Profile::PRODUCT);
    let meddle = |command: &mut Vec<u8>| {
        if command[1] == Ins::Auth0 as u8 {
            command.splice(5..5, [0xDF, 0x01, 1, 7]);
            command[4] += 4;
        }
    };
    run(Interface::Ble, &door, &mut Member::of(&door), meddle).unwrap();
}

#[test]
fn p_wrong_state_commands_end_the_session() {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Nfc, &door, &mut member, &mut lock, &mut phone);
    let trust = pair.member.trust_store();
    let (mut buf, mut out) = (buffer(), buffer());

    // P_AUTH1_WITHOUT_AUTH0, P_STEPUP_BEFORE_AUTH1 and the like, in each state.
    for ins in [Ins::Auth1, Ins::Envelope, Ins::Exchange, Ins::LoadCert, Ins::Select, Ins::GetResponse] {
        let (_, waiting) = pair.open().unwrap();
        let len = apdu::command(&mut buf, ins, &[0x41, 1, 1]).unwrap();
        let error = waiting.auth0(&mut env(pair.phone, &trust, pair.member), &buf[..len], &mut out).unwrap_err();
        assert_eq!((error, error.response()), (InitiatorError::WrongState, [0x69, 0x85]), "{ins:?}");
    }
    for ins in [Ins::Auth0, Ins::Envelope, Ins::Exchange, Ins::Select, Ins::GetResponse] {
        let (_, phone) = pair.auth0(false, UserPolicy::PhoneSetting).unwrap();
        let len = apdu::command(&mut buf, ins, &[0x41, 1, 1]).unwrap();
        let error = phone.handle(&mut env(pair.phone, &trust, pair.member), &mut buf[..len], &mut out).unwrap_err();
        assert_eq!(error, InitiatorError::WrongState, "{ins:?}");
    }
    // P_AUTH1_TWICE.
    for ins in [Ins::Auth0, Ins::Auth1, Ins::LoadCert, Ins::GetResponse] {
        let (_, secured) = pair.standard().unwrap();
        let len = apdu::command(&mut buf, ins, &[0x41, 1, 1]).unwrap();
        let error = secured.handle(pair.phone, &mut buf[..len], &mut out).unwrap_err();
        assert_eq!((error, error.response()), (InitiatorError::WrongState, [0x69, 0x85]), "{ins:?}");
    }
    let (_, secured) = pair.standard().unwrap();
    let error = secured.handle(pair.phone, &mut [0x80, 0x77, 0, 0], &mut out).unwrap_err();
    assert_eq!(error.response(), [0x6D, 0x00]);
    let (_, secured) = pair.standard().unwrap();
    let error = secured.handle(pair.phone, &mut CONTROL_FLOW.clone(), &mut out).unwrap_err();
    assert_eq!((error, error.response()), (InitiatorError::LockGaveUp(0), [0x90, 0x00]));
}

#[test]
fn p_documents_and_verdict_come_once() {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let (mut buf, mut out) = (buffer(), buffer());
    let (deciding, secured) = pair.standard().unwrap();
    let (deciding, secured, _) = pair.step_up(deciding, secured, &[1; 9], &[2; 9]).unwrap();
    assert!(matches!(deciding.envelope(pair.lock, &[1; 9], &mut buf).unwrap_err().error, ReaderError::NoStepUp));
    let len = apdu::command(&mut buf, Ins::Envelope, &[0xA1; 30]).unwrap();
    assert_eq!(secured.handle(pair.phone, &mut buf[..len], &mut out).unwrap_err(), InitiatorError::WrongState);

    let (deciding, secured) = pair.standard().unwrap();
    let verdict = Verdict::of_report(report(Reason::Granted), false);
    let (_, secured, _) = pair.verdict(deciding, PhoneState::Secured(secured), &verdict).unwrap();
    let len = apdu::command(&mut buf, Ins::Envelope, &[0xA1; 30]).unwrap();
    assert_eq!(secured.handle(pair.phone, &mut buf[..len], &mut out).unwrap_err(), InitiatorError::WrongState);
}

// P_EPH_REFLECTED: the same AUTH0 twice is answered by different keys.
#[test]
fn p_eph_reflected_and_p_fast_no_key() {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Nfc, &door, &mut member, &mut lock, &mut phone);
    let (opened, first) = pair.open().unwrap();
    let (mut buf, mut out) = (buffer(), buffer());
    let prepared = Prepared::new(pair.lock).unwrap();
    let (_, len) = opened.auth0(&door.setup(), prepared, true, UserPolicy::PhoneSetting, &mut buf).unwrap();
    let trust = pair.member.trust_store();
    let mut answers = vec![];
    for waiting in [first.clone(), first] {
        let mut env = env(pair.phone, &trust, pair.member);
        let (_, answered) = waiting.auth0(&mut env, &buf[..len], &mut out).unwrap();
        assert_eq!(out[67..69], [0x9D, 0x40]);
        answers.push((out[2..67].to_vec(), out[69..answered - 2].to_vec()));
    }
    assert_eq!(answers[0].1.len(), 64);
    assert_ne!(answers[0].0, answers[1].0);
    assert_ne!(answers[0].1, answers[1].1);
}

#[test]
fn p_user_auth_is_asked_for_by_policy_and_by_document() {
    for (policy, required) in
        [(UserPolicy::SecureAction, false), (UserPolicy::Force, false), (UserPolicy::PhoneSetting, true)]
    {
        let door = Door::new(Profile::PRODUCT);
        let mut member = Member::of(&door);
        member.trust.user_auth_required = required;
        member.trust.persistent = Some(Kpersistent::new([3; 32]));
        let entries = [(Kpersistent::new([3; 32]), member.phone.device_key)];
        let (mut lock, mut phone) = (crypto(1), crypto(2));
        let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
        let (lock, phone) = pair.auth0(true, policy).unwrap();
        // No cryptogram that would open the door without the user.
        let found = lock.find(pair.lock, entries.iter().map(|(persistent, key)| (persistent, key))).unwrap();
        assert!(found.is_none());
        let error = phone_error(pair.auth1(lock, phone).err().unwrap());
        assert_eq!((error, error.response()), (InitiatorError::UserAuthRequired, [0x69, 0x85]));

        pair.member.user_authenticated = true;
        let (lock, phone) = pair.auth0(true, policy).unwrap();
        let found = lock.find(pair.lock, entries.iter().map(|(persistent, key)| (persistent, key))).unwrap();
        assert_eq!(found.map(|found| found.index), Some(0));
        drop(phone);
    }
}

#[test]
fn p_exchange_counter_and_p_verdict_forged() {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let (mut buf, mut out) = (buffer(), buffer());

    // The same EXCHANGE again.
    let (deciding, secured) = pair.standard().unwrap();
    let (_, len) = deciding.ask(pair.lock, crate::exchange::SyncKind::TimeToken, &mut buf).unwrap();
    let mut command = buf[..len].to_vec();
    let SecuredNext::Exchange { state, .. } = secured.handle(pair.phone, &mut command, &mut out).unwrap() else {
        panic!("EXCHANGE leads elsewhere")
    };
    let (secured, _) = state.respond(pair.phone, Reply::NONE, &mut out).unwrap();
    let error = secured.handle(pair.phone, &mut buf[..len], &mut out).unwrap_err();
    assert_eq!((error, error.response()), (InitiatorError::Unauthentic, [0x69, 0x82]));

    // A verdict in clear, and one sealed for another session.
    let mut clear = buffer();
    let len = apdu::command(&mut clear, Ins::Exchange, &[0x97, 2, 1, 0x81]).unwrap();
    let (_, secured) = pair.standard().unwrap();
    let error = secured.handle(pair.phone, &mut clear[..len], &mut out).unwrap_err();
    assert_eq!(error, InitiatorError::Unauthentic);
    let (other, _) = pair.standard().unwrap();
    let verdict = Verdict::of_report(report(Reason::Granted), false);
    let (_, len) = other.verdict(pair.lock, &verdict, &mut buf).unwrap();
    let (_, secured) = pair.standard().unwrap();
    let error = secured.handle(pair.phone, &mut buf[..len], &mut out).unwrap_err();
    assert_eq!(error, InitiatorError::Unauthentic);
}

#[test]
fn states_show_no_secret() {
    let door = Door::new(Profile::PRODUCT);
    let mut member = Member::of(&door);
    let (mut lock, mut phone) = (crypto(1), crypto(2));
    let mut pair = Pair::new(Interface::Ble, &door, &mut member, &mut lock, &mut phone);
    let (deciding, secured) = pair.standard().unwrap();
    let persistent = std::format!("{:02x?}", deciding.persistent().unwrap().expose());
    for shown in [std::format!("{deciding:02x?}"), std::format!("{secured:02x?}")] {
        assert!(shown.contains("Kpersistent(redacted)") && shown.contains("AeadKey(redacted)"));
        assert!(!shown.contains(&persistent[1..persistent.len() - 1]));
    }
}
