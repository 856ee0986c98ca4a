//! Advertising, scanning, and the wish to connect that an advertising event fulfils.

use super::{Connecting, Medium, Micros, Outbox, Part, PartId, Timer};
use crate::radio::air::{
    control::Role,
    knobs::Knobs,
    wire::{Cause, FromBroker, Payload},
};

/// The weakest signal that is still heard, dBm.
const SENSITIVITY: f32 = -95.0;

/// Loss at one metre, dB, and per decade of distance.
const LOSS_AT_1_M: f32 = 41.0;
const LOSS_PER_DECADE: f32 = 22.0;

/// Bluetooth adds up to this much random delay to each advertising interval, microseconds.
const ADVERTISING_DELAY: u64 = 10_000;

impl Medium {
    pub(super) fn scan(&mut self, phone: PartId, on: bool) {
        if let Some(part) = self.parts.get_mut(&phone) {
            part.scanning = on;
        }
        self.refresh_advertising();
    }

    pub(super) fn connect(&mut self, phone: PartId, address: String, out: &mut Outbox) {
        let now = self.now;
        let Some(part) = self.parts.get_mut(&phone) else { return };
        if !part.radio {
            out.push((phone, FromBroker::ConnectFailed { address, cause: Cause::Unavailable }));
            return;
        }
        if !part.connecting.contains_key(&address) {
            let at = now + micros(part.who.knobs.connect_timeout);
            let timeout = self.timers.set(at, Timer::ConnectTimeout(phone, address.clone()));
            part.connecting.insert(address, Connecting { since: now, timeout });
        }
        self.refresh_advertising();
    }

    pub(super) fn give_up(&mut self, phone: PartId, address: &str, out: &mut Outbox) {
        if self.take_connecting(phone, address).is_some() {
            out.push((phone, FromBroker::ConnectFailed { address: address.to_owned(), cause: Cause::Closed }));
            self.refresh_advertising();
        } else {
            self.give_up_link(phone, address, out);
        }
    }

    pub(super) fn connect_timeout(&mut self, phone: PartId, address: &str, out: &mut Outbox) {
        if self.take_connecting(phone, address).is_none() {
            return;
        }
        let in_range = self.parts.iter().any(|(id, part)| {
            part.advertising.as_ref().is_some_and(|payload| payload.address == address) && self.hears(phone, *id)
        });
        let cause = if in_range { Cause::ConnectFailed } else { Cause::OutOfRange };
        out.push((phone, FromBroker::ConnectFailed { address: address.to_owned(), cause }));
        self.refresh_advertising();
    }

    pub(super) fn set_advertising(&mut self, lock: PartId, payload: Option<Payload>) {
        if let Some(part) = self.parts.get_mut(&lock) {
            part.advertising = payload;
        }
        self.refresh_advertising();
    }

    /// One advertising event: at most one phone connects, every other scanning phone may hear it.
    pub(super) fn advertise(&mut self, lock: PartId, out: &mut Outbox) {
        let Some((payload, knobs)) = self.parts.get_mut(&lock).and_then(|part| {
            part.advertising_timer = None;
            part.advertising.clone().map(|payload| (payload, part.who.knobs.clone()))
        }) else {
            return;
        };
        let mut free = self.links.values().filter(|link| link.occupies(lock)).count() < usize::from(knobs.max_links);
        let phones: Vec<PartId> = self.parts.iter().filter(|(_, p)| p.role == Role::Phone).map(|(id, _)| *id).collect();
        for phone in phones {
            if !self.hears(phone, lock) {
                continue;
            }
            let loss = joined_loss(&knobs, &self.knobs(phone));
            if self.chance(loss) {
                continue;
            }
            if free && let Some(wish) = self.take_connecting(phone, &payload.address) {
                free = false;
                self.open_link(phone, lock, payload.address.clone(), wish.since, out);
            } else if self.parts.get(&phone).is_some_and(|part| part.scanning) {
                let rssi = self.rssi(phone, lock) + f32::from(self.rng.i8(-2..=2));
                let mut payload = payload.clone();
                if self.chance(loss) {
                    payload.scan_response.0.clear();
                }
                #[expect(clippy::cast_possible_truncation, reason = "clamped to the type's range")]
                let rssi = rssi.clamp(-127.0, 20.0) as i8;
                out.push((phone, FromBroker::Heard { rssi, payload }));
            }
        }
        if self.somebody_listens(lock) {
            let next = self.now + micros(knobs.advertising_interval) + self.rng.u64(0..=ADVERTISING_DELAY);
            let timer = self.timers.set(next, Timer::Advertise(lock));
            if let Some(part) = self.parts.get_mut(&lock) {
                part.advertising_timer = Some(timer);
            }
        }
    }

