//! The organization's settings.

use axum::{Json, extract::State, http::HeaderMap};
use keybutton_protocol::api::{OrganizationId, Problem as ProblemBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{super::extract, changed, name};
use crate::{
    problem::{Answer, Problem},
    service::{Draft, Hold, Scope, Service},
    store::{Change, Organization},
};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(show, change))
}

/// The organization as its operator sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OrganizationInfo {
    /// Its identifier.
    pub id: OrganizationId,
    /// Its name, shown to members.
    pub name: String,
    /// The Branded App module is on.
    pub module_enabled: bool,
    /// How many devices a member may have.
    pub device_cap: u16,
    /// When it was created.
    pub created: u32,
}

/// What to change; what is left out stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeOrganization {
    /// Its name, 1 to 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Switches the Branded App module on or off; off revokes every key at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_enabled: Option<bool>,
    /// How many devices a member may have, 1 to 100. Devices beyond it stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_cap: Option<u16>,
}

/// Shows the organization's settings.
#[utoipa::path(get, path = "/v1/operator/organization", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = OrganizationInfo), (status = "default", body = ProblemBody)))]
async fn show(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<OrganizationInfo>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    Ok(Json(info(&call.org.state.organization)))
}

/// Changes the organization's settings.
#[utoipa::path(patch, path = "/v1/operator/organization", tag = "operator", security(("operator" = [])),
    request_body = ChangeOrganization,
    responses((status = 200, body = OrganizationInfo), (status = "default", body = ProblemBody)))]
async fn change(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<ChangeOrganization>,
) -> Answer<Json<OrganizationInfo>> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let mut draft = Draft::configuration(&call.org, Scope::Everybody);
    let organization = &mut draft.state.organization;
    if let Some(text) = &request.name {
        organization.name = name(text)?;
    }
    if let Some(cap) = request.device_cap {
        if !(1..=100).contains(&cap) {
            return Err(Problem::field("device_cap", "has to be 1 to 100"));
        }
        organization.device_cap = cap;
    }
    organization.module_enabled = request.module_enabled.unwrap_or(organization.module_enabled);
    let (before, after) = (info(&call.org.state.organization), info(organization));
    if before != after {
        let put = Change::PutOrganization(organization.clone());
        draft.unit.push(put);
        draft.event(changed(&call, "organization", &after.id.0, Some(&before), Some(&after)));
        service.commit(draft, call.now).await?;
    }
    Ok(Json(after))
}

fn info(organization: &Organization) -> OrganizationInfo {
    OrganizationInfo {
        id: organization.id.clone(),
        name: organization.name.clone(),
        module_enabled: organization.module_enabled,
        device_cap: organization.device_cap,
        created: organization.created,
    }
}
