//! What a board supplies: crypto, signing key and store to the reader; radio, bolt, light and buzzer to its actions.

use core::time::Duration;

use crate::{feedback::Step, uptime::Uptime};

/// What the reader calls while it decides.
///
/// `C` is a [`Crypto`](keybutton_protocol::crypto::Crypto) back end, `S` the [`Signer`](keybutton_protocol::crypto::Signer)
/// with the lock's own reader key (made in the lock, never exported), `T` a [`Store`](crate::store::Store).
#[derive(Debug)]
pub struct Env<C, S, T> {
    /// The crypto back end, with the random source.
    pub crypto: C,
    /// The reader key.
    pub signer: S,
    /// What survives a power cut.
    pub store: T,
}

/// Counts time since the start, also while asleep.
pub trait Clock {
    /// The count now.
    fn uptime(&self) -> Uptime;
}

/// Moves the bolt.
pub trait Bolt {
    /// Starts a movement; the result comes back as [`Input::Bolt`](crate::Input::Bolt).
    fn start(&mut self, command: BoltCommand);
}

/// Shows and sounds one step of a signal.
pub trait Indicator {
    /// Sets the light and the tone of `step` until the next call; `None` is dark and silent.
    fn show(&mut self, step: Option<Step>);
}

/// A movement of the bolt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BoltCommand {
    /// Withdraw it for a moment. The lock itself sends [`BoltCommand::Secure`] after this time; hardware that falls back
    /// by itself may use it.
    Open(Duration),
    /// Withdraw it and leave it so.
    HoldOpen,
    /// Put it in place.
    Secure,
}

/// What became of a movement of the bolt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BoltEvent {
    /// It is withdrawn.
    Withdrawn,
    /// It is in place.
    Secured,
    /// It is stuck.
    Jammed,
    /// The motor failed.
    MotorFault,
}

/// What the door's contact says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DoorEvent {
    /// It stands open.
    Opened,
    /// It is closed.
    Closed,
}
