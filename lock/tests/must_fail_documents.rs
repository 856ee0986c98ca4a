//! The must-fail cases of `docs/PROTOCOL.md` section 24 about documents, at a real lock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use keybutton_lock::store::Record;
use keybutton_protocol::{
    crypto::Signer,
    document::{Interfaces, Restrictions, list::List},
    ids::{GroupId, Intent, UnixTime},
    issue::IssuedValidity,
    verdict::{Reason, Verdict},
};

/// What a member with this document is told, and whether anything moved.
fn verdict_for(world: &mut World, phone: &mut Phone) -> (Reason, u8) {
    let before = world.bolts.len();
    let log = world.press(phone, Intent::Unlock);
    let granted = log.is_granted();
    assert_eq!(world.bolts.len() > before, granted);
    (log.reason().unwrap_or_else(|| panic!("{log:?} {:?}", world.events)), log.detail().unwrap())
}

fn altered(change: impl FnOnce(&mut Vec<u8>)) -> (Reason, u8) {
    let mut world = World::new();
    let mut phone = world.member(1);
    change(&mut phone.documents[0]);
    let told = verdict_for(&mut world, &mut phone);
    assert_eq!(world.store.value(Record::Known(0)), None, "nothing is learnt from a bad document");
    assert_eq!(world.store.value(Record::Floors), None);
    told
}

fn position(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).position(|window| window == pattern).expect("pattern")
}

fn splice(bytes: &mut Vec<u8>, pattern: &[u8], with: &[u8]) {
    let at = position(bytes, pattern);
    bytes.splice(at..at + pattern.len(), with.iter().copied());
}

#[test]
fn l_key_mismatch() {
    let mut world = World::new();
    let victim = world.member(1);
    let mut thief = world.phone(2);
    (thief.documents, thief.access_signed) = (victim.documents.clone(), victim.access_signed);
    assert_eq!(verdict_for(&mut world, &mut thief), (Reason::NotTrusted, 3));
}

#[test]
fn l_doc_sig() {
    let in_signature = |document: &mut Vec<u8>| {
        let at = document.len() - 20;
        document[at] ^= 1;
    };
    assert_eq!(altered(in_signature), (Reason::NotTrusted, 2));
    let in_payload = |document: &mut Vec<u8>| {
        let at = position(document, b"2030-01-03");
        document[at + 9] = b'4';
    };
    assert_eq!(altered(in_payload), (Reason::NotTrusted, 2));
}

#[test]
fn l_doc_alg() {
    const PROTECTED: [u8; 4] = [0x43, 0xA1, 0x01, 0x26];
    assert_eq!(altered(|d| splice(d, &PROTECTED, &[0x43, 0xA1, 0x01, 0x27])), (Reason::NotTrusted, 2));
    assert_eq!(altered(|d| splice(d, &PROTECTED, &[0x40])), (Reason::NotTrusted, 2));
    let only_unprotected =
        |d: &mut Vec<u8>| splice(d, &[0x43, 0xA1, 0x01, 0x26, 0xA1, 0x04], &[0x40, 0xA2, 0x01, 0x26, 0x04]);
    assert_eq!(altered(only_unprotected), (Reason::NotTrusted, 2));
}

#[test]
fn l_doc_kid() {
    let unknown = |d: &mut Vec<u8>| {
        let at = position(d, &[0xA1, 0x04, 0x48]);
        d[at + 3] ^= 1;
    };
    assert_eq!(altered(unknown), (Reason::NotTrusted, 1));
    let missing = |d: &mut Vec<u8>| {
        let at = position(d, &[0xA1, 0x04, 0x48]);
        d.splice(at..at + 11, [0xA0]);
    };
    assert_eq!(altered(missing), (Reason::NotTrusted, 1));
}

#[test]
fn l_digest() {
    let in_item = |d: &mut Vec<u8>| {
        let at = position(d, &[5; 16]);
        d[at] = 6;
    };
    assert_eq!(altered(in_item), (Reason::BadData, 3));
    let missing_digest = |d: &mut Vec<u8>| splice(d, &[0x61, 0x31, 0x01, 0x61, 0x32], &[0x61, 0x31, 0x02, 0x61, 0x32]);
    assert_eq!(altered(missing_digest), (Reason::BadData, 3));
}

/// A DeviceResponse around one document.
fn response(document: &[u8]) -> Vec<u8> {
    let mut out = vec![0xA3, 0x61, b'1', 0x63, b'1', b'.', b'0', 0x61, b'2', 0x81];
    out.extend(document);
    out.extend([0x61, b'3', 0x00]);
    out
}

