//! A press, as the host holds it.

use std::{fmt, sync::Arc, time::Duration};

use keybutton_protocol::{
    api::DoorId,
    ids::{Intent, UnlockId},
};
use tokio::sync::mpsc;

use crate::{
    alive::Alive,
    client::tap::{Question, Reader},
    outcome::PressOutcome,
    pending::Pending,
    unlock::{Phase, UnlockOptions},
};

/// What the member wants of a press.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct PressOptions {
    /// The door to open; `None` finds the one the member stands at, and asks when two are too close to call.
    pub door: Option<DoorId>,
    /// What the lock shall do.
    pub intent: Intent,
    /// When the press ends at the latest, from its begin; at most [`PressOptions::DEADLINE_MAX`].
    pub deadline: Duration,
    /// The member unlocked the phone for this press: doors that force user authentication open without a prompt.
    pub user_authenticated: bool,
}

impl PressOptions {
    /// 10 s.
    pub const DEADLINE: Duration = Duration::from_micros(UnlockOptions::DEADLINE_US);

    /// 1 h: nobody waits longer at a door.
    pub const DEADLINE_MAX: Duration = Duration::from_secs(3600);

    /// Opens this door.
    pub fn door(door: DoorId) -> Self {
        Self { door: Some(door), ..Self::default() }
    }
}

impl Default for PressOptions {
    fn default() -> Self {
        Self { door: None, intent: Intent::Unlock, deadline: Self::DEADLINE, user_authenticated: true }
    }
}

/// Hears how a press goes: each phase as it begins, then the outcome, exactly once and last.
///
/// Called from the core's own threads, in order, one call at a time, and never while the core holds a lock. A listener
/// that blocks or panics holds up nobody but itself.
#[cfg_attr(feature = "uniffi", uniffi::export(callback_interface))]
pub trait PressListener: Send + Sync + 'static {
    /// The press has entered a phase.
    fn on_phase(&self, phase: Phase);

    /// The press has ended.
    fn on_outcome(&self, outcome: PressOutcome);
}

/// What the host tells a running press.
#[derive(Debug)]
pub(crate) enum Command {
    Cancel,
    Choose(DoorId),
    /// A lock's reader asks.
    Reader(Question),
    /// The phone left a reader's field.
    FieldLost(Arc<Reader>),
}

/// One use of the Key Button. It ends exactly once, by its deadline at the latest, also when this handle is dropped.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Press {
    id: UnlockId,
    commands: mpsc::UnboundedSender<Command>,
    outcome: Pending<PressOutcome>,
    settled: Pending<()>,
    _alive: Alive,
}

impl Press {
    pub(crate) fn new(
        id: UnlockId,
        commands: mpsc::UnboundedSender<Command>,
        outcome: Pending<PressOutcome>,
        settled: Pending<()>,
    ) -> Self {
        Self { id, commands, outcome, settled, _alive: Alive::new() }
    }

    /// The outcome: wait for it by thread, by future or by call-back.
    pub const fn outcome(&self) -> &Pending<PressOutcome> {
        &self.outcome
    }

    /// When nothing of the press goes on any more: the lock has handed over its audit and the service was told, or one
    /// of them could not be reached. Some seconds after the outcome; worth waiting for only before the process ends.
    pub const fn settled(&self) -> &Pending<()> {
        &self.settled
    }

    /// Blocks the calling thread until the press has ended. Not for listeners or async tasks.
    pub fn wait(&self) -> PressOutcome {
        self.outcome.wait()
    }
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Press {
    /// The press id; what [`MobileKeys::retry`](crate::MobileKeys::retry) takes. Also the unlock id the lock is given.
    pub fn id(&self) -> UnlockId {
        self.id
    }

    /// Ends the press as soon as possible. Before the lock was asked nothing moves (`press-cancelled`); after that the
    /// door may have opened (`cancelled-late`). Cancelling what has ended does nothing.
    pub fn cancel(&self) {
        // The press may have ended.
        let _ = self.commands.send(Command::Cancel);
    }

    /// Answers [`Phase::Choose`]: the member chose this door.
    pub fn choose(&self, door: DoorId) {
        // The press may have ended.
        let _ = self.commands.send(Command::Choose(door));
    }
}

impl fmt::Debug for Press {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Press").field("id", &self.id).field("ended", &self.outcome.get().is_some()).finish()
    }
}
