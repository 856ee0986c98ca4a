use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Tenant, World};

/// What one tenant has, and the other tries to reach.
struct Owned {
    door: String,
    group: String,
    member: String,
    device: String,
    key: String,
}

async fn owned(world: &World, tenant: &Tenant, subject: &str) -> Owned {
    let lock = world.locked_door(tenant, "Front").await;
    let group = world.group(tenant, json!({ "doors": [lock.door] })).await;
    let member = world.member(tenant, subject).await;
    world.grant(tenant, &member, &group).await;
    let phone = world.enrol(tenant, &member, subject).await;
    let keys: Value = world.operate(tenant, Method::GET, "keys", Value::Null).await.json();
    let key = keys[0]["id"].as_str().unwrap().to_owned();
    Owned { door: lock.door.0, group, member, device: phone.device.id.0, key }
}

#[tokio::test]
async fn another_tenants_ids_are_as_unknown_as_invented_ones() {
    let world = World::start().await;
    let (a, b) = (world.tenant("a").await, world.tenant("b").await);
    let theirs = owned(&world, &b, "bob").await;
    let mine = owned(&world, &a, "ada").await;
    let calls = |o: &Owned, site: &str, integration: &str, app: &str| {
        let group = json!({ "name": "g", "doors": [o.door] });
        vec![
            (Method::PATCH, format!("doors/{}", o.door), json!({ "locked_down": true })),
            (Method::DELETE, format!("doors/{}", o.door), Value::Null),
            (Method::POST, format!("doors/{}/claim-code", o.door), Value::Null),
            (Method::PATCH, format!("sites/{site}"), json!({ "locked_down": true })),
            (Method::POST, format!("sites/{site}/rotate-issuer"), Value::Null),
            (Method::POST, "doors".into(), json!({ "site": site, "name": "d" })),
            (Method::PATCH, format!("integrations/{integration}"), json!({ "name": "x" })),
            (Method::POST, "doors".into(), json!({ "site": a.site, "name": "d", "integration": integration })),
            (Method::PUT, format!("groups/{}", o.group), json!({ "name": "g" })),
            (Method::DELETE, format!("groups/{}", o.group), Value::Null),
            (Method::POST, "groups".into(), group),
            (Method::POST, "groups".into(), json!({ "name": "g", "whole_sites": [site] })),
            (Method::GET, format!("members/{}", o.member), Value::Null),
            (Method::PATCH, format!("members/{}", o.member), json!({ "state": "ended" })),
            (Method::PUT, format!("members/{}/groups/{}", o.member, mine.group), json!({})),
            (Method::PUT, format!("members/{}/groups/{}", mine.member, o.group), json!({})),
            (Method::DELETE, format!("members/{}/groups/{}", o.member, o.group), Value::Null),
            (Method::DELETE, format!("devices/{}", o.device), Value::Null),
            (Method::DELETE, format!("keys/{}", o.key), Value::Null),
            (Method::PATCH, format!("apps/{app}"), json!({ "enabled": false })),
        ]
    };
    let invented = Owned {
        door: "dor_x".into(),
        group: "grp_x".into(),
        member: "mem_x".into(),
        device: "dev_x".into(),
        key: "key_x".into(),
    };
    let foreign = calls(&theirs, &b.site.0, &b.integration, &b.app);
    let unknown = calls(&invented, "sit_x", "int_x", "app.x");
    for ((method, path, body), (_, other_path, other_body)) in foreign.into_iter().zip(unknown) {
        let foreign = world.operate(&a, method.clone(), &path, body).await;
        let unknown = world.operate(&a, method.clone(), &other_path, other_body).await;
        assert_eq!(foreign.status, 404, "{method} {path}: {foreign:?}");
        assert_eq!((foreign.status, &foreign.body), (unknown.status, &unknown.body), "{method} {path}");
    }
    // All of it is still there for its owner.
    let member: Value = world.operate(&b, Method::GET, &format!("members/{}", theirs.member), Value::Null).await.json();
    assert_eq!(member["state"], "active");
    assert_eq!(member["groups"].as_array().unwrap().len(), 1);
    assert_eq!(member["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_and_events_show_only_the_own_organization() {
    let world = World::start().await;
    let (a, b) = (world.tenant("a").await, world.tenant("b").await);
    let theirs = owned(&world, &b, "bob").await;
    for path in
        ["apps", "sites", "integrations", "doors", "groups", "members", "revocations", "events", "presses", "keys"]
    {
        let reply = world.operate(&a, Method::GET, path, Value::Null).await;
        assert!(reply.status.is_success());
        for id in [&theirs.door, &theirs.group, &theirs.member, &theirs.device, &theirs.key, &b.site.0, &b.app] {
            assert!(!reply.body.contains(id.as_str()), "{path} shows {id}");
        }
    }
}

#[tokio::test]
async fn an_app_id_belongs_to_whom_it_was_registered_by() {
    let world = World::start().await;
    let (a, b) = (world.tenant("a").await, world.tenant("b").await);
    let reply = world.operate(&b, Method::PUT, &format!("apps/{}", a.app), b.app_body(true)).await;
    assert_eq!(reply.problem(), "conflict");
    let apps: Value = world.operate(&a, Method::GET, "apps", Value::Null).await.json();
    assert_eq!(apps[0]["jwks"]["keys"][0]["kid"], "kid-a");
}

#[tokio::test]
async fn a_token_of_one_app_is_nothing_to_another() {
    let world = World::start().await;
    let (a, b) = (world.tenant("a").await, world.tenant("b").await);
    world.member(&a, "ada").await;
    world.member(&b, "ada").await;
    let request =
        |token: String, app: &str| world.request(Method::GET, "/v1/me").bearer_auth(token).header("Keybutton-App", app);
    let good = world.token(&a, "ada");
    assert!(world.send(request(good.clone(), &a.app)).await.status.is_success());
    // Verified once already, and still nothing elsewhere.
    assert_eq!(world.send(request(good.clone(), &b.app)).await.problem(), "invalid-token");
    assert_eq!(world.send(request(good, "plain.app")).await.problem(), "unknown-app");
}

#[tokio::test]
async fn a_member_cannot_use_another_members_device() {
    let world = World::start().await;
    let a = world.tenant("a").await;
    let lock = world.locked_door(&a, "Front").await;
    let ada = world.phone(&a, "ada", &[&lock.door]).await;
    let mut bob = world.phone(&a, "bob", &[&lock.door]).await;
    bob.device.id = ada.device.id;
    assert_eq!(world.keys(&a, &bob).await.problem(), "device-not-enrolled");
}
