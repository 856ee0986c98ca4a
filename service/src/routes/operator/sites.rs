//! Sites.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use jiff::tz::TimeZone;
use keybutton_protocol::{
    api::{Bytes, Problem as ProblemBody, SiteId},
    crypto::ring::Ring,
    document::issuer_kid,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    super::extract::{self, Path},
    changed, name,
};
use crate::{
    problem::{Answer, Code, Problem},
    service::{Draft, Hold, KEY_HOURS, Scope, Service},
    store::{Change, KeyState, Purpose, SiteState},
};

/// How long keys live unless the operator says otherwise, hours.
const DEFAULT_KEY_HOURS: u16 = 48;

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(change)).routes(routes!(rotate))
}

/// A site as its operator sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SiteInfo {
    /// Its identifier.
    pub id: SiteId,
    /// Its name.
    pub name: String,
    /// Its IANA time zone.
    pub zone: String,
    /// Its group identifier, 16 bytes.
    pub group_id: Bytes,
    /// How long its keys live, hours. It is also how long a lock that no phone visits goes on accepting a revoked key.
    pub key_hours: u16,
    /// It is locked down: nobody opens with a phone.
    pub locked_down: bool,
    /// Its issuers.
    pub issuers: Vec<IssuerInfo>,
}

/// An issuer of a site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct IssuerInfo {
    /// Names the key, 8 bytes.
    pub kid: Bytes,
    /// Where it is in its life.
    pub state: KeyState,
    /// The access iteration S.
    pub access_iteration: u32,
    /// The revocation iteration R.
    pub revocation_iteration: u32,
}

/// What to make.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSite {
    /// Its name, 1 to 128 characters.
    pub name: String,
    /// Its IANA time zone, such as `Europe/Berlin`. It stays.
    pub zone: String,
    /// How long its keys live, hours, 24 to 168; 48 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_hours: Option<u16>,
}

/// What to change; what is left out stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeSite {
    /// Its name, 1 to 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long its keys live, hours, 24 to 168; counts for keys issued from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_hours: Option<u16>,
    /// Locks the site down or lifts the lockdown; a lockdown revokes every key of the site at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_down: Option<bool>,
}

/// Lists the organization's sites.
#[utoipa::path(get, path = "/v1/operator/sites", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = [SiteInfo]), (status = "default", body = ProblemBody)))]
async fn list(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<Vec<SiteInfo>>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    Ok(Json(call.org.state.sites.iter().map(info).collect()))
}

/// Makes a site with its CA and its issuers.
#[utoipa::path(post, path = "/v1/operator/sites", tag = "operator", security(("operator" = [])),
    request_body = CreateSite,
    responses((status = 201, body = SiteInfo), (status = "default", body = ProblemBody)))]
async fn create(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<CreateSite>,
) -> Answer<(StatusCode, Json<SiteInfo>)> {
    let name = name(&request.name)?;
    let hours = key_hours(request.key_hours.unwrap_or(DEFAULT_KEY_HOURS))?;
    if TimeZone::get(&request.zone).is_err() {
        return Err(Problem::field("zone", "is not an IANA time zone"));
    }
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let (site, keys) = service.new_site(call.organization(), &name, &request.zone, hours, call.now)?;
    let mut draft = Draft::configuration(&call.org, Scope::Nobody);
    draft.unit.push(Change::PutSite(site.clone()));
    draft.unit.extend(keys.iter().cloned().map(Change::PutSigningKey));
    let state = SiteState { site, keys, locks: Vec::new(), revocations: Vec::new(), revocation_document: None };
    let after = info(&state);
    draft.event(changed(&call, "site", &after.id.0, None::<&SiteInfo>, Some(&after)));
    service.commit(draft, call.now).await?;
    Ok((StatusCode::CREATED, Json(after)))
}

/// Changes a site.
#[utoipa::path(patch, path = "/v1/operator/sites/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)), request_body = ChangeSite,
    responses((status = 200, body = SiteInfo), (status = "default", body = ProblemBody)))]
async fn change(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<SiteId>,
    extract::Json(request): extract::Json<ChangeSite>,
) -> Answer<Json<SiteInfo>> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let mut draft = Draft::configuration(&call.org, Scope::Everybody);
    let state = draft.state.sites.iter_mut().find(|known| known.site.id == id).ok_or(Code::NotFound)?;
    let before = info(state);
    if let Some(text) = &request.name {
        state.site.name = name(text)?;
    }
    if let Some(hours) = request.key_hours {
        state.site.key_hours = key_hours(hours)?;
    }
    state.site.locked_down = request.locked_down.unwrap_or(state.site.locked_down);
    let after = info(state);
    if before != after {
        let put = Change::PutSite(state.site.clone());
        draft.unit.push(put);
        draft.event(changed(&call, "site", &id.0, Some(&before), Some(&after)));
        service.commit(draft, call.now).await?;
    }
    Ok(Json(after))
}

/// Puts the standby issuer into use and makes a new standby. Every lock of the site has to know the standby already.
#[utoipa::path(post, path = "/v1/operator/sites/{id}/rotate-issuer", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn rotate(State(service): State<Service>, headers: HeaderMap, Path(id): Path<SiteId>) -> Answer<StatusCode> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    service.rotate_issuer(&call, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn key_hours(hours: u16) -> Answer<u16> {
    if KEY_HOURS.contains(&hours) { Ok(hours) } else { Err(Problem::field("key_hours", "has to be 24 to 168")) }
}

fn info(state: &SiteState) -> SiteInfo {
    let issuers = state.keys.iter().filter(|key| key.purpose == Purpose::Issuer).map(|key| IssuerInfo {
        kid: issuer_kid(&Ring::new(), &key.public_key).0.into(),
        state: key.state,
        access_iteration: key.access_iteration,
        revocation_iteration: key.revocation_iteration,
    });
    SiteInfo {
        id: state.site.id.clone(),
        name: state.site.name.clone(),
        zone: state.site.zone.clone(),
        group_id: state.site.group_id.0.into(),
        key_hours: state.site.key_hours,
        locked_down: state.site.locked_down,
        issuers: issuers.collect(),
    }
}
