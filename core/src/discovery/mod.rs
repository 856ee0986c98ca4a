//! Advertisements in, ranked doors out.
//!
//! A door is known by its rotating tag only, which names the lock to those who hold the site's resolving key; the
//! signal says how near a lock is, never which one it is (docs/PROTOCOL.md section 15).

mod rank;
mod tags;

use keybutton_protocol::{
    api::{DoorId, SiteId},
    crypto::Crypto,
    ids::{GroupId, LockNumber, UnixTime},
};

pub use self::rank::{AMBIGUITY_DB, Pick};
use self::{
    rank::Signal,
    tags::{Resolved, Tags},
};
use crate::{
    keyring::Keyring,
    pairs::Pairs,
    radio::{Advertisement, PeripheralId},
    unlock::Moment,
};

/// A lock that was not heard for this long is gone, microseconds.
pub const GONE_US: u64 = 5_000_000;

/// A packet this soon after the last one of the same lock is the same advertisement on another channel, microseconds.
const SAME_EVENT_US: u64 = 10_000;

/// A list is published no more often than this, unless doors came or went, microseconds.
const PUBLISH_US: u64 = 500_000;

/// The most peripherals that are followed. Beyond it the one silent for longest is forgotten.
const PERIPHERALS_MAX: usize = 256;

/// A door in range.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Candidate {
    /// The door; `None` for a lock of a known site that is not in the phone's table.
    pub door: Option<DoorId>,
    /// The site.
    pub site: SiteId,
    /// The door's name, to be shown; the site's where the door is not known.
    pub name: String,
    /// Where to connect.
    pub peripheral: PeripheralId,
    /// How strongly the lock is received, less what it sends with, dB: near 0 is near, -90 is far.
    pub strength_db: i16,
    /// The member's key names this door.
    pub opens: bool,
    /// The lock is busy with others.
    pub busy: bool,
    /// The lock's battery is low.
    pub battery_low: bool,
    /// The lock wants to be told the time or revocations, or to hand over its audit; a press brings it that.
    pub wants_sync: bool,
    /// The phone has to be held to the lock.
    pub tap_hint: bool,
    /// When the door was opened last from this phone.
    pub last_opened: Option<UnixTime>,
}

/// The locks in range.
#[derive(Debug, Default)]
pub struct Discovery {
    tags: Tags,
    heard: Pairs<PeripheralId, Heard>,
    published: Option<Published>,
}

#[derive(Debug)]
struct Published {
    at: Moment,
    order: Vec<(PeripheralId, Option<DoorId>)>,
}

#[derive(Debug)]
struct Heard {
    resolved: Resolved,
    signal: Signal,
    last: Moment,
}

impl Discovery {
    /// Starts with nothing heard.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an advertisement in; tells whether it came from a lock of a site with a key.
    pub fn hear<C: Crypto>(&mut self, heard: &Advertisement, now: Moment, keyring: &Keyring, crypto: &C) -> bool {
        // Without the scan response there is no tag yet: the signal counts for a lock that is known already.
        let resolved = if heard.service_data.is_empty() {
            self.heard.get(&heard.peripheral).map(|known| known.resolved)
        } else {
            self.tags.resolve(&heard.service_data, now, keyring, crypto)
        };
        let Some(resolved) = resolved else {
            // A peripheral whose tag is a stranger's now is not the lock it was.
            self.heard.remove(&heard.peripheral);
            return false;
        };
        let entry =
            self.heard.get_or_insert(&heard.peripheral, || Heard { resolved, signal: Signal::default(), last: now });
        if (entry.resolved.group, entry.resolved.number) != (resolved.group, resolved.number) {
            entry.signal = Signal::default();
        }
        entry.resolved = resolved;
        if entry.signal.is_empty() || now.since(entry.last) >= SAME_EVENT_US {
            entry.signal.push(heard.rssi, heard.tx_power);
        }
        entry.last = now;
        if self.heard.len() > PERIPHERALS_MAX {
            self.forget_silent();
        }
        true
    }

    /// Forgets everything heard, but not what tags mean: the radio was off, or nobody listened for a while.
    pub fn clear(&mut self) {
        self.heard.clear();
        self.published = None;
    }

    /// Forgets a lock until it is heard again: it did not answer where it was heard last.
    pub fn forget(&mut self, peripheral: &PeripheralId) {
        self.heard.remove(peripheral);
    }

