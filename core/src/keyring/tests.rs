use keybutton_protocol::{
    api::{KeyBundle, SiteKeys},
    ids::{Kpersistent, UnixTime},
};
use proptest::prelude::*;

use super::{
    fixture::{NOW, Plan, World, door},
    *,
};

type Spoil = Box<dyn Fn(&mut SiteKeys)>;

fn install(keyring: &mut Keyring, world: &World, sites: Vec<SiteKeys>) -> Result<(), KeyError> {
    let bundle = KeyBundle { sites, renew_after: u32::MAX, now: NOW.0 };
    keyring.install(bundle, &world.device_key(), &world.crypto)
}

#[test]
fn a_sound_record_is_kept_and_found() {
    let mut world = World::new();
    let keyring = world.keyring(&Plan::default());
    let (site, lock) = keyring.door(&door(world.group, 2)).unwrap();
    assert_eq!((site.name(), lock.name.as_str()), ("Harbour", "Door 2"));
    assert_eq!(site.elements().len(), 2);
    assert_eq!(keyring.reader(world.reader(2)).unwrap().1, lock);
    assert!(keyring.door(&door(world.group, 9)).is_none());
}

#[test]
fn anything_unsound_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let good = world.record(&Plan::default());
    let other = World::of_group(9).record(&Plan::default());
    let spoilt: Vec<(&str, Spoil)> = vec![
        ("group", Box::new(|r| r.group_id.0.truncate(15))),
        ("another group", Box::new(|r| r.group_id.0[0] ^= 1)),
        ("CA key off the curve", Box::new(|r| r.ca_key.0[64] ^= 1)),
        ("issuer key off the curve", Box::new(|r| r.issuer_key.0[64] ^= 1)),
        ("kid", Box::new(|r| r.kid.0[0] ^= 1)),
        ("document altered", Box::new(|r| *r.document.0.last_mut().unwrap() ^= 1)),
        (
            "signature altered",
            Box::new(|r| {
                let at = r.document.0.len() - 20;
                r.document.0[at] ^= 1;
            }),
        ),
        (
            "document of another site",
            Box::new({
                let other = other.clone();
                move |r| r.document = other.document.clone()
            }),
        ),
        ("signed", Box::new(|r| r.signed += 1)),
        ("until", Box::new(|r| r.valid_until += 1)),
        ("access id", Box::new(|r| r.access_id.0[0] ^= 1)),
        ("resolving key", Box::new(|r| r.group_resolving_key.0.push(0))),
        ("sub identifier", Box::new(|r| r.locks[0].sub_id.0.push(0))),
        ("document as revocation", Box::new(|r| r.revocation_document = Some(r.document.clone()))),
        ("document as time token", Box::new(|r| r.time_token = r.document.clone())),
        (
            "time token of another site",
            Box::new({
                let other = other.clone();
                move |r| r.time_token = other.time_token.clone()
            }),
        ),
        (
            "another site's issuer",
            Box::new(move |r| {
                r.issuer_key = other.issuer_key.clone();
                r.kid = other.kid.clone();
            }),
        ),
    ];
    let mut keyring = world.keyring(&Plan::default());
    let before = keyring.snapshot();
    for (what, spoil) in spoilt {
        let mut record = good.clone();
        spoil(&mut record);
        let error = install(&mut keyring, &world, vec![record]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ServiceFailed, "{what}");
        assert_eq!(*keyring.snapshot(), *before, "{what}");
    }
    assert!(install(&mut keyring, &world, vec![good.clone(), good]).is_err(), "a site twice");
}

#[test]
fn a_key_for_another_phone_is_refused() {
    let mut world = World::new();
    let record = world.record(&Plan::default());
    let thief = World::new();
    assert!(install(&mut Keyring::new(), &thief, vec![record]).is_err());
}

#[test]
fn fast_keys_live_as_long_as_their_document() {
    let mut world = World::new();
    let record = world.record(&Plan::default());
    let mut keyring = Keyring::new();
    install(&mut keyring, &world, vec![record.clone()]).unwrap();
    let reader = world.reader(1);
    keyring.put_fast_key(reader, Kpersistent::new([1; 32]));
    keyring.put_fast_key(World::of_group(9).reader(1), Kpersistent::new([1; 32]));
    assert!(keyring.fast_key(World::of_group(9).reader(1)).is_none(), "a stranger's lock");

    install(&mut keyring, &world, vec![record]).unwrap();
    assert!(keyring.fast_key(reader).is_some(), "nothing changed");
    let renewed = world.record(&Plan { iteration: 2, ..Plan::default() });
    install(&mut keyring, &world, vec![renewed]).unwrap();
    assert!(keyring.fast_key(reader).is_none(), "a new document");
}

