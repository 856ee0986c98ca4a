use keybutton_protocol::api::{
    AccessRefusal, ButtonState, Bytes, Decision, DoorId, DoorRights, HiddenReason, IntegrationKind, ReportPress,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{NOW, Phone, Tenant, World};

/// An integration whose doors a vendor's SDK opens, and one door of it.
async fn vendor_door(world: &World, tenant: &Tenant) -> (String, DoorId) {
    let integration: Value =
        world.operate(tenant, Method::POST, "integrations", json!({ "kind": "vendor", "name": "Kisi" })).await.json();
    assert_eq!(integration["capabilities"], json!(["vendor"]));
    assert_eq!(integration["unlock_method"], "branded-app");
    let id = integration["id"].as_str().unwrap().to_owned();
    let body = json!({ "site": tenant.site, "integration": id, "name": "Gate", "vendor_door": "lock 4711" });
    let door: Value = world.operate(tenant, Method::POST, "doors", body).await.json();
    assert_eq!(door["vendor_door"], "lock 4711");
    (id, DoorId(door["id"].as_str().unwrap().to_owned()))
}

async fn gate(world: &World, tenant: &Tenant, phone: &Phone) -> DoorRights {
    let rights = world.rights(tenant, phone).await;
    rights.doors.into_iter().find(|door| door.name == "Gate").unwrap()
}

#[tokio::test]
async fn a_vendors_door_is_decided_like_any_other_and_needs_no_key() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let (integration, door) = vendor_door(&world, &tenant).await;
    let phone = world.phone(&tenant, "ada", &[&door]).await;
    let seen = gate(&world, &tenant, &phone).await;
    assert_eq!((seen.integration, seen.vendor_door.as_deref()), (IntegrationKind::Vendor, Some("lock 4711")));
    assert!(seen.reader_id.is_none() && matches!(seen.decision, Decision::Allow { .. }), "{seen:?}");
    assert_eq!(world.rights(&tenant, &phone).await.button, ButtonState::Visible);
    assert!(world.bundle(&tenant, &phone).await.sites.is_empty());
    let report = ReportPress {
        press: Bytes::from([7; 16]),
        device: phone.device.id.clone(),
        door: Some(door.clone()),
        outcome: "opened".into(),
        code: None,
        started: NOW,
        took_ms: 700,
    };
    let sent = world.call(&tenant, "ada", Method::POST, "/v1/presses", report).await;
    assert!(sent.status.is_success(), "{sent:?}");
    let presses: Value = world.operate(&tenant, Method::GET, "presses", Value::Null).await.json();
    assert_eq!(presses[0]["door"], door.0, "{presses}");

    let path = format!("doors/{door}");
    world.operate(&tenant, Method::PATCH, &path, json!({ "locked_down": true })).await.json::<Value>();
    assert_eq!(gate(&world, &tenant, &phone).await.decision, Decision::Refuse { reason: AccessRefusal::LockedDown });
    let unlocked = json!({ "locked_down": false, "vendor_door": "lock 4712" });
    world.operate(&tenant, Method::PATCH, &path, unlocked).await.json::<Value>();
    assert_eq!(gate(&world, &tenant, &phone).await.vendor_door.as_deref(), Some("lock 4712"));

    let path = format!("integrations/{integration}");
    let native = json!({ "unlock_method": "native-methods" });
    world.operate(&tenant, Method::PATCH, &path, native).await.json::<Value>();
    let rights = world.rights(&tenant, &phone).await;
    assert_eq!(rights.button, ButtonState::Hidden(HiddenReason::UnlockMethodNative));
}

#[tokio::test]
async fn what_only_a_lock_of_ours_enforces_does_not_open_a_vendors_door() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let (_, door) = vendor_door(&world, &tenant).await;
    let member = world.member(&tenant, "ada").await;
    let phone = world.enrol(&tenant, &member, "ada").await;
    let restricted = json!({ "doors": [door], "restrictions": { "proximity_required": true } });
    let group = world.group(&tenant, restricted).await;
    world.grant(&tenant, &member, &group).await;
    let refused = Decision::Refuse { reason: AccessRefusal::ProximityRequired };
    assert_eq!(gate(&world, &tenant, &phone).await.decision, refused);
}

#[tokio::test]
async fn a_vendors_door_takes_no_lock_and_a_lock_no_vendors_name() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let native = world.door(&tenant, "Front", json!({})).await;
    let (_, door) = vendor_door(&world, &tenant).await;
    let path = format!("doors/{door}/claim-code");
    assert_eq!(world.operate(&tenant, Method::POST, &path, Value::Null).await.problem(), "bad-request");
    let path = format!("doors/{native}");
    let body = json!({ "vendor_door": "lock 1" });
    assert_eq!(world.operate(&tenant, Method::PATCH, &path, body).await.problem(), "bad-request");
}
