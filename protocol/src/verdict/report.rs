//! The report around a verdict, template E1 (`docs/PROTOCOL.md` section 16).

use super::{Reason, ReasonCode, RetryAfter, VerdictError};
use crate::{
    buf::{Buf, Full, Writer},
    ids::{Signature, UnixTime, UnlockId},
    keys::AuthenticationData,
    tdate,
    tlv::{self, Field},
};

/// What the lock says about a verdict to phones that speak our profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Why.
    pub reason: ReasonCode,
    /// More about the reason; 0 none. 1 with [`Reason::Granted`] and others: the verdict of an earlier attempt.
    pub detail: u8,
    /// When the phone may retry by itself.
    pub retry_after: RetryAfter,
    /// The lock's time; `None` when its clock is not usable.
    pub lock_time: Option<UnixTime>,
    /// How far the lock trusts its clock.
    pub clock: ClockState,
    /// The battery in percent; `None` unknown or mains.
    pub battery: Option<u8>,
    /// The unlock id of the press this answers. A phone must check that it is its own.
    pub unlock_id: UnlockId,
    /// The newest audit record.
    pub audit: AuditHead,
    /// The lock's condition.
    pub flags: LockFlags,
    /// How long the lock stays open, in tenths of a second; 0 unless granted.
    pub time_open: u16,
    /// A signature of the reader key over [`proof_data`], where the lock gives one.
    pub proof: Option<Signature>,
    /// The lock's access iteration floor.
    pub access_iteration: Option<u32>,
    /// The `signed` time of the revocation document the lock holds.
    pub revocation_signed: Option<UnixTime>,
}

impl Report {
    /// The longest encoding.
    pub const MAX_LEN: usize = 89 + 66 + 6 + 22;

    /// A report with nothing but the reason, and what follows from it.
    pub const fn new(reason: Reason, unlock_id: UnlockId, audit: AuditHead) -> Self {
        Self {
            reason: ReasonCode(reason.code()),
            detail: 0,
            retry_after: reason.retry_after(),
            lock_time: None,
            clock: ClockState::Unknown,
            battery: None,
            unlock_id,
            audit,
            flags: LockFlags(0),
            time_open: 0,
            proof: None,
            access_iteration: None,
            revocation_signed: None,
        }
    }

    /// Writes the template's fields. Returns their length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Full> {
        let mut writer = Writer::new(out);
        tlv::put(&mut writer, 0xC0, &[1])?;
        tlv::put(&mut writer, 0xC1, &[self.reason.0])?;
        tlv::put(&mut writer, 0xC2, &[self.detail])?;
        tlv::put(&mut writer, 0xC3, &self.retry_after.0.to_be_bytes())?;
        tlv::put(&mut writer, 0xC4, &self.lock_time.map_or(0, |time| time.0).to_be_bytes())?;
        tlv::put(&mut writer, 0xC5, &[self.clock as u8])?;
        tlv::put(&mut writer, 0xC6, &[self.battery.unwrap_or(0xFF)])?;
        tlv::put(&mut writer, 0xC7, self.unlock_id.as_bytes())?;
        tlv::put(&mut writer, 0xC8, &self.audit.to_bytes())?;
        tlv::put(&mut writer, 0xC9, &self.flags.0.to_be_bytes())?;
        tlv::put(&mut writer, 0xCA, &self.time_open.to_be_bytes())?;
        if let Some(proof) = &self.proof {
            tlv::put(&mut writer, 0xCB, proof.as_bytes())?;
        }
        if let Some(iteration) = self.access_iteration {
            tlv::put(&mut writer, 0xCC, &iteration.to_be_bytes())?;
        }
        if let Some(signed) = self.revocation_signed {
            tlv::put(&mut writer, 0xCD, &tdate::format(signed))?;
        }
        Ok(writer.len())
    }

    /// Reads the template's fields; unknown ones are skipped.
    pub fn parse(fields: &[u8]) -> Result<Self, VerdictError> {
        let known = [
            Field::required(0xC0, 1),
            Field::required(0xC1, 1),
            Field::required(0xC2, 1),
            Field::required(0xC3, 2),
            Field::required(0xC4, 4),
            Field::required(0xC5, 1),
            Field::required(0xC6, 1),
            Field::required(0xC7, 16),
            Field::required(0xC8, 36),
            Field::required(0xC9, 2),
            Field::required(0xCA, 2),
            Field::optional(0xCB, 64),
            Field::optional(0xCC, 4),
            Field::optional(0xCD, 20),
        ];
        let [profile, c1, c2, c3, c4, c5, c6, c7, c8, c9, ca, cb, cc, cd] = tlv::fields(fields, &known)?;
        let byte = |field| tlv::array(field).map(|[byte]: [u8; 1]| byte).ok_or(VerdictError::Value);
        let short = |field| tlv::array(field).map(u16::from_be_bytes).ok_or(VerdictError::Value);
        let word = |field| tlv::array(field).map(u32::from_be_bytes).ok_or(VerdictError::Value);
        if byte(profile)? == 0 {
            return Err(VerdictError::Value);
        }
        Ok(Self {
            reason: ReasonCode(byte(c1)?),
            detail: byte(c2)?,
            retry_after: RetryAfter(short(c3)?),
            lock_time: Some(word(c4)?).filter(|time| *time != 0).map(UnixTime),
            clock: ClockState::from_byte(byte(c5)?).ok_or(VerdictError::Value)?,
            battery: Some(byte(c6)?).filter(|percent| *percent != 0xFF),
            unlock_id: UnlockId(tlv::array(c7).ok_or(VerdictError::Value)?),
            audit: AuditHead::from_bytes(&tlv::array(c8).ok_or(VerdictError::Value)?),
            flags: LockFlags(short(c9)?),
            time_open: short(ca)?,
            proof: tlv::array(cb).map(Signature),
            access_iteration: tlv::array(cc).map(u32::from_be_bytes),
            revocation_signed: cd.map(|tlv| tdate::parse(tlv.value).ok_or(VerdictError::Value)).transpose()?,
        })
    }
}

