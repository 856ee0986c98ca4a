//! Which line of a GPIO chip leads to which part of a door.

use std::{convert::Infallible, fmt, str::FromStr, time::Duration};

use clap::ValueEnum;

/// A door's wires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wiring {
    /// The chip, as `gpiochip0` or with its path; none is the one that the bolt's line is found on by its name, or
    /// `gpiochip0`.
    pub chip: Option<String>,
    /// One for each part that there is; the bolt's has to be among them.
    pub wires: Vec<Wire>,
    /// How long the bolt takes to move: with a sensor at most, without one always.
    pub bolt_time: Duration,
}

/// One wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wire {
    /// Where it leads.
    pub part: Part,
    /// The chip's line that it is connected to.
    pub line: LineName,
    /// The part is on, or the sensor says yes, while the line is low.
    pub active_low: bool,
    /// A resistor inside the chip that keeps an open line at a level.
    pub pull: Option<Pull>,
}

/// A part of a door.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ValueEnum)]
pub enum Part {
    /// Withdraws the bolt (or releases the strike) while it is on.
    Bolt,
    /// Green light.
    Green,
    /// Red light.
    Red,
    /// One light for all: each signal has its own rhythm.
    Light,
    /// A buzzer with a tone of its own.
    Buzzer,
    /// Says that the bolt is in place.
    BoltSensor,
    /// Says that the door is closed.
    DoorContact,
    /// Says that somebody inside wants to be left alone.
    PrivacySwitch,
}

/// A resistor inside the chip.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pull {
    /// To the supply voltage.
    Up,
    /// To ground.
    Down,
}

/// A line of a chip.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LineName {
    /// By its number.
    Offset(u32),
    /// By the name that the board's maker gave it, such as `GPIO17`.
    Name(String),
}

impl Wiring {
    /// Tells whether there is a wire to this part.
    pub fn has(&self, part: Part) -> bool {
        self.wires.iter().any(|wire| wire.part == part)
    }
}

impl Part {
    /// Tells whether it speaks to the lock, rather than the other way round.
    pub const fn is_sensor(self) -> bool {
        match self {
            Self::BoltSensor | Self::DoorContact | Self::PrivacySwitch => true,
            Self::Bolt | Self::Green | Self::Red | Self::Light | Self::Buzzer => false,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bolt => "bolt",
            Self::Green => "green light",
            Self::Red => "red light",
            Self::Light => "light",
            Self::Buzzer => "buzzer",
            Self::BoltSensor => "bolt sensor",
            Self::DoorContact => "door contact",
            Self::PrivacySwitch => "privacy switch",
        })
    }
}

impl FromStr for LineName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Offset))
    }
}

impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(offset) => write!(f, "line {offset}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}
