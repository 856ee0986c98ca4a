//! The support file: what happened on this phone, safe to send to anybody.
//!
//! Everything in it is a number, a stable code, or a salted short hash. The salt is new for each file, so that equal
//! hashes within a file mean the same thing and hashes of two files can't be matched. Names, identifiers, addresses,
//! tokens and keys have no way in: the file is built from the fields below and nothing else.

use keybutton_protocol::{
    api::{ButtonState, DoorId},
    ids::{UnixTime, UnlockId},
};
use ring::digest;
use serde::Serialize;

use crate::{
    button::Capabilities,
    doctor::{Check, CheckResult},
    error::ErrorCode,
    keyring::{Keyring, Site},
    outcome::{LockClock, LockReport, Outcome, PressMetrics, PressOutcome, Route},
    radio::RadioState,
};

/// The form of the file; changes when a field's meaning does.
pub const VERSION: u32 = 1;

/// What the file is made from.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The platform: `ios`, `android`, `linux`, `macos` or `windows`.
    pub platform: &'static str,
    /// When the file is made, on the phone's clock.
    pub now: UnixTime,
    /// What the phone can do.
    pub capabilities: Capabilities,
    /// The radio's state; `None` where there is none.
    pub radio: Option<RadioState>,
    /// The Key Button.
    pub button: ButtonState,
    /// The keyring.
    pub keyring: &'a Keyring,
    /// What the doctor found.
    pub checks: &'a [Check],
    /// The last presses, oldest first, each with the wall time it began at.
    pub presses: Vec<(UnixTime, &'a PressOutcome)>,
}

/// Writes the support file, JSON for a person to read. `salt` is random and used for this file only.
pub fn support_report(facts: &Facts<'_>, salt: &[u8; 16]) -> String {
    let report = Report {
        keybutton: env!("CARGO_PKG_VERSION"),
        version: VERSION,
        platform: facts.platform,
        made: facts.now.0,
        bluetooth: facts.capabilities.bluetooth,
        nfc: facts.capabilities.nfc,
        key_store: facts.capabilities.key_store,
        radio: facts.radio.map(|state| state.to_string()),
        button: facts.button,
        checks: facts.checks.iter().map(CheckLine::new).collect(),
        keys: facts.keyring.sites().map(|site| KeyLine::new(site, facts, salt)).collect(),
        audit_waiting: facts.keyring.pending_audit().count(),
        presses: facts.presses.iter().map(|(began, press)| PressLine::new(*began, press, salt)).collect(),
    };
    // Numbers and strings only: writing them as JSON can't fail.
    serde_json::to_string_pretty(&report).unwrap_or_default()
}

#[derive(Serialize)]
struct Report {
    keybutton: &'static str,
    version: u32,
    platform: &'static str,
    made: u32,
    bluetooth: bool,
    nfc: bool,
    key_store: bool,
    radio: Option<String>,
    button: ButtonState,
    checks: Vec<CheckLine>,
    keys: Vec<KeyLine>,
    audit_waiting: usize,
    presses: Vec<PressLine>,
}

#[derive(Serialize)]
struct CheckLine {
    check: &'static str,
    result: &'static str,
    code: Option<&'static str>,
}

impl CheckLine {
    fn new(check: &Check) -> Self {
        let result = match check.result {
            CheckResult::Passed => "passed",
            CheckResult::Warning(_) => "warning",
            CheckResult::Failed(_) => "failed",
            CheckResult::Skipped => "skipped",
        };
        Self { check: check.name.as_str(), result, code: check.code().map(ErrorCode::as_str) }
    }
}

#[derive(Serialize)]
struct KeyLine {
    site: String,
    locks: usize,
    opens: usize,
    met: usize,
    /// Seconds until the key ends; negative once it has.
    ends_in_s: i64,
    signed_s_ago: i64,
    revocations: bool,
}

