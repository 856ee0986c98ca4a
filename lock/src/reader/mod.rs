//! The reader: input in, actions out.

mod action;
mod input;
mod link;
mod memory;

pub use action::{Action, Actions, Advertising, Event, Failure, Path};
pub use input::{Address, Input, LinkId, Lockdown, Maintenance};
pub use memory::{Memory, Parts, Place, Tables};

use keybutton_protocol::crypto::{Crypto, Signer};

use crate::{
    clock::RetainedClock,
    config::LockConfig,
    env::Env,
    store::{Store, StoreError},
    uptime::Uptime,
};

/// The battery charge of a lock on mains, or without a gauge.
pub const BATTERY_UNKNOWN: u8 = 0xFF;

/// How the lock starts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Boot {
    /// The uptime now.
    pub uptime: Uptime,
    /// The reading of a real-time clock that kept counting on a battery; `None` without one.
    pub retained_clock: Option<RetainedClock>,
}

/// The lock.
///
/// `M` places the [`Memory`]: `&mut Memory<C>`, or a box of it.
pub struct Reader<M, C, S, T> {
    memory: M,
    env: Env<C, S, T>,
    config: Option<LockConfig>,
    deadline: Option<Uptime>,
}

impl<M: Place<C>, C: Crypto, S: Signer, T: Store> Reader<M, C, S, T> {
    /// Starts the lock: reads what survived, finishes what a power cut interrupted, and moves nothing.
    ///
    /// Without a provisioning the lock advertises setup mode and serves nobody. Call
    /// [`Reader::handle`] with [`Input::Deadline`] next: it starts the advertising.
    ///
    /// Fails when the store fails, or when a record that protects against old rights is damaged.
    pub fn new(memory: M, env: Env<C, S, T>, config: Option<LockConfig>, boot: Boot) -> Result<Self, StoreError> {
        Ok(Self { memory, env, config, deadline: Some(boot.uptime) })
    }

    /// Takes in what happened at `now` and hands out what to do about it.
    pub fn handle(&mut self, now: Uptime, input: Input<'_>, actions: &mut impl Actions) {
        let _ = (now, input, actions, self.memory.parts(), &mut self.env, &self.config);
    }

    /// When [`Input::Deadline`] is due; the same that the last [`Action::Deadline`] said.
    pub fn next_deadline(&self) -> Option<Uptime> {
        self.deadline
    }
}
