//! The btsnoop format (RFC 1761 with Bluetooth's datalinks), read record by record so that a pipe can be followed.

use std::io::{self, Read};

use thiserror::Error;

const MAGIC: [u8; 8] = *b"btsnoop\0";
const VERSION: u32 = 1;

/// Longer than any HCI packet: 64 KiB of ACL data and its headers. More is not a record.
const PACKET_MAX: usize = 0x1_0010;

/// From the year 0, which btsnoop counts from, to 1970, microseconds.
const EPOCH_US: i64 = 0x00DC_DDB3_0F2F_8000;

/// How packets are wrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datalink {
    /// Bare HCI packets; the flags tell their type.
    Bare,
    /// Each with its type in front, as on a serial line.
    Uart,
    /// As the Linux monitor writes them; the flags tell adapter and type.
    Monitor,
}

/// One packet of the record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// When, microseconds since 1970.
    pub at_us: i64,
    /// Direction, and with some datalinks type and adapter.
    pub flags: u32,
    /// What was recorded.
    pub packet: Vec<u8>,
}

/// Why a record can't be read.
#[derive(Debug, Error)]
pub enum RecordError {
    /// There is nothing in it.
    #[error("there is nothing in it")]
    Empty,
    /// It is something else.
    #[error("not a btsnoop record")]
    Format,
    /// It is one, of a kind that is not known.
    #[error("btsnoop with datalink {0}, which is not known")]
    Datalink(u32),
    /// It ends inside a packet.
    #[error("the record ends inside a packet")]
    CutShort,
    /// A packet claims to be longer than any is.
    #[error("a packet claims {0} bytes")]
    TooLong(u32),
    /// It can't be read at all.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a record from its beginning.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    datalink: Datalink,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    pub fn new(mut from: R) -> Result<Self, RecordError> {
        let mut header = [0; 16];
        match fill(&mut from, &mut header)? {
            0 => return Err(RecordError::Empty),
            16 => {}
            _ => return Err(RecordError::Format),
        }
        let [magic @ .., v0, v1, v2, v3, d0, d1, d2, d3] = header;
        if magic != MAGIC || u32::from_be_bytes([v0, v1, v2, v3]) != VERSION {
            return Err(RecordError::Format);
        }
        let datalink = match u32::from_be_bytes([d0, d1, d2, d3]) {
            1001 => Datalink::Bare,
            1002 => Datalink::Uart,
            2001 => Datalink::Monitor,
            other => return Err(RecordError::Datalink(other)),
        };
        Ok(Self { from, datalink })
    }

    /// How packets are wrapped.
    pub fn datalink(&self) -> Datalink {
        self.datalink
    }

    /// The next packet; `None` at the end.
    pub fn next_record(&mut self) -> Result<Option<Record>, RecordError> {
        let mut header = [0; 24];
        match fill(&mut self.from, &mut header)? {
            0 => return Ok(None),
            24 => {}
            _ => return Err(RecordError::CutShort),
        }
        let word = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            u32::from_be_bytes(bytes)
        };
        let included = word(4);
        let len = usize::try_from(included).ok().filter(|len| *len <= PACKET_MAX);
        let mut packet = vec![0; len.ok_or(RecordError::TooLong(included))?];
        if fill(&mut self.from, &mut packet)? < packet.len() {
            return Err(RecordError::CutShort);
        }
        let stamp = i64::from_be_bytes(header.last_chunk::<8>().copied().unwrap_or_default());
        Ok(Some(Record { at_us: stamp.saturating_sub(EPOCH_US), flags: word(8), packet }))
    }
}

/// Reads until there is no more room, or no more to read; returns how much there was.
fn fill(from: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while let Some(room) = room.get_mut(have..).filter(|room| !room.is_empty()) {
        match from.read(room) {
            Ok(0) => break,
            Ok(more) => have += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// Writes a record as tests need one.
#[cfg(test)]
pub(super) fn write(datalink: u32, records: &[Record]) -> Vec<u8> {
    let mut out = [&MAGIC[..], &VERSION.to_be_bytes(), &datalink.to_be_bytes()].concat();
    for record in records {
        let len = u32::try_from(record.packet.len()).unwrap().to_be_bytes();
        out.extend([&len[..], &len, &record.flags.to_be_bytes(), &[0; 4]].concat());
        out.extend((record.at_us + EPOCH_US).to_be_bytes());
        out.extend(&record.packet);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Record>, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push(record);
        }
        Ok(records)
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert!(matches!(all(b""), Err(RecordError::Empty)));
        assert!(matches!(all(b"pcap"), Err(RecordError::Format)));
        assert!(matches!(all(b"Bluetooth monitor ver 5.66"), Err(RecordError::Format)));
        assert!(matches!(all(&write(2003, &[])), Err(RecordError::Datalink(2003))));
        let mut long = write(2001, &[Record { at_us: 0, flags: 0, packet: vec![1] }]);
        long[20] = 0xFF;
        assert!(matches!(all(&long), Err(RecordError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn records_read_back(
            records in proptest::collection::vec(
                (0i64..4_000_000_000_000_000, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..80)),
                0..20,
            ),
            cut in 1usize..20,
        ) {
            let records: Vec<Record> =
                records.into_iter().map(|(at_us, flags, packet)| Record { at_us, flags, packet }).collect();
            let bytes = write(1002, &records);
            prop_assert_eq!(&all(&bytes).unwrap(), &records);
            if !records.is_empty() {
                prop_assert!(matches!(all(&bytes[..bytes.len() - cut]), Err(RecordError::CutShort)));
            }
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&bytes);
            let _ = all(&[&write(2001, &[]), &bytes[..]].concat());
        }
    }
}