    /// Sets or cancels every lock's advertising timer: it runs only while somebody can hear it, and begins at a
    /// random phase.
    pub(super) fn refresh_advertising(&mut self) {
        let locks: Vec<PartId> = self.parts.iter().filter(|(_, p)| p.role == Role::Lock).map(|(id, _)| *id).collect();
        for lock in locks {
            let wanted = self.somebody_listens(lock);
            let Some(part) = self.parts.get_mut(&lock) else { continue };
            match (wanted, part.advertising_timer) {
                (true, None) => {
                    let phase = self.rng.u64(0..micros(part.who.knobs.advertising_interval).max(1));
                    part.advertising_timer = Some(self.timers.set(self.now + phase, Timer::Advertise(lock)));
                }
                (false, Some(timer)) => {
                    self.timers.cancel(timer);
                    part.advertising_timer = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
    }

    /// The lock's signal reaches the phone and both radios are on.
    pub(super) fn hears(&self, phone: PartId, lock: PartId) -> bool {
        let on = |id| self.parts.get(&id).is_some_and(|part: &Part| part.radio);
        on(phone) && on(lock) && self.rssi(phone, lock) >= SENSITIVITY
    }

    /// Drops every wish to connect and returns the addresses.
    pub(super) fn abandon_connecting(&mut self, phone: PartId) -> Vec<String> {
        let Some(part) = self.parts.get_mut(&phone) else { return Vec::new() };
        let wishes = std::mem::take(&mut part.connecting);
        wishes
            .into_iter()
            .map(|(address, wish)| {
                self.timers.cancel(wish.timeout);
                address
            })
            .collect()
    }

    fn take_connecting(&mut self, phone: PartId, address: &str) -> Option<Connecting> {
        let wish = self.parts.get_mut(&phone)?.connecting.remove(address)?;
        self.timers.cancel(wish.timeout);
        Some(wish)
    }

    fn somebody_listens(&self, lock: PartId) -> bool {
        let Some(payload) = self.parts.get(&lock).filter(|part| part.radio).and_then(|part| part.advertising.as_ref())
        else {
            return false;
        };
        self.parts.iter().any(|(id, part)| {
            part.role == Role::Phone
                && (part.scanning || part.connecting.contains_key(&payload.address))
                && self.hears(*id, lock)
        })
    }

    fn rssi(&self, phone: PartId, lock: PartId) -> f32 {
        let (Some(phone), Some(lock)) = (self.parts.get(&phone), self.parts.get(&lock)) else { return f32::MIN };
        let metres = phone.who.position.distance(lock.who.position).max(0.1);
        f32::from(lock.who.knobs.tx_power) - LOSS_AT_1_M - LOSS_PER_DECADE * metres.log10()
    }
}

/// The loss of a way on which either end may lose a packet.
pub(super) fn joined_loss(a: &Knobs, b: &Knobs) -> f32 {
    1.0 - (1.0 - a.loss) * (1.0 - b.loss)
}

/// A duration in whole microseconds.
pub(super) fn micros(duration: std::time::Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX / 4)
}
