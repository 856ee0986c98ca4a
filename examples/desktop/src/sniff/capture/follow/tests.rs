use proptest::prelude::*;

use super::*;
use crate::sniff::capture::{Reader, btsnoop};

const HANDLE: u16 = 0x0040;
const INITIATE: &[u8] =
    &[0xC0, 0x02, 0x05, 0x00, 0x0C, 0x00, 0x0A, 0xA5, 0x08, 0x80, 0x02, 0x00, 0x00, 0x5C, 0x02, 0x01, 0x00];
const BUSY: &[u8] = &[0xC0, 0x02, 0x00, 0x00, 0x02, 0x00, 0x00];

/// A monitor's record of one adapter.
struct Recording {
    adapter: u32,
    records: Vec<Record>,
}

impl Recording {
    fn new() -> Self {
        Self { adapter: 2, records: Vec::new() }
    }

    fn packet(&mut self, opcode: u32, packet: Vec<u8>) {
        let at_us = i64::try_from(self.records.len()).unwrap() * 1_000;
        self.records.push(Record { at_us, flags: self.adapter << 16 | opcode, packet });
    }

    fn up(&mut self, role: u8) {
        self.packet(3, vec![0x3E, 19, 0x01, 0, 0x40, 0, role, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0]);
    }

    fn down(&mut self) {
        self.packet(3, vec![0x05, 4, 0, 0x40, 0, 0x13]);
    }

    /// Sends or receives an ATT packet in pieces of at most `most` bytes.
    fn att(&mut self, sent: bool, att: &[u8], most: usize) {
        let len = u16::try_from(att.len()).unwrap().to_le_bytes();
        let whole = [&len[..], &[4, 0], att].concat();
        for (number, piece) in whole.chunks(most).enumerate() {
            let boundary: u16 = if number > 0 {
                0x1000
            } else if sent {
                0
            } else {
                0x2000
            };
            let (handle, len) = ((HANDLE | boundary).to_le_bytes(), u16::try_from(piece.len()).unwrap().to_le_bytes());
            self.packet(if sent { 4 } else { 5 }, [&handle[..], &len, piece].concat());
        }
    }

    fn discover(&mut self) {
        let mut found = vec![0x09, 21];
        for (handle, uuid) in [(0x10_u16, TO_LOCK_UUID), (0x13, TO_PHONE_UUID)] {
            found.extend((handle - 1).to_le_bytes());
            found.push(0x0C);
            found.extend(handle.to_le_bytes());
            found.extend(uuid.to_le_bytes());
        }
        self.att(false, &found, 27);
    }

    fn write(&mut self, handle: u16, value: &[u8]) {
        self.att(true, &[&[0x52], &handle.to_le_bytes()[..], value].concat(), 27);
    }

    fn notify(&mut self, handle: u16, value: &[u8]) {
        self.att(false, &[&[0x1B], &handle.to_le_bytes()[..], value].concat(), 27);
    }

    fn news(&self) -> Vec<News> {
        let bytes = btsnoop::write(2001, &self.records);
        let mut reader = Reader::new(&bytes[..]).unwrap();
        let mut follower = Follower::new(reader.datalink());
        let mut news = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            news.extend(follower.take(&record));
        }
        news
    }
}

fn names(news: &[News]) -> Vec<String> {
    news.iter()
        .map(|news| match news {
            News::Began { link, adapter, phone, mtu } => format!("{link} began on {adapter}, {phone:?}, {mtu}"),
            News::Value { link, value } => {
                format!("{link} {:?} {}", value.way, value.message.as_ref().map_or("-", |message| message.name))
            }
            News::Ended { link } => format!("{link} ended"),
        })
        .collect()
}

#[test]
fn handles_are_learned_from_the_discovery() {
    let mut recording = Recording::new();
    recording.up(0);
    recording.att(true, &[0x02, 0x05, 0x02], 27);
    recording.att(false, &[0x03, 0xF7, 0x00], 27);
    recording.discover();
    recording.write(0x20, INITIATE);
    recording.write(0x10, INITIATE);
    recording.notify(0x20, BUSY);
    recording.notify(0x13, BUSY);
    recording.down();
    assert_eq!(
        names(&recording.news()),
        ["1 began on 2, Some(true), 247", "1 ToLock Initiate", "1 ToPhone Event", "1 ended"]
    );
}