    /// Forgets what tags mean: the keyring has changed.
    pub fn keyring_changed(&mut self) {
        self.tags = Tags::default();
        self.heard.clear();
    }

    /// The doors in range, nearest first; of doors equally near, the one opened last from this phone first.
    pub fn ranked(&self, now: Moment, keyring: &Keyring) -> Vec<Candidate> {
        // A lock that has just changed its address was heard at two: it is where it was heard last.
        let mut locks: Pairs<(GroupId, LockNumber), (Moment, &PeripheralId)> = Pairs::new();
        for (peripheral, heard) in self.heard.iter().filter(|(_, heard)| now.since(heard.last) < GONE_US) {
            let (lock, place) = ((heard.resolved.group, heard.resolved.number), (heard.last, peripheral));
            let newest = locks.get(&lock).map_or(place, |known| place.max(*known));
            locks.insert(lock, newest);
        }
        let mut candidates: Vec<Candidate> = locks
            .values()
            .filter_map(|(_, peripheral)| candidate(peripheral, self.heard.get(peripheral)?, keyring))
            .collect();
        rank::sort(&mut candidates);
        candidates
    }

    /// The door with this identifier, if it is in range.
    pub fn find(&self, door: &DoorId, now: Moment, keyring: &Keyring) -> Option<Candidate> {
        let (site, lock) = keyring.door(door)?;
        let (group, number) = (site.group(), lock.number);
        let heard = self.heard.iter().filter(|(_, heard)| {
            (heard.resolved.group, heard.resolved.number) == (group, number) && now.since(heard.last) < GONE_US
        });
        // As in the ranking: where it was heard last.
        let (peripheral, heard) = heard.max_by_key(|(peripheral, heard)| (heard.last, *peripheral))?;
        candidate(peripheral, heard, keyring).filter(|candidate| candidate.door.as_ref() == Some(door))
    }

    /// The door that the member most likely stands at, or those that are too close to call.
    pub fn pick(&self, now: Moment, keyring: &Keyring) -> Pick {
        rank::pick(self.ranked(now, keyring))
    }

    /// How many packets have been heard from a lock's peripheral, at most 5.
    pub(crate) fn samples(&self, peripheral: &PeripheralId) -> usize {
        self.heard.get(peripheral).map_or(0, |heard| heard.signal.len())
    }

    /// The list for a listener, when it is worth telling: doors came, went or changed places, or half a second went by
    /// since the last list. Needs to be asked after every advertisement and now and then while anything is in range.
    pub fn publish(&mut self, now: Moment, keyring: &Keyring) -> Option<Vec<Candidate>> {
        let ranked = self.ranked(now, keyring);
        let order: Vec<_> = ranked.iter().map(|c| (c.peripheral.clone(), c.door.clone())).collect();
        let (news, due) = match &self.published {
            Some(last) => (last.order != order, !order.is_empty() && now.since(last.at) >= PUBLISH_US),
            None => (!order.is_empty(), false),
        };
        if !news && !due {
            return None;
        }
        self.published = Some(Published { at: now, order });
        Some(ranked)
    }

    fn forget_silent(&mut self) {
        let silent = self.heard.iter().min_by_key(|(_, heard)| heard.last).map(|(peripheral, _)| peripheral.clone());
        if let Some(silent) = silent {
            self.heard.remove(&silent);
        }
    }
}

fn candidate(peripheral: &PeripheralId, heard: &Heard, keyring: &Keyring) -> Option<Candidate> {
    let Resolved { group, number, battery_low, busy, wants_sync } = heard.resolved;
    let site = keyring.site(group)?;
    let lock = site.lock_number(number);
    Some(Candidate {
        door: lock.map(|lock| lock.door.clone()),
        site: site.id().clone(),
        name: lock.map_or_else(|| site.name().to_owned(), |lock| lock.name.clone()),
        peripheral: peripheral.clone(),
        strength_db: heard.signal.strength()?,
        opens: lock.is_some_and(|lock| lock.opens),
        busy,
        battery_low,
        wants_sync,
        tap_hint: lock.is_some_and(|lock| lock.tap_hint),
        last_opened: lock.and_then(|lock| keyring.last_opened(&lock.door)),
    })
}

#[cfg(test)]
mod tests;
