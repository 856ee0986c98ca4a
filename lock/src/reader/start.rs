//! Starting: reading what survived and finishing what a power cut interrupted.

use keybutton_protocol::{
    audit::RecordType,
    crypto::{Crypto, Signer},
    ids::UnixTime,
};

use super::{
    BATTERY_UNKNOWN, Place, Reader, Tables,
    core::{Core, Mode, fast_limit, read_bound},
    memory::Parts,
};
use crate::{
    audit::AuditRing,
    clock::{LockClock, RetainedClock},
    config::{FastPolicy, Issuer, LockConfig},
    env::Env,
    fast::FastStore,
    known::KnownKeys,
    revocation::AccessFloors,
    store::{Record, Store, StoreError},
    uptime::Uptime,
    uses::UseCounters,
};

/// How the lock starts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Boot {
    /// The uptime now.
    pub uptime: Uptime,
    /// The reading of a real-time clock that kept counting on a battery; `None` without one.
    pub retained_clock: Option<RetainedClock>,
}

impl<M: Place<C>, C: Crypto, S: Signer, T: Store> Reader<M, C, S, T> {
    /// Starts the lock: reads what survived, finishes what a power cut interrupted, and moves nothing.
    ///
    /// Without a provisioning the lock advertises setup mode and serves nobody. Call [`Reader::handle`] with
    /// [`Input::Deadline`](super::Input::Deadline) next: it starts the advertising.
    ///
    /// Fails when the store fails, or when a record that protects against old rights is damaged.
    pub fn new(
        mut memory: M,
        mut env: Env<C, S, T>,
        config: Option<LockConfig>,
        boot: Boot,
    ) -> Result<Self, StoreError> {
        let issuers: &[Issuer] = config.as_ref().map_or(&[], |config| &config.issuers);
        let claimed_at = config.as_ref().map_or(UnixTime(0), |config| config.claimed_at);
        let reader_id = config.as_ref().map(LockConfig::reader_id);
        let limit = config.as_ref().map_or(0, fast_limit);
        let changed = match &config {
            Some(config) => adopt(memory.parts(), &mut env, config)?,
            None => false,
        };
        let mut core = Core {
            clock: LockClock::start(read_bound(&mut env.store, claimed_at)?, boot.retained_clock, boot.uptime),
            floors: AccessFloors::load(&mut env.store, issuers)?,
            mode: Mode::load(&mut env.store)?,
            audit: match &reader_id {
                Some(reader) => AuditRing::load(&mut env.store, &env.crypto, reader)?,
                None => AuditRing::unused(),
            },
            verdicts: crate::repeat::VerdictCache::new(),
            wanted: crate::repeat::AuthenticationWanted::default(),
            budget: crate::limits::SigningBudget::default(),
            penalties: crate::limits::Penalties::default(),
            door: super::door::Door::default(),
            beacon: super::advertise::Beacon::default(),
            battery: BATTERY_UNKNOWN,
            storage_failed: false,
            known_turn: 0,
            fast_turn: 0,
        };
        let Parts { known, fast, uses, revocations, scratch, .. } = memory.parts();
        revocations.load(&mut env.store, issuers, &mut scratch[..])?;
        UseCounters(uses).load(&mut env.store)?;
        KnownKeys { slots: known, turn: &mut core.known_turn }.load(&mut env.store)?;
        FastStore { slots: fast, turn: &mut core.fast_turn }.load(&mut env.store, limit)?;
        let mut reader = Self { memory, env, config, core, prepared: None, deadline: Some(boot.uptime) };
        reader.finish_start(boot.uptime, changed)?;
        Ok(reader)
    }

    fn finish_start(&mut self, now: Uptime, changed: bool) -> Result<(), StoreError> {
        let mut nobody = |_: super::Action<'_>| {};
        let Some((mut context, _)) = self.context(now, &mut nobody) else { return Ok(()) };
        // A cut after a revocation list was written may have left what it revokes.
        context.forget_revoked()?;
        if changed {
            let entry = context.entry(RecordType::Configuration);
            context.append(&entry)?;
        }
        let entry = context.entry(RecordType::Start);
        context.append(&entry)
    }
}

/// Erases what belonged to another provisioning; tells whether there was one.
fn adopt<C: Crypto, S, T: Store>(
    parts: Parts<'_, C>,
    env: &mut Env<C, S, T>,
    config: &LockConfig,
) -> Result<bool, StoreError> {
    let mut own = [0; Record::Setup.max_len()];
    let (identity, digest_room) = own.split_at_mut(32);
    identity.copy_from_slice(config.reader_id().as_bytes());
    digest_room.copy_from_slice(&digest(&env.crypto, config));
    let mut stored = [0; Record::Setup.max_len()];
    if let Some(len) = env.store.read(Record::Setup, &mut stored)? {
        if stored.get(..32) != own.get(..32) {
            return Err(StoreError::OtherLock);
        }
        if stored.get(..len) == Some(&own[..]) {
            return Ok(false);
        }
    }
    for slot in slots(parts.fast.len()) {
        env.store.erase(Record::Fast(slot))?;
    }
    for slot in slots(parts.known.len()) {
        env.store.erase(Record::Known(slot))?;
    }
    env.store.write(Record::Setup, &own)?;
    Ok(true)
}

fn slots(count: usize) -> impl Iterator<Item = u8> {
    0..u8::try_from(count).unwrap_or(u8::MAX)
}

/// Stands for what known keys and fast-phase entries depend on.
fn digest<C: Crypto>(crypto: &C, config: &LockConfig) -> [u8; 32] {
    let mut issuers = [0; 32];
    for issuer in config.issuers.iter() {
        issuers = crypto.sha256(&[&issuers, &issuer.kid.0, &issuer.key.0]);
    }
    let mut elements = [0; 32];
    for element in config.elements.iter() {
        elements = crypto.sha256(&[&elements, element.as_str().as_bytes()]);
    }
    let policy = &config.policy;
    let entries = match policy.fast {
        FastPolicy::Off => 0,
        FastPolicy::TryAll { entries } => entries,
    };
    let [a, b, c, d] = policy.offline_limit_s.to_be_bytes();
    crypto.sha256(&[
        b"keybutton/setup",
        config.reader_id().as_bytes(),
        &config.anchor.0,
        config.certificate.as_deref().unwrap_or_default(),
        &issuers,
        &elements,
        &[entries, u8::from(policy.high_security), a, b, c, d],
    ])
}
