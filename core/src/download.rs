//! Calls to the access service as plain data: a request out, an answer in. Whoever has a network sends them.

use std::{fmt, marker::PhantomData};

use keybutton_protocol::api::{
    AppId, AuditAcknowledged, Bytes, Device, DeviceId, EnrolDevice, EnrolmentChallenge, IssueKeys, KeyBundle,
    ReportPress, Rights, UploadAudit,
};
use keybutton_protocol::ids::ReaderId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    error::{ErrorCode, KeyError},
    json,
};

/// The largest answer that is read, bytes. A member with 1,000 doors needs about half of it.
pub const MAX_ANSWER: usize = 1 << 20;

/// The largest request that is sent, bytes.
pub const MAX_REQUEST: usize = 16 << 10;

/// Who calls: the Branded App and its member's session.
pub struct Session {
    token: Zeroizing<String>,
    app: AppId,
}

impl Session {
    /// Takes the session token as the Branded App got it (a JWT).
    ///
    /// # Errors
    ///
    /// `session-rejected` for a token and `invalid-request` for an app id that no header can carry.
    pub fn new(token: impl Into<String>, app: AppId) -> Result<Self, KeyError> {
        let token = Zeroizing::new(token.into());
        let printable = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !printable(&token) || token.len() > MAX_REQUEST / 2 {
            return Err(ErrorCode::SessionRejected.into());
        }
        if !printable(&app.0) || app.0.len() > 128 {
            return Err(ErrorCode::InvalidRequest.into());
        }
        Ok(Self { token, app })
    }

    /// The Branded App.
    pub const fn app(&self) -> &AppId {
        &self.app
    }

    /// The token, for the vault.
    pub fn expose_token(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("app", &self.app).finish_non_exhaustive()
    }
}

/// An HTTP method.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// DELETE.
    Delete,
}

impl Method {
    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// A request, to be sent below the service's base address.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, beginning with `/v1/`.
    pub path: String,
    /// Header names in lower case, and values. One of them is a secret.
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    /// The JSON body; `None` sends none.
    pub body: Option<Vec<u8>>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path holds the device's identifier, the headers the session.
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A request and the type of its answer.
pub struct Call<T> {
    /// What to send.
    pub request: Request,
    answer: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.request).finish()
    }
}

impl<T: Answer> Call<T> {
    /// Reads the answer to this call.
    ///
    /// # Errors
    ///
    /// What the service said went wrong; `service-failed` when its answer makes no sense or exceeds [`MAX_ANSWER`].
    pub fn read(&self, status: u16, body: &[u8]) -> Result<T, KeyError> {
        /// What the phone reads of a problem document (`Problem` in the protocol).
        #[derive(Deserialize)]
        struct Problem {
            code: String,
        }

        if body.len() > MAX_ANSWER {
            return Err(ErrorCode::ServiceFailed.into());
        }
        if matches!(status, 200..=299) {
            return T::read(body).ok_or_else(|| ErrorCode::ServiceFailed.into());
        }
        let problem = json::from_slice::<Problem>(body).ok();
        Err(ErrorCode::from_http(status, problem.as_ref().map(|problem| problem.code.as_str())).into())
    }
}

/// An answer's body.
pub trait Answer: Sized {
    /// Reads it; `None` when it is not what was asked for.
    fn read(body: &[u8]) -> Option<Self>;
}

/// Declares answers that are JSON.
macro_rules! json_answer {
    ($($answer:ty),+) => {
        $(impl Answer for $answer {
            fn read(body: &[u8]) -> Option<Self> {
                read_json(body)
            }
        })+
    };
}

json_answer!(Rights, KeyBundle, EnrolmentChallenge, Device, Vec<Device>, AuditAcknowledged);

impl Answer for () {
    fn read(_: &[u8]) -> Option<Self> {
        Some(())
    }
}

/// `POST /v1/devices/challenge`: a nonce to prove possession of the device key over.
pub fn challenge(session: &Session) -> Call<EnrolmentChallenge> {
    call(session, Method::Post, "/v1/devices/challenge".to_owned(), None)
}

/// `POST /v1/devices`: enrols this device.
pub fn enrol(session: &Session, enrolment: &EnrolDevice) -> Call<Device> {
    call(session, Method::Post, "/v1/devices".to_owned(), Some(to_json(enrolment)))
}

/// `GET /v1/devices`: the member's devices.
pub fn devices(session: &Session) -> Call<Vec<Device>> {
    call(session, Method::Get, "/v1/devices".to_owned(), None)
}

/// `DELETE /v1/devices/{id}`: removes one of the member's devices; its keys are revoked.
pub fn remove_device(session: &Session, device: &DeviceId) -> Call<()> {
    call(session, Method::Delete, format!("/v1/devices/{}", escape(&device.0)), None)
}

