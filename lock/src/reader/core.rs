//! What the lock knows besides its tables, and everything a step of a transaction may touch.

use keybutton_protocol::{
    audit::RecordType,
    crypto::{Crypto, Signer},
    ids::{CredentialId, Kid, PublicKey, UnixTime, UnlockId},
    profile::Profile,
    reader::{Prepared, Setup},
    verdict::{AuditHead, ClockState, LockFlags, Verdict},
};

use super::{Action, Actions, Event, Lockdown, advertise::Beacon, door::Door, memory::SCRATCH};
use crate::{
    audit::{AuditRing, Entry},
    clock::{Effect, LockClock, TimeSource},
    config::{FastPolicy, LockConfig},
    env::Env,
    fast::{FastSlot, FastStore},
    known::{KnownKeys, KnownSlot},
    limits::{Penalties, SigningBudget},
    policy::Fault,
    repeat::{AuthenticationWanted, VerdictCache},
    revocation::{AccessFloors, Revocations},
    store::{
        Record, Store, StoreError,
        codec::{Decoder, Encoder},
    },
    uptime::Uptime,
    uses::{UseCount, UseCounters},
};

/// Below this charge the lock asks for a new battery, percent.
const BATTERY_LOW: u8 = 15;
/// Below this charge the bolt may not come back, percent.
const BATTERY_EMPTY: u8 = 3;

/// What the lock knows.
pub(crate) struct Core {
    pub(crate) clock: LockClock,
    pub(crate) floors: AccessFloors,
    pub(crate) mode: Mode,
    pub(crate) audit: AuditRing,
    pub(crate) verdicts: VerdictCache<Verdict>,
    pub(crate) wanted: AuthenticationWanted,
    pub(crate) budget: SigningBudget,
    pub(crate) penalties: Penalties,
    pub(crate) door: Door,
    pub(crate) beacon: Beacon,
    pub(crate) battery: u8,
    pub(crate) storage_failed: bool,
    pub(crate) known_turn: u32,
    pub(crate) fast_turn: u32,
}

/// Lockdown and privacy, kept across a power cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Mode {
    pub(crate) lockdown: Lockdown,
    pub(crate) privacy: bool,
}

impl Mode {
    pub(crate) fn load<T: Store>(store: &mut T) -> Result<Self, StoreError> {
        let mut value = [0; Record::Mode.max_len()];
        let Some(len) = store.read(Record::Mode, &mut value)? else { return Ok(Self::default()) };
        match value.get(..len) {
            Some(&[lockdown @ 0..=2, privacy @ 0..=1]) => Ok(Self {
                lockdown: match lockdown {
                    0 => Lockdown::Off,
                    1 => Lockdown::Door,
                    _ => Lockdown::Site,
                },
                privacy: privacy == 1,
            }),
            _ => Err(StoreError::Damaged(Record::Mode)),
        }
    }
}

/// Everything a step may touch.
pub(crate) struct Context<'a, C: Crypto, S, T> {
    pub(crate) now: Uptime,
    pub(crate) core: &'a mut Core,
    pub(crate) config: &'a LockConfig,
    pub(crate) env: &'a mut Env<C, S, T>,
    pub(crate) prepared: &'a mut Option<Prepared<C>>,
    pub(crate) known: &'a mut [KnownSlot],
    pub(crate) fast: &'a mut [FastSlot],
    pub(crate) uses: &'a mut [Option<UseCount>],
    pub(crate) revocations: &'a mut Revocations,
    pub(crate) spare: &'a mut Revocations,
    pub(crate) scratch: &'a mut [u8; SCRATCH],
    pub(crate) actions: &'a mut dyn Actions,
}