impl KeyLine {
    fn new(site: &Site, facts: &Facts<'_>, salt: &[u8; 16]) -> Self {
        let now = i64::from(facts.now.0);
        let group = site.group();
        let met = |sub| facts.keyring.fast_key(keybutton_protocol::ids::ReaderId::new(group, sub)).is_some();
        Self {
            site: short_hash(salt, b"site", group.as_bytes()),
            locks: site.locks().len(),
            opens: site.locks().iter().filter(|lock| lock.opens).count(),
            met: site.locks().iter().filter(|lock| met(lock.sub)).count(),
            ends_in_s: i64::from(site.validity().valid_until.0) - now,
            signed_s_ago: now - i64::from(site.validity().signed.0),
            revocations: site.revocation().is_some(),
        }
    }
}

#[derive(Serialize)]
struct PressLine {
    press: String,
    door: Option<String>,
    began: u32,
    route: Option<&'static str>,
    outcome: &'static str,
    code: Option<&'static str>,
    detail: Option<u8>,
    cause: Option<&'static str>,
    total_us: u64,
    phases: Vec<PhaseLine>,
    bytes_sent: u32,
    bytes_received: u32,
    packets_sent: u32,
    packets_received: u32,
    round_trips: u32,
    links: u32,
    fast: bool,
    downloaded: bool,
    lock: Option<LockLine>,
}

#[derive(Serialize)]
struct PhaseLine {
    phase: String,
    us: u64,
}

#[derive(Serialize)]
struct LockLine {
    clock: &'static str,
    battery: Option<u8>,
    open_time_ds: u16,
    replayed: bool,
    fault: bool,
    audit_number: u32,
}

impl PressLine {
    fn new(began: UnixTime, press: &PressOutcome, salt: &[u8; 16]) -> Self {
        let PressMetrics { total_us, phases, .. } = &press.metrics;
        let (detail, cause) = match &press.outcome {
            Outcome::Opened(_) => (None, None),
            Outcome::Refused(refusal) => (Some(refusal.detail), None),
            Outcome::Unconfirmed(cause) => (None, Some(cause.name())),
        };
        Self {
            press: press_hash(salt, press.press),
            door: press.door.as_ref().map(|DoorId(door)| short_hash(salt, b"door", door.as_bytes())),
            began: began.0,
            route: press.route.map(Route::as_str),
            outcome: press.outcome.name(),
            code: press.outcome.code().map(ErrorCode::as_str),
            detail,
            cause,
            total_us: *total_us,
            phases: phases.iter().map(|time| PhaseLine { phase: time.phase.clone(), us: time.micros }).collect(),
            bytes_sent: press.metrics.bytes_sent,
            bytes_received: press.metrics.bytes_received,
            packets_sent: press.metrics.packets_sent,
            packets_received: press.metrics.packets_received,
            round_trips: press.metrics.round_trips,
            links: press.metrics.links,
            fast: press.metrics.fast,
            downloaded: press.metrics.downloaded,
            lock: press.outcome.lock_report().map(LockLine::new),
        }
    }
}

impl LockLine {
    fn new(report: &LockReport) -> Self {
        Self {
            clock: match report.clock {
                LockClock::Unknown => "unknown",
                LockClock::LowerBound => "lower-bound",
                LockClock::Running => "running",
                LockClock::Confirmed => "confirmed",
            },
            battery: report.battery,
            open_time_ds: report.open_time_ds,
            replayed: report.replayed,
            fault: report.fault,
            audit_number: report.audit_number,
        }
    }
}

fn press_hash(salt: &[u8; 16], press: UnlockId) -> String {
    short_hash(salt, b"press", press.as_bytes())
}

/// Eight hex digits of SHA-256(salt || kind || value): enough to tell a person's doors apart, and no more.
fn short_hash(salt: &[u8; 16], kind: &[u8], value: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [&salt[..], kind, value] {
        context.update(part);
    }
    context.finish().as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
