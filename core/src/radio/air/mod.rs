//! The air: a simulated radio that stands in for Bluetooth in the demo and in tests.
//!
//! A [`Broker`] plays the medium. Phones join it with [`AirRadio`] (a [`Radio`](super::Radio) like any other), locks
//! with [`Peripheral`], and whoever runs the scene with [`AirControl`]. They meet in one process or in several: the
//! broker listens on the loopback interface, or serves its own process without a socket.
//!
//! What is simulated: advertising events with their random delay, signal strength by distance, connection set-up on
//! an advertising event, ATT values that move at connection events only and a few at a time, the MTU, latency, lost
//! packets with link-layer retransmission, supervision time-outs, links cut at a chosen value, radios switched off
//! and participants that walk away. What is not: channels, air time of single packets, collisions.
//!
//! With one seed and the same inputs at the same times a medium does the same again. Nothing polls: a medium that
//! nobody listens to has no timer.

mod broker;
mod control;
mod knobs;
mod medium;
mod peripheral;
mod phone;
mod wire;

pub use broker::{Broker, BrokerOptions, Endpoint};
pub use control::{AirControl, LinkReport, ParticipantReport, Role};
pub use knobs::{Cut, Direction, Knobs, Manner, Position};
pub use peripheral::{AdvertisingData, LinkId, Peripheral, PeripheralEvent};
pub use phone::AirRadio;

use thiserror::Error;

/// How a participant joins the air.
#[derive(Clone, PartialEq, Debug)]
pub struct Participant {
    /// Its name: unique on this air, and how [`AirControl`] speaks of it.
    pub name: String,
    /// Where it stands.
    pub position: Position,
    /// How its radio and its links behave.
    pub knobs: Knobs,
}

impl Participant {
    /// Describes a participant at the origin with the default knobs.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), position: Position::default(), knobs: Knobs::default() }
    }

    /// Places the participant, in metres.
    pub fn at(mut self, x: f32, y: f32) -> Self {
        self.position = Position { x, y };
        self
    }

    /// Sets the knobs.
    pub fn with(mut self, knobs: Knobs) -> Self {
        self.knobs = knobs;
        self
    }
}

/// Why the air can't be joined or does not do what it was asked.
#[derive(Debug, Error)]
pub enum AirError {
    /// No broker answers, or it went away.
    #[error("the air's broker is not reachable: {0}")]
    Unreachable(#[from] std::io::Error),
    /// The broker refused to let us join.
    #[error("the air's broker refused: {0}")]
    Refused(String),
    /// A control call names a participant that is not there.
    #[error("nobody on the air is called {0}")]
    UnknownParticipant(String),
    /// The broker said something that does not belong here.
    #[error("the air's broker sent an unexpected answer")]
    UnexpectedAnswer,
}

#[cfg(test)]
mod tests;
