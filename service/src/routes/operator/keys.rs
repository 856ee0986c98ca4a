//! Operator keys.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use keybutton_protocol::api::Problem as ProblemBody;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    super::extract::{self, Path},
    name,
};
use crate::{
    auth::{new_operator_key, operator_key_hash},
    events,
    problem::{Answer, Code},
    random,
    service::{Draft, Hold, Scope, Service},
    store::{Change, OperatorKey},
};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// An operator key, without the key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OperatorKeyInfo {
    /// Its identifier, the actor in events.
    pub id: String,
    /// What the operator calls it.
    pub name: String,
    /// When it was made.
    pub created: u32,
}

/// What to make.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOperatorKey {
    /// What the operator calls it, 1 to 128 characters.
    pub name: String,
}

/// A new operator key. The key is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewOperatorKey {
    /// Its identifier.
    pub id: String,
    /// The key, `kbo_...`. Secret.
    pub key: String,
}

/// Lists the organization's operator keys.
#[utoipa::path(get, path = "/v1/operator/keys", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = [OperatorKeyInfo]), (status = "default", body = ProblemBody)))]
async fn list(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<Vec<OperatorKeyInfo>>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    let keys = service.store().operator_keys(call.organization()).await?;
    let info = |key: OperatorKey| OperatorKeyInfo { id: key.id, name: key.name, created: key.created };
    Ok(Json(keys.into_iter().map(info).collect()))
}

/// Makes an operator key.
#[utoipa::path(post, path = "/v1/operator/keys", tag = "operator", security(("operator" = [])),
    request_body = CreateOperatorKey,
    responses((status = 201, body = NewOperatorKey), (status = "default", body = ProblemBody)))]
async fn create(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<CreateOperatorKey>,
) -> Answer<(StatusCode, Json<NewOperatorKey>)> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let key = new_operator_key()?;
    let record = OperatorKey {
        id: random::id("key")?,
        organization: call.organization().clone(),
        name: name(&request.name)?,
        hash: operator_key_hash(&key),
        created: call.now,
        revoked: None,
    };
    let mut draft = Draft::member(&call.org, Vec::new(), Scope::Nobody);
    let event = events::by(call.organization(), call.now, "operator-key-created", &call.actor());
    draft.event(event.data(&json!({ "id": record.id, "name": record.name })));
    let id = record.id.clone();
    draft.unit.push(Change::PutOperatorKey(record));
    service.commit(draft, call.now).await?;
    Ok((StatusCode::CREATED, Json(NewOperatorKey { id, key })))
}

/// Revokes an operator key, also the one that calls.
#[utoipa::path(delete, path = "/v1/operator/keys/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn revoke(State(service): State<Service>, headers: HeaderMap, Path(id): Path<String>) -> Answer<StatusCode> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let keys = service.store().operator_keys(call.organization()).await?;
    let key = keys.into_iter().find(|key| key.id == id).ok_or(Code::NotFound)?;
    let mut draft = Draft::member(&call.org, Vec::new(), Scope::Nobody);
    let event = events::by(call.organization(), call.now, "operator-key-revoked", &call.actor());
    draft.event(event.data(&json!({ "id": key.id, "name": key.name })));
    draft.unit.push(Change::PutOperatorKey(OperatorKey { revoked: Some(call.now), ..key }));
    service.commit(draft, call.now).await?;
    service.forget_operators();
    Ok(StatusCode::NO_CONTENT)
}