impl<C: Crypto, S: Signer, T: Store> Context<'_, C, S, T> {
    pub(crate) fn setup(&self) -> Setup<'_> {
        setup(self.config)
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.config.profile
    }

    pub(crate) fn issuer_key(&self, kid: &Kid) -> Option<PublicKey> {
        self.config.issuers.iter().find(|issuer| issuer.kid == *kid).map(|issuer| issuer.key)
    }

    pub(crate) fn act(&mut self, action: Action<'_>) {
        self.actions.push(action);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.actions.push(Action::Event(event));
    }

    pub(crate) fn known(&mut self) -> KnownKeys<'_> {
        KnownKeys { slots: self.known, turn: &mut self.core.known_turn }
    }

    pub(crate) fn use_counters(&mut self) -> (UseCounters<'_>, &mut T) {
        (UseCounters(self.uses), &mut self.env.store)
    }

    /// The clock's state now.
    pub(crate) fn clock_state(&self) -> ClockState {
        self.core.clock.state(self.now)
    }

    /// The time, where the clock is good enough to refuse by it.
    pub(crate) fn usable_time(&self) -> Option<UnixTime> {
        let needed = match self.config.policy.accept_lower_bound {
            true => ClockState::LowerBound,
            false => ClockState::Running,
        };
        self.core.clock.now(self.now).filter(|_| self.clock_state() >= needed)
    }

    /// Takes in a verified time, and persists what follows from it before anything is decided by it.
    pub(crate) fn offer_time(&mut self, time: UnixTime, device: CredentialId) {
        let effect = self.core.clock.offer(time, TimeSource::Device(device), self.now);
        self.after_time(effect, device);
    }

    pub(crate) fn after_time(&mut self, effect: Effect, credential: CredentialId) {
        self.persist_clock();
        match effect {
            Effect::None | Effect::Pending => {}
            Effect::Raised | Effect::Stepped(_) => {
                let entry = Entry { credential, ..self.entry(RecordType::TimeSet) };
                // A lock that can't write opens nothing anyway; the clock need not wait for that.
                let _ = self.append(&entry);
                let state = self.clock_state();
                self.event(Event::Time { state });
            }
        }
    }

    /// Writes the clock's lower bound when it is due.
    pub(crate) fn persist_clock(&mut self) {
        if let Some(bound) = self.core.clock.due(self.now) {
            let _ = self.write_bound(bound);
        }
    }

    pub(crate) fn write_bound(&mut self, bound: UnixTime) -> Result<(), StoreError> {
        let mut value = [0; 4];
        Encoder::new(&mut value).u32(bound.0);
        let written = self.env.store.write(Record::Clock, &value);
        self.noted(written)?;
        self.core.clock.set_persisted(bound);
        Ok(())
    }

    pub(crate) fn write_mode(&mut self, mode: Mode) -> Result<(), StoreError> {
        let written = self.env.store.write(Record::Mode, &[mode.lockdown as u8, u8::from(mode.privacy)]);
        self.noted(written)?;
        self.core.mode = mode;
        Ok(())
    }

    /// A record with what the lock says of itself.
    pub(crate) fn entry(&self, record_type: RecordType) -> Entry {
        let [_, flags] = self.flags().0.to_be_bytes();
        Entry {
            record_type,
            reason: 0,
            status: 0,
            time: self.core.clock.now(self.now).unwrap_or_default(),
            clock_state: self.clock_state() as u8,
            interface: None,
            battery: self.core.battery,
            flags,
            credential: CredentialId([0; 16]),
            access_id: [0; 16],
            unlock_id: UnlockId([0; 16]),
        }
    }

    /// Appends an audit record.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let appended = self.core.audit.append(&mut self.env.store, &self.env.crypto, entry);
        self.noted(appended).map(|_| ())
    }

    /// Notes whether the store works; the first failure is told.
    pub(crate) fn noted<R>(&mut self, result: Result<R, StoreError>) -> Result<R, StoreError> {
        let failed = result.is_err();
        if failed && !self.core.storage_failed {
            self.event(Event::StoreFailed);
        }
        self.core.storage_failed = failed;
        result
    }

    pub(crate) fn audit_head(&self) -> AuditHead {
        let head = self.core.audit.head();
        AuditHead { number: head.number, hash: head.hash }
    }

    /// Whether records wait or the time is wanted.
    pub(crate) fn wants_sync(&self) -> bool {
        let audit = self.config.audit_key.is_some()
            && self.core.audit.waiting() >= u32::from(self.config.policy.hand_over_from.max(1));
        audit || self.clock_state() < ClockState::Running
    }

    pub(crate) fn flags(&self) -> LockFlags {
        let flag = |on: bool, flag: LockFlags| if on { flag } else { LockFlags(0) };
        flag(self.core.door.is_open(), LockFlags::DOOR_OPEN)
            .with(flag(self.core.door.is_withdrawn(), LockFlags::BOLT_OUT))
            .with(flag(self.core.mode.privacy, LockFlags::PRIVACY))
            .with(flag(self.core.mode.lockdown != Lockdown::Off, LockFlags::LOCKED_DOWN))
            .with(flag(self.fault().is_some(), LockFlags::FAULT))
            .with(flag(self.wants_sync(), LockFlags::WANTS_SYNC))
    }

    /// What keeps the lock from moving now.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let empty = self.core.battery < BATTERY_EMPTY;
        self.core.door.fault(self.now).or(empty.then_some(Fault::Battery))
    }

    pub(crate) fn battery_low(&self) -> bool {
        self.core.battery < BATTERY_LOW
    }

    /// How many entries of the fast phase the policy allows; 0 where it is off.
    pub(crate) fn fast_limit(&self) -> u8 {
        fast_limit(self.config)
    }

    pub(crate) fn fast_store(&mut self) -> (FastStore<'_>, &mut T) {
        (FastStore { slots: self.fast, turn: &mut self.core.fast_turn }, &mut self.env.store)
    }
}

/// The handshake's view of a provisioning.
pub(crate) fn setup(config: &LockConfig) -> Setup<'_> {
    Setup {
        profile: &config.profile,
        reader: config.reader_id(),
        anchor: config.anchor,
        certificate: config.certificate.as_deref(),
    }
}

/// How many entries of the fast phase a provisioning allows.
pub(crate) fn fast_limit(config: &LockConfig) -> u8 {
    match config.policy.fast {
        FastPolicy::Off => 0,
        FastPolicy::TryAll { .. } if config.policy.high_security => 0,
        FastPolicy::TryAll { entries } => entries,
    }
}

/// Reads the clock's lower bound; the time of the claim before there is one.
pub(crate) fn read_bound<T: Store>(store: &mut T, claimed_at: UnixTime) -> Result<UnixTime, StoreError> {
    let mut value = [0; Record::Clock.max_len()];
    match store.read(Record::Clock, &mut value)? {
        None => Ok(claimed_at),
        Some(len) => value
            .get(..len)
            .and_then(|value| Decoder::new(value).u32())
            .map(UnixTime)
            .ok_or(StoreError::Damaged(Record::Clock)),
    }
}
