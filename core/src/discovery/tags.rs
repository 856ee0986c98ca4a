use std::collections::HashMap;

use keybutton_protocol::{
    advert::{AdvertFlags, ServiceData, Tag},
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
    pub(super) wants_sync: bool,
}

/// What tags mean, by tag.
#[derive(Debug, Default)]
pub(super) struct Tags(HashMap<Tag, (Option<Meaning>, Moment)>);

/// A tag of a known site, and what unmasks the flags that came with it.
#[derive(Clone, Copy, Debug)]
struct Meaning {
    group: GroupId,
    number: LockNumber,
    mask: u8,
}

impl Tags {
    /// Resolves a service data value; `None` for a stranger's, a malformed one, and a lock that is being set up.
    pub(super) fn resolve<C: Crypto>(
        &mut self,
        service_data: &[u8],
        now: Moment,
        keyring: &Keyring,
        crypto: &C,
    ) -> Option<Resolved> {
        let data = ServiceData::parse(service_data).filter(|data| !data.setup)?;
        let fresh = |at: Moment| now.since(at) < REMEMBERED_US;
        let meaning = match self.0.get(&data.tag) {
            Some((known, at)) if fresh(*at) => *known,
            Some(_) | None => {
                let found = look_up(&data, keyring, crypto);
                if self.0.len() >= TAGS_MAX {
                    self.0.retain(|_, (_, at)| fresh(*at));
                }
                if self.0.len() < TAGS_MAX {
                    self.0.insert(data.tag, (found, now));
                }
                found
            }
        };
        let Meaning { group, number, mask } = meaning?;
        let flags = AdvertFlags(data.masked_flags ^ mask);
        Some(Resolved {
            group,
            number,
            battery_low: flags.contains(AdvertFlags::BATTERY_LOW),
            busy: flags.contains(AdvertFlags::BUSY),
            wants_sync: flags.contains(AdvertFlags::WANTS_SYNC),
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn look_up<C: Crypto>(data: &ServiceData, keyring: &Keyring, crypto: &C) -> Option<Meaning> {
    keyring.sites().find_map(|site| {
        let resolved = data.resolve(crypto, site.resolving_key())?;
        let mask = resolved.flags.0 ^ data.masked_flags;
        Some(Meaning { group: site.group(), number: resolved.lock, mask })
    })
}
