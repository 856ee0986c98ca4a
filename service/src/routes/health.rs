//! Whether the service works.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{problem::Answer, service::Service};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(health))
}

/// `GET /v1/health`: answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok` when the store answers.
    pub status: String,
    /// The service's version.
    pub version: String,
    /// The service's time, Unix seconds.
    pub now: u32,
}

/// Says whether the service works.
#[utoipa::path(get, path = "/v1/health", tag = "public", responses((status = 200, body = Health)))]
async fn health(State(service): State<Service>) -> Answer<Json<Health>> {
    service.store().meta("vault-check").await?;
    Ok(Json(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), now: service.now() }))
}
