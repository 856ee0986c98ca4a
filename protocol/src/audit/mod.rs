//! A lock's audit: a chain of records, checkpoints over it, and the sealed envelope phones carry to the service.

mod checkpoint;
mod envelope;
mod record;
#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod tests;

#[cfg(feature = "envelope")]
pub use self::envelope::{SEAL_OVERHEAD, generate_audit_key, open, seal};
pub use self::{
    checkpoint::{CHECKPOINT_LEN, Checkpoint},
    envelope::{ENVELOPE_MAX, Envelope, EnvelopeError, PLAINTEXT_MAX, RECORDS_MAX, write_plaintext},
    record::{ChainError, Head, RECORD_LEN, Record, RecordType, genesis, record_hash, verify_chain},
};
