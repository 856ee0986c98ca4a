//! The bolt of a lock without a door: it takes its time, and jams when told to.

use std::time::Duration;

use keybutton_lock::{
    Uptime,
    env::{BoltCommand, BoltEvent},
    feedback::Light,
};

use super::Hardware;
use crate::failure::Failure;

/// A simulated bolt. Whoever watches the lock's view sees and hears the rest.
#[derive(Debug)]
pub(super) struct ScreenBolt {
    travel: Duration,
    jammed: bool,
    moving: Option<(Uptime, BoltEvent)>,
}

impl ScreenBolt {
    pub(super) const fn new(travel: Duration) -> Self {
        Self { travel, jammed: false, moving: None }
    }
}

impl Hardware for ScreenBolt {
    fn move_bolt(&mut self, command: BoltCommand, now: Uptime) -> Result<(), Failure> {
        let target = match command {
            BoltCommand::Open(_) | BoltCommand::HoldOpen => BoltEvent::Withdrawn,
            BoltCommand::Secure => BoltEvent::Secured,
        };
        self.moving = Some((now + self.travel, if self.jammed { BoltEvent::Jammed } else { target }));
        Ok(())
    }

    fn bolt_due(&self) -> Option<Uptime> {
        self.moving.map(|(at, _)| at)
    }

    fn bolt_rests(&mut self, now: Uptime) -> Option<BoltEvent> {
        self.moving.take_if(|(at, _)| *at <= now).map(|(_, event)| event)
    }

    fn bolt_sensed(&mut self, _: bool) -> Option<BoltEvent> {
        None
    }

    fn show(&mut self, _: Light, _: u16) -> Result<(), Failure> {
        Ok(())
    }

    fn jam(&mut self, jammed: bool) {
        self.jammed = jammed;
    }
}
