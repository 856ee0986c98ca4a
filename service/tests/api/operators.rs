use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn operator_keys_are_made_shown_once_and_revoked() {
    let world = World::start().await;
    let mut tenant = world.tenant("a").await;
    let made: Value = world.operate(&tenant, Method::POST, "keys", json!({ "name": "second" })).await.json();
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("kbo_") && key.len() == 68);
    let first = std::mem::replace(&mut tenant.operator_key, key.clone());
    let list = world.operate(&tenant, Method::GET, "keys", Value::Null).await;
    assert!(!list.body.contains(&key) && !list.body.contains(&first));
    let list: Value = list.json();
    let old = list.as_array().unwrap().iter().find(|key| key["name"] == "bootstrap").unwrap()["id"].as_str().unwrap();
    assert_eq!(world.operate(&tenant, Method::DELETE, &format!("keys/{old}"), Value::Null).await.status, 204);
    tenant.operator_key = first;
    assert_eq!(world.operate(&tenant, Method::GET, "keys", Value::Null).await.problem(), "invalid-operator-key");
}

#[tokio::test]
async fn groups_keep_what_they_are_given() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let door = world.door(&tenant, "Front", json!({})).await;
    let body = json!({
        "name": "Night shift", "doors": [door], "whole_sites": [],
        "schedule": {
            "weekly": [{ "days": ["mon", "tue"], "from": "22:00", "until": "06:00" }],
            "closed_days": ["2026-12-24"],
            "extra": [{ "date": "2026-12-24", "from": "10:00", "until": "12:00" }],
        },
        "restrictions": { "primary_device_only": false, "tap_only": false, "geofence": { "radius_m": 300 },
            "proximity_required": true, "use_limit": 5 },
        "valid_from": 100, "valid_until": 200,
    });
    let made: Value = world.operate(&tenant, Method::POST, "groups", body.clone()).await.json();
    let list: Value = world.operate(&tenant, Method::GET, "groups", Value::Null).await.json();
    assert_eq!(list[0], made);
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    let default: Value = world
        .operate(&tenant, Method::POST, "groups", json!({ "name": "g", "restrictions": { "geofence": {} } }))
        .await
        .json();
    assert_eq!(default["restrictions"]["geofence"]["radius_m"], 300);
    for bad in [
        json!({ "name": "g", "schedule": { "weekly": [{ "days": [], "from": "08:00", "until": "09:00" }] } }),
        json!({ "name": "g", "schedule": { "weekly": [{ "days": ["mon"], "from": "25:00", "until": "09:00" }] } }),
        json!({ "name": "g", "schedule": { "closed_days": ["2026-02-30"] } }),
        json!({ "name": "g", "restrictions": { "use_limit": 0 } }),
        json!({ "name": "g", "restrictions": { "colour": "red" } }),
        json!({ "name": "g", "valid_from": 10, "valid_until": 10 }),
    ] {
        assert_eq!(world.operate(&tenant, Method::POST, "groups", bad.clone()).await.problem(), "bad-request", "{bad}");
    }
}

#[tokio::test]
async fn doors_in_use_stay() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let spare = world.door(&tenant, "Spare", json!({})).await;
    let group = world.group(&tenant, json!({ "doors": [spare] })).await;
    let remove = async |door: &str| world.operate(&tenant, Method::DELETE, &format!("doors/{door}"), Value::Null).await;
    assert_eq!(remove(&lock.door.0).await.problem(), "in-use");
    assert_eq!(remove(&spare.0).await.problem(), "in-use");
    world.operate(&tenant, Method::DELETE, &format!("groups/{group}"), Value::Null).await;
    assert_eq!(remove(&spare.0).await.status, 204);
    assert_eq!(remove(&spare.0).await.problem(), "not-found");
}

#[tokio::test]
async fn what_high_security_and_the_site_force_ends_with_them() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let site = format!("sites/{}", tenant.site);
    world.operate(&tenant, Method::PATCH, &site, json!({ "key_hours": 24 })).await.json::<Value>();
    let door = world.door(&tenant, "Vault", json!({ "high_security": true })).await;
    let told = async || {
        let policy = world.claim(&tenant, &door).await.provision.policy;
        let doors: Value = world.operate(&tenant, Method::GET, "doors", Value::Null).await.json();
        assert_eq!(doors[0]["policy"], json!(policy), "the operator sees what the lock is told");
        (policy.fast, policy.offline_limit_s)
    };
    assert_eq!(told().await, (false, 24 * 3600));
    world.operate(&tenant, Method::PATCH, &site, json!({ "key_hours": 72 })).await.json::<Value>();
    assert_eq!(told().await, (false, 24 * 3600));
    let plain = json!({ "policy": { "high_security": false } });
    world.operate(&tenant, Method::PATCH, &format!("doors/{door}"), plain).await.json::<Value>();
    assert_eq!(told().await, (true, 72 * 3600));
    // What high security hides is kept all the same.
    for settings in [json!({ "high_security": true }), json!({ "fast": false }), json!({ "high_security": false })] {
        let body = json!({ "policy": settings });
        world.operate(&tenant, Method::PATCH, &format!("doors/{door}"), body).await.json::<Value>();
    }
    assert_eq!(told().await, (false, 72 * 3600));
}

#[tokio::test]
async fn members_are_unique_by_subject() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    world.member(&tenant, "ada").await;
    let again = json!({ "name": "other", "subject": "ada" });
    assert_eq!(world.operate(&tenant, Method::POST, "members", again).await.problem(), "conflict");
    let plain: Value = world.operate(&tenant, Method::POST, "members", json!({ "name": "Bob" })).await.json();
    assert_eq!(plain["subject"], plain["id"]);
    let page: Value = world.operate(&tenant, Method::GET, "members?limit=1", Value::Null).await.json();
    let last = page[0]["id"].as_str().unwrap();
    let rest: Value = world.operate(&tenant, Method::GET, &format!("members?after={last}"), Value::Null).await.json();
    assert_eq!(rest.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn events_tell_who_did_what_and_can_be_exported() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    world.bundle(&tenant, &phone).await;
    let events: Value = world.operate(&tenant, Method::GET, "events", Value::Null).await.json();
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    for kind in [
        "organization-created",
        "settings-changed",
        "claim-code-created",
        "lock-claimed",
        "group-granted",
        "device-enrolled",
        "key-issued",
        "signed-in",
    ] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    assert_eq!(kinds[0], "key-issued", "newest first");
    let by_member: Value = world
        .operate(&tenant, Method::GET, &format!("events?member={}&kind=key-issued", phone.member), Value::Null)
        .await
        .json();
    assert_eq!(by_member.as_array().unwrap().len(), 1);
    assert_eq!(by_member[0]["actor"], format!("member:{}", phone.member));
    assert_eq!(by_member[0]["device"], phone.device.id.0);

    let lines = world.operate(&tenant, Method::GET, "events/export", Value::Null).await;
    assert_eq!(lines.content_type, "application/jsonl");
    assert_eq!(lines.body.lines().count(), kinds.len());
    assert!(lines.body.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let csv = world.operate(&tenant, Method::GET, "events/export?format=csv&kind=key-issued", Value::Null).await;
    assert!(csv.content_type.starts_with("text/csv"));
    assert_eq!(csv.body.lines().count(), 2);
}
