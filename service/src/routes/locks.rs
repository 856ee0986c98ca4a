//! Locks.

use axum::{Json, extract::State};
use keybutton_protocol::api::{ClaimLock, LockProvision, Problem as ProblemBody};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::extract;
use crate::{problem::Answer, service::Service};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(claim))
}

/// Makes a lock that has a claim code and a fresh key the lock of its door.
#[utoipa::path(post, path = "/v1/locks/claim", tag = "lock", request_body = ClaimLock,
    responses((status = 200, body = LockProvision), (status = "default", body = ProblemBody)))]
async fn claim(
    State(service): State<Service>,
    extract::Json(request): extract::Json<ClaimLock>,
) -> Answer<Json<LockProvision>> {
    service.claim(&request).await.map(Json)
}
