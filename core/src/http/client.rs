//! HTTP by reqwest, with rustls and ring.

use std::{
    error::Error as _,
    fmt,
    sync::{Arc, OnceLock},
};

use reqwest::{Client, Method, Url, redirect};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{Http, HttpAnswer, HttpError, HttpRequest, HttpResponse, service_url::is_loopback};
use crate::download;

/// More than three hops inside one origin is a loop.
const MAX_REDIRECTS: usize = 3;

/// Whose certificates a server may present.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// Those the operating system trusts. On Android those of Mozilla's list as of this release, since the system's can
    /// be asked from Java only; a member's or a company's own certificates count there with the host's own HTTP.
    #[default]
    Platform,
    /// Only those that lead to one of these certificates, PEM.
    Pem(Vec<u8>),
}

/// [`Http`] by reqwest: TLS 1.2 or 1.3, `http` to the same machine only, no redirect to another origin.
///
/// Clients are built at first use. Nothing is installed process-wide, so a host's own TLS set-up is left alone.
pub struct ReqwestHttp {
    roots: Roots,
    secure: OnceLock<Option<Client>>,
    loopback: OnceLock<Option<Client>>,
}

impl ReqwestHttp {
    /// Trusts what the operating system trusts.
    pub fn new() -> Self {
        Self::with_roots(Roots::Platform)
    }

    /// Trusts `roots`.
    pub fn with_roots(roots: Roots) -> Self {
        Self { roots, secure: OnceLock::new(), loopback: OnceLock::new() }
    }

    fn client(&self, url: &Url) -> Result<Client, HttpError> {
        let here = url.host_str().is_some_and(is_loopback);
        let client = match url.scheme() {
            "https" => self.secure.get_or_init(|| secure_client(&self.roots)),
            "http" if here => self.loopback.get_or_init(loopback_client),
            _ => return Err(HttpError::NotAllowed),
        };
        client.clone().ok_or(HttpError::Untrusted)
    }
}

impl Default for ReqwestHttp {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ReqwestHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestHttp").finish_non_exhaustive()
    }
}

impl Http for ReqwestHttp {
    fn send(&self, request: HttpRequest, answer: Arc<HttpAnswer>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return answer.fail(HttpError::NotAllowed);
        };
        let client = Url::parse(&request.url).map_err(|_| HttpError::NotAllowed).and_then(|url| self.client(&url));
        match client {
            Ok(client) => {
                runtime.spawn(async move {
                    match fetch(&client, request).await {
                        Ok(response) => answer.succeed(response),
                        Err(error) => answer.fail(error),
                    }
                });
            }
            Err(error) => answer.fail(error),
        }
    }
}

async fn fetch(client: &Client, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let method = match request.method {
        download::Method::Get => Method::GET,
        download::Method::Post => Method::POST,
        download::Method::Delete => Method::DELETE,
    };
    let mut builder = client.request(method, &request.url).timeout(request.timeout);
    for header in &request.headers {
        let mut value = reqwest::header::HeaderValue::from_str(&header.value).map_err(|_| HttpError::NotAllowed)?;
        value.set_sensitive(true);
        builder = builder.header(&header.name, value);
    }
    if !request.body.is_empty() {
        builder = builder.body(request.body);
    }
    let mut response = builder.send().await.map_err(|error| classify(&error))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        body.extend_from_slice(&chunk);
        if u32::try_from(body.len()).map_or(true, |len| len > request.max_answer) {
            return Err(HttpError::TooLarge);
        }
    }
    Ok(HttpResponse { status, body })
}

fn secure_client(roots: &Roots) -> Option<Client> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = match roots {
        Roots::Platform => trust_the_platform(versions)?,
        Roots::Pem(pem) => {
            let mut store = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                store.add(certificate.ok()?).ok()?;
            }
            versions.with_root_certificates(store).with_no_client_auth()
        }
    };
    builder().tls_backend_preconfigured(config).https_only(true).build().ok()
}

#[cfg(not(target_os = "android"))]
fn trust_the_platform(versions: ConfigBuilder<ClientConfig, WantsVerifier>) -> Option<ClientConfig> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    Some(versions.with_platform_verifier().ok()?.with_no_client_auth())
}

/// Android's verifier panics at the first handshake unless the app has initialised it through Java.
#[cfg(target_os = "android")]
fn trust_the_platform(versions: ConfigBuilder<ClientConfig, WantsVerifier>) -> Option<ClientConfig> {
    let store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    Some(versions.with_root_certificates(store).with_no_client_auth())
}

/// A proxy must never see what was meant to stay on the machine.
fn loopback_client() -> Option<Client> {
    // No TLS is spoken here; an empty root store keeps the client from loading the platform's.
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    builder().tls_backend_preconfigured(config).no_proxy().build().ok()
}

fn builder() -> reqwest::ClientBuilder {
    let same_origin = redirect::Policy::custom(|attempt| {
        let from = attempt.previous().last().map(Url::origin);
        let stays = from.is_some_and(|origin| origin == attempt.url().origin());
        if stays && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
    });
    Client::builder().redirect(same_origin).user_agent(concat!("keybutton/", env!("CARGO_PKG_VERSION")))
}

/// Sorts reqwest's errors by what a person can do about them. The errors' own texts carry URLs and are dropped.
fn classify(error: &reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::TimedOut;
    }
    if error.is_builder() {
        return HttpError::NotAllowed;
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            if distrusts(io) {
                return HttpError::Untrusted;
            }
            if matches!(
                io.kind(),
                std::io::ErrorKind::NetworkUnreachable
                    | std::io::ErrorKind::HostUnreachable
                    | std::io::ErrorKind::NetworkDown
            ) {
                return HttpError::Offline;
            }
        }
        if cause.to_string().contains("dns error") {
            return HttpError::Offline;
        }
        source = cause.source();
    }
    HttpError::Unreachable
}

/// Looks for a verdict on the certificate in errors within errors, which `source` leaves out.
fn distrusts(error: &std::io::Error) -> bool {
    let Some(inner) = error.get_ref() else { return false };
    match inner.downcast_ref::<rustls::Error>() {
        Some(tls) => matches!(tls, rustls::Error::InvalidCertificate(_)),
        None => inner.downcast_ref::<std::io::Error>().is_some_and(distrusts),
    }
}

#[cfg(test)]
mod tests;
