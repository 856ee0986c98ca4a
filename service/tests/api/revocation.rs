use keybutton_protocol::{api::SiteKeys, document::RevocationEntry, ids::AccessId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{NOW, Phone, Tenant, TestLock, World};

fn names_access_id(entries: &[RevocationEntry], site: &SiteKeys) -> bool {
    let id = AccessId::from_slice(&site.access_id.0);
    entries.iter().any(|entry| entry.access_id == id)
}

fn names_device(entries: &[RevocationEntry], phone: &Phone) -> bool {
    let hash = ring::digest::digest(&ring::digest::SHA256, &phone.public_key().0);
    entries.iter().any(|entry| entry.key_hash.as_ref().is_some_and(|known| known[..] == *hash.as_ref()))
}

/// A second member, whose phone carries the news.
async fn witness(world: &World, tenant: &Tenant, lock: &TestLock) -> Phone {
    world.phone(tenant, "witness", &[&lock.door]).await
}

#[tokio::test]
async fn a_revoked_device_is_in_the_next_revocation_document() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    let other = witness(&world, &tenant, &lock).await;
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert!(world.bundle(&tenant, &other).await.sites[0].revocation_document.is_none(), "nothing was ever revoked");

    let path = format!("devices/{}", phone.device.id);
    assert!(world.operate(&tenant, Method::DELETE, &path, Value::Null).await.status.is_success());
    assert_eq!(world.keys(&tenant, &phone).await.problem(), "device-not-enrolled");
    let news = world.bundle(&tenant, &other).await.sites.remove(0);
    let (iteration, entries) = lock.read_revocation(&news, NOW);
    assert_eq!((iteration, entries.len()), (1, 1));
    assert!(names_device(&entries, &phone) && !names_device(&entries, &other));
    assert_eq!(entries[0].expires.unwrap().0, site.valid_until);
    let list: Value = world.operate(&tenant, Method::GET, "revocations", Value::Null).await.json();
    assert_eq!(list[0]["entries"].as_array().unwrap().len(), 1);
    assert_eq!(world.operate(&tenant, Method::DELETE, &path, Value::Null).await.problem(), "not-found");
}

#[tokio::test]
async fn a_device_without_keys_needs_no_entry() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    let path = format!("devices/{}", phone.device.id);
    world.operate(&tenant, Method::DELETE, &path, Value::Null).await;
    let list: Value = world.operate(&tenant, Method::GET, "revocations", Value::Null).await.json();
    assert_eq!(list[0]["revocation_iteration"], 0);
}

#[tokio::test]
async fn losing_a_group_revokes_the_key_and_the_next_one_has_a_new_identifier() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let (front, back) = (world.locked_door(&tenant, "Front").await, world.locked_door(&tenant, "Back").await);
    let phone = world.phone(&tenant, "ada", &[&front.door]).await;
    let extra = world.group(&tenant, json!({ "doors": [back.door] })).await;
    world.grant(&tenant, &phone.member, &extra).await;
    let before = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert!(back.opens(&before.document, &phone.public_key(), NOW));

    let path = format!("members/{}/groups/{extra}", phone.member);
    assert!(world.operate(&tenant, Method::DELETE, &path, Value::Null).await.status.is_success());
    let after = world.bundle(&tenant, &phone).await.sites.remove(0);
    let (_, entries) = front.read_revocation(&after, NOW);
    assert!(names_access_id(&entries, &before) && !names_access_id(&entries, &after));
    assert!(!names_device(&entries, &phone), "the device itself is as good as before");
    assert!(front.opens(&after.document, &phone.public_key(), NOW));
    assert!(back.read_key(&after.document, &phone.public_key(), NOW).is_empty());
}

#[tokio::test]
async fn keys_for_the_whole_site_end_where_a_new_lock_is_not_theirs_to_open() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let front = world.locked_door(&tenant, "Front").await;
    let group = world.group(&tenant, json!({ "whole_sites": [tenant.site] })).await;
    let member = world.member(&tenant, "ada").await;
    world.grant(&tenant, &member, &group).await;
    let phone = world.enrol(&tenant, &member, "ada").await;
    let whole = world.bundle(&tenant, &phone).await.sites.remove(0);
    // Another lock on the same terms, and another one on the same door.
    world.locked_door(&tenant, "Side").await;
    world.claim(&tenant, &front.door).await;
    assert_eq!(world.bundle(&tenant, &phone).await.sites[0].access_id, whole.access_id);

    let vault = world.door(&tenant, "Vault", json!({})).await;
    let path = format!("doors/{vault}");
    world.operate(&tenant, Method::PATCH, &path, json!({ "locked_down": true })).await.json::<Value>();
    let vault = world.claim(&tenant, &vault).await;
    let after = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert!(names_access_id(&vault.read_revocation(&after, NOW).1, &whole));
    assert!(vault.read_key(&after.document, &phone.public_key(), NOW).is_empty());
    assert!(!vault.read_key(&whole.document, &phone.public_key(), NOW).is_empty(), "which is why it had to end");
}

#[tokio::test]
async fn gaining_a_group_revokes_nothing() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let (front, back) = (world.locked_door(&tenant, "Front").await, world.locked_door(&tenant, "Back").await);
    let phone = world.phone(&tenant, "ada", &[&front.door]).await;
    let before = world.bundle(&tenant, &phone).await.sites.remove(0);
    let extra = world.group(&tenant, json!({ "doors": [back.door] })).await;
    world.grant(&tenant, &phone.member, &extra).await;
    let after = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert!(after.revocation_document.is_none());
    assert_eq!(before.access_id, after.access_id);
    assert!(back.opens(&after.document, &phone.public_key(), NOW));
}