#[test]
fn l_doctype() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let entry = world.entry(&phone);
    world.revoke(&mut phone, 9, &[entry]);
    let mut revocation = phone.revocation.take().unwrap();
    phone.revocation_signed = None;
    let tail = revocation.len() - 7;
    revocation[tail..].copy_from_slice(b"aliro-a");
    phone.raw_response = Some(response(&revocation));
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::BadData, 4));
}

#[test]
fn l_expired_and_l_early() {
    let mut world = World::new();
    let at = |world: &World, from: i64, until: i64| IssuedValidity {
        signed: UnixTime((i64::from(world.unix().0) + from) as u32),
        valid_from: UnixTime((i64::from(world.unix().0) + from) as u32),
        valid_until: UnixTime((i64::from(world.unix().0) + until) as u32),
        ..world.validity(42)
    };
    let mut late = world.phone(1);
    let validity = at(&world, -7_200, -1);
    world.grant_with(&mut late, validity, &[("l002a", access_data(1))]);
    assert_eq!(verdict_for(&mut world, &mut late), (Reason::Expired, 0));
    let mut early = world.phone(2);
    let validity = IssuedValidity { signed: world.unix(), ..at(&world, 60, 3_600) };
    world.grant_with(&mut early, validity, &[("l002a", access_data(2))]);
    assert_eq!(verdict_for(&mut world, &mut early), (Reason::NotYetValid, 0));
}

#[test]
fn l_no_clock() {
    let mut world = World::with(LockOptions { set_time: false, ..LockOptions::default() });
    let mut phone = world.member(1);
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::ClockUnknown, 1));
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::ClockUnknown, 1), "a lower bound is not enough");

    let mut world = World::with(LockOptions { set_time: false, ..LockOptions::default() });
    let mut phone = world.phone(1);
    let validity = IssuedValidity { time_verification_required: false, ..world.validity(42) };
    world.grant_with(&mut phone, validity, &[("l002a", access_data(1))]);
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::Granted, 0));
}

#[test]
fn l_iteration_8_and_l_iteration_jump() {
    let mut world = World::new();
    let mut tell = |seed, iteration| {
        let mut phone = world.phone(seed);
        world.grant(&mut phone, iteration, access_data(seed));
        let told = verdict_for(&mut world, &mut phone);
        (told, world.store.value(Record::Floors).map(|floors| floors[9..13].to_vec()))
    };
    let fifty = Some(50_u32.to_be_bytes().to_vec());
    assert_eq!(tell(1, 50), ((Reason::Granted, 0), fifty.clone()));
    assert_eq!(tell(2, 42), ((Reason::StaleDocument, 0), fifty.clone()));
    assert_eq!(tell(3, 43), ((Reason::Granted, 0), fifty.clone()));
    assert_eq!(tell(4, 2_000), ((Reason::BadData, 7), fifty));
}

#[test]
fn l_revoked_key_and_l_revoked_id() {
    for by_id in [false, true] {
        let mut world = World::new();
        let mut phone = world.member(1);
        assert_eq!(verdict_for(&mut world, &mut phone), (Reason::Granted, 0));
        let mut carrier = world.member(2);
        let mut entry = world.entry(&phone);
        if by_id {
            entry.key_hash = None;
            entry.access_id = access_data(1).access_id;
        }
        world.revoke(&mut carrier, 9, &[entry]);
        assert_eq!(verdict_for(&mut world, &mut carrier), (Reason::Granted, 0));
        let log = world.press(&mut phone, Intent::Unlock);
        assert!(!log.fast, "its entry for the fast phase is gone");
        assert_eq!(log.reason(), Some(Reason::Revoked));
        phone.persistent = None;
        assert_eq!(verdict_for(&mut world, &mut phone), (Reason::Revoked, 0));
    }
}

#[test]
fn a_phone_may_carry_its_own_revocation() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let entry = world.entry(&phone);
    world.revoke(&mut phone, 9, &[entry]);
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::Revoked, 0));

    // Also by access identifier, at a lock that knows the key and needs no access document.
    let mut known = world.member(2);
    assert_eq!(verdict_for(&mut world, &mut known), (Reason::Granted, 0));
    let mut entry = world.entry(&known);
    (entry.key_hash, entry.access_id) = (None, access_data(2).access_id);
    world.pass(1_000);
    world.revoke(&mut known, 10, &[entry]);
    assert_eq!(verdict_for(&mut world, &mut known), (Reason::Revoked, 0));
}

