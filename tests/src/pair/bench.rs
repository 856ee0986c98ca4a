//! What most attack tests begin with and check: a lock, a member, a press, and that nothing moved.

use std::time::Duration;

use keybutton_lock::{
    config::LockConfig,
    store::{Record, Store},
};
use keybutton_protocol::{
    audit::{genesis, record_hash},
    ids::Intent,
    verdict::Reason,
};

use super::{
    document::AccessSpec,
    keys::crypto,
    lock::TestLock,
    raw_phone::RawPhone,
    site::{Member, Site},
    store::Snapshot,
    talk::{Talk, over_ble, over_ble_link, over_nfc},
};

/// One lock and one member of a site.
pub struct Bench {
    /// The site.
    pub site: Site,
    /// The member.
    pub member: Member,
    /// The lock, number 7 of the site.
    pub lock: TestLock,
    /// The member's phone.
    pub phone: RawPhone,
    seed: u64,
}

impl Bench {
    /// A claimed lock with a clock, and a member with an access key for it.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with an altered configuration.
    pub fn with(alter: impl FnOnce(&mut LockConfig)) -> Self {
        let site = Site::new("north");
        let lock = TestLock::with(&site, 7, alter);
        Self::around(site, lock)
    }

    /// The same with a lock whose clock nobody has set.
    pub fn without_clock(alter: impl FnOnce(&mut LockConfig)) -> Self {
        let site = Site::new("north");
        let lock = TestLock::without_clock(&site, 7, alter);
        Self::around(site, lock)
    }

    fn around(site: Site, lock: TestLock) -> Self {
        let member = Member::new("ada");
        let phone = RawPhone::new(&site, &member, 100);
        Self { site, member, lock, phone, seed: 100 }
    }

    /// The phone of another member, with its own access key.
    pub fn phone_of(&mut self, label: &str) -> RawPhone {
        self.seed += 1;
        RawPhone::new(&self.site, &Member::new(label), self.seed)
    }

    /// Gives the member's phone the default document with other contents.
    pub fn show(&mut self, alter: impl FnOnce(&mut AccessSpec)) {
        let mut spec = self.site.access_spec(&self.member);
        alter(&mut spec);
        self.phone.documents = vec![self.site.access(&self.member, &spec).sign(&mut self.site.issuer()).encode()];
    }

    /// One transaction of the member's phone over BLE.
    pub fn press(&mut self) -> Talk {
        over_ble(&mut self.lock, &mut self.phone)
    }

    /// A new press of the member's phone, a little later: past the cache of verdicts and every pause.
    pub fn press_anew(&mut self, intent: Intent) -> Talk {
        self.lock.advance(Duration::from_secs(61));
        self.phone.press(intent);
        self.press()
    }

    /// The reason of the last verdict the member's phone got.
    pub fn reason(&self) -> Option<Reason> {
        reason(&self.phone)
    }

    /// Asserts that the last transaction was granted, by a verdict and a movement.
    #[track_caller]
    pub fn assert_granted(&self) {
        assert_eq!(self.reason(), Some(Reason::Granted));
        assert!(self.phone.seen.verdict.is_some_and(|verdict| verdict.is_granted()));
        assert!(self.lock.openings() > 0, "a grant moves the bolt");
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// The reason of the last verdict a phone got.
pub fn reason(phone: &RawPhone) -> Option<Reason> {
    phone.seen.verdict.and_then(|verdict| verdict.report).and_then(|report| report.reason.known())
}

/// The detail of the last verdict a phone got.
pub fn detail(phone: &RawPhone) -> Option<u8> {
    phone.seen.verdict.and_then(|verdict| verdict.report).map(|report| report.detail)
}

/// One transaction with another phone, on a link of its own.
pub fn press_with(lock: &mut TestLock, phone: &mut RawPhone, link: u16) -> Talk {
    over_ble_link(lock, phone, link)
}

/// One transaction by tap.
pub fn tap(lock: &mut TestLock, phone: &mut RawPhone) -> Talk {
    over_nfc(lock, phone)
}

/// What is stored, without the audit: what a refused transaction must leave as it was.
pub fn rights(lock: &TestLock) -> Snapshot {
    lock.snapshot().into_iter().filter(|(record, _)| !matches!(record, Record::Audit(_))).collect()
}

/// The same without the clock's bound: what a verified but refused document must leave as it was.
pub fn rights_without_clock(lock: &TestLock) -> Snapshot {
    rights(lock).into_iter().filter(|(record, _)| !matches!(record, Record::Clock)).collect()
}

/// The same without known keys: what a good document that allows nothing here must leave as it was. The lock may remember
/// that it has seen it, and refuse the quicker the next time.
pub fn floors(lock: &TestLock) -> Snapshot {
    rights_without_clock(lock).into_iter().filter(|(record, _)| !matches!(record, Record::Known(_))).collect()
}

/// Asserts a verdict: reason, detail, the status that belongs to it, and that nothing moved.
#[track_caller]
pub fn assert_refused(lock: &TestLock, phone: &RawPhone, expected: Reason, expected_detail: u8) {
    assert_eq!((reason(phone), detail(phone)), (Some(expected), Some(expected_detail)));
    let verdict = phone.seen.verdict.expect("there is a verdict");
    assert_eq!(verdict.status, expected.status(false), "the status of section 17");
    assert_eq!(verdict.report.map(|report| report.retry_after), Some(expected.retry_after()));
    assert_eq!(lock.movements(), 0, "the bolt has moved");
}

/// Asserts that the stored audit is one unbroken chain, up to its newest record. Returns how many records there are.
#[track_caller]
pub fn assert_chain(lock: &TestLock) -> usize {
    let crypto = crypto();
    let records = lock.audit();
    if let Some(first) = records.first() {
        let number = u32::from_be_bytes([first[4], first[5], first[6], first[7]]);
        if number == 1 {
            assert_eq!(first[64..], genesis(&crypto, &lock.config.reader_id()), "the chain begins at the lock");
        }
    }
    for pair in records.windows(2) {
        let before: &[u8; 96] = pair[0].as_slice().try_into().expect("96 bytes");
        assert_eq!(pair[1][64..], record_hash(&crypto, before), "a record does not follow the one before");
    }
    assert!(records.len() <= lock.store.audit_slots() as usize);
    records.len()
}