/// `GET /v1/me`: what the member may see and open right now.
pub fn rights(session: &Session, device: Option<&DeviceId>) -> Call<Rights> {
    let path = match device {
        Some(device) => format!("/v1/me?device={}", escape(&device.0)),
        None => "/v1/me".to_owned(),
    };
    call(session, Method::Get, path, None)
}

/// `POST /v1/keys`: downloads the access keys of this device.
pub fn keys(session: &Session, device: &DeviceId) -> Call<KeyBundle> {
    call(session, Method::Post, "/v1/keys".to_owned(), Some(to_json(&IssueKeys { device: device.clone() })))
}

/// `POST /v1/audit`: hands in a lock's audit envelope.
pub fn audit(session: &Session, reader_id: ReaderId, envelope: &[u8]) -> Call<AuditAcknowledged> {
    let upload = UploadAudit { reader_id: Bytes::from(reader_id.0), envelope: Bytes::from(envelope) };
    call(session, Method::Post, "/v1/audit".to_owned(), Some(to_json(&upload)))
}

/// `POST /v1/presses`: this phone's own account of a press.
pub fn press(session: &Session, press: &ReportPress) -> Call<()> {
    call(session, Method::Post, "/v1/presses".to_owned(), Some(to_json(press)))
}

fn call<T>(session: &Session, method: Method, path: String, body: Option<Vec<u8>>) -> Call<T> {
    let mut headers = vec![
        ("authorization", Zeroizing::new(format!("Bearer {}", session.token.as_str()))),
        ("keybutton-app", Zeroizing::new(session.app.0.clone())),
        ("accept", Zeroizing::new("application/json, application/problem+json".to_owned())),
    ];
    if body.is_some() {
        headers.push(("content-type", Zeroizing::new("application/json".to_owned())));
    }
    Call { request: Request { method, path, headers, body }, answer: PhantomData }
}

/// The requests are plain records of strings and numbers: writing them as JSON can't fail.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn read_json<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    json::from_slice(body).ok()
}

/// Percent-encodes everything but RFC 3986's unreserved characters: identifiers are opaque strings.
fn escape(segment: &str) -> String {
    segment.bytes().fold(String::with_capacity(segment.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session() -> Session {
        Session::new("canary.token.sig", AppId("app".into())).unwrap()
    }

    #[test]
    fn a_request_carries_session_and_app_and_prints_neither() {
        let call = keys(&session(), &DeviceId("dev".into()));
        assert_eq!((call.request.method.as_str(), call.request.path.as_str()), ("POST", "/v1/keys"));
        assert_eq!(call.request.body.as_deref(), Some(&br#"{"device":"dev"}"#[..]));
        let value = |name| call.request.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str().to_owned());
        assert_eq!(value("authorization").unwrap(), "Bearer canary.token.sig");
        assert_eq!(value("keybutton-app").unwrap(), "app");
        assert_eq!(value("content-type").unwrap(), "application/json");
        assert!(!format!("{call:?} {:?}", session()).contains("canary"));
    }

    #[test]
    fn identifiers_cannot_leave_their_place_in_the_path() {
        let call = rights(&session(), Some(&DeviceId("a/b?c=é".into())));
        assert_eq!(call.request.path, "/v1/me?device=a%2Fb%3Fc%3D%C3%A9");
        assert_eq!(remove_device(&session(), &DeviceId("../x".into())).request.path, "/v1/devices/..%2Fx");
    }

    #[test]
    fn tokens_that_no_header_can_carry_are_refused() {
        for token in ["", "two words", "line\nbreak", "é"] {
            let error = Session::new(token, AppId("app".into())).unwrap_err();
            assert_eq!(error.code(), ErrorCode::SessionRejected);
        }
        assert!(Session::new("token", AppId("a b".into())).is_err());
    }

    #[test]
    fn answers_are_typed_and_rejections_keep_their_code() {
        let call = rights(&session(), None);
        let json = br#"{"member":"m","organization":"o","button":{"state":"visible"},"doors":[],"now":1,"new":0}"#;
        assert_eq!(call.read(200, json).unwrap().now, 1);
        let error = |status, body: &[u8]| call.read(status, body).unwrap_err().code();
        assert_eq!(error(200, b"<html>"), ErrorCode::ServiceFailed);
        assert_eq!(error(200, &vec![b' '; MAX_ANSWER + 1]), ErrorCode::ServiceFailed);
        assert_eq!(error(503, b""), ErrorCode::ServiceFailed);
        let problem = br#"{"type":"t","title":"t","status":403,"code":"module-disabled","retry":false,"remedy":"r"}"#;
        assert_eq!(error(403, problem), ErrorCode::ModuleDisabled);
    }

    proptest! {
        #[test]
        fn no_answer_panics(status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = keys(&session(), &DeviceId("d".into())).read(status, &body);
        }
    }
}
