//! Keeps one press from moving the bolt twice (`docs/PROTOCOL.md` section 16).

use core::time::Duration;

use keybutton_protocol::ids::{CredentialId, Intent, UnlockId};

use crate::uptime::Uptime;

/// How many verdicts are kept.
pub const VERDICTS: usize = 16;
/// How long a verdict is kept.
pub const KEPT: Duration = Duration::from_secs(60);
/// How long a key waits that gave no unlock id, or that came by tap.
pub const TRIGGER_PAUSE: Duration = Duration::from_secs(2);
/// How many presses are remembered that have to be repeated with user authentication.
const AUTHENTICATION: usize = 8;

/// The verdicts of the last minute, by key and press. In memory only: a start forgets them.
#[derive(Debug)]
pub struct VerdictCache<V> {
    entries: [Option<Entry<V>>; VERDICTS],
}

#[derive(Clone, Copy, Debug)]
struct Entry<V> {
    credential: CredentialId,
    unlock: Option<UnlockId>,
    intent: Intent,
    moved: bool,
    at: Uptime,
    verdict: V,
}

impl<V: Copy> VerdictCache<V> {
    /// Makes an empty cache.
    pub const fn new() -> Self {
        Self { entries: [const { None }; VERDICTS] }
    }

    /// The verdict that `credential` already got for `unlock`.
    pub fn repeated(&self, credential: CredentialId, unlock: UnlockId, now: Uptime) -> Option<V> {
        self.newest(|entry| {
            entry.credential == credential && entry.unlock == Some(unlock) && now.since(entry.at) < KEPT
        })
    }

    /// The verdict with which `credential` triggered `intent` moments ago, whatever the press.
    pub fn just_triggered(&self, credential: CredentialId, intent: Intent, now: Uptime) -> Option<V> {
        self.newest(|entry| {
            entry.credential == credential
                && entry.intent == intent
                && entry.moved
                && now.since(entry.at) < TRIGGER_PAUSE
        })
    }

    /// Keeps a verdict, before anything moves. The oldest makes room.
    pub fn put(
        &mut self,
        credential: CredentialId,
        unlock: Option<UnlockId>,
        intent: Intent,
        moved: bool,
        verdict: V,
        now: Uptime,
    ) {
        let oldest = self.entries.iter_mut().min_by_key(|slot| slot.as_ref().map(|entry| entry.at));
        if let Some(slot) = oldest {
            *slot = Some(Entry { credential, unlock, intent, moved, at: now, verdict });
        }
    }

    fn newest(&self, matches: impl Fn(&Entry<V>) -> bool) -> Option<V> {
        self.entries.iter().flatten().filter(|entry| matches(entry)).max_by_key(|entry| entry.at).map(|e| e.verdict)
    }
}

impl<V: Copy> Default for VerdictCache<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Presses that were refused for want of user authentication: their repetition is asked to force it.
#[derive(Debug, Default)]
pub struct AuthenticationWanted {
    entries: [Option<(UnlockId, Uptime)>; AUTHENTICATION],
}

impl AuthenticationWanted {
    /// Remembers a press.
    pub fn want(&mut self, unlock: UnlockId, now: Uptime) {
        let oldest = self.entries.iter_mut().min_by_key(|slot| slot.map(|(_, at)| at));
        if let Some(slot) = oldest {
            *slot = Some((unlock, now));
        }
    }

    /// Whether this press has to be authenticated.
    pub fn is_wanted(&self, unlock: UnlockId, now: Uptime) -> bool {
        self.entries.iter().flatten().any(|(wanted, at)| *wanted == unlock && now.since(*at) < KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: CredentialId = CredentialId([1; 16]);
    const OTHER: CredentialId = CredentialId([2; 16]);
    const PRESS: UnlockId = UnlockId([3; 16]);

    #[test]
    fn l_repeat_id_within_a_minute_and_for_the_same_key() {
        let mut cache = VerdictCache::new();
        cache.put(KEY, Some(PRESS), Intent::Unlock, true, 7, Uptime(0));
        assert_eq!(cache.repeated(KEY, PRESS, Uptime(59_999)), Some(7));
        assert_eq!(cache.repeated(KEY, PRESS, Uptime(60_000)), None);
        assert_eq!(cache.repeated(OTHER, PRESS, Uptime(1)), None);
        assert_eq!(cache.repeated(KEY, UnlockId([4; 16]), Uptime(1)), None);
    }

    #[test]
    fn sixteen_are_kept() {
        let mut cache = VerdictCache::new();
        for n in 0..17u8 {
            cache.put(KEY, Some(UnlockId([n; 16])), Intent::Unlock, true, n, Uptime(n.into()));
        }
        assert_eq!(cache.repeated(KEY, UnlockId([0; 16]), Uptime(20)), None);
        assert!((1..17u8).all(|n| cache.repeated(KEY, UnlockId([n; 16]), Uptime(20)) == Some(n)));
    }

    #[test]
    fn two_seconds_between_triggers_of_one_key() {
        let mut cache = VerdictCache::new();
        cache.put(KEY, None, Intent::Unlock, true, 1, Uptime(0));
        assert_eq!(cache.just_triggered(KEY, Intent::Unlock, Uptime(1_999)), Some(1));
        assert_eq!(cache.just_triggered(KEY, Intent::Unlock, Uptime(2_000)), None);
        assert_eq!(cache.just_triggered(KEY, Intent::Lock, Uptime(1)), None);
        cache.put(OTHER, None, Intent::Unlock, false, 2, Uptime(0));
        assert_eq!(cache.just_triggered(OTHER, Intent::Unlock, Uptime(1)), None, "a refusal moved nothing");
    }

    #[test]
    fn authentication_is_wanted_for_the_press_alone() {
        let mut wanted = AuthenticationWanted::default();
        wanted.want(PRESS, Uptime(0));
        assert!(wanted.is_wanted(PRESS, Uptime(1)));
        assert!(!wanted.is_wanted(UnlockId([9; 16]), Uptime(1)));
        assert!(!wanted.is_wanted(PRESS, Uptime(60_000)));
    }
}
