//! The reader: input in, actions out.

mod action;
mod advertise;
mod core;
mod decide;
mod documents;
mod door;
mod fast_phase;
mod input;
mod link;
mod memory;
mod nfc;
mod revoke;
mod session;
mod start;
mod sync;

use keybutton_protocol::{
    advert::AdvertFlags,
    audit::RecordType,
    crypto::{Crypto, Signer},
    reader::Prepared,
};

pub use self::{
    action::{Action, Actions, Advertising, Event, Failure, Path},
    input::{Address, Input, LinkId, Lockdown, Maintenance},
    link::{LINK, PHASE, REASSEMBLY},
    memory::{Memory, Parts, Place, Tables},
    start::Boot,
};
use self::{
    core::{Context, Core, Mode},
    memory::WORK,
};
use crate::{
    audit::Entry,
    clock::{RetainedClock, TimeSource},
    config::LockConfig,
    env::Env,
    feedback::Signal,
    store::Store,
    uptime::{Uptime, earliest},
};

/// The battery charge of a lock on mains, or without a gauge.
pub const BATTERY_UNKNOWN: u8 = 0xFF;

/// The lock.
///
/// `M` places the [`Memory`]: `&mut Memory<C>`, or a box of it. `C`, `S` and `T` are the board's crypto back end, signing
/// key and store.
pub struct Reader<M, C: Crypto, S, T> {
    memory: M,
    env: Env<C, S, T>,
    config: Option<LockConfig>,
    core: Core,
    prepared: Option<Prepared<C>>,
    deadline: Option<Uptime>,
}

impl<M: Place<C>, C: Crypto, S: Signer, T: Store> Reader<M, C, S, T> {
    /// Takes in what happened at `now` and hands out what to do about it.
    pub fn handle(&mut self, now: Uptime, input: Input<'_>, actions: &mut impl Actions) {
        match &self.config {
            Some(_) => self.serve(now, input, actions),
            None => serve_setup(input, actions),
        }
        self.advertise(now, actions);
        let deadline = self.compute_deadline();
        if deadline != self.deadline {
            self.deadline = deadline;
            actions.push(Action::Deadline(deadline));
        }
    }

    /// When [`Input::Deadline`] is due; the same that the last [`Action::Deadline`] said.
    pub fn next_deadline(&self) -> Option<Uptime> {
        self.deadline
    }

    /// Makes the next transaction's ephemeral key ahead of time; to be called while idle. The next phone waits less.
    pub fn prepare(&mut self) {
        if self.prepared.is_none() {
            self.prepared = Prepared::new(&mut self.env.crypto).ok();
        }
    }

    /// The clock's reading, to be kept where a battery-backed real-time clock goes on counting; `None` while unknown.
    pub fn retained_clock(&self, now: Uptime) -> Option<RetainedClock> {
        let state = self.core.clock.state(now);
        self.core.clock.now(now).map(|time| RetainedClock { now: time, state })
    }

    /// The provisioning; `None` in setup mode.
    pub fn config(&self) -> Option<&LockConfig> {
        self.config.as_ref()
    }

    /// What the board supplied.
    pub fn env(&mut self) -> &mut Env<C, S, T> {
        &mut self.env
    }

    fn serve(&mut self, now: Uptime, input: Input<'_>, actions: &mut dyn Actions) {
        let Some((mut context, links)) = self.context(now, actions) else { return };
        let Links { links, nfc, work } = links;
        context.door_deadlines();
        links.iter_mut().for_each(|link| link.expire(&mut context));
        nfc.expire(&mut context);
        match input {
            Input::Deadline => {}
            Input::Connected { link, address, mtu } => match links.iter_mut().find(|link| !link.is_open()) {
                Some(free) => free.connect(link, address, mtu, now),
                None => context.act(Action::Close { link }),
            },
            Input::MtuChanged { link, mtu } => {
                links.iter_mut().filter(|open| open.is(link)).for_each(|open| open.set_mtu(mtu));
            }
            Input::Received { link, value } => {
                if let Some(open) = links.iter_mut().find(|open| open.is(link)) {
                    open.receive(&mut context, value, work);
                }
            }
            Input::Disconnected { link } => {
                links.iter_mut().filter(|open| open.is(link)).for_each(|open| open.lost(&mut context));
            }
            Input::NfcArrived => nfc.arrive(&mut context, work),
            Input::NfcResponse { apdu } => nfc.receive(&mut context, apdu, work),
            Input::NfcLost => nfc.lost(&mut context),
            Input::Bolt(event) => context.bolt_event(event),
            Input::Door(event) => context.door_event(event),
            Input::Battery { percent } => context.core.battery = percent,
            Input::Privacy { on } => context.set_mode(Mode { privacy: on, ..context.core.mode }),
            Input::Maintenance(maintenance) => context.maintain(maintenance),
        }
        context.persist_clock();
    }

