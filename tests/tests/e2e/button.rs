//! When the Key Button is there, and the one reason why it is not.

use keybutton_protocol::api::{ButtonState, HiddenReason, IntegrationKind, UnlockMethod};
use keybutton_service::{
    operator::{ChangeApp, ChangeIntegration, ChangeMember, CreateMember, MemberInfo},
    store::MemberState,
};

use crate::world::{World, hidden, opened, press, refused_by_phone};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reason_shows_and_goes_once_the_operator_has_acted() {
    let (world, door, group, ann) = World::with_ann().await;
    let organization = &world.organization;
    assert_eq!(ann.keys().key_button(), ButtonState::Visible);

    // Nobody is signed in, then somebody whom the service does not know.
    let ben = world.phone("Ben").await;
    assert_eq!(ben.keys().key_button(), hidden(HiddenReason::NotSignedIn));
    assert_eq!(ben.press(door.options()).unwrap_err().code, "not-signed-in");
    let state = ben.sign_in(organization.token("Ben").unwrap()).await.unwrap();
    assert_eq!(state, hidden(HiddenReason::UnknownMember));
    refused_by_phone(&press(&ben, &door).await, "unknown-member");
    let member = world.member("Ben", &[]).await;
    assert_eq!(ben.refresh().await.unwrap(), hidden(HiddenReason::NoAccessGroup));
    refused_by_phone(&press(&ben, &door).await, "no-access-group");
    organization.grant(&member, &group).await.unwrap();
    assert_eq!(ben.refresh().await.unwrap(), ButtonState::Visible);
    opened(&press(&ben, &door).await);

    // The module, for the organization and for the app.
    organization.set_module(false).await.unwrap();
    assert_eq!(ben.refresh().await.unwrap(), hidden(HiddenReason::ModuleDisabled));
    refused_by_phone(&press(&ben, &door).await, "module-disabled");
    organization.set_module(true).await.unwrap();
    assert_eq!(ben.refresh().await.unwrap(), ButtonState::Visible);
    let app = format!("apps/{}", organization.app());
    world.patch(&app, &ChangeApp { enabled: Some(false) }).await;
    assert_eq!(ben.refresh().await.unwrap(), hidden(HiddenReason::ModuleDisabled));
    world.patch(&app, &ChangeApp { enabled: Some(true) }).await;
    assert_eq!(ben.refresh().await.unwrap(), ButtonState::Visible);

    // How the integration opens, and whom the vendor has confirmed.
    let integration = format!("integrations/{}", organization.sample().integration);
    let method = |method| ChangeIntegration { unlock_method: Some(method), ..ChangeIntegration::default() };
    world.patch(&integration, &method(UnlockMethod::NativeMethods)).await;
    assert_eq!(ben.refresh().await.unwrap(), hidden(HiddenReason::UnlockMethodNative));
    refused_by_phone(&press(&ben, &door).await, "unlock-method-native");
    let late = CreateMember { name: "Cid".into(), subject: Some("Cid".into()), confirmed: None };
    let late: MemberInfo = organization.client().post("/v1/operator/members", &late).await.unwrap();
    assert!(!late.confirmed, "the vendor's own app confirms its users");
    organization.grant(&late.id, &group).await.unwrap();
    world.patch(&integration, &method(UnlockMethod::BrandedApp)).await;
    assert_eq!(ben.refresh().await.unwrap(), ButtonState::Visible);
    let cid = world.phone("Cid").await;
    let state = cid.sign_in(organization.token("Cid").unwrap()).await.unwrap();
    assert_eq!(state, hidden(HiddenReason::UserNotConfirmed), "switching the method converts nobody");
    refused_by_phone(&press(&cid, &door).await, "user-not-confirmed");
    let confirm = ChangeMember { confirmed: Some(true), ..ChangeMember::default() };
    world.patch(&format!("members/{}", late.id), &confirm).await;
    assert_eq!(cid.refresh().await.unwrap(), ButtonState::Visible);
    opened(&press(&cid, &door).await);

    // The membership.
    let ben_path = format!("members/{member}");
    for state in [MemberState::Suspended, MemberState::Ended] {
        let change = |state| ChangeMember { state: Some(state), ..ChangeMember::default() };
        world.patch(&ben_path, &change(state)).await;
        assert_eq!(ben.refresh().await.unwrap(), hidden(HiddenReason::MemberSuspended));
        refused_by_phone(&press(&ben, &door).await, "member-suspended");
        world.patch(&ben_path, &change(MemberState::Active)).await;
        assert_eq!(ben.refresh().await.unwrap(), ButtonState::Visible);
    }
    opened(&press(&ben, &door).await);
    assert_eq!(ann.refresh().await.unwrap(), ButtonState::Visible, "it was all about others");
    assert!(ann.keys().doors().iter().all(|door| door.integration == IntegrationKind::Native));
}
