use std::collections::HashMap;

use keybutton_protocol::{
    crypto::Crypto,
    ids::{GroupId, LockNumber},
};

use crate::{keyring::Keyring, unlock::Moment};

/// How long a tag's meaning is remembered, misses included: a little longer than a lock keeps its tag. Microseconds.
const REMEMBERED_US: u64 = 20 * 60 * 1_000_000;

/// The most tags remembered. A street full of locks has fewer; a hostile advertiser gets no more.
const TAGS_MAX: usize = 4_096;

/// What a tag means to this phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Resolved {
    pub(super) group: GroupId,
    pub(super) number: LockNumber,
    pub(super) battery_low: bool,
    pub(super) busy: bool,
}

/// What tags mean, by tag.
#[derive(Debug, Default)]
pub(super) struct Tags(HashMap<[u8; 8], (Option<(GroupId, LockNumber, u8)>, Moment)>);

impl Tags {
    /// Resolves a service data value; `None` for a stranger's, a malformed one, and a lock that is being set up.
    pub(super) fn resolve<C: Crypto>(
        &mut self,
        service_data: &[u8],
        now: Moment,
        keyring: &Keyring,
        crypto: &C,
    ) -> Option<Resolved> {
        let (info, rest) = service_data.split_first()?;
        let (tag, flags) = rest.split_first_chunk::<8>()?;
        let &[flags] = flags else { return None };
        if info >> 4 != 1 {
            return None;
        }
        let fresh = |at: Moment| now.since(at) < REMEMBERED_US;
        let known = match self.0.get(tag) {
            Some((known, at)) if fresh(*at) => *known,
            Some(_) | None => {
                let found = keyring.sites().find_map(|site| {
                    let key = site.resolving_key().expose();
                    let [r0, r1, r2, n0, n1, check @ ..] = *tag;
                    let r = [r0, r1, r2];
                    let [c0, c1, c2, ..] = crypto.hmac_sha256(key, &[b"KBT2", &r, &[n0, n1]]);
                    let [p0, p1, p2, ..] = crypto.hmac_sha256(key, &[b"KBT1", &r]);
                    (check == [c0, c1, c2])
                        .then(|| (site.group(), LockNumber(u16::from_be_bytes([n0 ^ p0, n1 ^ p1])), p2))
                });
                if self.0.len() >= TAGS_MAX {
                    self.0.retain(|_, (_, at)| fresh(*at));
                }
                if self.0.len() < TAGS_MAX {
                    self.0.insert(*tag, (found, now));
                }
                found
            }
        };
        let (group, number, mask) = known?;
        let flags = flags ^ mask;
        Some(Resolved { group, number, battery_low: flags & 2 != 0, busy: flags & 4 != 0 })
    }
}
