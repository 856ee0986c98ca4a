//! One audit record, 96 bytes, and the chain it is part of (`docs/PROTOCOL.md` section 19).

use crate::{
    crypto::Crypto,
    ids::{CredentialId, Interface, ReaderId, UnixTime, UnlockId},
};

/// The length of a record.
pub const RECORD_LEN: usize = 96;

const VERSION: u8 = 1;
const RECORD_LABEL: &[u8] = b"KBAU1";
const GENESIS_LABEL: &[u8] = b"KBAU0";

/// What a record is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecordType {
    /// A verdict.
    Verdict = 1,
    /// The door was forced or held open.
    Door = 2,
    /// A setting changed.
    Configuration = 3,
    /// The clock was set.
    TimeSet = 4,
    /// A revocation list was applied.
    Revocation = 5,
    /// The lock started.
    Start = 6,
    /// Records were overwritten before they were acknowledged; the credential field holds how many.
    Lost = 7,
}

impl RecordType {
    /// The type for its byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Verdict),
            2 => Some(Self::Door),
            3 => Some(Self::Configuration),
            4 => Some(Self::TimeSet),
            5 => Some(Self::Revocation),
            6 => Some(Self::Start),
            7 => Some(Self::Lost),
            _ => None,
        }
    }
}

/// A record of a lock's audit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Record {
    /// What it is about.
    pub record_type: RecordType,
    /// The verdict's reason code (section 17); 0 otherwise.
    pub reason: u8,
    /// The second byte of the verdict's reader status.
    pub status: u8,
    /// Counts from 1, without gaps.
    pub number: u32,
    /// The lock's time, 0 when not usable.
    pub time: UnixTime,
    /// The clock state (section 18).
    pub clock_state: u8,
    /// The interface, `None` when nothing was transmitted.
    pub interface: Option<Interface>,
    /// Battery in percent, 255 unknown.
    pub battery: u8,
    /// Lock flags.
    pub flags: u8,
    /// SHA-256(device key)[0..16].
    pub credential: CredentialId,
    /// The access identifier, padded with zeros.
    pub access_id: [u8; 16],
    /// The press.
    pub unlock_id: UnlockId,
    /// The hash of the record before.
    pub previous: [u8; 32],
}

impl Record {
    /// Writes the record.
    pub fn to_bytes(&self) -> [u8; RECORD_LEN] {
        let interface = self.interface.map_or(0, Interface::salt_byte);
        let mut out = [0; RECORD_LEN];
        let mut rest = &mut out[..];
        for part in [
            &[VERSION, self.record_type as u8, self.reason, self.status][..],
            &self.number.to_be_bytes(),
            &self.time.0.to_be_bytes(),
            &[self.clock_state, interface, self.battery, self.flags],
            self.credential.as_bytes(),
            &self.access_id,
            self.unlock_id.as_bytes(),
            &self.previous,
        ] {
            let (head, tail) = rest.split_at_mut(part.len());
            head.copy_from_slice(part);
            rest = tail;
        }
        out
    }

    /// Reads a record; `None` when a field has no meaning.
    pub fn from_bytes(bytes: &[u8; RECORD_LEN]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<16>()?;
        let (credential, rest) = rest.split_first_chunk()?;
        let (access_id, rest) = rest.split_first_chunk()?;
        let (unlock_id, previous) = rest.split_first_chunk()?;
        let &[
            version,
            record_type,
            reason,
            status,
            n0,
            n1,
            n2,
            n3,
            t0,
            t1,
            t2,
            t3,
            clock_state,
            interface,
            battery,
            flags,
        ] = head;
        let interface = match interface {
            0 => None,
            0x5E => Some(Interface::Nfc),
            0xC3 => Some(Interface::Ble),
            _ => return None,
        };
        (version == VERSION).then_some(Self {
            record_type: RecordType::from_byte(record_type)?,
            reason,
            status,
            number: u32::from_be_bytes([n0, n1, n2, n3]),
            time: UnixTime(u32::from_be_bytes([t0, t1, t2, t3])),
            clock_state,
            interface,
            battery,
            flags,
            credential: CredentialId(*credential),
            access_id: *access_id,
            unlock_id: UnlockId(*unlock_id),
            previous: previous.try_into().ok()?,
        })
    }
}

/// The `previous` of a lock's first record.
pub fn genesis<C: Crypto>(crypto: &C, reader: &ReaderId) -> [u8; 32] {
    crypto.sha256(&[GENESIS_LABEL, reader.as_bytes()])
}

/// A record's hash, which the next record names.
pub fn record_hash<C: Crypto>(crypto: &C, record: &[u8; RECORD_LEN]) -> [u8; 32] {
    crypto.sha256(&[RECORD_LABEL, record])
}

/// The newest record's number and hash; what a chain is continued from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Head {
    /// The newest number; 0 before the first record.
    pub number: u32,
    /// Its hash; before the first record the [`genesis`].
    pub hash: [u8; 32],
}

impl Head {
    /// The head of a chain without records.
    pub fn genesis<C: Crypto>(crypto: &C, reader: &ReaderId) -> Self {
        Self { number: 0, hash: genesis(crypto, reader) }
    }

    /// Checks that `record` comes next and returns the head behind it.
    pub fn follow<C: Crypto>(&self, crypto: &C, record: &[u8; RECORD_LEN]) -> Result<(Record, Self), ChainError> {
        let decoded = Record::from_bytes(record).ok_or(ChainError::Malformed)?;
        if self.number.checked_add(1) != Some(decoded.number) {
            return Err(ChainError::Gap);
        }
        if decoded.previous != self.hash {
            return Err(ChainError::Broken);
        }
        Ok((decoded, Self { number: decoded.number, hash: record_hash(crypto, record) }))
    }
}

/// Why records are not the continuation of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum ChainError {
    /// A record does not decode.
    #[error("audit record does not decode")]
    Malformed,
    /// A number is missing or repeated.
    #[error("audit record's number does not come next")]
    Gap,
    /// A record does not name the hash of the one before.
    #[error("audit record does not continue the chain")]
    Broken,
}

/// Walks over records and checks that each continues the chain.
///
/// Ends after the first error.
pub fn verify_chain<'a, C: Crypto>(
    crypto: &'a C,
    head: Head,
    records: &'a [u8],
) -> impl Iterator<Item = Result<(Record, Head), ChainError>> + use<'a, C> {
    let (chunks, rest) = records.as_chunks::<RECORD_LEN>();
    let mut state = Some(head);
    let records = chunks.iter().map(Some).chain((!rest.is_empty()).then_some(None));
    records.map_while(move |record| {
        let head = state?;
        let next = record.ok_or(ChainError::Malformed).and_then(|record| head.follow(crypto, record));
        state = next.as_ref().ok().map(|(_, head)| *head);
        Some(next)
    })
}
