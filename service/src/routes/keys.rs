//! Access keys.

use axum::{Json, extract::State, http::HeaderMap};
use keybutton_protocol::api::{IssueKeys, KeyBundle, Problem as ProblemBody};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::extract;
use crate::{problem::Answer, service::Service};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(issue))
}

/// Issues access keys for one device, one for each site; also renews them.
#[utoipa::path(post, path = "/v1/keys", tag = "member", request_body = IssueKeys,
    security(("session" = [], "app" = [])),
    responses((status = 200, body = KeyBundle), (status = "default", body = ProblemBody)))]
async fn issue(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<IssueKeys>,
) -> Answer<Json<KeyBundle>> {
    service.issue_keys(&headers, &request.device).await.map(Json)
}