#[test]
fn l_revocation_old() {
    let mut world = World::new();
    let phone = world.member(1);
    let entry = world.entry(&phone);
    let mut carrier = world.member(2);
    world.revoke(&mut carrier, 20, &[entry]);
    verdict_for(&mut world, &mut carrier);
    let list = world.store.value(Record::Revocations);
    world.pass(5_000);
    world.revoke(&mut carrier, 19, &[]);
    verdict_for(&mut world, &mut carrier);
    assert_eq!(world.store.value(Record::Revocations), list);
    world.revoke(&mut carrier, 20 + 1_025, &[]);
    verdict_for(&mut world, &mut carrier);
    assert_eq!(world.store.value(Record::Revocations), list, "a jump is refused too");
}

#[test]
fn l_unknown_extension() {
    // Extension 9 in place of the site binding, under the key for access extensions.
    let mut world = World::new();
    let mut phone = world.member(1);
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(log.is_granted());
    let told = resigned(|data| splice(data, &[0x84, 0x00, 0x01, 0x01, 0x50], &[0x84, 0x00, 0x09, 0x01, 0x50]));
    assert_eq!(told, (Reason::BadData, 8));
    let told = resigned(|data| {
        // The same extension as one that is not about access: ignored, and with it the binding is missing.
        splice(
            data,
            &[0x06, 0xA1, 0x1A, 0x00, 0x7A, 0x4B, 0x42, 0x81, 0x84, 0x00, 0x01, 0x01],
            &[0x05, 0xA1, 0x1A, 0x00, 0x7A, 0x4B, 0x42, 0x81, 0x83, 0x09, 0x01],
        );
    });
    assert_eq!(told, (Reason::WrongLock, 0));
}

#[test]
fn l_accessdata_version() {
    assert_eq!(
        resigned(|data| splice(data, &[0x00, 0x01, 0x01, 0x48], &[0x00, 0x02, 0x01, 0x48])),
        (Reason::BadData, 8)
    );
}

/// What a document says whose element was changed before it was signed.
fn resigned(change: impl FnOnce(&mut Vec<u8>)) -> (Reason, u8) {
    let mut world = World::new();
    let mut phone = world.member(1);
    let document = phone.documents[0].clone();
    // Cut the item out, change its value, put the digest right and sign again.
    let item_at = position(&document, &[0xD8, 0x18]);
    let item_len = usize::from(document[item_at + 3]);
    let item = document[item_at + 4..item_at + 4 + item_len].to_vec();
    let value_at = position(&item, &[0x61, b'4']) + 2;
    let mut value = item[value_at..].to_vec();
    change(&mut value);
    let mut changed = item[..value_at].to_vec();
    changed.extend(value);
    let mut whole = vec![0xD8, 0x18, 0x58, u8::try_from(changed.len()).unwrap()];
    whole.extend(changed);
    use keybutton_protocol::crypto::Crypto;
    let (old, new) =
        (world.crypto.sha256(&[&document[item_at..item_at + 4 + item_len]]), world.crypto.sha256(&[&whole]));
    let mut next = document.clone();
    let digest_at = position(&next, &old);
    next[digest_at..digest_at + 32].copy_from_slice(&new);
    let payload_at = position(&next, &[0xA1, 0x04, 0x48]) + 11;
    let payload_len = usize::from(next[payload_at + 1]);
    let payload = next[payload_at + 2..payload_at + 2 + payload_len].to_vec();
    let mut signed = vec![0x84, 0x6A];
    signed.extend(b"Signature1");
    signed.extend([0x43, 0xA1, 0x01, 0x26, 0x40, 0x58, u8::try_from(payload_len).unwrap()]);
    signed.extend(&payload);
    let signature = signer(10).sign(&signed).unwrap();
    let signature_at = payload_at + 2 + payload_len + 2;
    next[signature_at..signature_at + 64].copy_from_slice(&signature.0);
    next.splice(item_at..item_at + 4 + item_len, whole);
    phone.documents = vec![next];
    verdict_for(&mut world, &mut phone)
}

#[test]
fn l_reader_rule_and_l_capability_and_l_site_binding() {
    let told = resigned(|data| {
        // Reader rule identifiers, field 4, and one more pair in the map.
        assert_eq!(data[0], 0xA4);
        data[0] = 0xA5;
        splice(data, &[0x06, 0xA1], &[0x04, 0x81, 0x01, 0x06, 0xA1]);
    });
    assert_eq!(told, (Reason::NoPermission, 0));

    let mut world = World::new();
    let mut phone = world.phone(1);
    let mut data = access_data(1);
    data.rules.rules = List::from_slice(&[rule(0x01)]).unwrap();
    world.grant(&mut phone, 42, data);
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::NoPermission, 0));

    let mut phone = world.phone(2);
    let restrictions = Restrictions { site: Some(GroupId([1; 16])), ..Restrictions::default() };
    world.grant(&mut phone, 42, keybutton_protocol::document::AccessData { restrictions, ..access_data(2) });
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::WrongLock, 0));
}

