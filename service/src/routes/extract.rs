//! Extractors whose refusals are problems, as everything else the service answers.

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    http::{header, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::{
    problem::{Code, Problem},
    service::Service,
};

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A query string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// The parameters of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Service> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<Self, Problem> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Code::UnsupportedMediaType.into());
        }
        let body = tokio::time::timeout(service.inner.body_timeout, Bytes::from_request(request, service)).await;
        let body = body.map_err(|_| Problem::new(Code::RequestTimeout))?.map_err(refuse_body)?;
        serde_json::from_slice(&body).map(Self).map_err(|error| refuse_json(&error))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        // The refusal's text may repeat what was sent.
        query.map(|axum::extract::Query(value)| Self(value)).map_err(|_| Code::BadQuery.into())
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|_| Code::BadPath.into())
    }
}

fn refuse_body(rejection: BytesRejection) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => Code::BodyTooLarge.into(),
        _ => Problem::new(Code::BadJson).with_detail("the body did not arrive whole"),
    }
}

/// Says where and, when it names only fields of ours, what; never repeats a value that was sent.
fn refuse_json(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => Problem::new(Code::BadJson).with_detail(place),
        Category::Data => {
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default();
            let fields_only = ["missing field", "duplicate field", "not base64url", "not a time of day"];
            let detail = if fields_only.iter().any(|start| what.starts_with(start)) {
                format!("{what} ({place})")
            } else if what.starts_with("unknown field") {
                format!("a field that is not known ({place})")
            } else {
                format!("a value does not fit ({place})")
            };
            Problem::new(Code::BadRequest).with_detail(detail)
        }
    }
}
