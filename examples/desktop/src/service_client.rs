//! Calls the access service the way an operator's tools and a lock's installer do.

use std::{fmt, sync::Arc, time::Duration};

use keybutton_protocol::api::Problem;
use reqwest::{Client, Method};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::failure::Failure;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP client of the access service.
#[derive(Clone)]
pub struct ServiceClient {
    base: String,
    http: Client,
    bearer: Option<Zeroizing<String>>,
    app: Option<String>,
}

impl ServiceClient {
    /// Calls the service at `base` without any credential.
    pub fn new(base: &str) -> Result<Self, Failure> {
        let http = client(base).map_err(|error| {
            Failure::new("http-failed", format_args!("no HTTP client for {base}: {error}"), "Check the address given.")
        })?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), http, bearer: None, app: None })
    }

    /// Calls as an operator.
    pub fn with_operator_key(&self, key: &str) -> Self {
        Self { bearer: Some(Zeroizing::new(key.to_owned())), ..self.clone() }
    }

    /// Calls as a member signed in to a Branded App.
    pub fn with_session(&self, token: &str, app: &str) -> Self {
        Self { bearer: Some(Zeroizing::new(token.to_owned())), app: Some(app.to_owned()), ..self.clone() }
    }

    /// The service's base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `GET`.
    pub async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// `POST`.
    pub async fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `PUT`.
    pub async fn put<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A, Failure> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// `PATCH`.
    pub async fn patch<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A, Failure> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`.
    pub async fn delete<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        self.call(Method::DELETE, path, None::<&()>).await
    }

    /// Any call. An empty answer reads as JSON `null`, so that `()` takes it.
    pub async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<A, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.as_str());
        }
        if let Some(app) = &self.app {
            request = request.header("Keybutton-App", app);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| unreachable(&self.base, &error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| unreachable(&self.base, &error))?;
        if !status.is_success() {
            return Err(match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => problem.into(),
                Err(_) => unexpected(path, format_args!("status {status}")),
            });
        }
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).map_err(|error| unexpected(path, error))
    }
}

impl fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceClient").field("base", &self.base).field("app", &self.app).finish_non_exhaustive()
    }
}

/// A client for the service's scheme; only `https` needs what the platform trusts.
fn client(base: &str) -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = if base.starts_with("https:") {
        versions.with_platform_verifier()?
    } else {
        versions.with_root_certificates(RootCertStore::empty())
    };
    let builder = Client::builder().tls_backend_preconfigured(tls.with_no_client_auth()).timeout(TIMEOUT);
    Ok(if base.starts_with("https:") { builder } else { builder.no_proxy() }.build()?)
}

fn unreachable(base: &str, error: &reqwest::Error) -> Failure {
    // Bodies and headers are not in the error's text; the URL is, and it holds no secret.
    Failure::new(
        "service-unreachable",
        format_args!("the access service at {base} does not answer: {error}"),
        "Start it with `keybutton serve`, or give its address with --service.",
    )
}

fn unexpected(path: &str, why: impl fmt::Display) -> Failure {
    Failure::new(
        "service-unexpected",
        format_args!("the access service answered {path} with something unexpected: {why}"),
        "Check that service and harness are of the same version.",
    )
}
