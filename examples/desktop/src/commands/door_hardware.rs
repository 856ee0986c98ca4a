//! The door hardware of `keybutton lock`: which GPIO line leads where.

use std::time::Duration;

use clap::Args;

use crate::lock_host::{Fittings, LineName, Part, Pull, Wire, Wiring};

/// How long a bolt takes where nothing tells that it has arrived, and how long it may take where a sensor does.
const BOLT_TIME: Duration = Duration::from_millis(100);
const BOLT_PATIENCE: Duration = Duration::from_secs(3);

/// A door's own bolt, light and buzzer on the lines of a GPIO chip. Lines are given by number or by name (GPIO17).
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Door hardware (Linux)")]
pub struct DoorHardwareArgs {
    /// The line that withdraws the bolt while it is on: a relay. It is on for openings only.
    #[arg(long, value_name = "LINE")]
    bolt: Option<LineName>,
    /// The GPIO chip, such as gpiochip0 [default: the one with the bolt's line of that name, or gpiochip0]
    #[arg(long, value_name = "CHIP", requires = "bolt")]
    gpio: Option<String>,
    /// The line of the green light.
    #[arg(long, value_name = "LINE", requires = "bolt")]
    green: Option<LineName>,
    /// The line of the red light; green and red together are amber.
    #[arg(long, value_name = "LINE", requires = "bolt")]
    red: Option<LineName>,
    /// The line of a single light, which is on for any colour.
    #[arg(long, value_name = "LINE", requires = "bolt", conflicts_with_all = ["green", "red"])]
    light: Option<LineName>,
    /// The line of a buzzer that makes its own tone (an active one).
    #[arg(long, value_name = "LINE", requires = "bolt")]
    buzzer: Option<LineName>,
    /// The line of a sensor that is on while the bolt is in place; without one the bolt is believed to move.
    #[arg(long, value_name = "LINE", requires = "bolt")]
    bolt_sensor: Option<LineName>,
    /// The line of a contact that is on while the door is closed.
    #[arg(long, value_name = "LINE", requires = "bolt")]
    door_contact: Option<LineName>,
    /// The line of a switch inside that is on while members are to stay outside.
    #[arg(long, value_name = "LINE", requires = "bolt")]
    privacy_switch: Option<LineName>,
    /// The parts that are on while their line is low.
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',', requires = "bolt")]
    active_low: Vec<Part>,
    /// The sensors whose line the chip is to pull up.
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',', requires = "bolt")]
    pull_up: Vec<Part>,
    /// The sensors whose line the chip is to pull down.
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',', requires = "bolt")]
    pull_down: Vec<Part>,
    /// How long the bolt takes, milliseconds [default: 100; with a sensor, at most 3000]
    #[arg(long, value_name = "MS", requires = "bolt", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    bolt_time: Option<u64>,
}

impl DoorHardwareArgs {
    /// What the lock moves and shows: a screen where no line is given.
    pub(super) fn fittings(&self) -> Fittings {
        if self.bolt.is_none() {
            return Fittings::Screen;
        }
        let lines = [
            (Part::Bolt, &self.bolt),
            (Part::Green, &self.green),
            (Part::Red, &self.red),
            (Part::Light, &self.light),
            (Part::Buzzer, &self.buzzer),
            (Part::BoltSensor, &self.bolt_sensor),
            (Part::DoorContact, &self.door_contact),
            (Part::PrivacySwitch, &self.privacy_switch),
        ];
        let wires = lines.into_iter().filter_map(|(part, line)| {
            Some(Wire { part, line: line.clone()?, active_low: self.active_low.contains(&part), pull: self.pull(part) })
        });
        let bolt_time = match self.bolt_time {
            Some(time) => Duration::from_millis(time),
            None if self.bolt_sensor.is_some() => BOLT_PATIENCE,
            None => BOLT_TIME,
        };
        Fittings::Gpio(Wiring { chip: self.gpio.clone(), wires: wires.collect(), bolt_time })
    }

    fn pull(&self, part: Part) -> Option<Pull> {
        match (self.pull_up.contains(&part), self.pull_down.contains(&part)) {
            (true, _) => Some(Pull::Up),
            (false, true) => Some(Pull::Down),
            (false, false) => None,
        }
    }
}

/// The wires in words: `bolt GPIO17, buzzer line 4`.
pub(super) fn wires_text(wiring: &Wiring) -> String {
    let wires: Vec<String> = wiring.wires.iter().map(|wire| format!("{} {}", wire.part, wire.line)).collect();
    wires.join(", ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        hardware: DoorHardwareArgs,
    }

    fn parse(line: &str) -> Result<Fittings, clap::Error> {
        let words = std::iter::once("lock").chain(line.split_whitespace());
        Ok(Line::try_parse_from(words)?.hardware.fittings())
    }

    #[test]
    fn lines_lead_to_parts() {
        let line = "--bolt GPIO17 --light 27 --door-contact 24 --active-low bolt,door-contact --pull-up door-contact";
        let Fittings::Gpio(wiring) = parse(line).unwrap() else { panic!("no GPIO") };
        assert_eq!(wires_text(&wiring), "bolt GPIO17, light line 27, door contact line 24");
        let low: Vec<bool> = wiring.wires.iter().map(|wire| wire.active_low).collect();
        assert_eq!(low, [true, false, true]);
        assert_eq!(wiring.wires[2].pull, Some(Pull::Up));
        assert_eq!((wiring.chip, wiring.bolt_time), (None, BOLT_TIME));
    }

    #[test]
    fn a_bolt_with_a_sensor_may_take_its_time() {
        let Fittings::Gpio(wiring) = parse("--bolt 1 --bolt-sensor 2").unwrap() else { panic!("no GPIO") };
        assert_eq!(wiring.bolt_time, BOLT_PATIENCE);
    }

    #[test]
    fn a_door_without_a_bolt_is_no_door() {
        assert!(matches!(parse("").unwrap(), Fittings::Screen));
        for line in ["--buzzer 4", "--gpio gpiochip1", "--bolt 1 --light 2 --red 3", "--bolt 1 --active-low window"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
