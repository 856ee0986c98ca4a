//! Whose session it is, before anybody was asked.

use keybutton_protocol::api::Bytes;
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::json;

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    sub: String,
}

/// Stands for the member of a session token: a hash of its issuer and subject. `None` when it is not a JWT.
///
/// The token is not verified here, the service does that. The phone only has to notice that somebody else signs in
/// before that person can use what the vault holds of the former member.
pub(super) fn subject_of(token: &str) -> Option<Bytes> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let payload: Bytes = json::from_slice(format!("\"{payload}\"").as_bytes()).ok()?;
    let claims: Claims = json::from_slice(&payload.0).ok()?;
    let named = [claims.iss.as_bytes(), &[0], claims.sub.as_bytes()].concat();
    Some(Bytes::from(digest(&SHA256, &named)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        let encoded = serde_json::to_value(Bytes::from(payload)).unwrap();
        format!("e30.{}.c2ln", encoded.as_str().unwrap())
    }

    #[test]
    fn a_renewed_token_is_the_same_member_and_another_is_not() {
        let ann = subject_of(&token(r#"{"iss":"app","sub":"ann","exp":1}"#));
        assert!(ann.is_some());
        assert_eq!(ann, subject_of(&token(r#"{"exp":2,"sub":"ann","iss":"app"}"#)));
        assert_ne!(ann, subject_of(&token(r#"{"iss":"app","sub":"bob"}"#)));
        assert_ne!(ann, subject_of(&token(r#"{"iss":"other","sub":"ann"}"#)));
    }

    #[test]
    fn what_is_no_jwt_names_nobody() {
        for bad in ["", "a.b", "a.b.c.d", "e30.!.x", &token("[]"), &token(r#"{"iss":"app"}"#)] {
            assert_eq!(subject_of(bad), None, "{bad}");
        }
    }
}
