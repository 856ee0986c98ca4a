//! What a board supplies: crypto, signing key and store to the reader; radio, bolt, light and buzzer to its actions.

use core::time::Duration;

use crate::{
    feedback::{Feedback, Step},
    reader::{Action, Actions, Advertising, LinkId},
    uptime::{Uptime, earliest},
};

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

/// Carries values and advertises. Calls start something and return at once.
pub trait Radio {
    /// Advertises this from now on.
    fn advertise(&mut self, advertising: &Advertising);

    /// Notifies one ATT value.
    fn notify(&mut self, link: LinkId, value: &[u8]);

    /// Drops a link once its values are sent.
    fn close(&mut self, link: LinkId);

    /// Sends a command APDU to the phone in the NFC field. A board without NFC leaves it out.
    fn transmit(&mut self, apdu: &[u8]) {
        let _ = apdu;
    }

    /// Releases the phone in the NFC field.
    fn release_nfc(&mut self) {}
}

/// Moves the bolt.
pub trait Bolt {
    /// Starts a movement; the result comes back as [`Input::Bolt`](crate::Input::Bolt).
    fn start(&mut self, command: BoltCommand);
}

/// Light and buzzer.
pub trait Indicator {
    /// Shows and sounds `step` until the next call; `None` is dark and silent.
    fn show(&mut self, step: Option<Step>);
}

/// Carries out a reader's actions on a board's hardware, and plays its signals without polling.
///
/// ```text
/// loop {
///     sleep until board.wake() or an interrupt
///     board.tick(uptime)
///     reader.handle(uptime, input, &mut board)
/// }
/// ```
#[derive(Debug)]
pub struct Board<R, B, I> {
    /// The radio.
    pub radio: R,
    /// The bolt.
    pub bolt: B,
    /// Light and buzzer.
    pub indicator: I,
    now: Uptime,
    deadline: Option<Uptime>,
    playing: Option<Playing>,
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    feedback: Feedback,
    since: Uptime,
    /// When the step that is shown ends.
    until: Uptime,
}

impl<R: Radio, B: Bolt, I: Indicator> Board<R, B, I> {
    /// Takes the hardware over.
    pub const fn new(radio: R, bolt: B, indicator: I, now: Uptime) -> Self {
        Self { radio, bolt, indicator, now, deadline: None, playing: None }
    }

    /// Notes the time, and shows the next step of a signal that is playing. To be called before each input.
    ///
    /// Tells whether [`Input::Deadline`](crate::Input::Deadline) is due.
    pub fn tick(&mut self, now: Uptime) -> bool {
        self.now = now;
        if let Some(playing) = self.playing.filter(|playing| playing.until <= now) {
            self.play(playing.feedback, playing.since);
        }
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// When to wake up next, if nothing happens before.
    pub fn wake(&self) -> Option<Uptime> {
        earliest(self.deadline, self.playing.map(|playing| playing.until))
    }

    fn play(&mut self, feedback: Feedback, since: Uptime) {
        let step = feedback.at(since, self.now);
        self.playing = step.map(|(_, until)| Playing { feedback, since, until });
        self.indicator.show(step.map(|(step, _)| step));
    }
}

impl<R: Radio, B: Bolt, I: Indicator> Actions for Board<R, B, I> {
    fn push(&mut self, action: Action<'_>) {
        match action {
            Action::Advertise(advertising) => self.radio.advertise(advertising),
            Action::Notify { link, value } => self.radio.notify(link, value),
            Action::Close { link } => self.radio.close(link),
            Action::Transmit { apdu } => self.radio.transmit(apdu),
            Action::NfcRelease => self.radio.release_nfc(),
            Action::Bolt(command) => self.bolt.start(command),
            Action::Feedback(feedback) => self.play(feedback, self.now),
            Action::Deadline(deadline) => self.deadline = deadline,
            Action::Event(_) => {}
        }
    }
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

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::feedback::{Light, Signal};

    #[derive(Default)]
    struct Hardware {
        notified: usize,
        bolts: Vec<BoltCommand>,
        shown: Vec<Option<Light>>,
    }

    #[derive(Default)]
    struct Part(Hardware);

    impl Radio for Part {
        fn advertise(&mut self, _: &Advertising) {}

        fn notify(&mut self, _: LinkId, _: &[u8]) {
            self.0.notified += 1;
        }

        fn close(&mut self, _: LinkId) {}
    }

    impl Bolt for Part {
        fn start(&mut self, command: BoltCommand) {
            self.0.bolts.push(command);
        }
    }

    impl Indicator for Part {
        fn show(&mut self, step: Option<Step>) {
            self.0.shown.push(step.map(|step| step.light));
        }
    }

    #[test]
    fn a_board_plays_signals_step_by_step_and_sleeps_in_between() {
        let mut board = Board::new(Part::default(), Part::default(), Part::default(), Uptime(0));
        board.push(Action::Notify { link: LinkId(1), value: &[1] });
        board.push(Action::Bolt(BoltCommand::HoldOpen));
        board.push(Action::Deadline(Some(Uptime(60_000))));
        board.push(Action::Feedback(Feedback { signal: Signal::Refused, sound: true }));
        assert_eq!((board.radio.0.notified, board.bolt.0.bolts.len()), (1, 1));
        let mut wakes = 0;
        while let Some(at) = board.wake().filter(|at| at.0 < 60_000) {
            assert!(!board.tick(at));
            wakes += 1;
        }
        assert_eq!(wakes, Signal::Refused.steps().len());
        assert_eq!(board.indicator.0.shown.len(), wakes + 1);
        assert_eq!(board.indicator.0.shown.last(), Some(&None), "dark at the end");
        assert!(board.tick(Uptime(60_000)));
    }
}
