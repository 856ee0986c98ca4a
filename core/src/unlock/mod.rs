#![doc = include_str!("README.md")]
#![deny(clippy::wildcard_enum_match_arm)]

mod dialogue;
mod meter;
mod online;
mod run;
mod search;
mod session;
mod state;
mod talk;
mod timers;
mod types;
mod vendor;
mod verdict;

use keybutton_protocol::{crypto::Crypto, ids::UnlockId};

pub use self::{
    run::Env,
    types::{Action, Input, Moment, Now, Phase, UnlockOptions, VendorWord},
};
use self::{run::Run, state::State};

/// One press: inputs in, actions out. Made for one press and dropped after [`Action::Over`].
#[derive(Debug)]
pub struct Machine<C: Crypto> {
    state: State<C>,
    run: Run,
}

impl<C: Crypto> Machine<C> {
    /// Makes a press that has not begun: nothing happens before [`Input::Begin`].
    ///
    /// `press` is fresh for a new user action. Only a press with [`UnlockOptions::repeats`] reuses the id of the one it
    /// repeats; its deadline has to lie within the 60 s from the begin of that one, while a lock surely remembers its
    /// verdict (docs/PROTOCOL.md section 16).
    pub fn new(press: UnlockId, options: UnlockOptions) -> Self {
        Self { state: State::Idle, run: Run::new(press, options) }
    }

    /// Takes one input; returns what to do, in order. An input that does not fit the state changes nothing.
    pub fn step(&mut self, input: Input, mut env: Env<'_, C>) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = state::step(state, input, &mut self.run, &mut env);
        std::mem::take(&mut self.run.actions)
    }

    /// When to give [`Input::Timer`]; `None` when the machine waits for nothing. Changes with every step.
    pub fn next_timer(&self) -> Option<Moment> {
        self.run.timers.next()
    }

    /// The press.
    pub const fn press(&self) -> UnlockId {
        self.run.press
    }

    /// Whether the machine needs nothing more.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

#[cfg(test)]
pub(crate) mod tests;