#[tokio::test]
async fn a_narrower_schedule_revokes_and_a_wider_one_does_not() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let group = world.group(&tenant, json!({ "doors": [lock.door] })).await;
    let member = world.member(&tenant, "ada").await;
    world.grant(&tenant, &member, &group).await;
    let phone = world.enrol(&tenant, &member, "ada").await;
    let first = world.bundle(&tenant, &phone).await.sites.remove(0);
    let put = async |schedule: Value| {
        let mut body = json!({ "name": "group", "doors": [lock.door] });
        if !schedule.is_null() {
            body["schedule"] = schedule;
        }
        world.operate(&tenant, Method::PUT, &format!("groups/{group}"), body).await.json::<Value>();
        world.bundle(&tenant, &phone).await.sites.remove(0)
    };
    let narrow = put(json!({ "weekly": [{ "days": ["fri"], "from": "08:00", "until": "18:00" }] })).await;
    assert_ne!(narrow.access_id, first.access_id);
    assert!(names_access_id(&lock.read_revocation(&narrow, NOW).1, &first));
    let wide = put(Value::Null).await;
    assert_eq!(wide.access_id, narrow.access_id);
}

#[tokio::test]
async fn suspension_and_module_off_revoke_every_key() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    let other = witness(&world, &tenant, &lock).await;
    let (key, kept) =
        (world.bundle(&tenant, &phone).await.sites.remove(0), world.bundle(&tenant, &other).await.sites.remove(0));
    let path = format!("members/{}", phone.member);
    world.operate(&tenant, Method::PATCH, &path, json!({ "state": "ended" })).await.json::<Value>();
    assert_eq!(world.keys(&tenant, &phone).await.problem(), "member-suspended");
    let news = world.bundle(&tenant, &other).await.sites.remove(0);
    let (_, entries) = lock.read_revocation(&news, NOW);
    assert!(names_access_id(&entries, &key) && !names_access_id(&entries, &kept));

    for on in [false, true] {
        world.operate(&tenant, Method::PATCH, "organization", json!({ "module_enabled": on })).await.json::<Value>();
    }
    let again = world.bundle(&tenant, &other).await.sites.remove(0);
    assert!(names_access_id(&lock.read_revocation(&again, NOW).1, &kept));
    assert_ne!(again.access_id, kept.access_id);
}

#[tokio::test]
async fn more_than_the_list_holds_raises_the_access_iteration() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let group = world.group(&tenant, json!({ "doors": [lock.door] })).await;
    for n in 0..33 {
        let subject = format!("m{n}");
        let member = world.member(&tenant, &subject).await;
        world.grant(&tenant, &member, &group).await;
        let phone = world.enrol(&tenant, &member, &subject).await;
        world.bundle(&tenant, &phone).await;
    }
    let other = witness(&world, &tenant, &lock).await;
    assert!(world.operate(&tenant, Method::DELETE, &format!("groups/{group}"), Value::Null).await.status.is_success());
    let list: Value = world.operate(&tenant, Method::GET, "revocations", Value::Null).await.json();
    assert_eq!(list[0]["entries"].as_array().unwrap().len(), 32);
    assert_eq!(list[0]["access_iteration"], 9);
    let site = world.bundle(&tenant, &other).await.sites.remove(0);
    let document = keybutton_protocol::document::Document::parse(&site.document.0).unwrap();
    let key = other.public_key();
    let expected = keybutton_protocol::document::Expected::Access { device_key: &key };
    let crypto = keybutton_protocol::crypto::ring::Ring::new();
    let verified =
        keybutton_protocol::document::verify(&crypto, &document, |kid| lock.issuer(&kid.0), expected).unwrap();
    assert_eq!(verified.check_iteration(lock.provision.issuers[0].access_iteration), Ok(9));
    assert_eq!(lock.read_revocation(&site, NOW).1.len(), 32);
}

#[tokio::test]
async fn entries_leave_after_their_keys_and_the_document_is_renewed_in_time() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    let other = witness(&world, &tenant, &lock).await;
    world.bundle(&tenant, &phone).await;
    world.operate(&tenant, Method::DELETE, &format!("devices/{}", phone.device.id), Value::Null).await;
    world.advance(14 * 86_400);
    let site = world.bundle(&tenant, &other).await.sites.remove(0);
    assert_eq!(lock.read_revocation(&site, world.now()).0, 1, "not yet due");
    world.advance(2 * 86_400);
    let site = world.bundle(&tenant, &other).await.sites.remove(0);
    let (iteration, entries) = lock.read_revocation(&site, world.now());
    assert_eq!((iteration, entries.len()), (2, 0));
}

#[tokio::test]
async fn more_devices_than_a_document_has_room_for_raise_the_access_iteration() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let other = witness(&world, &tenant, &lock).await;
    for n in 0..32 {
        let phone = world.phone(&tenant, &format!("m{n}"), &[&lock.door]).await;
        world.bundle(&tenant, &phone).await;
        world.operate(&tenant, Method::DELETE, &format!("devices/{}", phone.device.id), Value::Null).await;
    }
    let site = world.bundle(&tenant, &other).await.sites.remove(0);
    let list: Value = world.operate(&tenant, Method::GET, "revocations", Value::Null).await.json();
    let listed = list[0]["entries"].as_array().unwrap().len();
    // A key's hash takes 32 bytes: fewer than 32 entries fit beside an access document.
    assert!((20..32).contains(&listed), "{listed}");
    assert_eq!(lock.read_revocation(&site, NOW).1.len(), listed);
    let raised = list[0]["access_iteration"].as_u64().unwrap();
    assert_eq!(raised, 1 + 8 * (32 - u64::try_from(listed).unwrap()));
}
