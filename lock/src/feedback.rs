//! What a person at the door sees and hears, as data: a board, a screen or a test plays it.
//!
//! Green with two rising tones: opened. Red with one low tone, three times: refused. Shapes and tones differ as well
//! as colours, so that nobody needs to tell red from green. Sound can be switched off; light cannot.

use core::time::Duration;

use crate::uptime::Uptime;

/// A colour of the lock's light.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Light {
    /// Dark.
    #[default]
    Off,
    /// Opened.
    Green,
    /// Refused.
    Red,
    /// Working, or wants attention.
    Amber,
}

/// One step of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Step {
    /// The light during the step.
    pub light: Light,
    /// The tone during the step, Hz; 0 is silence.
    pub tone_hz: u16,
    /// How long the step lasts, milliseconds.
    pub duration_ms: u16,
}

/// What the lock has to say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Signal {
    /// A verdict: granted, the bolt moves.
    Granted,
    /// A verdict: refused.
    Refused,
    /// A verdict about something other than opening: locked as asked, or a report of the state.
    Acknowledged,
    /// A fault of the lock: bolt jammed, store failed.
    Fault,
    /// The bolt has gone back in place.
    Secured,
    /// The door was forced, or held open for too long.
    Alarm,
}

impl Signal {
    /// The steps that say it, sound included.
    pub const fn steps(self) -> &'static [Step] {
        match self {
            Self::Granted => &GRANTED,
            Self::Refused => &REFUSED,
            Self::Acknowledged => &ACKNOWLEDGED,
            Self::Fault => &FAULT,
            Self::Secured => &SECURED,
            Self::Alarm => &ALARM,
        }
    }
}

/// A signal to be played, with or without its sound.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Feedback {
    /// What to say.
    pub signal: Signal,
    /// Whether the tones are to be heard.
    pub sound: bool,
}

impl Feedback {
    /// The steps to play; silent ones when the sound is off.
    pub fn steps(self) -> impl Iterator<Item = Step> + Clone {
        self.signal.steps().iter().map(move |step| if self.sound { *step } else { Step { tone_hz: 0, ..*step } })
    }

    /// How long it takes.
    pub fn duration(self) -> Duration {
        self.steps().map(|step| Duration::from_millis(step.duration_ms.into())).sum()
    }

    /// The step that is on at `now` when the signal started at `start`, and when it ends; `None` once all is played.
    ///
    /// A board sets light and buzzer by it, sleeps until the returned time and asks again.
    pub fn at(self, start: Uptime, now: Uptime) -> Option<(Step, Uptime)> {
        let mut end = start;
        self.steps().find_map(|step| {
            end = end + Duration::from_millis(step.duration_ms.into());
            (now < end).then_some((step, end))
        })
    }
}

const fn step(light: Light, tone_hz: u16, duration_ms: u16) -> Step {
    Step { light, tone_hz, duration_ms }
}

const GRANTED: [Step; 3] =
    [step(Light::Green, 1_047, 90), step(Light::Green, 1_568, 140), step(Light::Green, 0, 1_270)];
const REFUSED: [Step; 6] = [
    step(Light::Red, 220, 150),
    step(Light::Off, 0, 80),
    step(Light::Red, 220, 150),
    step(Light::Off, 0, 80),
    step(Light::Red, 220, 150),
    step(Light::Red, 0, 640),
];
const ACKNOWLEDGED: [Step; 2] = [step(Light::Amber, 880, 80), step(Light::Amber, 0, 320)];
const FAULT: [Step; 5] = [
    step(Light::Red, 330, 300),
    step(Light::Amber, 220, 300),
    step(Light::Red, 330, 300),
    step(Light::Amber, 220, 300),
    step(Light::Red, 0, 800),
];
const SECURED: [Step; 2] = [step(Light::Amber, 523, 60), step(Light::Off, 0, 40)];
const ALARM: [Step; 4] =
    [step(Light::Red, 1_760, 250), step(Light::Off, 0, 150), step(Light::Red, 1_760, 250), step(Light::Red, 0, 1_350)];

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Signal; 6] =
        [Signal::Granted, Signal::Refused, Signal::Acknowledged, Signal::Fault, Signal::Secured, Signal::Alarm];

    #[test]
    fn green_is_for_granted_alone() {
        for signal in ALL {
            let green = signal.steps().iter().any(|step| step.light == Light::Green);
            assert_eq!(green, signal == Signal::Granted, "{signal:?}");
        }
    }

    #[test]
    fn every_signal_is_heard_unless_the_sound_is_off() {
        for signal in ALL {
            assert!(Feedback { signal, sound: true }.steps().any(|step| step.tone_hz > 0), "{signal:?}");
            assert!(Feedback { signal, sound: false }.steps().all(|step| step.tone_hz == 0), "{signal:?}");
            assert!(Feedback { signal, sound: false }.steps().any(|step| step.light != Light::Off), "{signal:?}");
        }
    }

    #[test]
    fn playing_visits_each_step_and_ends() {
        let feedback = Feedback { signal: Signal::Refused, sound: true };
        let start = Uptime(5_000);
        let mut now = start;
        let mut played = 0;
        while let Some((step, until)) = feedback.at(start, now) {
            assert_eq!(step, Signal::Refused.steps()[played]);
            played += 1;
            now = until;
        }
        assert_eq!(played, Signal::Refused.steps().len());
        assert_eq!(now.since(start), feedback.duration());
    }
}
