//! What the demo found, for a machine and for the story's end.

use serde::Serialize;

use crate::press_report::PressReport;

/// The whole demo as one document. `version` is raised when a field changes its meaning or goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DemoReport {
    /// The form of this document.
    pub version: u32,
    /// Everything came out as the story tells it.
    pub as_told: bool,
    /// What did not; empty when all did.
    pub differences: Vec<String>,
    /// How long the whole demo took, microseconds.
    pub total_us: u64,
    /// The organization's name.
    pub organization: String,
    /// What the Key Button said before the first press, in order: `visible`, or the reason it was hidden for.
    pub key_button: Vec<String>,
    /// Every press, in the order of the story.
    pub presses: Vec<PressReport>,
}

/// What the story says of a press.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Told {
    pub(super) outcome: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) light: Option<&'static str>,
    pub(super) bolt_moves: u32,
    pub(super) downloaded: bool,
    pub(super) fast: bool,
    pub(super) replayed: bool,
    /// `None` where the verdict never arrives.
    pub(super) round_trips: Option<u32>,
}

impl Told {
    pub(super) const OPENED: Self = Self {
        outcome: "opened",
        reason: None,
        light: Some("green"),
        bolt_moves: 1,
        downloaded: false,
        fast: false,
        replayed: false,
        round_trips: Some(3),
    };

    pub(super) const REFUSED: Self = Self { outcome: "refused", light: Some("red"), bolt_moves: 0, ..Self::OPENED };

    /// Where a press differs from what is told of it.
    pub(super) fn differences(&self, press: &PressReport) -> Vec<String> {
        let lock = press.lock.as_ref();
        let mut found = Vec::new();
        let mut compare = |what: &str, told: String, seen: String| {
            if told != seen {
                found.push(format!("{}: {what} is {seen}, told is {told}", press.scene.unwrap_or("press")));
            }
        };
        let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
        compare("outcome", self.outcome.to_owned(), press.outcome.to_owned());
        compare("reason", or_none(self.reason), or_none(press.reason));
        compare("light", or_none(self.light), or_none(lock.and_then(|lock| lock.light)));
        compare("bolt moves", self.bolt_moves.to_string(), lock.map_or(0, |lock| lock.bolt_moves).to_string());
        compare("sound", self.light.is_some().to_string(), lock.is_some_and(|l| !l.tones_hz.is_empty()).to_string());
        compare("download", self.downloaded.to_string(), press.downloaded.to_string());
        compare("fast phase", self.fast.to_string(), press.fast.to_string());
        compare("repeat", self.replayed.to_string(), press.replayed.to_string());
        if let Some(round_trips) = self.round_trips {
            compare("round trips", round_trips.to_string(), press.round_trips.to_string());
        }
        found
    }
}
