//! The operator's part of the API, scoped to the organization of the operator key.

mod apps;
mod doors;
mod events;
mod groups;
mod integrations;
mod keys;
mod members;
mod organization;
mod presses;
mod revocations;
mod sites;

use serde::Serialize;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;

pub use self::{
    apps::{AppInfo, ChangeApp, PutApp},
    doors::{ChangeDoor, ClaimCodeInfo, CreateDoor, DoorInfo, PolicySettings},
    events::EventInfo,
    groups::{GroupInfo, PutGroup},
    integrations::{ChangeIntegration, CreateIntegration, IntegrationInfo},
    keys::{CreateOperatorKey, NewOperatorKey, OperatorKeyInfo},
    members::{ChangeMember, CreateMember, HoldGroup, MemberDetails, MemberInfo, MembershipInfo},
    organization::{ChangeOrganization, OrganizationInfo},
    presses::PressInfo,
    revocations::{RevocationInfo, SiteRevocations},
    sites::{ChangeSite, CreateSite, IssuerInfo, SiteInfo},
};
use crate::{
    access::OPEN_END,
    problem::{Answer, Problem},
    service::{OperatorCall, Service},
    store::Event,
};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .merge(organization::routes())
        .merge(keys::routes())
        .merge(apps::routes())
        .merge(sites::routes())
        .merge(integrations::routes())
        .merge(doors::routes())
        .merge(groups::routes())
        .merge(members::routes())
        .merge(revocations::routes())
        .merge(events::routes())
        .merge(presses::routes())
}

/// The event that a setting changed: who, when, before and after.
fn changed(
    call: &OperatorCall,
    what: &str,
    id: &str,
    before: Option<&impl Serialize>,
    after: Option<&impl Serialize>,
) -> Event {
    crate::events::by(call.organization(), call.now, "settings-changed", &call.actor())
        .data(&json!({ "what": what, "id": id, "before": before, "after": after }))
}

/// A name that people read: trimmed, 1 to 128 characters.
fn name(text: &str) -> Answer<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 128 || text.chars().any(char::is_control) {
        return Err(Problem::field("name", "has to be 1 to 128 printable characters"));
    }
    Ok(text.to_owned())
}

/// A window as it is stored: no end is the open end.
fn window(from: Option<u32>, until: Option<u32>) -> Answer<(u32, u32)> {
    let (from, until) = (from.unwrap_or(0), until.unwrap_or(OPEN_END));
    if until <= from {
        return Err(Problem::field("valid_until", "has to be after `valid_from`"));
    }
    Ok((from, until))
}

/// The end of a window as it is shown.
fn open_end(until: u32) -> Option<u32> {
    (until != OPEN_END).then_some(until)
}