#[test]
fn what_is_newer_never_goes_back() {
    let mut world = World::new();
    let mut keyring = Keyring::new();
    let mut newer = world.record(&Plan { revocation: Some(5), ..Plan::default() });
    newer.ack_tokens = vec![world.ack(1, 20)];
    let mut older = world.record(&Plan { revocation: Some(4), signed: UnixTime(NOW.0 - 3600), ..Plan::default() });
    older.ack_tokens = vec![world.ack(1, 10), world.ack(2, 3)];
    install(&mut keyring, &world, vec![newer.clone()]).unwrap();
    install(&mut keyring, &world, vec![older.clone()]).unwrap();
    let site = keyring.site(world.group).unwrap();
    assert_eq!(site.revocation().unwrap().0, newer.revocation_document.unwrap().0);
    assert_eq!(site.time_token(NOW).unwrap(), newer.time_token.0);
    assert_eq!(site.ack_token(fixture::sub(1)).unwrap(), newer.ack_tokens[0].token.0);
    assert_eq!(site.ack_token(fixture::sub(2)).unwrap(), older.ack_tokens[1].token.0);
    assert_eq!(site.document(), older.document.0, "the service decides which key is the current one");
    assert!(site.time_token(UnixTime(NOW.0 + 86_401)).is_none(), "expired");
}

#[test]
fn keys_are_due_at_half_of_their_validity() {
    let mut world = World::new();
    let keyring = world.keyring(&Plan::default());
    assert_eq!(keyring.renew_after(), Some(UnixTime(NOW.0 + 24 * 3600)));
    assert!(!keyring.is_due(NOW));
    assert!(keyring.is_due(UnixTime(NOW.0 + 24 * 3600)));
    assert!(Keyring::new().is_due(NOW), "never downloaded");
    let mut keyring = keyring;
    keyring.want_newer();
    assert!(keyring.is_due(NOW), "a lock wants newer ones");
}

#[test]
fn audit_waits_for_the_service_and_its_acknowledgement_for_the_lock() {
    let mut world = World::new();
    let mut keyring = world.keyring(&Plan::default());
    let reader = world.reader(1);
    for n in 0..=u8::try_from(AUDIT_MAX).unwrap() {
        keyring.put_audit(reader, vec![n]);
        keyring.put_audit(reader, vec![n]);
    }
    assert_eq!(keyring.pending_audit().count(), AUDIT_MAX);
    assert_eq!(keyring.pending_audit().next().unwrap().envelope, [1], "the oldest went");
    let uploaded = keyring.pending_audit().next().unwrap().clone();
    let forged = World::of_group(7).ack(1, 40);
    keyring.audit_acknowledged(&uploaded, &forged, &world.crypto);
    assert!(keyring.site(world.group).unwrap().ack_token(fixture::sub(1)).is_none());
    let uploaded = keyring.pending_audit().next().unwrap().clone();
    let ack = world.ack(1, 40);
    keyring.audit_acknowledged(&uploaded, &ack, &world.crypto);
    assert_eq!(keyring.site(world.group).unwrap().ack_token(fixture::sub(1)).unwrap(), ack.token.0);
    assert_eq!(keyring.pending_audit().count(), AUDIT_MAX - 2);
}

#[test]
fn a_snapshot_brings_everything_back() {
    let mut world = World::new();
    let mut record = world.record(&Plan { revocation: Some(3), ..Plan::default() });
    record.ack_tokens = vec![world.ack(1, 20)];
    let mut keyring = Keyring::new();
    install(&mut keyring, &world, vec![record]).unwrap();
    keyring.put_fast_key(world.reader(1), Kpersistent::new([0xCA; 32]));
    keyring.put_audit(world.reader(2), vec![1, 2, 3]);
    keyring.opened(door(world.group, 1), NOW);
    let snapshot = keyring.snapshot();
    let restored = Keyring::restore(&snapshot, &world.device_key(), &world.crypto).unwrap();
    assert_eq!(*restored.snapshot(), *snapshot);
    assert_eq!(restored.fast_key(world.reader(1)), keyring.fast_key(world.reader(1)));
    assert_eq!(restored.last_opened(&door(world.group, 1)), Some(NOW));
    assert!(!format!("{restored:?}").contains("202"), "secrets do not print");

    let damaged = |bytes: &[u8]| Keyring::restore(bytes, &world.device_key(), &world.crypto).unwrap_err().code();
    assert_eq!(damaged(&snapshot[..snapshot.len() - 1]), ErrorCode::VaultDamaged);
    assert_eq!(damaged(b""), ErrorCode::VaultDamaged);
    let other = World::new();
    assert!(Keyring::restore(&snapshot, &other.device_key(), &other.crypto).is_err(), "another device key");
}

proptest! {
    #[test]
    fn no_snapshot_panics(at in 0usize..4_000, byte: u8) {
        thread_local!(static SNAPSHOT: (World, Vec<u8>) = {
            let mut world = World::new();
            let snapshot = world.keyring(&Plan::default()).snapshot().to_vec();
            (world, snapshot)
        });
        SNAPSHOT.with(|(world, snapshot)| {
            let mut altered = snapshot.clone();
            let at = at % altered.len();
            altered[at] = byte;
            let _ = Keyring::restore(&altered, &world.device_key(), &world.crypto);
        });
    }
}
