//! The member's devices.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use keybutton_protocol::api::{Device, DeviceId, EnrolDevice, EnrolmentChallenge, Problem as ProblemBody};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::extract::{self, Path};
use crate::{problem::Answer, service::Service};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(challenge)).routes(routes!(list, enrol)).routes(routes!(revoke))
}

/// Gives a nonce that enrols one device, once.
#[utoipa::path(post, path = "/v1/devices/challenge", tag = "member", security(("session" = [], "app" = [])),
    responses((status = 200, body = EnrolmentChallenge), (status = "default", body = ProblemBody)))]
async fn challenge(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<EnrolmentChallenge>> {
    service.challenge(&headers).await.map(Json)
}

/// Enrols a device that proves it holds its device key.
#[utoipa::path(post, path = "/v1/devices", tag = "member", request_body = EnrolDevice,
    security(("session" = [], "app" = [])),
    responses((status = 201, body = Device), (status = "default", body = ProblemBody)))]
async fn enrol(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<EnrolDevice>,
) -> Answer<(StatusCode, Json<Device>)> {
    Ok((StatusCode::CREATED, Json(service.enrol(&headers, &request).await?)))
}

/// Lists the member's devices, oldest first.
#[utoipa::path(get, path = "/v1/devices", tag = "member", security(("session" = [], "app" = [])),
    responses((status = 200, body = [Device]), (status = "default", body = ProblemBody)))]
async fn list(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<Vec<Device>>> {
    service.devices(&headers).await.map(Json)
}

/// Gives a device up: its keys are revoked at once.
#[utoipa::path(delete, path = "/v1/devices/{id}", tag = "member", params(("id" = String, Path)),
    security(("session" = [], "app" = [])),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn revoke(State(service): State<Service>, headers: HeaderMap, Path(id): Path<DeviceId>) -> Answer<StatusCode> {
    service.revoke_own_device(&headers, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
