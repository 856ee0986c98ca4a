//! A bolt behind a relay with lights and a buzzer beside it: which line is on when.

use std::{collections::BTreeMap, time::Duration};

use keybutton_lock::{
    Uptime,
    env::{BoltCommand, BoltEvent},
    feedback::Light,
};

use super::{Hardware, Part};
use crate::failure::Failure;

/// The lines to a door's parts.
pub(super) trait Lines {
    /// Switches a part on or off; one without a wire is passed over.
    fn switch(&mut self, part: Part, on: bool) -> Result<(), Failure>;
}

/// A door's parts. All lines are off at the start, and when this is dropped: the bolt goes back in place.
#[derive(Debug)]
pub(super) struct Relay<L: Lines> {
    lines: L,
    /// What is on.
    on: BTreeMap<Part, bool>,
    time: Duration,
    sensor: bool,
    in_place: Option<bool>,
    moving: Option<Movement>,
}

#[derive(Clone, Copy, Debug)]
struct Movement {
    withdraw: bool,
    until: Uptime,
}

impl<L: Lines> Relay<L> {
    /// Takes over lines that are off. `time` is how long the bolt takes; where there is a sensor, at most.
    pub(super) const fn new(lines: L, time: Duration, sensor: bool) -> Self {
        Self { lines, on: BTreeMap::new(), time, sensor, in_place: None, moving: None }
    }

    fn switch(&mut self, part: Part, on: bool) -> Result<(), Failure> {
        if self.on.get(&part).copied().unwrap_or_default() != on {
            self.lines.switch(part, on)?;
            self.on.insert(part, on);
        }
        Ok(())
    }
}

impl<L: Lines> Hardware for Relay<L> {
    fn move_bolt(&mut self, command: BoltCommand, now: Uptime) -> Result<(), Failure> {
        let withdraw = match command {
            BoltCommand::Open(_) | BoltCommand::HoldOpen => true,
            BoltCommand::Secure => false,
        };
        self.moving = None;
        self.switch(Part::Bolt, withdraw)?;
        self.moving = Some(Movement { withdraw, until: now + self.time });
        Ok(())
    }

    fn bolt_due(&self) -> Option<Uptime> {
        self.moving.map(|movement| movement.until)
    }

    fn bolt_rests(&mut self, now: Uptime) -> Option<BoltEvent> {
        let Movement { withdraw, until } = self.moving?;
        let there = self.sensor && self.in_place == Some(!withdraw);
        if !there && now < until {
            return None;
        }
        self.moving = None;
        Some(match (there || !self.sensor, withdraw) {
            (false, _) => BoltEvent::Jammed,
            (true, true) => BoltEvent::Withdrawn,
            (true, false) => BoltEvent::Secured,
        })
    }

    fn bolt_sensed(&mut self, in_place: bool) -> Option<BoltEvent> {
        let before = self.in_place.replace(in_place);
        // The first word after the start is where the bolt was found; in place is what the lock takes for granted.
        let news = before.map_or(!in_place, |before| before != in_place) && self.moving.is_none();
        news.then_some(if in_place { BoltEvent::Secured } else { BoltEvent::Withdrawn })
    }

    fn show(&mut self, light: Light, tone_hz: u16) -> Result<(), Failure> {
        let (green, red) = match light {
            Light::Off => (false, false),
            Light::Green => (true, false),
            Light::Red => (false, true),
            // What a two-coloured light makes of both.
            Light::Amber => (true, true),
        };
        self.switch(Part::Green, green)?;
        self.switch(Part::Red, red)?;
        self.switch(Part::Light, green || red)?;
        self.switch(Part::Buzzer, tone_hz > 0)
    }
}

