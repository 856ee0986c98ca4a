//! HCI packets and the ATT packets inside (Bluetooth Core 5.4, volume 4 part E and volume 3 parts A and F).

use super::btsnoop::{Datalink, Record};

/// The fixed channel of the Attribute Protocol.
const CHANNEL_ATT: u16 = 0x0004;

/// A packet, as far as it concerns links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packet<'a> {
    /// The controller says something.
    Event(&'a [u8]),
    /// Data of a link.
    Acl(&'a [u8]),
    /// Anything else.
    Other,
}

/// Unwraps a packet: which adapter's it is, which way it went (`true` to the controller), and what it is.
pub(super) fn unwrap(datalink: Datalink, record: &Record) -> (u16, bool, Packet<'_>) {
    let sent = record.flags & 1 == 0;
    let packet = &record.packet[..];
    match datalink {
        Datalink::Bare if record.flags & 2 != 0 && !sent => (0, sent, Packet::Event(packet)),
        Datalink::Bare if record.flags & 2 != 0 => (0, sent, Packet::Other),
        Datalink::Bare => (0, sent, Packet::Acl(packet)),
        Datalink::Uart => {
            let inside = match packet {
                [0x02, data @ ..] => Packet::Acl(data),
                [0x04, data @ ..] => Packet::Event(data),
                _ => Packet::Other,
            };
            (0, sent, inside)
        }
        Datalink::Monitor => {
            let [a0, a1, o0, o1] = record.flags.to_be_bytes();
            let (adapter, opcode) = (u16::from_be_bytes([a0, a1]), u16::from_be_bytes([o0, o1]));
            match opcode {
                3 => (adapter, false, Packet::Event(packet)),
                4 => (adapter, true, Packet::Acl(packet)),
                5 => (adapter, false, Packet::Acl(packet)),
                _ => (adapter, false, Packet::Other),
            }
        }
    }
}

/// What an event says of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LinkNews {
    /// It is up; whether this side began it.
    Up { handle: u16, central: bool },
    /// It is gone.
    Down { handle: u16 },
}

/// Reads an event.
pub(super) fn link_news(event: &[u8]) -> Option<LinkNews> {
    match event {
        // LE Meta: Connection Complete, and its enhanced form.
        [0x3E, _, 0x01 | 0x0A, 0x00, lo, hi, role, ..] => {
            Some(LinkNews::Up { handle: handle(*lo, *hi), central: *role == 0 })
        }
        [0x05, _, 0x00, lo, hi, _, ..] => Some(LinkNews::Down { handle: handle(*lo, *hi) }),
        _ => None,
    }
}

/// A piece of a link's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece<'a> {
    pub(super) handle: u16,
    /// It begins a packet.
    pub(super) first: bool,
    pub(super) data: &'a [u8],
}

/// Reads an ACL packet.
pub(super) fn piece(acl: &[u8]) -> Option<Piece<'_>> {
    let ([lo, hi, len_lo, len_hi], data) = acl.split_first_chunk::<4>()?;
    let data = data.get(..usize::from(u16::from_le_bytes([*len_lo, *len_hi])))?;
    Some(Piece { handle: handle(*lo, *hi), first: hi & 0x30 != 0x10, data })
}

const fn handle(lo: u8, hi: u8) -> u16 {
    u16::from_le_bytes([lo, hi]) & 0x0FFF
}

/// Puts one direction's pieces together.
#[derive(Debug, Default)]
pub(super) struct Assembler(Vec<u8>);

impl Assembler {
    /// Takes a piece; returns the ATT packet it completes. What is incomplete when the next one begins is lost.
    pub(super) fn push(&mut self, piece: Piece<'_>) -> Option<Vec<u8>> {
        if piece.first {
            self.0.clear();
        } else if self.0.is_empty() {
            // The record began in the middle.
            return None;
        }
        self.0.extend_from_slice(piece.data);
        let [len_lo, len_hi, channel_lo, channel_hi] = self.0.first_chunk::<4>()?;
        let whole = 4 + usize::from(u16::from_le_bytes([*len_lo, *len_hi]));
        let channel = u16::from_le_bytes([*channel_lo, *channel_hi]);
        if self.0.len() < whole {
            return None;
        }
        let packet = std::mem::take(&mut self.0);
        (channel == CHANNEL_ATT).then(|| packet.get(4..whole).map(<[u8]>::to_vec))?
    }
}

/// An ATT packet, as far as it concerns us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Att<'a> {
    /// One side says how long packets may be.
    Mtu(u16),
    /// A value is written, with or without a response.
    Write { handle: u16, value: &'a [u8] },
    /// Values are notified.
    Notify(Notified<'a>),
    /// Attributes were read by type: the length of each, and all of them.
    Attributes { each: usize, data: &'a [u8] },
}

/// Values that are notified: one, or several with handle and length each, as BlueZ sends them to one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Notified<'a> {
    One(u16, &'a [u8]),
    Many(&'a [u8]),
}

impl<'a> Iterator for Notified<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        match *self {
            Self::One(handle, value) => {
                *self = Self::Many(&[]);
                Some((handle, value))
            }
            Self::Many(many) => {
                let ([lo, hi, len_lo, len_hi], rest) = many.split_first_chunk::<4>()?;
                let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*len_lo, *len_hi])))?;
                *self = Self::Many(rest);
                Some((u16::from_le_bytes([*lo, *hi]), value))
            }
        }
    }
}

/// Reads an ATT packet.
pub(super) fn att(packet: &[u8]) -> Option<Att<'_>> {
    let word = |lo: &u8, hi: &u8| u16::from_le_bytes([*lo, *hi]);
    match packet {
        [0x02 | 0x03, lo, hi] => Some(Att::Mtu(word(lo, hi))),
        [0x09, each, data @ ..] => Some(Att::Attributes { each: usize::from(*each), data }),
        [0x12 | 0x52, lo, hi, value @ ..] => Some(Att::Write { handle: word(lo, hi), value }),
        [0x1B, lo, hi, value @ ..] => Some(Att::Notify(Notified::One(word(lo, hi), value))),
        [0x23, many @ ..] => Some(Att::Notify(Notified::Many(many))),
        _ => None,
    }
}

/// The characteristics among attributes that were read by type: handle of the value, and UUID.
pub(super) fn characteristics(each: usize, data: &[u8]) -> impl Iterator<Item = (u16, u128)> {
    // Declaration's handle, properties, value's handle, and a UUID of 16 bytes: others are not ours.
    let ours = each == 21;
    data.as_chunks::<21>()
        .0
        .iter()
        .filter(move |_| ours)
        .map(|[_, _, _, lo, hi, uuid @ ..]| (u16::from_le_bytes([*lo, *hi]), u128::from_le_bytes(*uuid)))
}
