//! Which phones are connected, and which of them the lock talks to.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bluer::Address;
use keybutton::radio::air::LinkId;

/// How long a phone may be connected without a word: it sends Initiate first (docs/PROTOCOL.md section 14).
const SILENCE: Duration = Duration::from_secs(5);

/// The phones at the adapter. BlueZ names them by their address.
#[derive(Debug)]
pub(super) struct Links {
    /// How many phones are talked to at once.
    most: usize,
    last: u32,
    phones: HashMap<Address, Phone>,
}

#[derive(Clone, Copy, Debug)]
struct Phone {
    /// Known once it wrote something.
    link: Option<LinkId>,
    since: Instant,
    /// It is being disconnected; what it still writes does not count.
    leaving: bool,
}

/// What to do with a phone that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// Nothing: it was known.
    Known,
    /// Wait for its first word.
    Welcome,
    /// Send it away: the lock is talking to others.
    Full,
}

/// What a written value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// A new link's first value.
    First(LinkId),
    /// One more value of a link.
    More(LinkId),
    /// Nobody's: the phone is being sent away.
    Nobodys,
}

impl Links {
    pub(super) fn new(most: usize) -> Self {
        Self { most, last: 0, phones: HashMap::new() }
    }

    /// A phone connected.
    pub(super) fn arrived(&mut self, address: Address, now: Instant) -> Arrival {
        if self.phones.contains_key(&address) {
            return Arrival::Known;
        }
        let full = self.phones.len() >= self.most;
        self.phones.insert(address, Phone { link: None, since: now, leaving: full });
        if full { Arrival::Full } else { Arrival::Welcome }
    }

    /// A phone wrote a value, perhaps before its arrival was told.
    pub(super) fn wrote(&mut self, address: Address, now: Instant) -> Word {
        if self.arrived(address, now) == Arrival::Full {
            return Word::Nobodys;
        }
        let Some(phone) = self.phones.get_mut(&address).filter(|phone| !phone.leaving) else { return Word::Nobodys };
        match phone.link {
            Some(link) => Word::More(link),
            None => {
                self.last = self.last.wrapping_add(1);
                let link = LinkId(self.last);
                phone.link = Some(link);
                Word::First(link)
            }
        }
    }

    /// A phone disconnected; returns its link, where it had one.
    pub(super) fn left(&mut self, address: Address) -> Option<LinkId> {
        self.phones.remove(&address)?.link
    }

    /// Everybody disconnected; returns their links.
    pub(super) fn all_left(&mut self) -> Vec<LinkId> {
        self.phones.drain().filter_map(|(_, phone)| phone.link).collect()
    }

    /// All phones that are connected.
    pub(super) fn everybody(&self) -> Vec<Address> {
        self.phones.keys().copied().collect()
    }

    /// Whom a link leads to, unless it is being closed.
    pub(super) fn address(&self, link: LinkId) -> Option<Address> {
        self.phones.iter().find(|(_, phone)| phone.link == Some(link) && !phone.leaving).map(|(address, _)| *address)
    }

    /// A phone is being disconnected.
    pub(super) fn leaving(&mut self, address: Address) {
        if let Some(phone) = self.phones.get_mut(&address) {
            phone.leaving = true;
        }
    }

    /// One more phone can be talked to.
    pub(super) fn has_room(&self) -> bool {
        self.phones.len() < self.most
    }

    /// The phone that has been silent for longest, and when its time is up.
    pub(super) fn silent(&self) -> Option<(Address, Instant)> {
        self.phones
            .iter()
            .filter(|(_, phone)| phone.link.is_none() && !phone.leaving)
            .map(|(address, phone)| (*address, phone.since + SILENCE))
            .min_by_key(|(_, until)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Address = Address([1; 6]);
    const BOB: Address = Address([2; 6]);

    #[test]
    fn a_link_begins_with_the_first_word() {
        let (mut links, now) = (Links::new(1), Instant::now());
        assert_eq!(links.arrived(ANN, now), Arrival::Welcome);
        assert_eq!(links.silent(), Some((ANN, now + SILENCE)));
        assert_eq!(links.wrote(ANN, now), Word::First(LinkId(1)));
        assert_eq!(links.wrote(ANN, now), Word::More(LinkId(1)));
        assert_eq!((links.address(LinkId(1)), links.silent()), (Some(ANN), None));
        assert_eq!(links.left(ANN), Some(LinkId(1)));
        assert_eq!(links.wrote(ANN, now), Word::First(LinkId(2)), "a write may overtake the news of its connection");
    }

    #[test]
    fn one_too_many_is_sent_away_and_never_heard() {
        let (mut links, now) = (Links::new(1), Instant::now());
        links.wrote(ANN, now);
        assert!(!links.has_room());
        assert_eq!(links.arrived(BOB, now), Arrival::Full);
        assert_eq!(links.wrote(BOB, now), Word::Nobodys);
        assert_eq!(links.left(BOB), None);
        assert_eq!(links.left(ANN), Some(LinkId(1)));
        assert!(links.has_room());
    }

    #[test]
    fn a_link_that_closes_takes_no_more_words() {
        let (mut links, now) = (Links::new(1), Instant::now());
        links.wrote(ANN, now);
        links.leaving(ANN);
        assert_eq!(links.wrote(ANN, now), Word::Nobodys);
        assert_eq!(links.address(LinkId(1)), None);
        assert_eq!(links.left(ANN), Some(LinkId(1)), "its end is still told");
    }
}
