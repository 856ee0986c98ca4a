use keybutton_protocol::{
    certificate::Certificate,
    crypto::ring::Ring,
    document::{Document, Expected, Interfaces, verify},
    ids::{GroupId, Kid, PublicKey, SubId, UnixTime},
    token::TimeToken,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{NOW, World};

#[tokio::test]
async fn a_members_key_opens_its_door_and_no_other() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let (front, vault) = (world.locked_door(&tenant, "Front").await, world.locked_door(&tenant, "Vault").await);
    let phone = world.phone(&tenant, "ada", &[&front.door]).await;

    let bundle = world.bundle(&tenant, &phone).await;
    assert_eq!(bundle.sites.len(), 1);
    let site = &bundle.sites[0];
    assert_eq!(site.site, tenant.site);
    assert_eq!((site.signed, site.valid_from, site.valid_until), (NOW, NOW - 600, NOW - 600 + 48 * 3600));
    assert_eq!(bundle.renew_after, NOW + (48 * 3600 - 600) / 2);
    let opens: Vec<_> = site.locks.iter().map(|lock| (lock.name.as_str(), lock.opens)).collect();
    assert_eq!(opens, [("Front", true), ("Vault", false)]);
    assert!(front.opens(&site.document, &phone.public_key(), NOW));
    assert!(vault.read_key(&site.document, &phone.public_key(), NOW).is_empty());
    let (_, data) = &front.read_key(&site.document, &phone.public_key(), NOW)[0];
    assert_eq!(data.access_id.unwrap().as_bytes(), site.access_id.0);
    assert!(!data.restrictions.user_authentication && data.restrictions.interfaces.is_none());

    // The key is this device's alone.
    let document = Document::parse(&site.document.0).unwrap();
    let stranger = PublicKey([4; 65]);
    let issuer = |kid: &Kid| front.issuer(&kid.0);
    assert!(verify(&Ring::new(), &document, issuer, Expected::Access { device_key: &stranger }).is_err());
}

#[tokio::test]
async fn a_claimed_lock_is_provisioned_for_its_site() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);

    assert_eq!(lock.provision.group_id, site.group_id);
    assert_eq!(lock.provision.group_resolving_key, site.group_resolving_key);
    assert_eq!(lock.provision.ca_key, site.ca_key);
    assert_eq!(lock.provision.now, NOW);
    assert_eq!(lock.provision.elements, ["l0001", "z0001", "site"]);
    assert_eq!(site.locks[0].sub_id, lock.provision.sub_id);
    let ca = PublicKey::from_slice(&site.ca_key.0).unwrap();
    let certificate = Certificate::parse(&lock.provision.certificate.0).unwrap();
    certificate.verify(&Ring::new(), &ca).unwrap();
    certificate.check_subject(&SubId::from_slice(&lock.provision.sub_id.0).unwrap()).unwrap();
    certificate.check_dates(UnixTime(NOW)).unwrap();
    assert_eq!(certificate.key, keybutton_protocol::crypto::Signer::public_key(&lock.key));
    // It travels in every opening: 81 bytes and the lock's name around a signature of at most 69 bytes.
    assert!(lock.provision.certificate.0.len() <= 160, "{}", lock.provision.certificate.0.len());
    // The issuer in use and the next one.
    assert_eq!(lock.provision.issuers.len(), 2);
    assert_eq!(lock.provision.issuers[0].kid, site.kid);

    let token = TimeToken::open(&Ring::new(), &site.time_token.0, |kid| lock.issuer(&kid.0)).unwrap().1;
    assert_eq!(token.group, GroupId::from_slice(&site.group_id.0).unwrap());
    assert_eq!((token.time.0, token.expires.0), (NOW, NOW + 24 * 3600));
}

#[tokio::test]
async fn renewal_goes_on_with_the_access_identifier() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    let first = world.bundle(&tenant, &phone).await;
    world.advance(24 * 3600);
    let second = world.bundle(&tenant, &phone).await;
    assert_eq!(first.sites[0].access_id, second.sites[0].access_id);
    assert_eq!(second.sites[0].valid_until, first.sites[0].valid_until + 24 * 3600);
    let other = world.enrol(&tenant, &phone.member, "ada").await;
    let third = world.bundle(&tenant, &other).await;
    assert_ne!(first.sites[0].access_id, third.sites[0].access_id);
}

