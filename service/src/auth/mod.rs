//! Who is calling: members by their Branded App's session tokens, operators by API keys.

mod cache;
mod jwt;
mod provider;

pub use self::{
    cache::TokenCache,
    jwt::{AppVerifier, KeySetError, TokenError, VerifiedToken},
    provider::install as install_provider,
};
use crate::{
    problem::{Answer, Code, Problem},
    random,
};

/// What every operator key begins with.
pub const OPERATOR_KEY_PREFIX: &str = "kbo_";

/// Makes an operator key: prefix and 32 random bytes in hex.
pub fn new_operator_key() -> Answer<String> {
    Ok(format!("{OPERATOR_KEY_PREFIX}{}", random::secret::<32>()?))
}

/// The hash an operator key is stored and found by. Keys are long and random, so a plain hash is enough.
pub fn operator_key_hash(key: &str) -> [u8; 32] {
    random::sha256(key.as_bytes())
}

/// Takes the bearer token out of an `Authorization` header.
pub fn bearer(headers: &axum::http::HeaderMap) -> Answer<&str> {
    let value = headers.get(axum::http::header::AUTHORIZATION).ok_or(Code::MissingCredentials)?;
    let text = value.to_str().map_err(|_| Problem::new(Code::MissingCredentials))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        _ => Err(Code::MissingCredentials.into()),
    }
}
