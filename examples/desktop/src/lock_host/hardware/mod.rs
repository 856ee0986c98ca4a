//! A lock's bolt, light and buzzer, and what tells where bolt and door are: on a screen, or on the lines of a GPIO chip.

#[cfg(target_os = "linux")]
mod gpio;
#[cfg(any(target_os = "linux", test))]
mod relay;
mod screen;
mod wiring;

use keybutton_lock::{
    Uptime,
    env::{BoltCommand, BoltEvent},
    feedback::Light,
};
use tokio::sync::mpsc;

pub use wiring::{LineName, Part, Pull, Wire, Wiring};

use super::LockOptions;
use crate::failure::Failure;

/// What a lock moves and shows.
#[derive(Clone, Debug, Default)]
pub enum Fittings {
    /// A bolt that is only counted; light and tones are seen in [`LockView`](super::LockView).
    #[default]
    Screen,
    /// A door's real ones. Linux only.
    Gpio(Wiring),
}

/// The hardware of one lock. Calls start something and return at once.
///
/// A start moves nothing: it finds the bolt in place, or puts it there.
pub(super) trait Hardware {
    /// Starts a movement of the bolt. An error is final: the hardware is gone.
    fn move_bolt(&mut self, command: BoltCommand, now: Uptime) -> Result<(), Failure>;

    /// When [`Hardware::bolt_rests`] has news at the latest, while the bolt is on its way.
    fn bolt_due(&self) -> Option<Uptime>;

    /// What became of the movement, once that is known; told once.
    fn bolt_rests(&mut self, now: Uptime) -> Option<BoltEvent>;

    /// A sensor says whether the bolt is in place. Returns what was no movement of the lock's own, such as a key's.
    fn bolt_sensed(&mut self, in_place: bool) -> Option<BoltEvent>;

    /// Brings light and buzzer to this; 0 Hz is silence. An error is final.
    fn show(&mut self, light: Light, tone_hz: u16) -> Result<(), Failure>;

    /// Holds the bolt so that it jams, or lets go of it, where that can be played.
    fn jam(&mut self, jammed: bool) {
        let _ = jammed;
    }
}

/// What a sensor says.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "a screen senses nothing"))]
pub(super) enum Sensed {
    /// The bolt is in place, or not.
    BoltInPlace(bool),
    /// The door is closed, or stands open.
    DoorClosed(bool),
    /// Somebody inside wants privacy, or does not.
    Privacy(bool),
    /// The sensors are gone.
    Lost(Failure),
}

/// Hears the sensors.
#[derive(Debug)]
pub(super) struct Sensors(Option<mpsc::UnboundedReceiver<Sensed>>);

impl Sensors {
    /// Waits for what a sensor says next; for ever where there is none. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Sensed {
        if let Some(receiver) = &mut self.0
            && let Some(sensed) = receiver.recv().await
        {
            return sensed;
        }
        std::future::pending().await
    }
}

/// Takes the hardware over, on the runtime that this is called on.
pub(super) fn open(options: &LockOptions) -> Result<(Box<dyn Hardware>, Sensors), Failure> {
    match &options.fittings {
        Fittings::Screen => Ok((Box::new(screen::ScreenBolt::new(options.bolt_travel)), Sensors(None))),
        #[cfg(target_os = "linux")]
        Fittings::Gpio(wiring) => {
            let (lines, sensors) = gpio::open(wiring)?;
            let bolt = relay::Relay::new(lines, wiring.bolt_time, wiring.has(Part::BoltSensor));
            Ok((Box::new(bolt), Sensors(sensors)))
        }
        #[cfg(not(target_os = "linux"))]
        Fittings::Gpio(_) => Err(Failure::new(
            "no-gpio-here",
            "lines of a GPIO chip can be driven on Linux only",
            "Run the door controller on Linux, or leave the door hardware's options out.",
        )),
    }
}
