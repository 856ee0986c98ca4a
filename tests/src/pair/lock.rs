//! The real lock machine on a virtual clock, with everything it did on record.

use std::{cell::RefCell, rc::Rc, time::Duration};

use keybutton_lock::{
    Action, Address, Boot, Event, Failure, Input, LinkId, LockConfig, Maintenance, Memory, Reader, Uptime,
    clock::RetainedClock,
    env::{BoltCommand, BoltEvent, Env},
    feedback::Feedback,
    store::{Record, Store, StoreError},
};
use keybutton_protocol::{crypto::rustcrypto::RustSigner, ids::UnixTime, verdict::Reason};

use super::{
    keys::{LockCrypto, seeded_crypto},
    site::{NOW, Site},
    store::{PowerCutStore, Snapshot},
};

/// A store that test and lock share.
#[derive(Clone, Debug)]
pub struct SharedStore(pub Rc<RefCell<PowerCutStore>>);

impl Store for SharedStore {
    fn read(&mut self, record: Record, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.0.borrow_mut().read(record, out)
    }

    fn write(&mut self, record: Record, value: &[u8]) -> Result<(), StoreError> {
        self.0.borrow_mut().write(record, value)
    }

    fn erase(&mut self, record: Record) -> Result<(), StoreError> {
        self.0.borrow_mut().erase(record)
    }

    fn audit_slots(&self) -> u32 {
        self.0.borrow().audit_slots()
    }
}

/// An action of the lock, with its bytes copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Did {
    /// Started to advertise this.
    Advertise(Box<keybutton_lock::Advertising>),
    /// Notified an ATT value.
    Notify(LinkId, Vec<u8>),
    /// Closed a link.
    Close(LinkId),
    /// Sent a command APDU by NFC.
    Transmit(Vec<u8>),
    /// Released the phone in the NFC field.
    NfcRelease,
    /// Moved the bolt.
    Bolt(BoltCommand),
    /// Played a signal.
    Feedback(Feedback),
    /// Told what happened.
    Event(Event),
}

type TestReader = Reader<Box<Memory<LockCrypto>>, LockCrypto, RustSigner, SharedStore>;

/// A lock under test.
pub struct TestLock {
    reader: TestReader,
    /// What survives a power cut.
    pub store: SharedStore,
    /// What it was claimed with.
    pub config: LockConfig,
    signer: RustSigner,
    seed: u64,
    now: Uptime,
    /// Everything it did, in order, with the time.
    pub log: Vec<(Uptime, Did)>,
}

impl TestLock {
    /// A lock of `site`, claimed, its clock set to [`NOW`] by maintenance, advertising.
    pub fn new(site: &Site, number: u16) -> Self {
        Self::with(site, number, |_| {})
    }

    /// The same, with its configuration altered before the first start.
    pub fn with(site: &Site, number: u16, alter: impl FnOnce(&mut LockConfig)) -> Self {
        let mut lock = Self::without_clock(site, number, alter);
        lock.set_time(NOW);
        lock
    }

    /// A lock whose clock nobody has set.
    pub fn without_clock(site: &Site, number: u16, alter: impl FnOnce(&mut LockConfig)) -> Self {
        let mut config = site.lock_config(number);
        alter(&mut config);
        Self::start(config, site.reader_key(number), PowerCutStore::new(64), u64::from(number))
    }

    /// Starts a lock on what its store holds.
    pub fn start(config: LockConfig, signer: RustSigner, store: PowerCutStore, seed: u64) -> Self {
        Self::try_start(config, signer, store, seed).expect("the store works")
    }

    /// Starts a lock; fails as the lock itself does.
    pub fn try_start(
        config: LockConfig,
        signer: RustSigner,
        store: PowerCutStore,
        seed: u64,
    ) -> Result<Self, StoreError> {
        let store = SharedStore(Rc::new(RefCell::new(store)));
        let env = Env { crypto: seeded_crypto(seed), signer: signer.clone(), store: store.clone() };
        let reader = Reader::new(Box::new(Memory::new()), env, Some(config.clone()), Boot::default())?;
        let mut lock = Self { reader, store, config, signer, seed, now: Uptime(0), log: Vec::new() };
        lock.input(Input::Deadline);
        Ok(lock)
    }

    /// Cuts the power and starts again, on what was stored. The uptime begins anew.
    pub fn restart(&mut self) {
        let records = self.snapshot();
        self.restart_with(records);
    }

    /// Starts again on other store contents.
    pub fn restart_with(&mut self, records: Snapshot) {
        let slots = self.store.audit_slots();
        self.seed += 1_000;
        *self = Self::start(self.config.clone(), self.signer.clone(), PowerCutStore::with(records, slots), self.seed);
    }

