//! A PC/SC reader as the pipe to a phone or card: every card that comes into its field is a tap.

use std::{
    collections::VecDeque,
    ffi::{CStr, CString},
    io,
    time::{Duration, Instant},
};

use pcsc::{
    Card, Context, Disposition, Error, MAX_BUFFER_SIZE_EXTENDED, Protocols, ReaderState, Scope, ShareMode, State,
};

use super::{Arrived, Pipe, Word};
use crate::failure::Failure;

/// How long to wait at most before looking again: drivers miss changes.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A PC/SC reader.
pub struct CardReader {
    context: Context,
    name: CString,
    card: Option<Card>,
    /// The card of the session that has ended is still there.
    spent: bool,
    arrived: VecDeque<Word>,
}

impl CardReader {
    /// Opens the reader whose name contains `name`, or the first one there is.
    ///
    /// # Errors
    ///
    /// When the system's PC/SC service does not run or has no such reader.
    pub fn open(name: Option<&str>) -> Result<Self, Failure> {
        let context = Context::establish(Scope::User).map_err(|error| failed(&error))?;
        let readers = context.list_readers_owned().map_err(|error| failed(&error))?;
        let wanted = |reader: &CString| name.is_none_or(|name| reader.to_string_lossy().contains(name));
        let names: Vec<String> = readers.iter().map(|reader| reader.to_string_lossy().into_owned()).collect();
        let Some(name) = readers.into_iter().find(wanted) else {
            return Err(Failure::new(
                "no-pcsc-reader",
                "there is no such PC/SC reader",
                format_args!(
                    "Connect it; there are now: {}.",
                    if names.is_empty() { "none".into() } else { names.join(", ") }
                ),
            ));
        };
        Ok(Self { context, name, card: None, spent: false, arrived: VecDeque::new() })
    }

    /// The reader's name.
    pub fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    /// Waits for a card, or until it is `until`; `Ok(false)` when the time has come.
    fn wait_for_card(&mut self, until: Option<Instant>) -> Result<bool, Error> {
        let mut states = [ReaderState::new(self.name.clone(), State::UNAWARE)];
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let patience = left.map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
            match self.context.get_status_change(patience, &mut states) {
                Ok(()) | Err(Error::Timeout) => {}
                Err(error) => return Err(error),
            }
            let present = states.iter().any(|state| state.event_state().contains(State::PRESENT));
            states.iter_mut().for_each(ReaderState::sync_current_state);
            self.spent &= present;
            if present && !self.spent && self.connect(&self.name.clone()) {
                return Ok(true);
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
        }
    }

    /// A card that can't be talked to has gone again, or somebody else has it.
    fn connect(&mut self, name: &CStr) -> bool {
        self.card = self.context.connect(name, ShareMode::Exclusive, Protocols::ANY).ok();
        self.spent = self.card.is_none();
        self.card.is_some()
    }
}

impl Pipe for CardReader {
    fn send(&mut self, word: &Word) -> io::Result<()> {
        match word {
            Word::Apdu(command) => {
                let mut room = vec![0; MAX_BUFFER_SIZE_EXTENDED];
                let response = self.card.as_ref().map(|card| card.transmit(command, &mut room).map(<[u8]>::to_vec));
                self.arrived.push_back(match response {
                    Some(Ok(response)) => Word::Apdu(response),
                    // The card has left.
                    Some(Err(_)) | None => Word::Close,
                });
            }
            Word::Close | Word::Tap | Word::Reset => {
                if let Some(card) = self.card.take() {
                    let _ = card.disconnect(Disposition::ResetCard);
                }
                self.arrived.clear();
                self.spent = true;
            }
        }
        Ok(())
    }

    fn receive(&mut self, until: Option<Instant>) -> Option<Arrived> {
        if let Some(word) = self.arrived.pop_front() {
            return Some(Arrived::Word(word));
        }
        match self.wait_for_card(until) {
            Ok(true) => Some(Arrived::Word(Word::Tap)),
            Ok(false) => None,
            Err(error) => Some(Arrived::Failed(io::Error::other(error))),
        }
    }

    fn begins_by_itself(&self) -> bool {
        false
    }
}

impl std::fmt::Debug for CardReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CardReader").field("name", &self.name).finish_non_exhaustive()
    }
}

fn failed(error: &Error) -> Failure {
    Failure::new(
        "no-pcsc-reader",
        format_args!("PC/SC: {error}"),
        "Start the PC/SC service (pcscd) and connect a reader.",
    )
}
