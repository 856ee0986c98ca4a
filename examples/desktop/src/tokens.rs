//! A Branded App's own session tokens, from a key set made for the occasion.
//!
//! A real organization has an identity provider that does this; its public keys are registered at the access service
//! exactly as the ones made here are.

use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// How long a session token is good for, seconds. A month: nobody renews the session of a sample organization.
const LIFETIME: i64 = 30 * 86_400;

const KEY_ID: &str = "1";

/// Signs session tokens with ES256.
pub struct TokenIssuer {
    issuer: String,
    audience: String,
    pair: EcdsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    random: SystemRandom,
}

impl TokenIssuer {
    /// Makes a new key.
    pub fn generate(issuer: &str, audience: &str) -> Result<Self, Failure> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| unusable())?;
        Self::from_pkcs8(issuer, audience, document.as_ref())
    }

    /// Uses a key made before.
    pub fn from_pkcs8(issuer: &str, audience: &str, pkcs8: &[u8]) -> Result<Self, Failure> {
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random).map_err(|_| unusable())?;
        let pkcs8 = Zeroizing::new(pkcs8.to_vec());
        Ok(Self { issuer: issuer.to_owned(), audience: audience.to_owned(), pair, pkcs8, random })
    }

    /// The private key, to be kept between two runs.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The `iss` of the tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `aud` of the tokens.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The public key set to register with the organization.
    pub fn key_set(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let half = |from: usize| Base64UrlUnpadded::encode_string(point.get(from..from + 32).unwrap_or_default());
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID, "x": half(1), "y": half(33),
        }] })
    }

    /// Signs a member in: a token for `subject`.
    pub fn token(&self, subject: &str) -> Result<String, Failure> {
        self.token_for(subject, None, 0)
    }

    /// Signs a token that is good for `lifetime_s` seconds, a month when there is none given; for a negative number it
    /// ran out that long ago. The time is `ahead_s` seconds ahead of this machine's.
    pub fn token_for(&self, subject: &str, lifetime_s: Option<i64>, ahead_s: u32) -> Result<String, Failure> {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = machine.saturating_add(ahead_s.into());
        let expires = now.saturating_add_signed(lifetime_s.unwrap_or(LIFETIME));
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID });
        let claims = json!({
            "iss": self.issuer, "aud": self.audience, "sub": subject, "iat": now.min(expires), "exp": expires,
        });
        let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).map_err(|_| unusable())?;
        Ok(format!("{signed}.{}", Base64UrlUnpadded::encode_string(signature.as_ref())))
    }
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIssuer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

fn unusable() -> Failure {
    Failure::new(
        "token-key-failed",
        "the key that signs session tokens can't be used",
        "Remove the state directory and start `keybutton serve` again.",
    )
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_token_verifies_with_the_published_key() {
        let issuer = TokenIssuer::generate("https://app.example", "keybutton").unwrap();
        let issuer = TokenIssuer::from_pkcs8("https://app.example", "keybutton", issuer.pkcs8()).unwrap();
        let token = issuer.token("ann").unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
        let set = issuer.key_set();
        let part = |name: &str| Base64UrlUnpadded::decode_vec(set["keys"][0][name].as_str().unwrap()).unwrap();
        let point = [vec![4], part("x"), part("y")].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).unwrap();
        let claims = Base64UrlUnpadded::decode_vec(signed.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["sub"], "ann");
    }
}