    /// The lock's uptime.
    pub fn now(&self) -> Uptime {
        self.now
    }

    /// Hands in an input now; returns the position in the log where its actions begin.
    pub fn input(&mut self, input: Input<'_>) -> usize {
        let (start, now) = (self.log.len(), self.now);
        let log = &mut self.log;
        let mut take = |action: Action<'_>| {
            let did = match action {
                Action::Advertise(advertising) => Did::Advertise(Box::new(*advertising)),
                Action::Notify { link, value } => Did::Notify(link, value.to_vec()),
                Action::Close { link } => Did::Close(link),
                Action::Transmit { apdu } => Did::Transmit(apdu.to_vec()),
                Action::NfcRelease => Did::NfcRelease,
                Action::Bolt(command) => Did::Bolt(command),
                Action::Feedback(feedback) => Did::Feedback(feedback),
                Action::Event(event) => Did::Event(event),
                Action::Deadline(_) => return,
            };
            log.push((now, did));
        };
        self.reader.handle(now, input, &mut take);
        start
    }

    /// Lets time pass, with every deadline on the way.
    pub fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        // A deadline that is not moved on by its own input would be served for ever.
        let mut idle = 0;
        while let Some(due) = self.reader.next_deadline().filter(|due| *due <= end) {
            idle = if due <= self.now { idle + 1 } else { 0 };
            assert!(idle < 1_000, "the lock's deadline does not move on");
            self.now = self.now.max(due);
            self.input(Input::Deadline);
        }
        self.now = end;
    }

    /// When it wants to be called.
    pub fn next_deadline(&self) -> Option<Uptime> {
        self.reader.next_deadline()
    }

    /// Moves the clock of the harness without serving deadlines.
    pub fn set_now(&mut self, now: Uptime) {
        self.now = self.now.max(now);
    }

    /// Sets the clock, as maintenance does.
    pub fn set_time(&mut self, time: UnixTime) {
        self.input(Input::Maintenance(Maintenance::SetTime(time)));
    }

    /// A phone connects.
    pub fn connect(&mut self, link: u16, mtu: u16) -> usize {
        self.input(Input::Connected { link: LinkId(link), address: Address([link as u8, 2, 3, 4, 5, 6]), mtu })
    }

    /// What it did since a position of the log.
    pub fn since(&self, position: usize) -> impl Iterator<Item = &Did> {
        self.log[position..].iter().map(|(_, did)| did)
    }

    /// How often the bolt was moved by a command of the reader. The falling back after a momentary unlock is not counted.
    pub fn openings(&self) -> usize {
        self.log
            .iter()
            .filter(|(_, did)| matches!(did, Did::Bolt(BoltCommand::Open(_) | BoltCommand::HoldOpen)))
            .count()
    }

    /// How often the bolt was moved at all.
    pub fn movements(&self) -> usize {
        self.log.iter().filter(|(_, did)| matches!(did, Did::Bolt(_))).count()
    }

    /// The verdicts it gave, with detail and whether they were repetitions.
    pub fn verdicts(&self) -> Vec<(Reason, u8, bool)> {
        let verdict = |(_, did): &(Uptime, Did)| match did {
            Did::Event(Event::Verdict { reason, detail, repeated, .. }) => Some((*reason, *detail, *repeated)),
            _ => None,
        };
        self.log.iter().filter_map(verdict).collect()
    }

    /// Why transactions ended before a verdict.
    pub fn failures(&self) -> Vec<Failure> {
        let failure = |(_, did): &(Uptime, Did)| match did {
            Did::Event(Event::Failed { failure, .. }) => Some(*failure),
            _ => None,
        };
        self.log.iter().filter_map(failure).collect()
    }

    /// What the store holds now.
    pub fn snapshot(&self) -> Snapshot {
        self.store.0.borrow().snapshot()
    }

    /// The stored audit records, by number.
    pub fn audit(&self) -> Vec<Vec<u8>> {
        let mut records: Vec<Vec<u8>> = self
            .snapshot()
            .into_iter()
            .filter_map(|(record, value)| matches!(record, Record::Audit(_)).then_some(value))
            .collect();
        records.sort_by_key(|record| record[4..8].to_vec());
        records
    }

    /// The clock's reading and state; `None` while it is unknown.
    pub fn clock(&self) -> Option<RetainedClock> {
        self.reader.retained_clock(self.now)
    }

    /// Reports the end of a bolt movement.
    pub fn bolt_event(&mut self, event: BoltEvent) -> usize {
        self.input(Input::Bolt(event))
    }
}
