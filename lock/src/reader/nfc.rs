//! The phone in the NFC field: SELECT, chaining and GET RESPONSE around a transaction (`docs/PROTOCOL.md` section 3).
#![deny(clippy::wildcard_enum_match_arm)]

use keybutton_protocol::{
    apdu::{self, Answer, CommandPieces, Ins, MAX_CHAINED, ResponseAssembler, StatusWord},
    buf::Buf,
    crypto::{Crypto, Signer},
    ids::Interface,
    reader::{Opened, select},
};

use super::{
    Action, Event, Failure,
    core::Context,
    decide::command_room,
    link::{LINK, PHASE},
    memory::WORK,
    session::{Facts, Next, Session},
};
use crate::{store::Store, uptime::Uptime};

/// The longest command sent by NFC: AUTH1 with the longest certificate.
const COMMAND_MAX: usize = 640;
/// The session is over, and nothing is said about why (CONTROL FLOW 00 00).
const CONTROL_FLOW: [u8; 6] = [0x41, 1, 0, 0x42, 1, 0];

/// The place for the phone in the field.
pub(crate) struct NfcLink<C: Crypto> {
    assembler: ResponseAssembler<{ MAX_CHAINED + 2 }>,
    command: Buf<COMMAND_MAX>,
    open: Option<Open<C>>,
}

struct Open<C: Crypto> {
    stage: Stage<C>,
    /// How many pieces of the command are sent.
    sent: u8,
    /// The longest command the phone takes in extended form.
    extended: Option<u16>,
    since: Uptime,
    phase_until: Uptime,
}

#[allow(clippy::large_enum_variant)] // lives in the link's own memory, and boxes need a heap
enum Stage<C: Crypto> {
    Selecting,
    Running(Session<C>, Facts),
    /// The last word is sent, whatever the phone answers.
    Over,
}

impl<C: Crypto> NfcLink<C> {
    pub(crate) const fn new() -> Self {
        Self { assembler: ResponseAssembler::new(), command: Buf::new(), open: None }
    }

