//! What is revoked at each site.

use axum::{Json, extract::State, http::HeaderMap};
use keybutton_protocol::api::{Problem as ProblemBody, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    issue::revocation::Subject,
    problem::Answer,
    random,
    service::{Hold, Service},
    store::SiteState,
};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A site's revocation list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SiteRevocations {
    /// The site.
    pub site: SiteId,
    /// The access iteration S of its issuer.
    pub access_iteration: u32,
    /// The revocation iteration R of its issuer.
    pub revocation_iteration: u32,
    /// The entries, at most 32.
    pub entries: Vec<RevocationInfo>,
}

/// One entry of a revocation list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RevocationInfo {
    /// The access identifier, hex; absent when a device is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_id: Option<String>,
    /// SHA-256 of the device key, hex; absent when an access identifier is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_key_hash: Option<String>,
    /// When the last key it revokes expires; a day later the entry goes.
    pub expires: u32,
    /// When it was revoked.
    pub revoked: u32,
}

/// Lists what is revoked at each site.
#[utoipa::path(get, path = "/v1/operator/revocations", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = [SiteRevocations]), (status = "default", body = ProblemBody)))]
async fn list(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<Vec<SiteRevocations>>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    Ok(Json(call.org.state.sites.iter().map(info).collect()))
}

fn info(site: &SiteState) -> SiteRevocations {
    let entries = site.revocations.iter().map(|entry| {
        let (access_id, device_key_hash) = match &entry.subject {
            Subject::Access(id) => (Some(random::hex(id)), None),
            Subject::Device(hash) => (None, Some(random::hex(hash))),
        };
        RevocationInfo { access_id, device_key_hash, expires: entry.expires, revoked: entry.revoked }
    });
    SiteRevocations {
        site: site.site.id.clone(),
        access_iteration: site.issuer().map_or(0, |key| key.access_iteration),
        revocation_iteration: site.issuer().map_or(0, |key| key.revocation_iteration),
        entries: entries.collect(),
    }
}