#[test]
fn interfaces_and_user_authentication() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    let mut data = access_data(1);
    data.restrictions.interfaces = Some(Interfaces::NFC);
    world.grant(&mut phone, 42, data);
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::Policy, 0));

    let mut phone = world.phone(2);
    let mut data = access_data(2);
    data.restrictions.user_authentication = true;
    world.grant(&mut phone, 42, data);
    let press = phone.press(Intent::Unlock);
    let first = world.press_with(&mut phone, press, 185, &mut |_, _| {});
    assert_eq!(first.reason(), Some(Reason::UserAuthRequired));
    // The same press again: this time the lock forces it.
    phone.user_authenticated = true;
    let second = world.press_with(&mut phone, press, 185, &mut |_, _| {});
    assert!(second.is_granted(), "{second:?}");
}

#[test]
fn l_use_limit_also_after_power_loss() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    let mut data = access_data(1);
    data.restrictions.use_limit = Some(2);
    world.grant(&mut phone, 42, data);
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
    assert_eq!(world.press(&mut phone, Intent::Status).reason(), Some(Reason::Granted), "asking is free");
    world.restart();
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::UseLimit, 0));
    world.restart();
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::UseLimit, 0));
}

#[test]
fn l_cbor() {
    let depth = |levels: usize| {
        let mut out = vec![0xA3, 0x61, b'1', 0x63, b'1', b'.', b'0', 0x61, b'2'];
        out.extend(std::iter::repeat_n(0x81, levels));
        out.extend([0x00, 0x61, b'3', 0x00]);
        out
    };
    for bad in [
        vec![0xBF, 0x61, b'1', 0x63, b'1', b'.', b'0', 0x61, b'3', 0x00, 0xFF],
        vec![0xA3, 0x61, b'1', 0x63, b'1', b'.', b'0', 0x61, b'3', 0x00, 0x61, b'3', 0x00],
        vec![0xA2, 0x61, b'1', 0x63, b'1', b'.', b'0', 0x61, b'3', 0x00, 0x00],
        vec![0xA2, 0x61, b'1', 0x63, b'1', b'.', b'0', 0x61, b'3', 0x9B, 0, 0, 0, 1, 0, 0, 0, 0],
        vec![0xA2, 0x61, b'1', 0x63, b'1', b'.', b'0', 0x61, b'3', 0x9A, 0xFF, 0xFF, 0xFF, 0xFF],
        depth(9),
        vec![0x00],
    ] {
        let mut world = World::new();
        let mut phone = world.member(1);
        phone.raw_response = Some(bad.clone());
        assert_eq!(verdict_for(&mut world, &mut phone), (Reason::BadData, 0), "{bad:02x?}");
    }
}

#[test]
fn no_document_is_key_unknown() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::KeyUnknown, 0));
    // A document with nothing for this lock is not shown.
    let mut phone = world.phone(2);
    let validity = world.validity(42);
    world.grant_with(&mut phone, validity, &[("l0001", access_data(2))]);
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::KeyUnknown, 0));
}

#[test]
fn one_granting_element_is_enough() {
    let mut world = World::new();
    let mut phone = world.phone(1);
    let mut refusing = access_data(1);
    refusing.rules.rules = List::from_slice(&[rule(0x01)]).unwrap();
    let validity = world.validity(42);
    world.grant_with(&mut phone, validity, &[("l002a", refusing), ("site", access_data(1))]);
    assert_eq!(verdict_for(&mut world, &mut phone), (Reason::Granted, 0));
    phone.persistent = None;
    let again = world.press(&mut phone, Intent::Unlock);
    assert!(again.is_granted() && !again.stepped_up);
    // The element that is kept has no capability for this: the other one is looked up again.
    let lock = world.press(&mut phone, Intent::Lock);
    assert!(lock.is_granted() && lock.stepped_up, "{lock:?}");
}

#[test]
fn verdicts_tell_the_lock_time_and_the_press() {
    let mut world = World::new();
    let mut phone = world.member(1);
    let press = phone.press(Intent::Unlock);
    let log = world.press_with(&mut phone, press, 185, &mut |_, _| {});
    let Some(Verdict { report: Some(report), .. }) = log.verdict else { panic!("{log:?}") };
    assert_eq!(report.unlock_id, press.unlock_id);
    assert_eq!(report.lock_time, Some(NOW));
    assert_eq!(report.time_open, 50);
    assert!(report.audit.number > 0);
}
