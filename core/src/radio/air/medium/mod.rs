//! The medium: who is where, what is heard, which values move when.
//!
//! Pure: time is passed in as microseconds since the medium's start, frames come in one by one, frames go out with
//! the participant they are for. The broker does the waiting.

mod advertising;
mod director;
mod events;
mod link;
mod timers;

use std::collections::{BTreeMap, VecDeque};

use self::{
    link::Link,
    timers::{Timer, TimerKey, Timers},
};
use super::{
    Participant,
    control::{LinkReport, Role},
    knobs::Knobs,
    wire::{Cause, FromBroker, Payload, ToBroker},
};

/// Identifies a participant for as long as it stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct PartId(pub(super) u32);

/// Microseconds since the medium's start.
pub(super) type Micros = u64;

/// Frames to send, each with its addressee.
pub(super) type Outbox = Vec<(PartId, FromBroker)>;

/// Reports of ended links that wait for the director.
const KEPT_REPORTS: usize = 256;

/// The simulated medium.
pub(super) struct Medium {
    rng: fastrand::Rng,
    now: Micros,
    parts: BTreeMap<PartId, Part>,
    links: BTreeMap<u32, Link>,
    timers: Timers,
    reports: VecDeque<LinkReport>,
    last_part: u32,
    last_link: u32,
}

/// A participant with the state of its radio.
struct Part {
    role: Role,
    who: Participant,
    radio: bool,
    scanning: bool,
    connecting: BTreeMap<String, Connecting>,
    advertising: Option<Payload>,
    advertising_timer: Option<TimerKey>,
    cuts_done: u32,
    /// Links up to this one were there before the cut was asked for, and are left alone.
    cut_after_link: u32,
}

/// A phone's wish to connect to an address.
struct Connecting {
    since: Micros,
    timeout: TimerKey,
}

impl Medium {
    /// Creates an empty medium; the same seed gives the same randomness.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: 0,
            parts: BTreeMap::new(),
            links: BTreeMap::new(),
            timers: Timers::default(),
            reports: VecDeque::new(),
            last_part: 0,
            last_link: 0,
        }
    }

    /// Lets a participant in; `None` when its name is taken.
    pub(super) fn join(&mut self, role: Role, who: Participant) -> Option<PartId> {
        if role != Role::Control && self.find(&who.name).is_some() {
            return None;
        }
        self.last_part += 1;
        let id = PartId(self.last_part);
        let who = Participant { knobs: who.knobs.clamped(), ..who };
        self.parts.insert(
            id,
            Part {
                role,
                who,
                radio: true,
                scanning: false,
                connecting: BTreeMap::new(),
                advertising: None,
                advertising_timer: None,
                cuts_done: 0,
                cut_after_link: 0,
            },
        );
        Some(id)
    }

    /// Takes a participant away without a word: its peers find out by the supervision time-out.
    pub(super) fn leave(&mut self, now: Micros, id: PartId, out: &mut Outbox) {
        self.now = now;
        self.abandon_connecting(id);
        if let Some(mut part) = self.parts.remove(&id)
            && let Some(timer) = part.advertising_timer.take()
        {
            self.timers.cancel(timer);
        }
        for link in self.links_of(id) {
            self.forget_end(link, id);
        }
        self.refresh_links(out);
        self.refresh_advertising();
    }

    /// When [`Medium::on_time`] wants to be called next.
    pub(super) fn deadline(&self) -> Option<Micros> {
        self.timers.next()
    }

    /// Does everything that is due at `now`.
    pub(super) fn on_time(&mut self, now: Micros, out: &mut Outbox) {
        while let Some((at, timer)) = self.timers.pop_due(now) {
            self.now = at;
            match timer {
                Timer::Advertise(lock) => self.advertise(lock, out),
                Timer::ConnectTimeout(phone, address) => self.connect_timeout(phone, &address, out),
                Timer::LinkEvent(link) => self.link_event(link, out),
                Timer::Arrive(link) => self.arrive(link, out),
                Timer::Supervision(link) => self.link_lost(link, out),
            }
        }
        self.now = now;
    }

    /// Takes one frame from a participant. Frames that make no sense for its role change nothing.
    pub(super) fn handle(&mut self, now: Micros, from: PartId, frame: ToBroker, out: &mut Outbox) {
        self.on_time(now, out);
        let Some(role) = self.parts.get(&from).map(|part| part.role) else { return };
        match (role, frame) {
            (Role::Phone, ToBroker::Scan(on)) => self.scan(from, on),
            (Role::Phone, ToBroker::Connect { address }) => self.connect(from, address, out),
            (Role::Phone, ToBroker::GiveUp { address }) => self.give_up(from, &address, out),
            (Role::Lock, ToBroker::Advertise(payload)) => self.set_advertising(from, payload),
            (Role::Phone | Role::Lock, ToBroker::Value { link, value }) => self.queue_value(from, link, value.0, out),
            (Role::Phone | Role::Lock, ToBroker::Close { link }) => self.queue_close(from, link, out),
            (Role::Control, ToBroker::Control(request)) => {
                let reply = self.control(request, out);
                out.push((from, FromBroker::Control(reply)));
            }
            (_, frame) => tracing::debug!(?from, ?role, ?frame, "a frame that does not fit the participant's role"),
        }
    }

    /// Switches a radio: its own side hears of it at once, its peers by the supervision time-out.
    fn set_radio(&mut self, id: PartId, on: bool, out: &mut Outbox) {
        let Some(part) = self.parts.get_mut(&id) else { return };
        if part.radio == on {
            return;
        }
        part.radio = on;
        out.push((id, FromBroker::Radio(on)));
        if !on {
            for address in self.abandon_connecting(id) {
                out.push((id, FromBroker::ConnectFailed { address, cause: Cause::Unavailable }));
            }
            for link in self.links_of(id) {
                self.tell_closed(link, id, Cause::Unavailable, out);
            }
        }
        self.refresh_links(out);
        self.refresh_advertising();
    }

    fn find(&self, name: &str) -> Option<PartId> {
        self.parts.iter().find(|(_, part)| part.role != Role::Control && part.who.name == name).map(|(id, _)| *id)
    }

    fn knobs(&self, id: PartId) -> Knobs {
        self.parts.get(&id).map(|part| part.who.knobs.clone()).unwrap_or_default()
    }

    fn chance(&mut self, probability: f32) -> bool {
        probability > 0.0 && self.rng.f32() < probability
    }
}

#[cfg(test)]
mod tests;