/// Number and hash of the newest audit record; zeros when there is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct AuditHead {
    /// The record's number.
    pub number: u32,
    /// The record's hash.
    pub hash: [u8; 32],
}

impl AuditHead {
    /// Number and hash joined, 36 bytes.
    pub fn to_bytes(&self) -> [u8; 36] {
        let mut bytes = [0; 36];
        let (number, hash) = bytes.split_at_mut(4);
        number.copy_from_slice(&self.number.to_be_bytes());
        hash.copy_from_slice(&self.hash);
        bytes
    }

    /// Takes number and hash apart.
    pub fn from_bytes(bytes: &[u8; 36]) -> Self {
        let (number, hash) = bytes.split_at(4);
        let mut head = Self::default();
        head.hash.copy_from_slice(hash);
        head.number = number.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        head
    }
}

/// How far a lock trusts its clock (`docs/PROTOCOL.md` section 18).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum ClockState {
    /// Not at all.
    #[default]
    Unknown = 0,
    /// The true time may be later.
    LowerBound = 1,
    /// Running since it was set by two agreeing inputs.
    Running = 2,
    /// Confirmed by maintenance.
    Confirmed = 3,
}

impl ClockState {
    /// The state for its byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Unknown,
            1 => Self::LowerBound,
            2 => Self::Running,
            3 => Self::Confirmed,
            _ => return None,
        })
    }
}

/// The lock's condition, a set of bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LockFlags(pub u16);

impl LockFlags {
    /// The door stands open.
    pub const DOOR_OPEN: Self = Self(1 << 0);
    /// The bolt is out.
    pub const BOLT_OUT: Self = Self(1 << 1);
    /// Locked from inside.
    pub const PRIVACY: Self = Self(1 << 2);
    /// The site is locked down.
    pub const LOCKED_DOWN: Self = Self(1 << 3);
    /// The lock has a fault.
    pub const FAULT: Self = Self(1 << 4);
    /// The lock wants tokens, or wants to hand over audit records.
    pub const WANTS_SYNC: Self = Self(1 << 5);

    /// Both sets joined.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a lock signs for [`Report::proof`]: who met whom (`4D 86 87 4C`), then reason, unlock id, time and audit head.
pub fn proof_data(met: &AuthenticationData, report: &Report) -> Buf<192> {
    let time = report.lock_time.map_or(0, |time| time.0).to_be_bytes();
    let mut data = Buf::new();
    let parts: [&[u8]; 10] = [
        // Without tag 93, the last six bytes.
        met.as_bytes().split_last_chunk::<6>().map_or(&[], |(head, _)| head),
        &[0xC1, 1, report.reason.0],
        &[0xC7, 16],
        report.unlock_id.as_bytes(),
        &[0xC4, 4],
        &time,
        &[0xC8, 36],
        &report.audit.to_bytes(),
        &[0x93, 4],
        &[0xBE, 0x76, 0x3B, 0xA7],
    ];
    // The parts are 191 bytes: no push can fail.
    let _: Result<(), Full> = parts.iter().try_for_each(|part| data.push(part));
    data
}
