//! What survives a power cut, and the order of writes.
//!
//! A [`Store`] keeps small records under a [`Record`] name. Everything the lock promises across a power cut rests on one
//! property of an implementation and on the order in which the lock writes.
//!
//! # What an implementation must guarantee
//!
//! 1. **A write is atomic and durable.** When [`Store::write`] returns, the new value is what every later read gives,
//!    also after a power cut. When the power goes during the call, later reads give the old value or the new one, whole.
//! 2. **Writes keep their order.** A later write is never durable before an earlier one.
//! 3. **[`Store::erase`] is a write** whose new value is "absent".
//!
//! A flash log does this by appending `name, length, value, CRC` and taking the last valid entry of a name; a file store
//! by writing a temporary file, syncing and renaming it (or by appending to one log file with a checksum per entry).
//! The longest record is [`MAX_RECORD`] bytes.
//!
//! # The order in which the lock writes
//!
//! | event | order | a cut in between leaves |
//! |---|---|---|
//! | revocation document | [`Record::Revocations`] (floor R and list together), then erase matching [`Record::Fast`], [`Record::Known`] | entries that the next start erases before it serves anybody |
//! | access document | [`Record::Floors`] (S), then [`Record::Known`] | a raised floor, the phone shows its document again |
//! | time | [`Record::Clock`] before anything is decided by the new time | an older bound, never a newer clock |
//! | verdict | [`Record::Uses`] (granted only), then [`Record::Audit`], only then bolt, light and answer | a use counted or an opening recorded that did not happen, never the reverse |
//! | after the verdict | [`Record::Fast`] | the next press needs AUTH1 |
//! | full audit ring | a type 7 record with the count of the records it gives up, before they are overwritten | all of them still there |
//! | ACK token | [`Record::AuditMark`] | records that are handed over again |
//! | new provisioning | erase [`Record::Fast`] and [`Record::Known`], then [`Record::Setup`] | the same work at the next start |
//! | lockdown, privacy | [`Record::Mode`] before it is confirmed | the old mode, not confirmed |
//!
//! Floors S and R, the clock's bound B and the use counters never decrease. The verdict cache and the bolt's state are
//! not stored: a start moves nothing.

use thiserror::Error;

pub(crate) mod codec;
mod memory;

pub use memory::MemoryStore;

/// The longest value of any record, bytes.
pub const MAX_RECORD: usize = Record::Revocations.max_len();

/// Names a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Record {
    /// The lock's identifier, and a digest of the provisioning that the other records belong to.
    Setup,
    /// Lockdown and privacy.
    Mode,
    /// The clock's lower bound B.
    Clock,
    /// The access iteration S of every issuer.
    Floors,
    /// The revocation iteration R of every issuer and the revocation list: one record, so that they change together.
    Revocations,
    /// Up to which number the audit is acknowledged.
    AuditMark,
    /// A known key, by slot.
    Known(u8),
    /// An entry of the fast phase, by slot. Secret.
    Fast(u8),
    /// A use counter, by slot.
    Uses(u8),
    /// An audit record, by slot: number modulo [`Store::audit_slots`].
    Audit(u32),
}

impl Record {
    /// The longest value, bytes.
    pub const fn max_len(self) -> usize {
        match self {
            Self::Setup => 64,
            Self::Mode | Self::Clock | Self::AuditMark => 8,
            Self::Floors => 52,
            Self::Revocations => 3_584,
            Self::Known(_) => 400,
            Self::Fast(_) => 160,
            Self::Uses(_) => 32,
            Self::Audit(_) => 96,
        }
    }
}

/// Storage that survives a power cut. The module describes what it must guarantee.
pub trait Store {
    /// Copies a record's value to the start of `out` and returns its length; `None` when it is absent.
    ///
    /// `out` has room for [`Record::max_len`] bytes.
    fn read(&mut self, record: Record, out: &mut [u8]) -> Result<Option<usize>, StoreError>;

    /// Replaces a record's value, at most [`Record::max_len`] bytes, atomically and durably.
    fn write(&mut self, record: Record, value: &[u8]) -> Result<(), StoreError>;

    /// Removes a record, atomically and durably; removing an absent one is no error.
    fn erase(&mut self, record: Record) -> Result<(), StoreError>;

    /// How many audit records the store has room for, at least 16. The same after every start.
    fn audit_slots(&self) -> u32;
}

impl<T: Store + ?Sized> Store for &mut T {
    fn read(&mut self, record: Record, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        (**self).read(record, out)
    }

    fn write(&mut self, record: Record, value: &[u8]) -> Result<(), StoreError> {
        (**self).write(record, value)
    }

    fn erase(&mut self, record: Record) -> Result<(), StoreError> {
        (**self).erase(record)
    }

    fn audit_slots(&self) -> u32 {
        (**self).audit_slots()
    }
}

/// Why the store failed. The lock opens nothing while its store fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum StoreError {
    /// There is no room for the record.
    #[error("store has no room for the record")]
    Full,
    /// Reading or writing failed.
    #[error("store failed to read or write")]
    Io,
    /// The records are another lock's: a lock that is claimed under a new identity starts with an empty store.
    #[error("the store belongs to another lock")]
    OtherLock,
    /// A record that protects against reuse or old rights is there but does not read.
    #[error("a stored record is damaged: {0:?}")]
    Damaged(Record),
}

#[cfg(test)]
mod tests;
