//! The lock's side of a tap: the reference lock's reader, its policy and an in-memory store, without I/O.

use getrandom::SysRng;
use keybutton_lock::{
    Action, Boot, Event, Input, LockConfig, Memory, Reader, Uptime,
    clock::RetainedClock,
    env::{BoltCommand, BoltEvent, Env},
    store::{MemoryStore, Record, Store, StoreError},
};
use keybutton_protocol::{
    crypto::rustcrypto::{RustCrypto, RustSigner},
    ids::UnixTime,
    verdict::ClockState,
};
use zeroize::Zeroizing;

use super::Provision;

type Crypto = RustCrypto<SysRng>;
type Lock = Reader<Box<Memory<Crypto>>, Crypto, RustSigner, Kept>;

/// The store, in one place however often the lock starts.
#[derive(Default)]
struct Kept(Box<MemoryStore>);

/// How many slots of each kind a [`MemoryStore`] has.
const SLOTS: u8 = 64;

/// A lock with a phone, or nobody, in its field.
pub struct TapLock {
    reader: Lock,
    config: LockConfig,
    reader_key: Zeroizing<[u8; 32]>,
    /// The lock's time at uptime 0.
    time_at_start: UnixTime,
    in_session: bool,
}

/// What the lock does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LockOutput {
    /// Sends a command APDU.
    Command(Vec<u8>),
    /// Ends the session.
    Close,
    /// Moves the bolt.
    Bolt(BoltCommand),
    /// Reports what happened.
    Happened(Event),
}

impl TapLock {
    /// Starts a lock whose clock shows [`LockConfig::claimed_at`] at uptime 0, as a maintenance action has set it.
    ///
    /// # Errors
    ///
    /// When the reader key is none, or the lock does not start.
    pub fn new(provision: Provision) -> Result<Self, StoreError> {
        let Provision { config, reader_key } = provision;
        let time_at_start = config.claimed_at;
        let reader = start(&config, &reader_key, Kept::default(), Uptime(0), time_at_start)?;
        Ok(Self { reader, config, reader_key, time_at_start, in_session: false })
    }

    /// A phone has come into the field: a session begins. One that was open is cut.
    pub fn tap(&mut self, now: Uptime) -> Vec<LockOutput> {
        let mut outputs = if self.in_session { self.handle(now, Input::NfcLost) } else { Vec::new() };
        self.in_session = true;
        outputs.extend(self.handle(now, Input::NfcArrived));
        outputs
    }

    /// The phone has answered the last command.
    pub fn response(&mut self, now: Uptime, apdu: &[u8]) -> Vec<LockOutput> {
        self.handle(now, Input::NfcResponse { apdu })
    }

    /// The phone has left the field, or what came from it makes no sense.
    pub fn lost(&mut self, now: Uptime) -> Vec<LockOutput> {
        let mut outputs = self.handle(now, Input::NfcLost);
        if std::mem::take(&mut self.in_session) {
            outputs.push(LockOutput::Close);
        }
        outputs
    }

    /// The time of [`TapLock::next_deadline`] has come.
    pub fn deadline(&mut self, now: Uptime) -> Vec<LockOutput> {
        self.handle(now, Input::Deadline)
    }

    /// When [`TapLock::deadline`] is due.
    pub fn next_deadline(&self) -> Option<Uptime> {
        self.reader.next_deadline()
    }

    /// Whether a phone is in the field.
    pub const fn is_in_session(&self) -> bool {
        self.in_session
    }

    /// Forgets the session, the phones it knows (the fast phase's secrets too) and the verdicts it gave.
    ///
    /// Everything else stays: clock, iterations, revocations, use counters, audit.
    ///
    /// # Errors
    ///
    /// When the lock does not start again.
    pub fn reset(&mut self, now: Uptime) -> Result<(), StoreError> {
        let mut store = std::mem::take(&mut self.reader.env().store);
        for slot in 0..SLOTS {
            store.erase(Record::Known(slot))?;
            store.erase(Record::Fast(slot))?;
        }
        let seconds = u32::try_from(now.0 / 1_000).unwrap_or(u32::MAX);
        let time = self.reader.retained_clock(now).map_or(self.time_at_start.0.saturating_add(seconds), |c| c.now.0);
        self.in_session = false;
        self.reader = start(&self.config, &self.reader_key, store, now, UnixTime(time))?;
        Ok(())
    }

    fn handle(&mut self, now: Uptime, input: Input<'_>) -> Vec<LockOutput> {
        let mut outputs = Vec::new();
        let mut bolt = None;
        self.reader.handle(now, input, &mut |action: Action<'_>| match action {
            Action::Transmit { apdu } => outputs.push(LockOutput::Command(apdu.to_vec())),
            Action::NfcRelease => outputs.push(LockOutput::Close),
            Action::Bolt(command) => {
                bolt = Some(command);
                outputs.push(LockOutput::Bolt(command));
            }
            Action::Event(event) => outputs.push(LockOutput::Happened(event)),
            // Whoever runs the lock asks for `next_deadline`. There is no Bluetooth, no light and no buzzer.
            Action::Deadline(_)
            | Action::Advertise(_)
            | Action::Notify { .. }
            | Action::Close { .. }
            | Action::Feedback(_) => {}
        });
        if outputs.contains(&LockOutput::Close) {
            self.in_session = false;
        }
        if let Some(command) = bolt {
            // The bolt of a pipe moves at once, after the lock's word is out.
            outputs.extend(self.handle(now, Input::Bolt(rest_of(command))));
        }
        outputs
    }
}

impl Store for Kept {
    fn read(&mut self, record: Record, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.0.read(record, out)
    }

    fn write(&mut self, record: Record, value: &[u8]) -> Result<(), StoreError> {
        self.0.write(record, value)
    }

    fn erase(&mut self, record: Record) -> Result<(), StoreError> {
        self.0.erase(record)
    }

    fn audit_slots(&self) -> u32 {
        self.0.audit_slots()
    }
}

/// Shows no key.
impl std::fmt::Debug for TapLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TapLock").field("in_session", &self.in_session).finish_non_exhaustive()
    }
}

fn start(
    config: &LockConfig,
    reader_key: &[u8; 32],
    store: Kept,
    uptime: Uptime,
    time: UnixTime,
) -> Result<Lock, StoreError> {
    let signer = RustSigner::from_bytes(reader_key).map_err(|_| StoreError::Io)?;
    let env = Env { crypto: RustCrypto::new(SysRng), signer, store };
    let retained_clock = Some(RetainedClock { now: time, state: ClockState::Confirmed });
    let mut lock = Reader::new(Box::new(Memory::new()), env, Some(config.clone()), Boot { uptime, retained_clock })?;
    lock.prepare();
    Ok(lock)
}

const fn rest_of(command: BoltCommand) -> BoltEvent {
    match command {
        BoltCommand::Open(_) | BoltCommand::HoldOpen => BoltEvent::Withdrawn,
        BoltCommand::Secure => BoltEvent::Secured,
    }
}
