use keybutton_protocol::api::{AccessRefusal, ButtonState, Decision, HiddenReason, Rights};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{NOW, Tenant, World};

fn refusals(rights: &Rights) -> Vec<Option<AccessRefusal>> {
    let refusal = |decision: &Decision| match decision {
        Decision::Allow { .. } => None,
        Decision::Refuse { reason } => Some(*reason),
    };
    rights.doors.iter().map(|door| refusal(&door.decision)).collect()
}

const fn hidden(reason: HiddenReason) -> ButtonState {
    ButtonState::Hidden(reason)
}

async fn me(world: &World, tenant: &Tenant, subject: &str) -> Rights {
    world.call(tenant, subject, Method::GET, "/v1/me", Value::Null).await.json()
}

#[tokio::test]
async fn a_member_with_a_group_sees_the_button() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    world.locked_door(&tenant, "Vault").await;
    let rights = world.rights(&tenant, &phone).await;
    assert_eq!(rights.button, ButtonState::Visible);
    assert_eq!((rights.now, rights.organization.as_str()), (NOW, "a"));
    let front = rights.doors.iter().find(|door| door.id == lock.door).unwrap();
    assert_eq!(front.decision, Decision::Allow { until: NOW + 48 * 3600 });
    assert_eq!(front.reader_id.as_ref().unwrap().0, lock.reader_id().0);
    let vault = rights.doors.iter().find(|door| door.name == "Vault").unwrap();
    assert_eq!(vault.decision, Decision::Refuse { reason: AccessRefusal::NoPermission });
}

#[tokio::test]
async fn the_module_switch_hides_and_shows_without_anything_else() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    let set = async |on: bool| {
        let body = json!({ "module_enabled": on });
        world.operate(&tenant, Method::PATCH, "organization", body).await.json::<Value>();
    };
    set(false).await;
    let rights = world.rights(&tenant, &phone).await;
    assert_eq!(rights.button, hidden(HiddenReason::ModuleDisabled));
    assert_eq!(refusals(&rights), [Some(AccessRefusal::ModuleDisabled)]);
    assert_eq!(world.keys(&tenant, &phone).await.problem(), "module-disabled");
    set(true).await;
    assert_eq!(world.rights(&tenant, &phone).await.button, ButtonState::Visible);
    let path = format!("apps/{}", tenant.app);
    world.operate(&tenant, Method::PATCH, &path, json!({ "enabled": false })).await.json::<Value>();
    assert_eq!(world.rights(&tenant, &phone).await.button, hidden(HiddenReason::ModuleDisabled));
}

#[tokio::test]
async fn every_hidden_reason_is_told() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    assert_eq!(me(&world, &tenant, "nobody").await.button, hidden(HiddenReason::UnknownMember));
    let member = world.member(&tenant, "ada").await;
    assert_eq!(me(&world, &tenant, "ada").await.button, hidden(HiddenReason::NoAccessGroup));

    let group = world.group(&tenant, json!({ "doors": [lock.door] })).await;
    world.grant(&tenant, &member, &group).await;
    assert_eq!(me(&world, &tenant, "ada").await.button, ButtonState::Visible, "not enrolled yet");
    let rights: Rights = world.call(&tenant, "ada", Method::GET, "/v1/me?device=dev_x", Value::Null).await.json();
    assert_eq!(rights.button, hidden(HiddenReason::DeviceNotEnrolled));

    let path = format!("members/{member}");
    world.operate(&tenant, Method::PATCH, &path, json!({ "state": "suspended" })).await.json::<Value>();
    assert_eq!(me(&world, &tenant, "ada").await.button, hidden(HiddenReason::MemberSuspended));
    world
        .operate(&tenant, Method::PATCH, &path, json!({ "state": "active", "confirmed": false }))
        .await
        .json::<Value>();
    let rights = me(&world, &tenant, "ada").await;
    assert_eq!(rights.button, hidden(HiddenReason::UserNotConfirmed));
    assert_eq!(refusals(&rights), [Some(AccessRefusal::UserNotConfirmed)]);
}

