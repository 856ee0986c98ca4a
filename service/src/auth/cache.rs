//! Tokens that were verified already, so that each costs one signature check and not one for every request.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use keybutton_protocol::api::AppId;

use super::jwt::VerifiedToken;
use crate::random;

/// The most tokens kept.
const CAPACITY: usize = 65_536;

/// Verified tokens by hash, each until it expires.
///
/// An entry counts only for the app and the app's settings it was verified under: `generation` changes with them.
#[derive(Debug, Default)]
pub struct TokenCache {
    tokens: Mutex<HashMap<[u8; 32], Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    app: AppId,
    generation: u64,
    token: VerifiedToken,
}

impl TokenCache {
    /// Finds a token verified earlier.
    pub fn find(&self, app: &AppId, generation: u64, token: &str, now: u32) -> Option<VerifiedToken> {
        let hash = random::sha256(token.as_bytes());
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = tokens.get(&hash)?;
        let good = entry.app == *app && entry.generation == generation && u64::from(now) < entry.token.expires;
        good.then(|| entry.token.clone())
    }

    /// Keeps a verified token.
    pub fn keep(&self, app: &AppId, generation: u64, token: &str, verified: &VerifiedToken, now: u32) {
        let hash = random::sha256(token.as_bytes());
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= CAPACITY {
            tokens.retain(|_, entry| u64::from(now) < entry.token.expires);
        }
        if tokens.len() >= CAPACITY {
            tokens.clear();
        }
        tokens.insert(hash, Entry { app: app.clone(), generation, token: verified.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_count_for_their_app_and_until_they_expire() {
        let cache = TokenCache::default();
        let (app, other) = (AppId("a".into()), AppId("b".into()));
        let verified = VerifiedToken { subject: "s".into(), expires: 100 };
        cache.keep(&app, 1, "token", &verified, 50);
        assert_eq!(cache.find(&app, 1, "token", 99), Some(verified));
        assert_eq!(cache.find(&app, 1, "token", 100), None);
        assert_eq!(cache.find(&app, 2, "token", 50), None);
        assert_eq!(cache.find(&other, 1, "token", 50), None);
        assert_eq!(cache.find(&app, 1, "token2", 50), None);
    }
}