    /// A phone has come into the field: selects the application.
    pub(crate) fn arrive<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>, work: &mut [u8; WORK]) {
        self.assembler.clear();
        let now = context.now;
        let Ok(len) = select(context.profile(), command_room(work)) else { return };
        self.open =
            Some(Open { stage: Stage::Selecting, sent: 0, extended: None, since: now, phase_until: now + PHASE });
        self.send(context, len, work);
    }

    pub(crate) fn lost<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>) {
        self.report(context, Failure::LinkLost);
        self.open = None;
    }

    pub(crate) fn deadline(&self) -> Option<Uptime> {
        self.open.as_ref().map(|open| open.phase_until.min(open.since + LINK))
    }

    pub(crate) fn expire<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>) {
        if self.deadline().is_some_and(|deadline| deadline <= context.now) {
            self.report(context, Failure::Timeout);
            self.release(context);
        }
    }

    /// Reports a phone that is gone, unless it has had its verdict or the last word.
    fn report<S: Signer, T: Store>(&self, context: &mut Context<'_, C, S, T>, failure: Failure) {
        let undecided = match self.open.as_ref().map(|open| &open.stage) {
            Some(Stage::Running(_, facts)) => !facts.decided,
            Some(Stage::Selecting) => true,
            Some(Stage::Over) | None => false,
        };
        if undecided {
            context.event(Event::Failed { interface: Interface::Nfc, failure });
        }
    }

    /// Takes the phone's answer to what was transmitted last.
    pub(crate) fn receive<S: Signer, T: Store>(
        &mut self,
        context: &mut Context<'_, C, S, T>,
        response: &[u8],
        work: &mut [u8; WORK],
    ) {
        if self.open.as_ref().is_none_or(|open| matches!(open.stage, Stage::Over)) {
            return self.release(context);
        }
        match self.next_piece(work) {
            Ok(Some(len)) => {
                // More of the command waits: the phone had to say 9000 and nothing else.
                return match response == StatusWord::OK.to_bytes() {
                    true => self.transmit(context, work.get(..len).unwrap_or_default()),
                    false => self.refuse(context, Failure::Rejected, work),
                };
            }
            Ok(None) => {}
            Err(_) => return self.refuse(context, Failure::Engine, work),
        }
        let Some(open) = &mut self.open else { return };
        let answer = match self.assembler.push(response) {
            Ok(Answer::More(get_response)) => {
                open.phase_until = context.now + PHASE;
                return context.act(Action::Transmit { apdu: &get_response });
            }
            Ok(Answer::Complete(answer)) => answer,
            Err(_) => return self.refuse(context, Failure::Rejected, work),
        };
        let (facts, next) = match core::mem::replace(&mut open.stage, Stage::Over) {
            Stage::Selecting => match Opened::from_select(context.profile(), answer) {
                Ok(opened) => {
                    open.extended = opened.a5().limits().map(|limits| limits.command);
                    let (facts, next) = context.begin(opened, Interface::Nfc, work);
                    (Some(facts), next)
                }
                Err(failure) => (None, Next::Failed(failure)),
            },
            Stage::Running(session, mut facts) => {
                let next = context.answer(session, &mut facts, answer, work);
                (Some(facts), next)
            }
            Stage::Over => return self.release(context),
        };
        self.assembler.clear();
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
                if let Some(open) = &mut self.open {
                    open.stage = Stage::Running(session, facts);
                }
                self.send(context, len, work);
            }
            (Next::Finished, _) => self.release(context),
            (Next::Busy, _) => self.refuse(context, Failure::Busy, work),
            (Next::Failed(failure), facts) => {
                if !facts.is_some_and(|facts| facts.decided) {
                    context.event(Event::Failed { interface: Interface::Nfc, failure: Failure::of(failure.error) });
                }
                match failure.farewell(command_room(work)) {
                    Some(len) => self.send(context, len, work),
                    None => self.release(context),
                }
            }
            // Only Bluetooth has messages of their own.
            (Next::Send(..), None) | (Next::Last(_), _) => self.refuse(context, Failure::Engine, work),
        }
    }

    /// Sends the command that stands in `work`, or its first piece.
    fn send<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>, len: usize, work: &mut [u8; WORK]) {
        let command = command_room(work).get(..len).unwrap_or_default();
        let Ok(command) = Buf::from_slice(command) else { return self.release(context) };
        self.command = command;
        if let Some(open) = &mut self.open {
            open.sent = 0;
        }
        match self.next_piece(work) {
            Ok(Some(len)) => self.transmit(context, work.get(..len).unwrap_or_default()),
            Ok(None) | Err(_) => self.release(context),
        }
    }

    /// Writes the next piece of the command into `work`; `None` when all are sent.
    fn next_piece(&self, work: &mut [u8; WORK]) -> Result<Option<usize>, Failure> {
        let Some(open) = &self.open else { return Ok(None) };
        let mut pieces = CommandPieces::new(&self.command, open.extended).map_err(|_| Failure::Engine)?;
        let mut piece = pieces.next(work).map_err(|_| Failure::Engine)?;
        for _ in 0..open.sent {
            piece = pieces.next(work).map_err(|_| Failure::Engine)?;
        }
        Ok(piece)
    }

    fn transmit<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>, apdu: &[u8]) {
        if let Some(open) = &mut self.open {
            open.sent = open.sent.saturating_add(1);
            open.phase_until = context.now + PHASE;
        }
        context.act(Action::Transmit { apdu });
    }

    /// Ends the session with a word in clear that says nothing.
    fn refuse<S: Signer, T: Store>(
        &mut self,
        context: &mut Context<'_, C, S, T>,
        failure: Failure,
        work: &mut [u8; WORK],
    ) {
        context.event(Event::Failed { interface: Interface::Nfc, failure });
        if let Some(open) = &mut self.open {
            open.stage = Stage::Over;
        }
        match apdu::command(command_room(work), Ins::ControlFlow, &CONTROL_FLOW) {
            Ok(len) => self.send(context, len, work),
            Err(_) => self.release(context),
        }
    }

    fn release<S: Signer, T: Store>(&mut self, context: &mut Context<'_, C, S, T>) {
        self.open = None;
        self.assembler.clear();
        context.act(Action::NfcRelease);
    }
}
