//! The HTTP API: one thin file for each resource.

mod audit;
mod devices;
mod extract;
mod health;
mod keys;
mod locks;
mod me;
pub mod operator;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    problem::{Code, Problem},
    service::Service,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Keybutton access service", description = "Rights, keys, devices, locks and events. \
        Byte strings are base64url without padding, times are Unix seconds. Errors are RFC 9457 problems."),
    modifiers(&Security),
    tags(
        (name = "member", description = "Calls of a Branded App for the member who is signed in"),
        (name = "lock", description = "Calls of locks"),
        (name = "operator", description = "Calls of an organization's operator"),
        (name = "public", description = "Calls of anybody")
    )
)]
struct Api;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = |text: &str| {
            SecurityScheme::Http(
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text.to_owned())).build(),
            )
        };
        components.add_security_scheme("session", bearer("The Branded App's session token (JWT, ES256 or RS256)"));
        components
            .add_security_scheme("app", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("Keybutton-App"))));
        components.add_security_scheme("operator", bearer("An operator key, kbo_..."));
    }
}

/// Every route with its part of the OpenAPI document: one declaration makes both.
fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(Api::openapi())
        .merge(health::routes())
        .merge(me::routes())
        .merge(devices::routes())
        .merge(keys::routes())
        .merge(audit::routes())
        .merge(locks::routes())
        .merge(operator::routes())
}

/// The OpenAPI document of every route.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

/// The service's router.
pub(crate) fn router(service: Service) -> Router {
    let body_limit = service.inner.body_limit;
    let (router, openapi) = routes().split_for_parts();
    let openapi = axum::routing::get(move || {
        let openapi = openapi.clone();
        async move { Json(openapi) }
    });
    router
        .route("/v1/openapi.json", openapi)
        .fallback(|| async { Problem::new(Code::NoSuchRoute) })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) })
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(middleware::from_fn(finish))
        .with_state(service)
}

/// Sees a request through to its answer and adds what every answer carries: no cache on the way may keep it.
///
/// A request runs in a task of its own, so that a caller who hangs up can't end it halfway: a change that is being
/// written keeps its hold of the organization's gate until it is, and what is cached of the state before is forgotten.
async fn finish(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    // The path alone: a query may name members.
    let path = request.uri().path().to_owned();
    let answered = tokio::spawn(next.run(request)).await;
    let mut response = answered.unwrap_or_else(|error| {
        tracing::error!(%error, "a request failed unexpectedly");
        Problem::new(Code::Internal).into_response()
    });
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    response
}

#[cfg(test)]
mod tests;
