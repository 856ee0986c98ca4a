//! Bolt and door: what was asked of them and what they report.

use core::time::Duration;

use keybutton_protocol::{
    audit::RecordType,
    crypto::{Crypto, Signer},
    ids::Intent,
};

use super::{Action, core::Context};
use crate::{
    audit::Entry,
    env::{BoltCommand, BoltEvent, DoorEvent},
    feedback::{Feedback, Signal},
    policy::Fault,
    store::Store,
    uptime::{Uptime, earliest},
};

/// A fault keeps the bolt from being tried again for this long: what phones are told to wait.
const FAULT_PAUSE: Duration = Duration::from_secs(5);
/// A door that opens this long after the bolt went back was not forced: somebody was just walking through.
const FORCED_GRACE: Duration = Duration::from_secs(3);

/// The status byte of a record of type 2: the door was opened without the bolt being withdrawn.
const FORCED: u8 = 1;
/// The status byte of a record of type 2: the door stood open for too long.
const HELD: u8 = 2;

/// What is known of bolt and door. A start assumes a secured bolt and moves nothing.
#[derive(Debug, Default)]
pub(crate) struct Door {
    withdrawn: bool,
    holding: bool,
    secure_at: Option<Uptime>,
    secured_at: Option<Uptime>,
    open: bool,
    held_at: Option<Uptime>,
    fault: Option<(Fault, Uptime)>,
}

impl Door {
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn
    }

    pub(crate) fn fault(&self, now: Uptime) -> Option<Fault> {
        self.fault.filter(|(_, since)| now.since(*since) < FAULT_PAUSE).map(|(fault, _)| fault)
    }

    pub(crate) fn deadline(&self) -> Option<Uptime> {
        earliest(self.secure_at, self.held_at)
    }
}

impl<C: Crypto, S: Signer, T: Store> Context<'_, C, S, T> {
    /// Starts the movement that a granted intent asks for, and says so.
    pub(crate) fn move_bolt(&mut self, intent: Intent, open_for: Duration) {
        let door = &mut self.core.door;
        let (command, signal) = match intent {
            Intent::Unlock if door.holding => (None, Some(Signal::Granted)),
            Intent::Unlock => {
                door.withdrawn = true;
                door.secure_at = Some(self.now + open_for);
                (Some(BoltCommand::Open(open_for)), Some(Signal::Granted))
            }
            Intent::HoldOpen => {
                (door.withdrawn, door.holding, door.secure_at) = (true, true, None);
                (Some(BoltCommand::HoldOpen), Some(Signal::Granted))
            }
            Intent::Lock => {
                door.release(self.now);
                (Some(BoltCommand::Secure), Some(Signal::Acknowledged))
            }
            Intent::Status | Intent::Sync => (None, None),
        };
        if let Some(command) = command {
            self.act(Action::Bolt(command));
        }
        if let Some(signal) = signal {
            self.signal(signal);
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        let sound = self.config.policy.sound;
        self.act(Action::Feedback(Feedback { signal, sound }));
    }

    pub(crate) fn bolt_event(&mut self, event: BoltEvent) {
        let (now, door) = (self.now, &mut self.core.door);
        match event {
            BoltEvent::Withdrawn => (door.withdrawn, door.fault) = (true, None),
            BoltEvent::Secured => {
                door.release(now);
                door.fault = None;
                self.signal(Signal::Secured);
            }
            BoltEvent::Jammed => {
                door.fault = Some((Fault::Jammed, now));
                self.signal(Signal::Fault);
            }
            BoltEvent::MotorFault => {
                door.fault = Some((Fault::Motor, now));
                self.signal(Signal::Fault);
            }
        }
    }

    pub(crate) fn door_event(&mut self, event: DoorEvent) {
        let (now, door) = (self.now, &mut self.core.door);
        match event {
            DoorEvent::Opened => {
                door.open = true;
                let limit = self.config.policy.held_open_s;
                door.held_at = (limit > 0).then(|| now + Duration::from_secs(limit.into()));
                let passing = door.secured_at.is_some_and(|at| now.since(at) < FORCED_GRACE);
                if !door.withdrawn && !passing {
                    self.door_record(FORCED);
                }
            }
            DoorEvent::Closed => (door.open, door.held_at) = (false, None),
        }
    }

    /// Puts the bolt back, reports a door that stands open, once their time has come.
    pub(crate) fn door_deadlines(&mut self) {
        let (now, door) = (self.now, &mut self.core.door);
        let secure = door.secure_at.is_some_and(|at| at <= now);
        let held = door.held_at.is_some_and(|at| at <= now);
        if held {
            door.held_at = None;
        }
        if secure {
            door.release(now);
            self.act(Action::Bolt(BoltCommand::Secure));
        }
        if held && self.core.door.open {
            self.door_record(HELD);
        }
    }

    fn door_record(&mut self, status: u8) {
        let entry = Entry { status, ..self.entry(RecordType::Door) };
        let _ = self.append(&entry);
        self.signal(Signal::Alarm);
    }
}

impl Door {
    fn release(&mut self, now: Uptime) {
        if self.withdrawn {
            self.secured_at = Some(now);
        }
        (self.withdrawn, self.holding, self.secure_at) = (false, false, None);
    }
}
