//! A press as a machine reads it: one form for `demo --json`, `press --json` and the bench.

use keybutton::outcome::PressOutcome;
use keybutton_lock::feedback::{Light, Signal};
use serde::Serialize;

use crate::lock_host::LockView;

/// What became of one press.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PressReport {
    /// Where in the story it belongs; absent outside of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene: Option<&'static str>,
    /// The press id, 16 bytes in hexadecimal. A repeat of a press has the same one.
    pub id: String,
    /// Who pressed.
    pub member: String,
    /// The door's name; the id where the name is not known; absent when the press settled on none.
    pub door: Option<String>,
    /// `opened`, `refused` or `unconfirmed`.
    pub outcome: &'static str,
    /// The stable code of the reason or cause; absent when opened.
    pub reason: Option<&'static str>,
    /// The guilty side, such as `operator`, `lock` or `network`; absent when opened.
    pub side: Option<&'static str>,
    /// Whether pressing again is safe: `yes`, `no`, or `same-press-only` where only a repeat of this press is.
    pub retry: &'static str,
    /// What happened, in one sentence; absent when opened.
    pub message: Option<&'static str>,
    /// What a person can do about it; absent when opened.
    pub remedy: Option<&'static str>,
    /// How the lock was reached: `radio`; absent when it was not.
    pub route: Option<&'static str>,
    /// The verdict came through the fast phase.
    pub fast: bool,
    /// The access key was downloaded during the press.
    pub downloaded: bool,
    /// The lock repeated the verdict of an earlier try; nothing moved for this one.
    pub replayed: bool,
    /// From the press to its outcome, microseconds.
    pub total_us: u64,
    /// The phases in the order they were entered.
    pub phases: Vec<PhaseReport>,
    /// Bytes of whole messages, their headers included.
    pub bytes: Ways,
    /// Radio packets.
    pub packets: Ways,
    /// Commands of the lock that were answered before its verdict.
    pub round_trips: u32,
    /// Links that were tried.
    pub links: u32,
    /// What the lock did, where it is in sight.
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    pub lock: Option<LockReport>,
}

/// A phase and its time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PhaseReport {
    /// Its stable name.
    pub name: String,
    /// Time spent in it, microseconds.
    pub micros: u64,
}

/// One number for each direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Ways {
    /// From the phone to the lock.
    pub to_lock: u32,
    /// From the lock to the phone.
    pub to_phone: u32,
}

/// What the lock did during a press.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LockReport {
    /// How many times the bolt was withdrawn.
    pub bolt_moves: u32,
    /// The colour the lock showed: `green`, `red`, `amber`; absent when it showed nothing.
    pub light: Option<&'static str>,
    /// The tones it played, Hz.
    pub tones_hz: Vec<u16>,
}

impl PressReport {
    /// Describes a press by `member` at a door that is called `door`.
    pub fn new(outcome: &PressOutcome, member: &str, door: Option<String>) -> Self {
        let metrics = &outcome.metrics;
        let result = &outcome.outcome;
        Self {
            scene: None,
            id: outcome.press.to_string(),
            member: member.to_owned(),
            door: door.or_else(|| outcome.door.as_ref().map(|door| door.0.clone())),
            outcome: result.name(),
            reason: result.code().map(|code| code.entry().name),
            side: result.side().map(|side| side.as_str()),
            retry: result.retry().as_str(),
            message: result.code().map(|code| code.message()),
            remedy: result.remedy(),
            route: outcome.route.map(|route| route.as_str()),
            fast: metrics.fast,
            downloaded: metrics.downloaded,
            replayed: result.lock_report().is_some_and(|report| report.replayed),
            total_us: metrics.total_us,
            phases: metrics
                .phases
                .iter()
                .map(|time| PhaseReport { name: time.phase.clone(), micros: time.micros })
                .collect(),
            bytes: Ways { to_lock: metrics.bytes_sent, to_phone: metrics.bytes_received },
            packets: Ways { to_lock: metrics.packets_sent, to_phone: metrics.packets_received },
            round_trips: metrics.round_trips,
            links: metrics.links,
            lock: None,
        }
    }

    /// Time spent in a phase, microseconds; all of its turns together.
    pub fn phase(&self, name: &str) -> u64 {
        self.phases.iter().filter(|phase| phase.name == name).map(|phase| phase.micros).sum()
    }
}

impl LockReport {
    /// What a lock did between two looks at it.
    pub fn between(before: &LockView, after: &LockView) -> Self {
        let played = after.answer.filter(|_| after.answers > before.answers);
        Self {
            bolt_moves: after.openings - before.openings,
            light: played.and_then(|feedback| colour(feedback.signal)),
            tones_hz: played
                .map(|feedback| feedback.steps().map(|step| step.tone_hz).filter(|tone| *tone > 0).collect())
                .unwrap_or_default(),
        }
    }
}

/// The colour that a signal is known by.
pub fn colour(signal: Signal) -> Option<&'static str> {
    signal.steps().iter().find_map(|step| match step.light {
        Light::Off => None,
        Light::Green => Some("green"),
        Light::Red => Some("red"),
        Light::Amber => Some("amber"),
    })
}
