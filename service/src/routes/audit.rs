//! What locks and phones say about presses.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use keybutton_protocol::api::{AuditAcknowledged, Problem as ProblemBody, ReportPress, UploadAudit};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::extract;
use crate::{problem::Answer, service::Service};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(upload)).routes(routes!(report))
}

/// Takes a lock's audit envelope from a phone and gives the ACK token for it.
#[utoipa::path(post, path = "/v1/audit", tag = "member", request_body = UploadAudit,
    security(("session" = [], "app" = [])),
    responses((status = 200, body = AuditAcknowledged), (status = "default", body = ProblemBody)))]
async fn upload(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<UploadAudit>,
) -> Answer<Json<AuditAcknowledged>> {
    service.upload_audit(&headers, &request).await.map(Json)
}

/// Takes a phone's own account of a press; the lock's is the truth where both speak.
#[utoipa::path(post, path = "/v1/presses", tag = "member", request_body = ReportPress,
    security(("session" = [], "app" = [])),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn report(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(report): extract::Json<ReportPress>,
) -> Answer<StatusCode> {
    service.report_press(&headers, &report).await?;
    Ok(StatusCode::NO_CONTENT)
}
