//! Session tokens of Branded Apps, verified against the key set their operator configured.

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use thiserror::Error;

/// The longest token that is looked at.
const TOKEN_MAX: usize = 8 * 1024;

/// How far the app's clock may be off, seconds.
const LEEWAY_S: u64 = 60;

/// The most keys of a set.
const KEYS_MAX: usize = 16;

/// Verifies the session tokens of one Branded App.
#[derive(Clone, Debug)]
pub struct AppVerifier {
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    kid: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

/// What a token says, once it is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedToken {
    /// Who is signed in: the member's subject.
    pub subject: String,
    /// When the token ends, Unix seconds.
    pub expires: u64,
}

/// Why a key set is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KeySetError {
    /// Not a JSON Web Key Set.
    #[error("is not a JSON Web Key Set")]
    Malformed,
    /// A key in it is secret.
    #[error("contains a secret key; give public keys only")]
    Secret,
    /// No key can verify ES256 or RS256.
    #[error("contains no key for ES256 (EC, P-256) or RS256 (RSA)")]
    Unusable,
    /// Too many keys, or several without distinct key ids.
    #[error("contains more than 16 keys, or several that a `kid` doesn't tell apart")]
    Ambiguous,
}

/// Why a token is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TokenError {
    /// Not a token, or one that names an algorithm or key that isn't in the set.
    #[error("not a token signed by a key of the app")]
    Untrusted,
    /// The signature does not verify.
    #[error("signature")]
    Signature,
    /// Another issuer.
    #[error("issuer")]
    Issuer,
    /// Another audience.
    #[error("audience")]
    Audience,
    /// A required claim (`sub`, `exp`, `iss`, `aud`) is missing or malformed.
    #[error("a required claim is missing")]
    Claims,
    /// Not valid yet.
    #[error("not valid yet")]
    Early,
    /// Expired.
    #[error("expired")]
    Expired,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    #[serde(default)]
    nbf: u64,
}

impl AppVerifier {
    /// Reads a key set. Keys for other algorithms are left out; secret keys are refused.
    pub fn new(jwks: &str, issuer: &str, audience: &str) -> Result<Self, KeySetError> {
        let value: serde_json::Value = serde_json::from_str(jwks).map_err(|_| KeySetError::Malformed)?;
        let keys = value.get("keys").and_then(|keys| keys.as_array()).ok_or(KeySetError::Malformed)?;
        // `k` is a symmetric key, `d` the private part of any other.
        if keys.iter().any(|key| key.get("d").is_some() || key.get("k").is_some()) {
            return Err(KeySetError::Secret);
        }
        let set: JwkSet = serde_json::from_value(value).map_err(|_| KeySetError::Malformed)?;
        let keys: Vec<_> = set.keys.iter().filter_map(|jwk| key(jwk, issuer, audience)).collect();
        let distinct = keys.iter().enumerate().all(|(at, one)| {
            keys.iter().skip(at + 1).all(|other| one.kid.is_some() && other.kid.is_some() && one.kid != other.kid)
        });
        match keys.len() {
            0 => Err(KeySetError::Unusable),
            count if count > KEYS_MAX || !distinct => Err(KeySetError::Ambiguous),
            _ => Ok(Self { keys }),
        }
    }

    /// Verifies a token at `now`. The key decides the algorithm, never the token.
    pub fn verify(&self, token: &str, now: u32) -> Result<VerifiedToken, TokenError> {
        if token.len() > TOKEN_MAX {
            return Err(TokenError::Untrusted);
        }
        let header = decode_header(token).map_err(|_| TokenError::Untrusted)?;
        let key = match (&header.kid, &self.keys[..]) {
            (Some(kid), keys) => keys.iter().find(|key| key.kid.as_ref() == Some(kid)),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let key = key.ok_or(TokenError::Untrusted)?;
        let claims = decode::<Claims>(token, &key.key, &key.validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenError::Signature,
            ErrorKind::InvalidIssuer => TokenError::Issuer,
            ErrorKind::InvalidAudience => TokenError::Audience,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) | ErrorKind::InvalidClaimFormat(_) => {
                TokenError::Claims
            }
            _ => TokenError::Untrusted,
        })?;
        let (claims, now) = (claims.claims, u64::from(now));
        if claims.exp.saturating_add(LEEWAY_S) <= now {
            return Err(TokenError::Expired);
        }
        if claims.nbf > now.saturating_add(LEEWAY_S) {
            return Err(TokenError::Early);
        }
        if claims.sub.is_empty() || claims.sub.len() > 255 {
            return Err(TokenError::Claims);
        }
        Ok(VerifiedToken { subject: claims.sub, expires: claims.exp.saturating_add(LEEWAY_S) })
    }
}

/// A key for ES256 or RS256, with the validation that goes with it; `None` for any other.
fn key(jwk: &Jwk, issuer: &str, audience: &str) -> Option<Key> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        _ => return None,
    };
    let named_fits = match (&jwk.common.key_algorithm, algorithm) {
        (None, _) | (Some(KeyAlgorithm::ES256), Algorithm::ES256) | (Some(KeyAlgorithm::RS256), Algorithm::RS256) => {
            true
        }
        (Some(_), _) => false,
    };
    let use_fits = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    if !named_fits || !use_fits {
        return None;
    }
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Time is checked against the service's clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    Some(Key { kid: jwk.common.key_id.clone(), key: DecodingKey::from_jwk(jwk).ok()?, validation })
}

#[cfg(test)]
mod tests;
