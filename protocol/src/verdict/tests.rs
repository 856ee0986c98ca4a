use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{
    ids::{PublicKey, ReaderId, Signature, TransactionId, UnixTime, UnlockId},
    keys::AuthenticationData,
};

fn report() -> Report {
    Report::new(Reason::Granted, UnlockId([7; 16]), AuditHead { number: 2, hash: [9; 32] })
}

fn encoded(verdict: &Verdict) -> Vec<u8> {
    let mut out = [0; MAX_VERDICT];
    let len = verdict.encode(&mut out).unwrap();
    out[..len].to_vec()
}

#[test]
fn the_longest_report_fits_exactly() {
    let mut report = report();
    report.proof = Some(Signature([1; 64]));
    report.access_iteration = Some(42);
    report.revocation_signed = Some(UnixTime(1_893_491_100));
    let verdict = Verdict::of_report(report, true);
    let bytes = encoded(&verdict);
    assert_eq!(bytes.len(), MAX_VERDICT);
    assert_eq!(Verdict::parse(&bytes), Ok(verdict));
}

#[test]
fn reasons_have_unique_codes_names_and_the_status_of_the_table() {
    for (at, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        assert!(Reason::ALL[at + 1..].iter().all(|other| other.name() != reason.name()));
        assert_eq!(reason.status(false).is_granted(), *reason == Reason::Granted);
    }
    let table = [
        (0x10, [0, 0x25], 0xFFFF),
        (0x11, [0, 0x02], 0),
        (0x12, [0, 0x03], 0xFFFF),
        (0x18, [0, 0x25], 60),
        (0x19, [0, 0x25], 30),
        (0x1A, [0, 0x26], 5),
        (0x1B, [0, 0x00], 2),
        (0x1C, [0, 0x01], 0),
        (0x1E, [0, 0x03], 0xFFFF),
        (0x20, [0, 0x06], 0xFFFF),
    ];
    for (code, status, retry) in table {
        let reason = Reason::from_code(code).unwrap();
        assert_eq!(reason.status(false).to_bytes(), status);
        assert_eq!(reason.retry_after(), RetryAfter(retry));
    }
    assert_eq!(Reason::Granted.status(true).to_bytes(), [1, 1]);
    assert_eq!(Reason::Granted.status(false).to_bytes(), [1, 0x81]);
}

#[test]
fn codes_of_later_versions_are_kept() {
    let mut later = report();
    later.reason = ReasonCode(0x7F);
    let verdict = Verdict::of_report(later, false);
    let read = Verdict::parse(&encoded(&verdict)).unwrap();
    assert_eq!(read.report.unwrap().reason.known(), None);
    assert!(!read.is_granted());
}

#[test]
fn proof_data_names_the_meeting_and_the_verdict() {
    let key = PublicKey([4; 65]);
    let met = AuthenticationData::for_lock(&ReaderId([1; 32]), &key, &key, &TransactionId([3; 16]));
    let data = proof_data(&met, &report());
    assert_eq!(data.len(), 191);
    assert_eq!(data[..120], met.as_bytes()[..120]);
    assert_eq!(data[185..], [0x93, 4, 0xBE, 0x76, 0x3B, 0xA7]);
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Verdict::parse(&bytes), Report::parse(&bytes));
    }

    #[test]
    fn verdicts_read_back(
        reason in 0usize..19, detail: u8, time in 1u32.., battery in 0u8..=100, flags: u16, open: u16,
        iteration in proptest::option::of(any::<u32>()),
    ) {
        let mut report = report();
        report.reason = Reason::ALL[reason].into();
        report.detail = detail;
        report.lock_time = Some(UnixTime(time));
        report.clock = ClockState::Running;
        report.battery = Some(battery);
        report.flags = LockFlags(flags);
        report.time_open = open;
        report.access_iteration = iteration;
        let verdict = Verdict::of_report(report, false);
        prop_assert_eq!(Verdict::parse(&encoded(&verdict)), Ok(verdict));
    }
}
