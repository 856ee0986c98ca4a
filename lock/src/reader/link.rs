//! One Bluetooth link: fragments, message headers and timers around a transaction (`docs/PROTOCOL.md` section 14).
#![deny(clippy::wildcard_enum_match_arm)]

use core::time::Duration;

use keybutton_protocol::{
    crypto::{Crypto, Signer},
    frame::{Fragmenter, Reassembler},
    ids::Interface,
    message::{self, Kind},
    reader::Opened,
};

use super::{
    Action, Address, Event, Failure, LinkId,
    core::Context,
    memory::WORK,
    session::{Facts, Next, Session},
};
use crate::{
    store::Store,
    uptime::{Uptime, earliest},
};

/// The longest silence inside a message.
pub const REASSEMBLY: Duration = Duration::from_secs(1);
/// The longest wait for a complete answer, and from connecting to the phone's first word.
pub const PHASE: Duration = Duration::from_secs(5);
/// The longest life of a link.
pub const LINK: Duration = Duration::from_secs(30);

/// A place for a link.
pub(crate) struct Link<C: Crypto> {
    reassembler: Reassembler,
    open: Option<Open<C>>,
}

struct Open<C: Crypto> {
    id: LinkId,
    address: Address,
    fragmenter: Fragmenter,
    stage: Stage<C>,
    since: Uptime,
    phase_until: Uptime,
    silence_until: Option<Uptime>,
}

#[allow(clippy::large_enum_variant)] // lives in the link's own memory, and boxes need a heap
enum Stage<C: Crypto> {
    /// Waits for the phone's first word.
    Connected,
    /// A command is on its way.
    Running(Session<C>, Facts),
    /// The last word is said; the phone closes.
    Over,
}

impl<C: Crypto> Link<C> {
    pub(crate) const fn new() -> Self {
        Self { reassembler: Reassembler::new(), open: None }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(crate) fn is(&self, id: LinkId) -> bool {
        self.open.as_ref().is_some_and(|open| open.id == id)
    }

    /// Takes a new link in.
    pub(crate) fn connect(&mut self, id: LinkId, address: Address, mtu: u16, now: Uptime) {
        self.reassembler = Reassembler::new();
        self.open = Some(Open {
            id,
            address,
            fragmenter: Fragmenter::new(mtu),
            stage: Stage::Connected,
            since: now,
            phase_until: now + PHASE,
            silence_until: None,
        });
    }

    pub(crate) fn set_mtu(&mut self, mtu: u16) {
        if let Some(open) = &mut self.open {
            open.fragmenter.set_mtu(mtu);
        }
    }

    /// Notes that the phone is gone.
    pub(crate) fn lost<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>) {
        let without_verdict = match self.open.take().map(|open| open.stage) {
            Some(Stage::Running(_, facts)) => !facts.decided,
            Some(Stage::Connected | Stage::Over) | None => false,
        };
        if without_verdict {
            context.event(Event::Failed { interface: Interface::Ble, failure: Failure::LinkLost });
        }
    }

    pub(crate) fn deadline(&self) -> Option<Uptime> {
        let open = self.open.as_ref()?;
        earliest(Some(open.phase_until.min(open.since + LINK)), open.silence_until)
    }

