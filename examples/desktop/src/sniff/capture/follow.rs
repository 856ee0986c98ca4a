//! Which values are ours, and whose.

use std::collections::HashMap;

use keybutton_protocol::advert::{TO_LOCK_UUID, TO_PHONE_UUID};

use super::{
    btsnoop::{Datalink, Record},
    hci::{self, Assembler, Att, LinkNews, Packet},
};
use crate::sniff::{Conversation, Value, Way};

/// The most links that are followed at once. Beyond it the record is not one of phones at doors.
const LINKS_MAX: usize = 256;

/// What ATT packets may measure before it is said, in bytes.
const MTU_DEFAULT: u16 = 23;

/// Follows all links of a record.
#[derive(Debug)]
pub struct Follower {
    datalink: Datalink,
    links: HashMap<(u16, u16), Link>,
    /// How many links had values of ours.
    ours: u32,
}

/// What happened on a link of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// A link carries its first value of ours.
    Began {
        /// Its number in this record, from 1.
        link: u32,
        /// The adapter's number.
        adapter: u16,
        /// The adapter is the phone's: it began the link. `None` where the record began later.
        phone: Option<bool>,
        /// The ATT MTU.
        mtu: u16,
    },
    /// A value passed.
    Value {
        /// The link's number.
        link: u32,
        /// What it is.
        value: Value,
    },
    /// The link is gone.
    Ended {
        /// The link's number.
        link: u32,
    },
}

#[derive(Debug)]
struct Link {
    central: Option<bool>,
    sent: Assembler,
    received: Assembler,
    mtu: u16,
    to_lock: Option<u16>,
    to_phone: Option<u16>,
    conversation: Conversation,
    /// Known once it carried a value of ours.
    number: Option<u32>,
}

impl Link {
    fn new(central: Option<bool>) -> Self {
        Self {
            central,
            sent: Assembler::default(),
            received: Assembler::default(),
            mtu: MTU_DEFAULT,
            to_lock: None,
            to_phone: None,
            conversation: Conversation::new(),
            number: None,
        }
    }
}

impl Follower {
    /// Begins with the record.
    pub fn new(datalink: Datalink) -> Self {
        Self { datalink, links: HashMap::new(), ours: 0 }
    }

    /// Takes the next packet in; returns what it means for links of ours.
    pub fn take(&mut self, record: &Record) -> Vec<News> {
        let (adapter, sent, packet) = hci::unwrap(self.datalink, record);
        match packet {
            Packet::Event(event) => match hci::link_news(event) {
                Some(LinkNews::Up { handle, central }) => {
                    let ended = self.forget((adapter, handle));
                    self.remember((adapter, handle), Link::new(Some(central)));
                    ended
                }
                Some(LinkNews::Down { handle }) => self.forget((adapter, handle)),
                None => Vec::new(),
            },
            Packet::Acl(acl) => match hci::piece(acl) {
                Some(piece) => {
                    let place = (adapter, piece.handle);
                    if !self.links.contains_key(&place) {
                        self.remember(place, Link::new(None));
                    }
                    let Some(link) = self.links.get_mut(&place) else { return Vec::new() };
                    let whole = if sent { link.sent.push(piece) } else { link.received.push(piece) };
                    whole.and_then(|packet| heard(link, adapter, &packet, &mut self.ours)).unwrap_or_default()
                }
                None => Vec::new(),
            },
            Packet::Other => Vec::new(),
        }
    }

    fn forget(&mut self, place: (u16, u16)) -> Vec<News> {
        let number = self.links.remove(&place).and_then(|link| link.number);
        number.map(|link| News::Ended { link }).into_iter().collect()
    }

    fn remember(&mut self, place: (u16, u16), link: Link) {
        if self.links.len() >= LINKS_MAX {
            self.links.clear();
        }
        self.links.insert(place, link);
    }
}

fn heard(link: &mut Link, adapter: u16, packet: &[u8], ours: &mut u32) -> Option<Vec<News>> {
    match hci::att(packet)? {
        Att::Mtu(mtu) => {
            // Both sides say theirs; the smaller one counts.
            link.mtu = if link.mtu == MTU_DEFAULT { mtu } else { link.mtu.min(mtu) };
            None
        }
        Att::Attributes { each, data } => {
            for (handle, uuid) in hci::characteristics(each, data) {
                match uuid {
                    TO_LOCK_UUID => link.to_lock = Some(handle),
                    TO_PHONE_UUID => link.to_phone = Some(handle),
                    _ => {}
                }
            }
            None
        }
        Att::Write { handle, value } => {
            if link.to_lock.is_none() && begins_like_a_phone(value) {
                link.to_lock = Some(handle);
            }
            (link.to_lock == Some(handle)).then(|| passed(link, adapter, Way::ToLock, value, ours))
        }
        Att::Notify(notified) => {
            let mut news = Vec::new();
            for (handle, value) in notified {
                if link.to_phone.is_none() && link.number.is_some() && begins_like_a_lock(value) {
                    link.to_phone = Some(handle);
                }
                if link.to_phone == Some(handle) {
                    news.extend(passed(link, adapter, Way::ToPhone, value, ours));
                }
            }
            Some(news)
        }
    }
}

/// A value of ours passed.
fn passed(link: &mut Link, adapter: u16, way: Way, value: &[u8], ours: &mut u32) -> Vec<News> {
    let mut news = Vec::new();
    let number = *link.number.get_or_insert_with(|| {
        *ours += 1;
        news.push(News::Began { link: *ours, adapter, phone: link.central, mtu: link.mtu });
        *ours
    });
    news.push(News::Value { link: number, value: link.conversation.value(way, value) });
    news
}

/// The first fragment of an Initiate, number 0.
fn begins_like_a_phone(value: &[u8]) -> bool {
    matches!(value, [0x80 | 0xC0, 0x02, 0x05, 0x00, _, 0x00, _, 0xA5, ..])
}

/// The first fragment of an AUTH0 or of an event, number 0.
fn begins_like_a_lock(value: &[u8]) -> bool {
    matches!(value, [0x80 | 0xC0, 0x00, 0x00, _, _, 0x80, 0x80, ..] | [0x80 | 0xC0, 0x02, 0x00, ..])
}

#[cfg(test)]
mod tests;