#[tokio::test]
async fn schedules_stay_right_across_a_daylight_saving_change() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let schedule = json!({ "weekly": [{
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "08:00", "until": "18:00",
    }] });
    let group = world.group(&tenant, json!({ "doors": [lock.door], "schedule": schedule })).await;
    let member = world.member(&tenant, "ada").await;
    world.grant(&tenant, &member, &group).await;
    let phone = world.enrol(&tenant, &member, "ada").await;
    // Saturday, 24 October 2026, 10:00 in Berlin; clocks go back in the following night.
    let saturday: u32 = 1_792_828_800;
    world.advance(saturday - NOW);
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    let opens = |t| lock.opens(&site.document, &phone.public_key(), t);
    // In summer time 18:00 is 16:00 UTC, in winter time 17:00 UTC.
    assert!(opens(saturday));
    assert!(opens(saturday + 8 * 3600 - 1) && !opens(saturday + 8 * 3600));
    let sunday = saturday + 24 * 3600;
    assert!(!opens(sunday - 3600 - 1) && opens(sunday - 3600));
    assert!(opens(sunday + 9 * 3600 - 1) && !opens(sunday + 9 * 3600));
}

#[tokio::test]
async fn high_security_doors_get_short_keys_that_ask_for_the_user() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let door = world.door(&tenant, "Vault", json!({ "high_security": true })).await;
    let lock = world.claim(&tenant, &door).await;
    assert!(!lock.provision.policy.fast && lock.provision.policy.high_security);
    assert_eq!(lock.provision.policy.offline_limit_s, 24 * 3600);
    let phone = world.phone(&tenant, "ada", &[&door]).await;
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert_eq!(site.valid_until - site.valid_from, 24 * 3600);
    assert!(lock.read_key(&site.document, &phone.public_key(), NOW)[0].1.restrictions.user_authentication);
}

#[tokio::test]
async fn restrictions_reach_the_lock() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let restrictions = json!({ "tap_only": true, "use_limit": 3, "primary_device_only": true });
    let group = world.group(&tenant, json!({ "doors": [lock.door], "restrictions": restrictions })).await;
    let member = world.member(&tenant, "ada").await;
    world.grant(&tenant, &member, &group).await;
    let first = world.enrol(&tenant, &member, "ada").await;
    let second = world.enrol(&tenant, &member, "ada").await;
    let site = world.bundle(&tenant, &first).await.sites.remove(0);
    let data = lock.read_key(&site.document, &first.public_key(), NOW)[0].1;
    assert_eq!(data.restrictions.use_limit, Some(3));
    assert_eq!(data.restrictions.interfaces, Some(Interfaces::NFC));
    assert!(world.bundle(&tenant, &second).await.sites.is_empty(), "not the primary device");
}

#[tokio::test]
async fn whole_site_groups_use_the_site_element() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let front = world.locked_door(&tenant, "Front").await;
    let group = world.group(&tenant, json!({ "whole_sites": [tenant.site] })).await;
    let member = world.member(&tenant, "ada").await;
    world.grant(&tenant, &member, &group).await;
    let phone = world.enrol(&tenant, &member, "ada").await;
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    // A door that comes later is open to the key that is there.
    let back = world.locked_door(&tenant, "Back").await;
    for lock in [&front, &back] {
        assert_eq!(lock.read_key(&site.document, &phone.public_key(), NOW)[0].0, "site");
    }
}

#[tokio::test]
async fn doors_beyond_a_keys_room_are_said_to_be_left_out() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let mut doors = Vec::new();
    for n in 0..18 {
        doors.push(world.locked_door(&tenant, &format!("Door {n}")).await.door);
    }
    let phone = world.phone(&tenant, "ada", &doors.iter().collect::<Vec<_>>()).await;
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    let opens = site.locks.iter().filter(|lock| lock.opens).count();
    assert_eq!(opens, 16);
    let events: Value = world.operate(&tenant, Method::GET, "events?kind=key-issued", Value::Null).await.json();
    assert_eq!(events[0]["data"]["left_out"], json!([17, 18]));
}

#[tokio::test]
async fn a_rotated_issuer_signs_keys_that_every_lock_accepts() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    let before = world.bundle(&tenant, &phone).await.sites.remove(0);
    let path = format!("sites/{}/rotate-issuer", tenant.site);
    assert!(world.operate(&tenant, Method::POST, &path, Value::Null).await.status.is_success());
    let after = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert_ne!(before.kid, after.kid);
    assert!(lock.opens(&before.document, &phone.public_key(), NOW));
    assert!(lock.opens(&after.document, &phone.public_key(), NOW));
    // The lock was claimed before the next standby was made: it has to be claimed again first.
    let reply = world.operate(&tenant, Method::POST, &path, Value::Null).await;
    assert_eq!(reply.problem(), "issuer-not-distributed");
    assert!(reply.body.contains("Front"));
    world.claim(&tenant, &lock.door).await;
    assert!(world.operate(&tenant, Method::POST, &path, Value::Null).await.status.is_success());
}