#[tokio::test]
async fn the_unlock_method_depends_on_the_connection_date() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let connect = async |connected: u32| -> Value {
        let body = json!({ "kind": "native", "name": "old", "connected": connected });
        world.operate(&tenant, Method::POST, "integrations", body).await.json()
    };
    assert_eq!(connect(1_701_388_800).await["unlock_method"], "branded-app");
    let old = connect(1_701_388_799).await;
    assert_eq!((&old["unlock_method"], &old["connected"]), (&json!("native-methods"), &json!(1_701_388_799)));
    let future = json!({ "kind": "native", "name": "x", "connected": NOW + 1 });
    assert_eq!(world.operate(&tenant, Method::POST, "integrations", future).await.problem(), "bad-request");

    // Users made while an integration uses its native methods aren't confirmed, and switching converts nobody.
    let body = json!({ "site": tenant.site, "name": "Old door", "integration": old["id"] });
    let door: Value = world.operate(&tenant, Method::POST, "doors", body).await.json();
    let group = world.group(&tenant, json!({ "doors": [door["id"]] })).await;
    let member = world.member(&tenant, "ada").await;
    world.grant(&tenant, &member, &group).await;
    assert_eq!(me(&world, &tenant, "ada").await.button, hidden(HiddenReason::UnlockMethodNative));
    let path = format!("integrations/{}", old["id"].as_str().unwrap());
    let body = json!({ "unlock_method": "branded-app" });
    world.operate(&tenant, Method::PATCH, &path, body).await.json::<Value>();
    assert_eq!(me(&world, &tenant, "ada").await.button, hidden(HiddenReason::UserNotConfirmed));
    let path = format!("members/{member}");
    world.operate(&tenant, Method::PATCH, &path, json!({ "confirmed": true })).await.json::<Value>();
    assert_eq!(me(&world, &tenant, "ada").await.button, ButtonState::Visible);

    let events: Value = world.operate(&tenant, Method::GET, "events?kind=settings-changed", Value::Null).await.json();
    let change = events.as_array().unwrap().iter().find(|event| event["data"]["what"] == "integration").unwrap();
    assert_eq!(change["data"]["before"]["unlock_method"], "native-methods");
    assert_eq!(change["data"]["after"]["unlock_method"], "branded-app");
    assert!(change["actor"].as_str().unwrap().starts_with("operator:key_"));
    assert_eq!(change["at"], NOW);
}

#[tokio::test]
async fn a_group_later_today_shows_the_button_and_one_tomorrow_does_not() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let group = world.group(&tenant, json!({ "doors": [lock.door] })).await;
    let member = world.member(&tenant, "ada").await;
    let hold = async |from: u32| {
        let path = format!("members/{member}/groups/{group}");
        world.operate(&tenant, Method::PUT, &path, json!({ "valid_from": from })).await.json::<Value>();
    };
    // It is 22:26:40 in Berlin: midnight is 5,600 seconds away.
    hold(NOW + 5_599).await;
    let rights = me(&world, &tenant, "ada").await;
    assert_eq!(rights.button, ButtonState::Visible);
    assert_eq!(refusals(&rights), [Some(AccessRefusal::NotYetValid)]);
    hold(NOW + 5_600).await;
    assert_eq!(me(&world, &tenant, "ada").await.button, hidden(HiddenReason::NoAccessGroup));
    world.advance(1);
    hold(NOW).await;
    let path = format!("members/{member}/groups/{group}");
    let ended = json!({ "valid_until": NOW + 1 });
    world.operate(&tenant, Method::PUT, &path, ended).await.json::<Value>();
    assert_eq!(me(&world, &tenant, "ada").await.button, hidden(HiddenReason::NoAccessGroup));
}

#[tokio::test]
async fn lockdown_refuses_everybody_at_the_door_and_its_site() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let (front, back) = (world.locked_door(&tenant, "Front").await, world.locked_door(&tenant, "Back").await);
    let phone = world.phone(&tenant, "ada", &[&front.door, &back.door]).await;
    let lock = async |path: String, on: bool| {
        world.operate(&tenant, Method::PATCH, &path, json!({ "locked_down": on })).await.json::<Value>();
        world.rights(&tenant, &phone).await
    };
    let rights = lock(format!("doors/{}", front.door), true).await;
    let of = |rights: &Rights, id| rights.doors.iter().find(|door| door.id == id).unwrap().decision.clone();
    assert_eq!(of(&rights, front.door.clone()), Decision::Refuse { reason: AccessRefusal::LockedDown });
    assert!(matches!(of(&rights, back.door.clone()), Decision::Allow { .. }));
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert!(front.read_key(&site.document, &phone.public_key(), NOW).is_empty());
    let rights = lock(format!("sites/{}", tenant.site), true).await;
    assert_eq!(refusals(&rights), [Some(AccessRefusal::LockedDown); 2]);
    assert!(world.bundle(&tenant, &phone).await.sites.is_empty());
    lock(format!("sites/{}", tenant.site), false).await;
    lock(format!("doors/{}", front.door), false).await;
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert!(front.opens(&site.document, &phone.public_key(), NOW));
}