    fn advertise(&mut self, now: Uptime, actions: &mut dyn Actions) {
        let (flags, linked) = match self.context(now, actions) {
            Some((context, Links { links, .. })) => {
                let busy = links.iter().all(link::Link::is_open);
                let flag = |on: bool, flag: AdvertFlags| if on { flag } else { AdvertFlags(0) };
                let flags = flag(busy, AdvertFlags::BUSY)
                    .with(flag(context.battery_low(), AdvertFlags::BATTERY_LOW))
                    .with(flag(context.wants_sync(), AdvertFlags::WANTS_SYNC));
                (flags, links.iter().any(link::Link::is_open))
            }
            None => (AdvertFlags(0), false),
        };
        let refreshed = self.core.beacon.refresh(&mut self.env.crypto, self.config.as_ref(), flags, linked, now);
        if let Ok(Some(advertising)) = refreshed {
            actions.push(Action::Advertise(advertising));
        }
    }

    fn compute_deadline(&mut self) -> Option<Uptime> {
        let parts = self.memory.parts();
        let linked = parts.links.iter().any(link::Link::is_open);
        let links = parts.links.iter().filter_map(link::Link::deadline).min();
        let others = earliest(parts.nfc.deadline(), self.core.door.deadline());
        earliest(earliest(links, others), self.core.beacon.deadline(linked))
    }

    /// Borrows everything a step may touch; `None` in setup mode.
    fn context<'a>(
        &'a mut self,
        now: Uptime,
        actions: &'a mut dyn Actions,
    ) -> Option<(Context<'a, C, S, T>, Links<'a, C>)> {
        let config = self.config.as_ref()?;
        let Parts { links, nfc, known, fast, uses, revocations, spare, scratch, work } = self.memory.parts();
        let context = Context {
            now,
            core: &mut self.core,
            config,
            env: &mut self.env,
            prepared: &mut self.prepared,
            known,
            fast,
            uses,
            revocations,
            spare,
            scratch,
            actions,
        };
        Some((context, Links { links, nfc, work }))
    }
}

struct Links<'a, C: Crypto> {
    links: &'a mut [link::Link<C>],
    nfc: &'a mut nfc::NfcLink<C>,
    work: &'a mut [u8; WORK],
}

/// A lock without a provisioning has nothing to say to a phone.
fn serve_setup(input: Input<'_>, actions: &mut dyn Actions) {
    match input {
        Input::Connected { link, .. } => actions.push(Action::Close { link }),
        Input::NfcArrived => actions.push(Action::NfcRelease),
        Input::Deadline
        | Input::MtuChanged { .. }
        | Input::Received { .. }
        | Input::Disconnected { .. }
        | Input::NfcResponse { .. }
        | Input::NfcLost
        | Input::Bolt(_)
        | Input::Door(_)
        | Input::Battery { .. }
        | Input::Privacy { .. }
        | Input::Maintenance(_) => {}
    }
}

impl<C: Crypto, S: Signer, T: Store> Context<'_, C, S, T> {
    fn maintain(&mut self, maintenance: Maintenance) {
        match maintenance {
            Maintenance::SetTime(time) => {
                let effect = self.core.clock.offer(time, TimeSource::Maintenance, self.now);
                // Also a bound that moves back is persisted.
                if self.write_bound(time).is_ok() {
                    self.after_time(effect, keybutton_protocol::ids::CredentialId([0; 16]));
                }
            }
            Maintenance::Lockdown(lockdown) => self.set_mode(Mode { lockdown, ..self.core.mode }),
        }
    }

    fn set_mode(&mut self, mode: Mode) {
        if mode == self.core.mode {
            return;
        }
        match self.write_mode(mode) {
            Ok(()) => {
                let entry = Entry { status: mode.lockdown as u8, ..self.entry(RecordType::Configuration) };
                let _ = self.append(&entry);
                self.signal(Signal::Acknowledged);
            }
            Err(_) => self.signal(Signal::Fault),
        }
    }
}
