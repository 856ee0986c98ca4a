use keybutton_protocol::{
    ids::UnlockId,
    verdict::{ClockState, Reason, Report, RetryAfter, Status, Verdict},
};

use crate::{
    error::ErrorCode,
    outcome::{AuditHash, LockClock, LockReport, Refusal},
};

/// What a verdict means for the press it answers.
#[derive(Debug)]
pub(super) enum Meaning {
    Opened(LockReport),
    Refused(Refusal),
    /// It is for another press, or contradicts itself: nobody knows what the lock did.
    Unreadable,
}

/// Reads a verdict that came through the channel. The unlock id must be our own; the first status byte decides between
/// green and red, and a reason that says otherwise makes the verdict worthless.
pub(super) fn read(verdict: &Verdict, press: UnlockId) -> Meaning {
    let granted = verdict.status.is_granted();
    let Some(report) = &verdict.report else {
        return if granted {
            Meaning::Opened(LockReport::default())
        } else {
            Meaning::Refused(Refusal::new(code_of_status(verdict.status)))
        };
    };
    let reason = report.reason.known();
    let agrees = reason.is_none_or(|reason| (reason == Reason::Granted) == granted);
    if report.unlock_id != press || !agrees {
        return Meaning::Unreadable;
    }
    let lock = lock_report(report, reason);
    if granted {
        return Meaning::Opened(lock);
    }
    Meaning::Refused(Refusal {
        code: reason.map_or_else(|| code_of_status(verdict.status), ErrorCode::from),
        detail: report.detail,
        retry_after_s: Some(report.retry_after).filter(|after| *after != RetryAfter::NEVER).map(|after| after.0),
        when: None,
        lock: Some(lock),
    })
}

fn lock_report(report: &Report, reason: Option<Reason>) -> LockReport {
    LockReport {
        open_time_ds: report.time_open,
        battery: report.battery,
        clock: match report.clock {
            ClockState::Unknown => LockClock::Unknown,
            ClockState::LowerBound => LockClock::LowerBound,
            ClockState::Running => LockClock::Running,
            ClockState::Confirmed => LockClock::Confirmed,
        },
        time: report.lock_time,
        audit_number: report.audit.number,
        audit_hash: AuditHash(report.audit.hash),
        replayed: report.detail == 1 && !reason.is_some_and(has_own_details),
        door_open: report.flags.0 & 1 != 0,
        bolt_out: report.flags.0 & 2 != 0,
        fault: report.flags.0 & 16 != 0,
    }
}

/// Reasons whose detail 1 says something else than "the verdict of an earlier attempt".
const fn has_own_details(reason: Reason) -> bool {
    matches!(reason, Reason::ClockUnknown | Reason::Hardware | Reason::NotTrusted | Reason::BadData)
}

fn code_of_status(status: Status) -> ErrorCode {
    match status {
        Status::KEY_NOT_FOUND => ErrorCode::KeyUnknown,
        Status::KEY_EXPIRED => ErrorCode::Expired,
        Status::KEY_NOT_TRUSTED => ErrorCode::NotTrusted,
        Status::DEVICE_SIGNATURE => ErrorCode::DeviceKeyFailed,
        Status::DATA_FORMAT => ErrorCode::BadData,
        Status::ACCESS_RIGHTS => ErrorCode::NoPermission,
        Status::HARDWARE => ErrorCode::Hardware,
        _ => ErrorCode::LockRefused,
    }
}
