use keybutton_protocol::{
    apdu::{PhoneChain, Received, StatusWord},
    crypto::Crypto,
    frame::{Fragmenter, Reassembler},
    message::{self, Event, Kind, MAX_MESSAGE},
};

use super::{
    Action,
    run::Run,
    session::{Context, Progress, Session},
};

/// Room for the longest chained command, and its answer.
const CHAIN: usize = 2_064;

/// The longest piece of a response by tap: 256 bytes and the status word; more in extended form.
const PIECE: usize = CHAIN + 2;

/// The largest ATT MTU that is made use of, for values of up to 510 bytes. Locks on BlueZ, seen with 5.66, drop longer ones
/// without a word: where it checks a write against the 512 bytes of the longest value, it counts the handle's two in
/// (src/shared/gatt-server.c, `write_cb`).
pub(super) const MTU_MOST: u16 = 513;

/// A conversation with one lock.
#[derive(Debug)]
pub(super) struct Talk<C: Crypto> {
    pub(super) session: Session<C>,
    /// The lock was asked over this link.
    pub(super) asked: bool,
    /// The lock was asked over an earlier one.
    pub(super) asked_before: bool,
    wire: Wire,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // lives in the box of its state
enum Wire {
    Radio { out: Fragmenter, back: Reassembler },
    Tap(PhoneChain<CHAIN>),
}

/// What an arrived piece amounts to.
#[allow(clippy::large_enum_variant)] // short-lived
pub(super) enum Arrived {
    /// More has to come.
    Part,
    /// The lock is busy and asks for patience.
    Patience,
    /// The lock, or the framing, is done for.
    Broken,
    /// A command was taken in.
    Progress(Progress),
}

impl<C: Crypto> Talk<C> {
    /// The answer to a reader that comes at the wrong time: conditions of use not satisfied.
    pub(super) const NOT_NOW: [u8; 2] = StatusWord::CONDITIONS.to_bytes();

    pub(super) fn by_radio(session: Session<C>, mtu: u16, asked_before: bool) -> Self {
        let wire = Wire::Radio { out: Fragmenter::new(mtu.min(MTU_MOST)), back: Reassembler::new() };
        Self { session, asked: false, asked_before, wire }
    }

    pub(super) fn by_tap(session: Session<C>, asked_before: bool) -> Self {
        Self { session, asked: false, asked_before, wire: Wire::Tap(PhoneChain::new()) }
    }

    pub(super) const fn is_tap(&self) -> bool {
        matches!(self.wire, Wire::Tap(_))
    }

    pub(super) fn take_value(&mut self, value: &[u8], run: &mut Run, context: &mut Context<'_, C>) -> Arrived {
        let Wire::Radio { back, .. } = &mut self.wire else { return Arrived::Broken };
        run.meter.received_packet();
        let message = match back.push(value) {
            Ok(Some(message)) => message,
            Ok(None) => return Arrived::Part,
            Err(_) => return Arrived::Broken,
        };
        run.meter.received(message.len());
        match message::parse_mut(message) {
            Ok((Kind::Command, command)) => Arrived::Progress(self.session.command(command, context)),
            Ok((Kind::Event, event)) => match Event::parse(event) {
                Ok(Event::Busy) => Arrived::Patience,
                Ok(Event::Error(_)) | Err(_) => Arrived::Broken,
            },
            // Later states of the bolt: nothing the press waits for.
            Ok((Kind::StatusChanged | Kind::Completed, _)) => Arrived::Patience,
            Ok((Kind::Response | Kind::Initiate | Kind::Other { .. }, _)) | Err(_) => Arrived::Broken,
        }
    }

    /// Takes an APDU by tap; pieces of answers go out from here.
    pub(super) fn take_apdu(&mut self, apdu: &[u8], run: &mut Run, context: &mut Context<'_, C>) -> Arrived {
        let Wire::Tap(chain) = &mut self.wire else { return Arrived::Broken };
        run.meter.received_packet();
        run.meter.received(apdu.len());
        let mut out = vec![0; PIECE];
        match chain.receive(apdu, &mut out) {
            Received::Command(command) => Arrived::Progress(self.session.command(command, context)),
            Received::Answered(len) => {
                out.truncate(len);
                run.meter.sent(len, 1);
                run.push(Action::Apdu(out));
                Arrived::Part
            }
            Received::Over(status) => {
                run.push(Action::Apdu(status.to_bytes().to_vec()));
                Arrived::Broken
            }
        }
    }

    pub(super) fn respond(&mut self, response: &[u8], run: &mut Run) {
        match &mut self.wire {
            Wire::Radio { .. } => {
                let mut message = [0; MAX_MESSAGE];
                let len = message::encode(&mut message, Kind::Response, response).unwrap_or(0);
                self.send(message.get(..len).unwrap_or_default(), run);
            }
            Wire::Tap(chain) => {
                let mut out = vec![0; PIECE];
                // The buffer is longer than any response.
                let len = chain.respond(response, &mut out).unwrap_or(0);
                out.truncate(len);
                run.meter.sent(len, 1);
                run.push(Action::Apdu(out));
            }
        }
    }

    pub(super) fn send(&mut self, message: &[u8], run: &mut Run) {
        let Wire::Radio { out, .. } = &mut self.wire else { return };
        let Some(peripheral) = run.peripheral.clone() else { return };
        let mut packets = 0;
        for value in out.split(message) {
            packets += 1;
            run.push(Action::Write(peripheral.clone(), value.to_vec()));
        }
        run.meter.sent(message.len(), packets);
    }
}
