//! Connection events: the set-up goes on, values move, some packets are lost.

use keybutton_protocol::api::Bytes;

use super::{
    Medium, Micros, Outbox, PartId, Timer,
    link::{Queued, Shape},
};
use crate::radio::air::{
    knobs::Direction,
    wire::{Cause, FromBroker},
};

impl Medium {
    /// One connection event: the set-up goes on, or values move.
    pub(super) fn link_event(&mut self, id: u32, out: &mut Outbox) {
        let shape = self.shape(id);
        let silent = self.is_silent(id);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.event = None;
        if silent {
            return;
        }
        let heard = if link.is_up() { self.move_values(id, &shape, out) } else { self.set_up(id, &shape, out) };
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        if heard {
            link.last_heard = now;
        } else if now - link.last_heard >= shape.supervision {
            self.link_lost(id, out);
            return;
        }
        self.schedule(id);
    }

    fn set_up(&mut self, id: u32, shape: &Shape, out: &mut Outbox) -> bool {
        let lost = self.chance(shape.loss);
        let now = self.now;
        let Some(link) = self.links.get_mut(&id).filter(|_| !lost) else { return false };
        link.setup -= 1;
        if link.is_up() {
            link.report.setup_us = now - link.since;
            let (phone, lock, mtu) = (link.phone, link.lock, link.mtu);
            let (lock_address, phone_address) = (link.address.clone(), phone_address(phone));
            out.push((phone, FromBroker::Connected { link: id, address: lock_address, mtu }));
            out.push((lock, FromBroker::Connected { link: id, address: phone_address, mtu }));
            self.cut_if_due(id, out);
        }
        true
    }

    fn move_values(&mut self, id: u32, shape: &Shape, out: &mut Outbox) -> bool {
        let mut heard = false;
        for direction in Direction::BOTH {
            for _ in 0..shape.values {
                if self.links.get(&id).is_none_or(|link| link.queues[direction.index()].is_empty() || link.cut_silent) {
                    break;
                }
                if self.chance(shape.loss) {
                    break;
                }
                heard = true;
                self.move_one(id, direction, shape.latency, out);
            }
        }
        heard
    }

    fn move_one(&mut self, id: u32, direction: Direction, latency: Micros, out: &mut Outbox) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.queues[direction.index()].pop_front() {
            None => {}
            Some(Queued::Close) => {
                let closer = if direction == Direction::ToLock { link.phone } else { link.lock };
                let other = link.end(direction);
                self.land(id, Micros::MAX, out);
                self.tell_closed(id, closer, Cause::Closed, out);
                self.tell_closed(id, other, Cause::LinkLost, out);
            }
            Some(Queued::Value(value)) => {
                link.moved[direction.index()] += 1;
                let earliest = link.flying.back().map_or(0, |(at, ..)| *at);
                let at = (now + latency).max(earliest);
                link.flying.push_back((at, direction, value));
                self.land(id, now, out);
                self.cut_if_due(id, out);
            }
        }
    }

    /// Values delayed by latency arrive.
    pub(super) fn arrive(&mut self, id: u32, out: &mut Outbox) {
        if let Some(link) = self.links.get_mut(&id) {
            link.arrival = None;
        }
        self.land(id, self.now, out);
    }

    /// Delivers what has flown until `until`, and sets the timer for the rest.
    pub(super) fn land(&mut self, id: u32, until: Micros, out: &mut Outbox) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        while let Some((_, direction, value)) = link.flying.pop_front_if(|(at, ..)| *at <= until) {
            let len = value.len() as u64;
            match direction {
                Direction::ToLock => {
                    link.report.values_to_lock += 1;
                    link.report.bytes_to_lock += len;
                    link.report.round_trips += u32::from(link.last == Some(Direction::ToPhone));
                }
                Direction::ToPhone => {
                    link.report.values_to_phone += 1;
                    link.report.bytes_to_phone += len;
                }
            }
            link.last = Some(direction);
            let gone = if direction == Direction::ToLock { link.lock_gone } else { link.phone_gone };
            if !gone {
                out.push((link.end(direction), FromBroker::Value { link: id, value: Bytes(value) }));
            }
        }
        if let Some((at, ..)) = link.flying.front()
            && link.arrival.is_none()
        {
            link.arrival = Some(self.timers.set(*at, Timer::Arrive(id)));
        }
        if link.idle()
            && let Some(since) = link.busy_since.take()
        {
            link.report.in_flight_us += now - since;
        }
    }

    /// Sets the link's next connection event when there is something to do at it.
    pub(super) fn schedule(&mut self, id: u32) {
        let interval = self.shape(id).interval;
        let silent = self.is_silent(id);
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        let work = !link.is_up() || link.queues.iter().any(|queue| !queue.is_empty());
        if work && !silent && link.event.is_none() {
            let at = now + interval - (now - link.anchor) % interval;
            link.event = Some(self.timers.set(at, Timer::LinkEvent(id)));
        }
    }
}

/// A phone's random address: the same for as long as it stays on the air.
fn phone_address(phone: PartId) -> String {
    let [a, b, c, d] = phone.0.to_be_bytes();
    format!("4b:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}
