//! Integrations and their unlock method.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use keybutton_protocol::api::{IntegrationKind, Problem as ProblemBody, UnlockMethod};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    super::extract::{self, Path},
    changed, name,
};
use crate::{
    integration::{capabilities, default_unlock_method},
    problem::{Answer, Code, Problem},
    random,
    service::{Draft, Hold, Scope, Service},
    store::{Change, Integration},
};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(change))
}

/// An integration as its operator sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct IntegrationInfo {
    /// Its identifier.
    pub id: String,
    /// What drives the doors.
    pub kind: IntegrationKind,
    /// What the operator calls it.
    pub name: String,
    /// When it was connected.
    pub connected: u32,
    /// How members open.
    pub unlock_method: UnlockMethod,
    /// What it can do: `radio`, `tap`, `offline`, `audit`, `vendor`.
    pub capabilities: Vec<String>,
}

/// What to connect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateIntegration {
    /// What drives the doors.
    pub kind: IntegrationKind,
    /// What the operator calls it, 1 to 128 characters.
    pub name: String,
    /// When it was connected, not in the future; now when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<u32>,
    /// How members open; when left out `native-methods` if it was connected before 1 December 2023, else `branded-app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock_method: Option<UnlockMethod>,
}

/// What to change; what is left out stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeIntegration {
    /// What the operator calls it, 1 to 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How members open. It converts nobody: members who aren't confirmed stay so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlock_method: Option<UnlockMethod>,
}

/// Lists the organization's integrations.
#[utoipa::path(get, path = "/v1/operator/integrations", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = [IntegrationInfo]), (status = "default", body = ProblemBody)))]
async fn list(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<Vec<IntegrationInfo>>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    Ok(Json(call.org.state.integrations.iter().map(info).collect()))
}

/// Connects an integration.
#[utoipa::path(post, path = "/v1/operator/integrations", tag = "operator", security(("operator" = [])),
    request_body = CreateIntegration,
    responses((status = 201, body = IntegrationInfo), (status = "default", body = ProblemBody)))]
async fn create(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<CreateIntegration>,
) -> Answer<(StatusCode, Json<IntegrationInfo>)> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let connected = request.connected.unwrap_or(call.now);
    if connected > call.now {
        return Err(Problem::field("connected", "is in the future"));
    }
    let integration = Integration {
        id: random::id("int")?,
        organization: call.organization().clone(),
        kind: request.kind,
        name: name(&request.name)?,
        connected,
        unlock_method: request.unlock_method.unwrap_or_else(|| default_unlock_method(connected)),
    };
    let after = info(&integration);
    let mut draft = Draft::configuration(&call.org, Scope::Nobody);
    draft.unit.push(Change::PutIntegration(integration));
    draft.event(changed(&call, "integration", &after.id, None::<&IntegrationInfo>, Some(&after)));
    service.commit(draft, call.now).await?;
    Ok((StatusCode::CREATED, Json(after)))
}

/// Changes an integration.
#[utoipa::path(patch, path = "/v1/operator/integrations/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)), request_body = ChangeIntegration,
    responses((status = 200, body = IntegrationInfo), (status = "default", body = ProblemBody)))]
async fn change(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<String>,
    extract::Json(request): extract::Json<ChangeIntegration>,
) -> Answer<Json<IntegrationInfo>> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let mut draft = Draft::configuration(&call.org, Scope::Everybody);
    let integration = draft.state.integrations.iter_mut().find(|known| known.id == id).ok_or(Code::NotFound)?;
    let before = info(integration);
    if let Some(text) = &request.name {
        integration.name = name(text)?;
    }
    integration.unlock_method = request.unlock_method.unwrap_or(integration.unlock_method);
    let after = info(integration);
    if before != after {
        let put = Change::PutIntegration(integration.clone());
        draft.unit.push(put);
        draft.event(changed(&call, "integration", &id, Some(&before), Some(&after)));
        service.commit(draft, call.now).await?;
    }
    Ok(Json(after))
}

fn info(integration: &Integration) -> IntegrationInfo {
    IntegrationInfo {
        id: integration.id.clone(),
        kind: integration.kind,
        name: integration.name.clone(),
        connected: integration.connected,
        unlock_method: integration.unlock_method,
        capabilities: capabilities(integration.kind).iter().map(|&word| word.to_owned()).collect(),
    }
}