impl<L: Lines> Drop for Relay<L> {
    fn drop(&mut self) {
        // What a chip does with lines that nobody holds any more is its own affair.
        for part in [Part::Bolt, Part::Green, Part::Red, Part::Light, Part::Buzzer] {
            if let Err(failure) = self.switch(part, false) {
                tracing::error!(%failure, "the lock stops, and a line stays as it was");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    type Log = Rc<RefCell<Vec<(Part, bool)>>>;

    #[derive(Default)]
    struct Fake {
        log: Log,
        broken: bool,
    }

    impl Lines for Fake {
        fn switch(&mut self, part: Part, on: bool) -> Result<(), Failure> {
            if self.broken {
                return Err(Failure::new("gpio-failed", "no such device", "Plug it in."));
            }
            self.log.borrow_mut().push((part, on));
            Ok(())
        }
    }

    const TIME: Duration = Duration::from_millis(100);
    const OPEN: BoltCommand = BoltCommand::Open(Duration::from_secs(5));

    fn relay(sensor: bool) -> (Relay<Fake>, Log) {
        let fake = Fake::default();
        let log = Rc::clone(&fake.log);
        (Relay::new(fake, TIME, sensor), log)
    }

    #[test]
    fn without_a_sensor_the_bolt_arrives_when_its_time_is_over() {
        let (mut relay, log) = relay(false);
        relay.move_bolt(OPEN, Uptime(1_000)).unwrap();
        assert_eq!(relay.bolt_due(), Some(Uptime(1_100)));
        assert_eq!(relay.bolt_rests(Uptime(1_099)), None);
        assert_eq!(relay.bolt_rests(Uptime(1_100)), Some(BoltEvent::Withdrawn));
        assert_eq!((relay.bolt_rests(Uptime(1_101)), relay.bolt_due()), (None, None), "told once");
        relay.move_bolt(BoltCommand::Secure, Uptime(2_000)).unwrap();
        assert_eq!(relay.bolt_rests(Uptime(2_100)), Some(BoltEvent::Secured));
        assert_eq!(*log.borrow(), [(Part::Bolt, true), (Part::Bolt, false)]);
    }

    #[test]
    fn a_sensor_has_the_last_word() {
        let (mut relay, _) = relay(true);
        assert_eq!(relay.bolt_sensed(true), None, "where it was found is no news");
        relay.move_bolt(OPEN, Uptime(0)).unwrap();
        assert_eq!(relay.bolt_rests(Uptime(10)), None);
        assert_eq!(relay.bolt_sensed(false), None, "that is the movement's own affair");
        assert_eq!(relay.bolt_rests(Uptime(20)), Some(BoltEvent::Withdrawn));
        relay.move_bolt(BoltCommand::Secure, Uptime(500)).unwrap();
        assert_eq!(relay.bolt_rests(Uptime(600)), Some(BoltEvent::Jammed), "it never came to its place");
        assert_eq!(relay.bolt_sensed(true), Some(BoltEvent::Secured), "somebody has helped");
        assert_eq!(relay.bolt_sensed(false), Some(BoltEvent::Withdrawn), "with a key");
        assert_eq!(relay.bolt_sensed(false), None);
    }

    #[test]
    fn a_bolt_found_withdrawn_is_told() {
        let (mut relay, _) = relay(true);
        assert_eq!(relay.bolt_sensed(false), Some(BoltEvent::Withdrawn));
    }

    #[test]
    fn a_movement_takes_the_place_of_the_one_before() {
        let (mut relay, log) = relay(false);
        relay.move_bolt(OPEN, Uptime(0)).unwrap();
        relay.move_bolt(BoltCommand::HoldOpen, Uptime(50)).unwrap();
        assert_eq!(relay.bolt_rests(Uptime(100)), None);
        assert_eq!(relay.bolt_rests(Uptime(150)), Some(BoltEvent::Withdrawn));
        assert_eq!(*log.borrow(), [(Part::Bolt, true)], "the relay is on already");
    }

    #[test]
    fn amber_is_both_colours_and_any_colour_is_on_where_there_is_one_light() {
        let (mut relay, log) = relay(false);
        relay.show(Light::Green, 1_047).unwrap();
        assert_eq!(*log.borrow(), [(Part::Green, true), (Part::Light, true), (Part::Buzzer, true)]);
        log.borrow_mut().clear();
        relay.show(Light::Amber, 0).unwrap();
        assert_eq!(*log.borrow(), [(Part::Red, true), (Part::Buzzer, false)]);
        log.borrow_mut().clear();
        relay.show(Light::Off, 0).unwrap();
        assert_eq!(*log.borrow(), [(Part::Green, false), (Part::Red, false), (Part::Light, false)]);
    }

    #[test]
    fn a_lock_that_stops_leaves_the_bolt_in_place_and_the_lights_dark() {
        let (mut relay, log) = relay(false);
        relay.move_bolt(BoltCommand::HoldOpen, Uptime(0)).unwrap();
        relay.show(Light::Green, 0).unwrap();
        log.borrow_mut().clear();
        drop(relay);
        assert_eq!(*log.borrow(), [(Part::Bolt, false), (Part::Green, false), (Part::Light, false)]);
    }

    #[test]
    fn hardware_that_is_gone_moves_nothing() {
        let (mut relay, _) = relay(false);
        relay.lines.broken = true;
        assert_eq!(relay.move_bolt(OPEN, Uptime(0)).unwrap_err().code, "gpio-failed");
        assert_eq!((relay.bolt_due(), relay.bolt_rests(Uptime(9_999))), (None, None));
    }
}
