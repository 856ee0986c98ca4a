//! Every error answer of the service: one table of stable codes, and the RFC 9457 body made from it.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use keybutton_protocol::api;

/// Declares [`Code`] and its table in one place.
macro_rules! codes {
    ($($variant:ident $code:literal $status:literal $retry:literal $title:literal $remedy:literal;)*) => {
        /// A stable problem code. Never renamed, never reused.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Code {
            $(#[doc = concat!("`", $code, "`, HTTP ", stringify!($status), ": ", $title, ".")] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as it stands in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// Whether sending the same request again is safe and may help.
            pub const fn retry(self) -> bool {
                match self { $(Self::$variant => $retry),* }
            }

            /// The kind of problem in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// What a person can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),* }
            }
        }
    };
}

codes! {
    BadJson "bad-json" 400 false "The body is not valid JSON" "Send one JSON document in UTF-8.";
    BadRequest "bad-request" 422 false "A field is missing, unknown or out of range" "Compare the body with /v1/openapi.json.";
    BadQuery "bad-query" 400 false "The query string is not understood" "Compare the query with /v1/openapi.json.";
    BadPath "bad-path" 400 false "The path is not understood" "Compare the path with /v1/openapi.json.";
    UnsupportedMediaType "unsupported-media-type" 415 false "The body's content type is not JSON" "Send Content-Type: application/json.";
    BodyTooLarge "body-too-large" 413 false "The body is too large" "Send less in one request.";
    NoSuchRoute "no-such-route" 404 false "There is nothing at this path" "Compare the path with /v1/openapi.json.";
    MethodNotAllowed "method-not-allowed" 405 false "The path does not take this method" "Compare the method with /v1/openapi.json.";
    RequestTimeout "request-timeout" 408 true "The request did not arrive in time" "Send it again over a better connection.";

    MissingCredentials "missing-credentials" 401 false "No bearer token was sent" "Send Authorization: Bearer with a session token or an operator key.";
    MissingApp "missing-app" 401 false "No Branded App was named" "Send the header Keybutton-App with the app id.";
    UnknownApp "unknown-app" 401 false "The Branded App is not known" "Register the app with the organization, or correct its id.";
    InvalidToken "invalid-token" 401 false "The session token is not accepted" "Sign in again; operators check key set, issuer and audience of the app.";
    TokenExpired "token-expired" 401 false "The session token has expired" "Sign in again or refresh the session.";
    InvalidOperatorKey "invalid-operator-key" 401 false "The operator key is not accepted" "Use a key made for this organization that was not revoked.";
    UnknownMember "unknown-member" 403 false "The signed-in person is not a member" "Ask the operator to add the member.";

    ModuleDisabled "module-disabled" 403 false "Mobile access is switched off" "Ask the operator to switch it on.";
    NoAccessGroup "no-access-group" 403 false "The member holds no access group" "Ask the operator for access.";
    UnlockMethodNative "unlock-method-native" 403 false "The doors open with the vendor's own app" "Use the vendor's app, a card or a fob.";
    UserNotConfirmed "user-not-confirmed" 403 false "The member's user is not confirmed" "Ask the operator to confirm or migrate the user.";
    MemberSuspended "member-suspended" 403 false "The membership has ended or is suspended" "Ask the operator.";
    DeviceNotEnrolled "device-not-enrolled" 403 false "The device is not enrolled" "Enrol the device.";

    NotFound "not-found" 404 false "There is no such thing in this organization" "Check the id.";
    UnknownLock "unknown-lock" 404 false "The lock is not known in this organization" "Check the reader identifier, or claim the lock.";
    Conflict "conflict" 409 false "It exists already" "Choose another id or name.";
    InUse "in-use" 409 false "Something else still refers to it" "Remove what refers to it first.";

    ChallengeInvalid "challenge-invalid" 409 false "The challenge is unknown, used or expired" "Ask for a new challenge and sign that.";
    ProofInvalid "proof-invalid" 422 false "The proof of possession does not verify" "Sign the right data with the key that is sent.";
    DeviceKeyInUse "device-key-in-use" 409 false "The device key belongs to another enrolment" "Make a new device key.";
    DeviceLimitReached "device-limit-reached" 409 false "The member has as many devices as allowed" "Revoke one of the listed devices first.";

    ClaimCodeInvalid "claim-code-invalid" 403 false "The claim code is unknown, used or expired" "Ask the operator for a new code.";
    TooManyLocks "too-many-locks" 409 false "The site has no lock number left" "Use another site.";
    IssuerNotDistributed "issuer-not-distributed" 409 false "A lock does not know the standby issuer yet" "Claim the named locks again first.";

    AuditUnreadable "audit-unreadable" 422 false "The audit envelope does not open" "Ask the lock for a new envelope.";
    AuditForged "audit-forged" 422 false "The audit envelope is not genuine" "Ask the lock for a new envelope; look at the lock if this repeats.";
    AuditBroken "audit-broken" 409 false "The audit contradicts what the lock said before" "Look at the lock: its history was altered or it was reset.";

    Busy "busy" 503 true "The service is busy" "Try again in a moment.";
    Internal "internal" 500 true "The service failed" "Try again; operators look at the service's log.";
}

/// A problem to be answered: a code, and this occurrence in words a person may read.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// This occurrence. Must hold no secret.
    pub detail: Option<String>,
    /// For [`Code::DeviceLimitReached`]: the devices that count.
    pub devices: Vec<api::Device>,
}

/// The result of everything that answers a request.
pub type Answer<T> = Result<T, Problem>;

impl Problem {
    /// Makes a problem without detail.
    pub const fn new(code: Code) -> Self {
        Self { code, detail: None, devices: Vec::new() }
    }

    /// Adds what is particular about this occurrence. Must hold no secret.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// A field of a request is out of range.
    pub(crate) fn field(field: &str, rule: &str) -> Self {
        Self::new(Code::BadRequest).with_detail(format!("`{field}` {rule}"))
    }

    /// The body of the answer.
    pub fn body(&self) -> api::Problem {
        api::Problem {
            kind: format!("https://keybutton.dev/problems/{}", self.code.as_str()),
            title: self.code.title().to_owned(),
            status: self.code.status(),
            detail: self.detail.clone(),
            code: self.code.as_str().to_owned(),
            retry: self.code.retry(),
            remedy: self.code.remedy().to_owned(),
            devices: self.devices.clone(),
        }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

/// A scheme alone is no challenge: RFC 6750 section 3 wants a parameter after `Bearer`, and some clients rely on it.
const CHALLENGE: &str = "Bearer realm=\"keybutton\"";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.body())).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code.status() == 401 {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_kebab_case_and_complete() {
        let codes: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{code:?}");
            assert!((400..=599).contains(&code.status()), "{code:?}");
            assert!(code.remedy().ends_with('.') && !code.title().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn only_what_may_help_is_retried() {
        let retried: Vec<_> = Code::ALL.iter().filter(|code| code.retry()).map(|code| code.as_str()).collect();
        assert_eq!(retried, ["request-timeout", "busy", "internal"]);
    }

    #[test]
    fn answers_are_problem_json() {
        let response = Problem::new(Code::InvalidToken).with_detail("issuer").into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"keybutton\"");
    }
}
