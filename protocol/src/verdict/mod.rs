//! The lock's verdict: reader status, reason and the report around it (`docs/PROTOCOL.md` sections 11, 16 and 17).

mod reason;
mod report;

pub use reason::{Reason, ReasonCode, RetryAfter, Status};
pub use report::{AuditHead, ClockState, LockFlags, Report, proof_data};
use thiserror::Error;

use crate::{
    buf::{Full, Writer},
    tlv::{self, TlvError},
};

/// The longest verdict plaintext: status, and a report with every optional field.
pub const MAX_VERDICT: usize = 4 + 3 + Report::MAX_LEN;

pub(crate) const TAG_STATUS: u16 = 0x97;
pub(crate) const TAG_REPORT: u16 = 0xE1;

/// What the lock decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Green or red, and why in the words every phone knows.
    pub status: Status,
    /// The report, for phones that speak our profile.
    pub report: Option<Report>,
}

impl Verdict {
    /// A verdict without report, as third-party phones get it and as a bad device signature is answered.
    pub const fn bare(status: Status) -> Self {
        Self { status, report: None }
    }

    /// The verdict for a report: the status follows from its reason.
    pub const fn of_report(report: Report, moved: bool) -> Self {
        Self { status: report.reason.status(moved), report: Some(report) }
    }

    /// Tells whether the lock opened (or did what else was asked).
    pub const fn is_granted(&self) -> bool {
        self.status.is_granted()
    }

    /// Writes the plaintext of the verdict EXCHANGE. Returns its length, at most [`MAX_VERDICT`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Full> {
        let mut writer = Writer::new(out);
        tlv::put(&mut writer, TAG_STATUS, &self.status.to_bytes())?;
        if let Some(report) = &self.report {
            let mut fields = [0; Report::MAX_LEN];
            let len = report.encode(&mut fields)?;
            tlv::put(&mut writer, TAG_REPORT, fields.get(..len).ok_or(Full)?)?;
        }
        Ok(writer.len())
    }

    /// Reads the plaintext of a verdict EXCHANGE.
    pub fn parse(plaintext: &[u8]) -> Result<Self, VerdictError> {
        let known = [tlv::Field::required(TAG_STATUS, 2), tlv::Field::optional_between(TAG_REPORT, 0, 0xFFFF)];
        let [status, report] = tlv::fields(plaintext, &known)?;
        let status = tlv::array(status).map(Status::from_bytes).ok_or(VerdictError::Template(TlvError::Missing))?;
        Ok(Self { status, report: report.map(|tlv| Report::parse(tlv.value)).transpose()? })
    }
}

/// Why a verdict was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum VerdictError {
    /// The TLVs are malformed.
    #[error("malformed verdict")]
    Template(#[from] TlvError),
    /// A field has a value that does not exist.
    #[error("verdict with an unknown value")]
    Value,
}

#[cfg(test)]
mod tests;