#[test]
fn where_the_phone_knew_the_handles_they_are_guessed_from_the_first_words() {
    let mut recording = Recording::new();
    // The record begins after the link.
    recording.write(0x30, &[1, 2, 3]);
    recording.write(0x10, INITIATE);
    recording.notify(0x40, &[9, 9]);
    recording.notify(0x13, BUSY);
    recording.down();
    recording.up(1);
    recording.write(0x10, INITIATE);
    assert_eq!(
        names(&recording.news()),
        [
            "1 began on 2, None, 23",
            "1 ToLock Initiate",
            "1 ToPhone Event",
            "1 ended",
            "2 began on 2, Some(false), 23",
            "2 ToLock Initiate"
        ]
    );
}

#[test]
fn several_notifications_in_one_packet_are_taken_apart() {
    let mut recording = Recording::new();
    recording.up(0);
    recording.discover();
    recording.write(0x10, INITIATE);
    let len = u16::try_from(BUSY.len()).unwrap().to_le_bytes();
    let other = [&[0x20, 0, 1, 0, 9][..], &[0x13, 0], &len, BUSY].concat();
    recording.att(false, &[&[0x23], &other[..], &[0x13, 0, 0xFF, 0xFF]].concat(), 27);
    assert_eq!(names(&recording.news()), ["1 began on 2, Some(true), 23", "1 ToLock Initiate", "1 ToPhone Event"]);
}

#[test]
fn other_devices_are_left_alone() {
    let mut recording = Recording::new();
    recording.up(0);
    recording.write(0x10, b"a keyboard's, or a lamp's");
    recording.notify(0x13, BUSY);
    recording.down();
    assert_eq!(recording.news(), []);
}

#[test]
fn both_wrappings_of_a_single_adapter_are_understood() {
    let packet = {
        let mut recording = Recording::new();
        recording.write(0x10, INITIATE);
        recording.records.iter().map(|record| record.packet.clone()).collect::<Vec<_>>()
    };
    for (datalink, front) in [(1001, &[][..]), (1002, &[0x02][..])] {
        let records: Vec<Record> =
            packet.iter().map(|packet| Record { at_us: 0, flags: 0, packet: [front, &packet[..]].concat() }).collect();
        let bytes = btsnoop::write(datalink, &records);
        let mut reader = Reader::new(&bytes[..]).unwrap();
        let mut follower = Follower::new(reader.datalink());
        let mut news = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            news.extend(follower.take(&record));
        }
        assert_eq!(names(&news), ["1 began on 0, None, 23", "1 ToLock Initiate"], "{datalink}");
    }
}

proptest! {
    #[test]
    fn values_survive_any_cutting(
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..120), 1..12),
        most in 1usize..60,
    ) {
        let mut recording = Recording::new();
        recording.up(0);
        recording.discover();
        for value in &values {
            recording.att(true, &[&[0x12, 0x10, 0x00], &value[..]].concat(), most);
        }
        let lengths: Vec<usize> = recording
            .news()
            .into_iter()
            .filter_map(|news| match news {
                News::Value { value, .. } => Some(value.bytes),
                News::Began { .. } | News::Ended { .. } => None,
            })
            .collect();
        prop_assert_eq!(lengths, values.iter().map(Vec::len).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_panics(packets in proptest::collection::vec(
        (0u32..8, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..40)
    ) {
        for datalink in [Datalink::Bare, Datalink::Uart, Datalink::Monitor] {
            let mut follower = Follower::new(datalink);
            for (opcode, flags, packet) in &packets {
                for flags in [*opcode, *flags] {
                    follower.take(&Record { at_us: 0, flags, packet: packet.clone() });
                }
            }
        }
    }
}
