//! Links: how they begin, fall silent, are cut and end.

use std::collections::VecDeque;

use super::{
    KEPT_REPORTS, Medium, Micros, Outbox, PartId, Timer, TimerKey,
    advertising::{joined_loss, micros},
};
use crate::radio::air::{
    control::LinkReport,
    knobs::{Direction, Manner},
    wire::{Cause, FromBroker},
};

/// More values than this in one direction's queue is misuse.
const MAX_QUEUE: usize = 1_024;

/// No attribute value is longer.
const MAX_ATT_VALUE: usize = 512;

/// A link between a phone and a lock.
pub(super) struct Link {
    pub(super) phone: PartId,
    pub(super) lock: PartId,
    pub(super) address: String,
    pub(super) mtu: u16,
    pub(super) anchor: Micros,
    pub(super) since: Micros,
    /// Connection events left until the link is up.
    pub(super) setup: u8,
    pub(super) queues: [VecDeque<Queued>; 2],
    pub(super) flying: VecDeque<(Micros, Direction, Vec<u8>)>,
    pub(super) moved: [u32; 2],
    pub(super) last: Option<Direction>,
    pub(super) last_heard: Micros,
    pub(super) busy_since: Option<Micros>,
    /// The phone's and the lock's end know that the link is gone.
    pub(super) phone_gone: bool,
    pub(super) lock_gone: bool,
    pub(super) cut_silent: bool,
    pub(super) event: Option<TimerKey>,
    pub(super) arrival: Option<TimerKey>,
    pub(super) supervision: Option<TimerKey>,
    pub(super) report: LinkReport,
}

/// What waits for a connection event.
pub(super) enum Queued {
    Value(Vec<u8>),
    Close,
}

/// What both ends' knobs make of a link.
pub(super) struct Shape {
    pub(super) interval: Micros,
    pub(super) latency: Micros,
    pub(super) supervision: Micros,
    pub(super) values: u8,
    pub(super) loss: f32,
}

impl Link {
    /// The link takes one of the lock's places.
    pub(super) fn occupies(&self, lock: PartId) -> bool {
        self.lock == lock && !self.lock_gone
    }

    fn ends_at(&self, part: PartId) -> bool {
        (self.phone == part && !self.phone_gone) || (self.lock == part && !self.lock_gone)
    }

    pub(super) fn is_up(&self) -> bool {
        self.setup == 0
    }

    pub(super) fn idle(&self) -> bool {
        self.flying.is_empty() && self.queues.iter().all(VecDeque::is_empty)
    }

    pub(super) fn end(&self, direction: Direction) -> PartId {
        match direction {
            Direction::ToLock => self.lock,
            Direction::ToPhone => self.phone,
        }
    }

    pub(super) fn report(&self) -> LinkReport {
        self.report.clone()
    }
}

impl Medium {
    pub(super) fn open_link(&mut self, phone: PartId, lock: PartId, address: String, since: Micros, out: &mut Outbox) {
        let (ours, theirs) = (self.knobs(phone), self.knobs(lock));
        self.last_link += 1;
        let id = self.last_link;
        let name = |id| self.parts.get(&id).map(|part| part.who.name.clone()).unwrap_or_default();
        let report = LinkReport {
            phone: name(phone),
            lock: name(lock),
            setup_us: 0,
            in_flight_us: 0,
            values_to_lock: 0,
            values_to_phone: 0,
            bytes_to_lock: 0,
            bytes_to_phone: 0,
            round_trips: 0,
            ended: false,
        };
        self.links.insert(
            id,
            Link {
                phone,
                lock,
                address,
                mtu: ours.mtu.min(theirs.mtu),
                anchor: self.now,
                since,
                setup: theirs.setup_events.max(ours.setup_events),
                queues: Default::default(),
                flying: VecDeque::new(),
                moved: [0; 2],
                last: None,
                last_heard: self.now,
                busy_since: None,
                phone_gone: false,
                lock_gone: false,
                cut_silent: false,
                event: None,
                arrival: None,
                supervision: None,
                report,
            },
        );
        self.schedule(id);
        self.refresh_links(out);
    }

    pub(super) fn queue_value(&mut self, from: PartId, id: u32, value: Vec<u8>, out: &mut Outbox) {
        let now = self.now;
        let Some((link, direction)) = self.end_of(from, id) else { return };
        let queue = &mut link.queues[direction.index()];
        let longest = usize::from(link.mtu).saturating_sub(3).min(MAX_ATT_VALUE);
        if value.is_empty() || value.len() > longest || queue.len() >= MAX_QUEUE {
            tracing::warn!(link = id, len = value.len(), longest, "an ATT value the link can't carry: link dropped");
            self.link_lost(id, out);
            return;
        }
        queue.push_back(Queued::Value(value));
        if link.busy_since.is_none() {
            link.busy_since = Some(now);
            link.last_heard = now;
        }
        self.schedule(id);
    }

    pub(super) fn queue_close(&mut self, from: PartId, id: u32, out: &mut Outbox) {
        let silent = self.is_silent(id);
        let now = self.now;
        let Some((link, direction)) = self.end_of(from, id) else { return };
        if silent {
            self.tell_closed(id, from, Cause::Closed, out);
            return;
        }
        link.queues[direction.index()].push_back(Queued::Close);
        if link.busy_since.is_none() {
            link.busy_since = Some(now);
            link.last_heard = now;
        }
        self.schedule(id);
    }

