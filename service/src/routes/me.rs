//! What the member may see and open.

use axum::{Json, extract::State, http::HeaderMap};
use keybutton_protocol::api::{DeviceId, Problem as ProblemBody, Rights};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::extract::Query;
use crate::{problem::Answer, service::Service};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(me))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct MeQuery {
    /// The device that asks; without it nothing that depends on the device is decided.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
}

/// Says whether the Key Button is there and which doors the member may open now.
#[utoipa::path(get, path = "/v1/me", tag = "member", params(MeQuery), security(("session" = [], "app" = [])),
    responses((status = 200, body = Rights), (status = "default", body = ProblemBody)))]
async fn me(State(service): State<Service>, headers: HeaderMap, Query(query): Query<MeQuery>) -> Answer<Json<Rights>> {
    service.rights(&headers, query.device.as_ref()).await.map(Json)
}
