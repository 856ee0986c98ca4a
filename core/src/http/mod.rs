//! HTTP: what the core asks of the network, and how the answer comes back.
//!
//! [`Http`] is synchronous so that a host can implement it over its own stack (URLSession, OkHttp) with its proxies
//! and pinning: a request goes in, and the answer comes back through the [`HttpAnswer`] that came with it.

#[cfg(feature = "http")]
mod client;
mod service_url;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

#[cfg(feature = "http")]
pub use client::{ReqwestHttp, Roots};
pub use service_url::{InvalidServiceUrl, ServiceUrl};
use thiserror::Error;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::{alive::Alive, download::Method};

/// Sends HTTP requests.
///
/// An implementation must verify the server's certificate, must not follow redirects to another origin, must not log
/// header values or bodies, and must answer within [`HttpRequest::timeout`].
#[cfg_attr(feature = "uniffi", uniffi::export(rust, foreign))]
pub trait Http: Send + Sync + 'static {
    /// Starts a request and returns at once; called on a thread of the core's Tokio runtime. `answer` is to be
    /// answered exactly once, from any thread.
    fn send(&self, request: HttpRequest, answer: Arc<HttpAnswer>);
}

/// Text that is wiped when dropped.
pub type SecretText = Zeroizing<String>;

/// A header. Its value may be secret and is not printed.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct HttpHeader {
    /// The name, in any case.
    pub name: String,
    /// The value: visible ASCII.
    pub value: SecretText,
}

impl fmt::Debug for HttpHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: (redacted)", self.name)
    }
}

/// A request. `Debug` prints neither header values nor the body.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL: `https`, or `http` to the same machine.
    pub url: String,
    /// The headers to send.
    pub headers: Vec<HttpHeader>,
    /// The body, empty when there is none.
    pub body: Vec<u8>,
    /// From sending to the last byte of the answer.
    pub timeout: Duration,
    /// A longer answer is cut off with [`HttpError::TooLarge`]. Bytes.
    pub max_answer: u32,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A server's answer, whatever its status. `Debug` prints only the size of the body.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse").field("status", &self.status).field("body", &self.body.len()).finish()
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Error))]
pub enum HttpError {
    /// There is no network, or the name does not resolve.
    #[error("the network is not reachable")]
    Offline,
    /// The server refused the connection or broke it off.
    #[error("the server is not reachable")]
    Unreachable,
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The server's certificate is not trusted.
    #[error("the server's certificate is not trusted")]
    Untrusted,
    /// The answer is larger than allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// The request can't be sent as it is: its URL or a header is not allowed.
    #[error("the request is not allowed")]
    NotAllowed,
    /// The host's stack dropped the request without answering.
    #[error("the request was dropped")]
    Dropped,
}

/// Takes the answer to one request. Made by the core, handed to [`Http::send`].
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct HttpAnswer {
    waiting: Mutex<Option<oneshot::Sender<Result<HttpResponse, HttpError>>>>,
    _alive: Alive,
}

impl HttpAnswer {
    /// Makes an answer and the end that waits for it.
    pub(crate) fn new() -> (Arc<Self>, oneshot::Receiver<Result<HttpResponse, HttpError>>) {
        let (sender, receiver) = oneshot::channel();
        (Arc::new(Self { waiting: Mutex::new(Some(sender)), _alive: Alive::new() }), receiver)
    }

    fn answer(&self, result: Result<HttpResponse, HttpError>) {
        let sender = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Whoever asked may have stopped waiting: a cancelled press, a sign-out.
            let _ = sender.send(result);
        }
    }
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl HttpAnswer {
    /// The server answered. Answers after the first one are ignored.
    pub fn succeed(&self, response: HttpResponse) {
        self.answer(Ok(response));
    }

    /// There will be no answer.
    pub fn fail(&self, error: HttpError) {
        self.answer(Err(error));
    }

    /// Tells whether anybody still waits; a host may give the request up when not.
    pub fn is_wanted(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_ref().is_some_and(|sender| !sender.is_closed())
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAnswer").field("wanted", &self.is_wanted()).finish()
    }
}

/// Sends `request` and waits, never longer than its timeout, whatever the host's stack does.
pub(crate) async fn exchange(http: &dyn Http, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (timeout, max_answer) = (request.timeout, request.max_answer);
    let (answer, waiting) = HttpAnswer::new();
    let send = std::panic::AssertUnwindSafe(|| http.send(request, answer));
    if std::panic::catch_unwind(send).is_err() {
        return Err(HttpError::Dropped);
    }
    let response = match tokio::time::timeout(timeout, waiting).await {
        Ok(Ok(result)) => result?,
        Ok(Err(_)) => return Err(HttpError::Dropped),
        Err(_) => return Err(HttpError::TimedOut),
    };
    let fits = u32::try_from(response.body.len()).is_ok_and(|len| len <= max_answer);
    if fits { Ok(response) } else { Err(HttpError::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            url: "https://service.example/v1/me".into(),
            headers: vec![HttpHeader { name: "authorization".into(), value: Zeroizing::new("Bearer canary".into()) }],
            body: b"canary".to_vec(),
            timeout: Duration::from_secs(5),
            max_answer: 4,
        }
    }

    struct Answering(fn(Arc<HttpAnswer>));

    impl Http for Answering {
        fn send(&self, _: HttpRequest, answer: Arc<HttpAnswer>) {
            (self.0)(answer);
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let response = HttpResponse { status: 200, body: b"canary".to_vec() };
        assert!(!format!("{:?}{response:?}", request()).contains("canary"));
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_ends() {
        type Behaviour = fn(Arc<HttpAnswer>);
        let cases: [(Behaviour, HttpError); 5] = [
            (drop, HttpError::Dropped),
            (std::mem::forget, HttpError::TimedOut),
            (|answer| answer.fail(HttpError::Offline), HttpError::Offline),
            (|answer| answer.succeed(HttpResponse { status: 200, body: vec![0; 5] }), HttpError::TooLarge),
            (|_| panic!("as told"), HttpError::Dropped),
        ];
        for (behaviour, expected) in cases {
            assert_eq!(exchange(&Answering(behaviour), request()).await, Err(expected));
        }
    }

    #[tokio::test]
    async fn only_the_first_answer_counts() {
        let twice = Answering(|answer| {
            assert!(answer.is_wanted());
            answer.succeed(HttpResponse { status: 204, body: Vec::new() });
            assert!(!answer.is_wanted());
            answer.fail(HttpError::Offline);
        });
        assert_eq!(exchange(&twice, request()).await.unwrap().status, 204);
    }
}
