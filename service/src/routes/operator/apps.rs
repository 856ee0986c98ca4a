//! Branded Apps.

use axum::{Json, extract::State, http::HeaderMap};
use keybutton_protocol::api::{AppId, Problem as ProblemBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    super::extract::{self, Path},
    changed, name,
};
use crate::{
    auth::AppVerifier,
    problem::{Answer, Code, Problem},
    service::{Draft, Hold, OperatorCall, Scope, Service},
    store::{App, Change},
};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, change))
}

/// A Branded App as its operator sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AppInfo {
    /// Its identifier, sent as `Keybutton-App`.
    pub id: AppId,
    /// Everything else.
    #[serde(flatten)]
    pub app: PutApp,
}

/// How a Branded App is to be.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutApp {
    /// What the operator calls it, 1 to 128 characters.
    pub name: String,
    /// The module is on for the app.
    pub enabled: bool,
    /// The `iss` its session tokens carry.
    pub issuer: String,
    /// The `aud` its session tokens carry.
    pub audience: String,
    /// Its key set (RFC 7517): public keys for ES256 or RS256, at most 16.
    #[schema(value_type = Object)]
    pub jwks: serde_json::Value,
}

/// What to change; what is left out stays.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeApp {
    /// Switches the module on or off for the app; off revokes the keys issued through it at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Lists the organization's Branded Apps.
#[utoipa::path(get, path = "/v1/operator/apps", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = [AppInfo]), (status = "default", body = ProblemBody)))]
async fn list(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<Vec<AppInfo>>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    Ok(Json(call.org.state.apps.iter().map(info).collect()))
}

/// Registers a Branded App or replaces its settings. An id that another organization owns is a conflict.
#[utoipa::path(put, path = "/v1/operator/apps/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)), request_body = PutApp,
    responses((status = 200, body = AppInfo), (status = "default", body = ProblemBody)))]
async fn put(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<AppId>,
    extract::Json(request): extract::Json<PutApp>,
) -> Answer<Json<AppInfo>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if id.0.is_empty() || id.0.len() > 128 || !id.0.chars().all(fits) {
        return Err(Problem::field("id", "has to be 1 to 128 letters, digits, dots, hyphens or underscores"));
    }
    for (field, text) in [("issuer", &request.issuer), ("audience", &request.audience)] {
        if text.is_empty() || text.len() > 256 {
            return Err(Problem::field(field, "has to be 1 to 256 bytes"));
        }
    }
    let name = name(&request.name)?;
    let jwks = request.jwks.to_string();
    if let Err(error) = AppVerifier::new(&jwks, &request.issuer, &request.audience) {
        return Err(Problem::field("jwks", &error.to_string()));
    }
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let app = App {
        id,
        organization: call.organization().clone(),
        name,
        enabled: request.enabled,
        issuer: request.issuer,
        audience: request.audience,
        jwks,
    };
    save(&service, &call, app).await
}

/// Changes a Branded App.
#[utoipa::path(patch, path = "/v1/operator/apps/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)), request_body = ChangeApp,
    responses((status = 200, body = AppInfo), (status = "default", body = ProblemBody)))]
async fn change(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<AppId>,
    extract::Json(request): extract::Json<ChangeApp>,
) -> Answer<Json<AppInfo>> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let app = call.org.app(&id).ok_or(Code::NotFound)?.clone();
    let enabled = request.enabled.unwrap_or(app.enabled);
    save(&service, &call, App { enabled, ..app }).await
}

async fn save(service: &Service, call: &OperatorCall, app: App) -> Answer<Json<AppInfo>> {
    let before = call.org.app(&app.id).map(info);
    let after = info(&app);
    let mut draft = Draft::configuration(&call.org, Scope::Everybody);
    draft.state.apps.retain(|known| known.id != app.id);
    draft.state.apps.push(app.clone());
    draft.apps.push(app.id.clone());
    draft.event(changed(call, "app", &app.id.0, before.as_ref(), Some(&after)));
    draft.unit.push(Change::PutApp(app));
    service.commit(draft, call.now).await?;
    Ok(Json(after))
}

fn info(app: &App) -> AppInfo {
    AppInfo {
        id: app.id.clone(),
        app: PutApp {
            name: app.name.clone(),
            enabled: app.enabled,
            issuer: app.issuer.clone(),
            audience: app.audience.clone(),
            jwks: serde_json::from_str(&app.jwks).unwrap_or_default(),
        },
    }
}