    /// A phone gives up a link that it does not know to be up.
    pub(super) fn give_up_link(&mut self, phone: PartId, address: &str, out: &mut Outbox) {
        let found = self.links.iter().find(|(_, l)| l.phone == phone && l.address == address && !l.phone_gone);
        let Some((id, up)) = found.map(|(id, link)| (*id, link.is_up())) else { return };
        if up {
            self.queue_close(phone, id, out);
        } else {
            self.tell_closed(id, phone, Cause::Closed, out);
        }
    }

    /// Starts or stops the supervision of every link, after anything changed that may silence one.
    pub(super) fn refresh_links(&mut self, out: &mut Outbox) {
        let ids: Vec<u32> = self.links.keys().copied().collect();
        for id in ids {
            let (silent, supervision) = (self.is_silent(id), self.shape(id).supervision);
            let now = self.now;
            let Some(link) = self.links.get_mut(&id) else { continue };
            if link.phone_gone && link.lock_gone {
                self.end_link(id);
            } else if silent && link.supervision.is_none() {
                link.supervision = Some(self.timers.set(now + supervision, Timer::Supervision(id)));
            } else if !silent {
                if let Some(timer) = link.supervision.take() {
                    self.timers.cancel(timer);
                    link.last_heard = now;
                }
                self.schedule(id);
                self.cut_if_due(id, out);
            }
        }
    }

    /// Both ends that don't know yet hear that the link is lost.
    pub(super) fn link_lost(&mut self, id: u32, out: &mut Outbox) {
        let Some((phone, lock)) = self.links.get(&id).map(|link| (link.phone, link.lock)) else { return };
        self.land(id, Micros::MAX, out);
        self.tell_closed(id, phone, Cause::LinkLost, out);
        self.tell_closed(id, lock, Cause::LinkLost, out);
    }

    /// Tells one end that the link is gone; the link itself is gone when both ends know.
    pub(super) fn tell_closed(&mut self, id: u32, end: PartId, cause: Cause, out: &mut Outbox) {
        let Some(link) = self.links.get(&id).filter(|link| link.ends_at(end)) else { return };
        if link.is_up() {
            out.push((end, FromBroker::Closed { link: id, cause }));
        } else if end == link.phone {
            let cause = if cause == Cause::LinkLost { Cause::ConnectFailed } else { cause };
            out.push((end, FromBroker::ConnectFailed { address: link.address.clone(), cause }));
        }
        self.forget_end(id, end);
        self.refresh_links(out);
    }

    /// One end of the link has gone without being told.
    pub(super) fn forget_end(&mut self, id: u32, end: PartId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.phone_gone |= link.phone == end;
            link.lock_gone |= link.lock == end || !link.is_up();
        }
    }

    /// Applies a cut to every link of a participant.
    pub(super) fn cut_links(&mut self, part: PartId, manner: Manner, out: &mut Outbox) {
        for id in self.links_of(part) {
            self.cut(id, manner, out);
        }
    }

    pub(super) fn links_of(&self, part: PartId) -> Vec<u32> {
        self.links.iter().filter(|(_, link)| link.ends_at(part)).map(|(id, _)| *id).collect()
    }

    pub(super) fn cut_if_due(&mut self, id: u32, out: &mut Outbox) {
        let Some(link) = self.links.get(&id).filter(|link| link.is_up() && !link.cut_silent) else { return };
        let due = [link.phone, link.lock].into_iter().find_map(|end| {
            let part = self.parts.get(&end)?;
            let cut = part.who.knobs.cut?;
            let applies = id > part.cut_after_link
                && link.moved[cut.direction.index()] >= cut.after
                && cut.links.is_none_or(|links| part.cuts_done < links);
            applies.then_some((end, cut.manner))
        });
        if let Some((end, manner)) = due {
            if let Some(part) = self.parts.get_mut(&end) {
                part.cuts_done += 1;
            }
            self.cut(id, manner, out);
        }
    }

    fn cut(&mut self, id: u32, manner: Manner, out: &mut Outbox) {
        match manner {
            Manner::Drop => self.link_lost(id, out),
            Manner::Silent => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.cut_silent = true;
                }
                self.refresh_links(out);
            }
        }
    }

    fn end_link(&mut self, id: u32) {
        let Some(mut link) = self.links.remove(&id) else { return };
        for timer in [link.event, link.arrival, link.supervision].into_iter().flatten() {
            self.timers.cancel(timer);
        }
        if let Some(since) = link.busy_since {
            link.report.in_flight_us += self.now - since;
        }
        link.report.ended = true;
        if self.reports.len() == KEPT_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(link.report);
        self.refresh_advertising();
    }

    /// The link that `from` is an end of, and the direction `from` sends in.
    fn end_of(&mut self, from: PartId, id: u32) -> Option<(&mut Link, Direction)> {
        let link = self.links.get_mut(&id).filter(|link| link.is_up() && link.ends_at(from))?;
        let direction = if link.phone == from { Direction::ToLock } else { Direction::ToPhone };
        Some((link, direction))
    }

    pub(super) fn is_silent(&self, id: u32) -> bool {
        self.links.get(&id).is_none_or(|link| {
            link.cut_silent
                || link.phone_gone
                || link.lock_gone
                || !self.hears(link.phone, link.lock)
                || self.shape(id).loss >= 1.0
        })
    }

    pub(super) fn shape(&self, id: u32) -> Shape {
        let (a, b) =
            self.links.get(&id).map_or_else(Default::default, |link| (self.knobs(link.phone), self.knobs(link.lock)));
        Shape {
            interval: micros(a.connection_interval.max(b.connection_interval)),
            latency: micros(a.latency + b.latency),
            supervision: micros(a.supervision_timeout.min(b.supervision_timeout)),
            values: a.values_per_event.min(b.values_per_event),
            loss: joined_loss(&a, &b),
        }
    }
}
