//! The tap route: a lock's reader asks by NFC, and the press that is going on answers, or one that begins for it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use keybutton_protocol::{
    apdu::{self, Ins, StatusWord},
    profile::Profile,
};
use tokio::sync::mpsc;

use super::inner::Inner;
use crate::{
    alive::Alive,
    pending::guarded,
    press::{Command, PressListener},
};

/// Takes what a lock's reader is to be answered.
///
/// Called once for each command, from the core's own threads and never while the core holds a lock; once the core is
/// gone, from the thread that hands the command in.
#[cfg_attr(feature = "uniffi", uniffi::export(callback_interface))]
pub trait TapListener: Send + Sync + 'static {
    /// Send this response APDU to the reader, at once.
    fn on_response(&self, response: Vec<u8>);
}

/// The phone's end towards readers, made by [`MobileKeys::tap`](crate::MobileKeys::tap) and good for any number of taps.
///
/// On Android a `HostApduService` hands every command to [`TapLink::apdu`], passes responses on by `sendResponseApdu`,
/// and tells [`TapLink::field_lost`] from `onDeactivated`. The system brings it the commands for the application
/// identifier it is registered for, [`TapLink::application_id`].
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct TapLink {
    inner: Weak<Inner>,
    reader: Arc<Reader>,
    presses: Arc<dyn PressListener>,
    stay: Mutex<Stay>,
    _alive: Alive,
}

/// What became of the phone's stay in the reader's field so far.
#[derive(Clone)]
enum Stay {
    /// The reader has not selected us.
    New,
    /// This press answers.
    With(mpsc::UnboundedSender<Command>),
    /// There could be no press.
    Over,
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl TapLink {
    /// The reader sent a command. Returns at once; the response comes through [`TapListener::on_response`], once the
    /// device key has signed where it has to.
    ///
    /// A reader that selects us while a press is going on meets that press. Otherwise one begins for it, and only one
    /// until the field is lost. `user_authenticated` says whether the phone is unlocked now: such a press opens doors
    /// that force user authentication without a prompt.
    pub fn apdu(&self, command: Vec<u8>, user_authenticated: bool) {
        let question = Question { apdu: command, reader: Some(self.reader.clone()) };
        let Some(inner) = self.inner.upgrade() else { return };
        match Kind::of(&question.apdu) {
            Kind::Stranger => inner.soon(move || question.answer(StatusWord::NOT_FOUND.to_bytes().to_vec())),
            Kind::Opens => self.opened(&inner, question, user_authenticated),
            Kind::Other => {
                let stay = self.stay().clone();
                match stay {
                    Stay::With(press) => ask(&inner, &press, question),
                    Stay::New | Stay::Over => inner.soon(move || drop(question)),
                }
            }
        }
    }

    /// The phone left the reader's field, or the reader turned to another application.
    pub fn field_lost(&self) {
        let stay = std::mem::replace(&mut *self.stay(), Stay::New);
        if let Stay::With(press) = stay {
            // The press may have ended.
            let _ = press.send(Command::FieldLost(self.reader.clone()));
        }
    }
}

impl TapLink {
    /// The application identifier that locks select.
    pub const fn application_id() -> &'static [u8] {
        Profile::PRODUCT.aid
    }

    pub(super) fn new(inner: &Arc<Inner>, reader: Arc<dyn TapListener>, presses: Arc<dyn PressListener>) -> Self {
        let reader = Arc::new(Reader(reader));
        Self { inner: Arc::downgrade(inner), reader, presses, stay: Mutex::new(Stay::New), _alive: Alive::new() }
    }

    /// The reader selected us: finds the press that answers it.
    fn opened(&self, inner: &Arc<Inner>, question: Question, user_authenticated: bool) {
        let mut stay = self.stay();
        let fresh = matches!(*stay, Stay::New);
        let press = match inner.running_press() {
            Some(running) => Ok(Some(running)),
            None if fresh => inner.press_for_reader(user_authenticated, self.presses.clone()).map(Some),
            None => Ok(None),
        };
        if let Ok(Some(press)) = press {
            *stay = Stay::With(press.clone());
            drop(stay);
            return ask(inner, &press, question);
        }
        *stay = Stay::Over;
        drop(stay);
        let refused = press.err().map(|error| (error, self.presses.clone()));
        inner.soon(move || {
            drop(question);
            if let Some((outcome, listener)) = refused {
                guarded(|| listener.on_outcome(*outcome));
            }
        });
    }

    fn stay(&self) -> MutexGuard<'_, Stay> {
        self.stay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TapLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapLink").finish_non_exhaustive()
    }
}

fn ask(inner: &Inner, press: &mpsc::UnboundedSender<Command>, question: Question) {
    if let Err(mpsc::error::SendError(unasked)) = press.send(Command::Reader(question)) {
        // The press has ended.
        inner.soon(move || drop(unasked));
    }
}

/// What a command is about, before anybody looks into it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// SELECT of our application: a transaction begins.
    Opens,
    /// SELECT of another application.
    Stranger,
    /// Part of a transaction, or nothing at all.
    Other,
}

impl Kind {
    fn of(apdu: &[u8]) -> Self {
        let Profile { aid, step_up_aid, .. } = Profile::PRODUCT;
        match apdu::Command::parse(apdu) {
            Ok(command) if command.ins == Ins::Select as u8 && command.data == aid => Self::Opens,
            Ok(command) if command.ins == Ins::Select as u8 && command.data != step_up_aid => Self::Stranger,
            Ok(_) | Err(_) => Self::Other,
        }
    }
}

/// The reader that a phone is held to.
pub(crate) struct Reader(Arc<dyn TapListener>);

/// A reader's command. It is answered exactly once: "not now" if nothing else is said by the time it is dropped.
pub(crate) struct Question {
    pub(crate) apdu: Vec<u8>,
    /// Whom to answer; `None` once that was done.
    reader: Option<Arc<Reader>>,
}

impl Question {
    /// Whether a transaction begins with it.
    pub(crate) fn opens(&self) -> bool {
        Kind::of(&self.apdu) == Kind::Opens
    }

    pub(crate) fn reader(&self) -> Option<&Arc<Reader>> {
        self.reader.as_ref()
    }

    pub(crate) fn answer(mut self, response: Vec<u8>) {
        self.say(response);
    }

    /// Leaves it unanswered: the field is gone.
    pub(crate) fn forget(mut self) {
        self.reader = None;
    }

    fn say(&mut self, response: Vec<u8>) {
        if let Some(reader) = self.reader.take() {
            guarded(|| reader.0.on_response(response));
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.say(StatusWord::CONDITIONS.to_bytes().to_vec());
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("kind", &Kind::of(&self.apdu)).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}