    /// Closes the link once a timer has run out.
    pub(crate) fn expire<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>) {
        if self.deadline().is_none_or(|deadline| context.now < deadline) {
            return;
        }
        let failed = match self.open.as_ref().map(|open| &open.stage) {
            Some(Stage::Running(_, facts)) => !facts.decided,
            Some(Stage::Connected) => true,
            Some(Stage::Over) | None => false,
        };
        match failed {
            true => self.fail(context, Failure::Timeout),
            false => self.close(context),
        }
    }

    /// Takes one ATT value.
    pub(crate) fn receive<S: Signer, T: Store>(
        &mut self,
        context: &mut Context<'_, C, S, T>,
        value: &[u8],
        work: &mut [u8; WORK],
    ) {
        let Some(open) = &mut self.open else { return };
        let message = match self.reassembler.push(value) {
            Ok(Some(message)) => message,
            Ok(None) => {
                open.silence_until = Some(context.now + REASSEMBLY);
                return;
            }
            Err(_) => return self.fail(context, Failure::Framing),
        };
        open.silence_until = None;
        let Ok((kind, payload)) = message::parse_mut(message) else { return self.fail(context, Failure::Framing) };
        let (facts, next) = match (core::mem::replace(&mut open.stage, Stage::Over), kind) {
            (Stage::Connected, Kind::Initiate) if context.core.penalties.is_paused(open.address, context.now) => {
                return self.turn_away(context, work);
            }
            (Stage::Connected, Kind::Initiate) => match Opened::from_initiate(payload) {
                Ok(opened) => {
                    let (facts, next) = context.begin(opened, Interface::Ble, work);
                    (Some(facts), next)
                }
                Err(failure) => (None, Next::Failed(failure)),
            },
            (Stage::Running(session, mut facts), Kind::Response) => {
                let next = context.answer(session, &mut facts, payload, work);
                (Some(facts), next)
            }
            (
                Stage::Connected,
                Kind::Command
                | Kind::Response
                | Kind::Event
                | Kind::StatusChanged
                | Kind::Completed
                | Kind::Other { .. },
            )
            | (
                Stage::Running(..),
                Kind::Command
                | Kind::Event
                | Kind::StatusChanged
                | Kind::Completed
                | Kind::Initiate
                | Kind::Other { .. },
            ) => return self.fail(context, Failure::Rejected),
            // What a phone says after the last word changes nothing.
            (Stage::Over, _) => return,
        };
        self.go_on(context, facts, next, work);
    }

    fn go_on<S: Signer, T: Store>(
        &mut self,
        context: &mut Context<'_, C, S, T>,
        facts: Option<Facts>,
        next: Next<C>,
        work: &mut [u8; WORK],
    ) {
        match (next, facts) {
            (Next::Send(session, len), Some(facts)) => {
                if let Some(open) = self.open.as_ref().filter(|_| facts.decided) {
                    context.core.penalties.succeeded(open.address);
                }
                match message::finish(work, Kind::Command, len) {
                    Ok(len) => self.send(context, work.get(..len), Stage::Running(session, facts)),
                    Err(_) => self.fail(context, Failure::Engine),
                }
            }
            (Next::Send(..), None) => self.fail(context, Failure::Engine),
            (Next::Last(len), _) => self.send(context, work.get(..len), Stage::Over),
            (Next::Finished, _) => self.close(context),
            (Next::Busy, _) => self.turn_away(context, work),
            (Next::Failed(failure), _) => {
                if let Some(len) = failure.farewell(work) {
                    self.send(context, work.get(..len), Stage::Over);
                }
                match facts.is_some_and(|facts| facts.decided) {
                    true => self.close(context),
                    false => self.fail(context, Failure::of(failure.error)),
                }
            }
        }
    }

    fn send<S: Signer, T: Store>(
        &mut self,
        context: &mut Context<'_, C, S, T>,
        message: Option<&[u8]>,
        stage: Stage<C>,
    ) {
        let Some(open) = &mut self.open else { return };
        open.stage = stage;
        open.phase_until = context.now + PHASE;
        for value in open.fragmenter.split(message.unwrap_or_default()) {
            context.act(Action::Notify { link: open.id, value: &value });
        }
    }

    /// Tells the phone to come back later, and closes.
    fn turn_away<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>, work: &mut [u8; WORK]) {
        if let Ok(len) = message::Event::Busy.encode(work) {
            self.send(context, work.get(..len), Stage::Over);
        }
        context.event(Event::Failed { interface: Interface::Ble, failure: Failure::Busy });
        self.close(context);
    }

    fn fail<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>, failure: Failure) {
        if let Some(open) = &self.open {
            context.core.penalties.failed(open.address, context.now);
        }
        context.event(Event::Failed { interface: Interface::Ble, failure });
        self.close(context);
    }

    fn close<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>) {
        if let Some(open) = self.open.take() {
            context.act(Action::Close { link: open.id });
        }
    }
}
