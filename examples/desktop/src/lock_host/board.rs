//! The board: hands the reader what happens, and does what it says.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use getrandom::SysRng;
use keybutton::radio::air::{self, AdvertisingData, PeripheralEvent};
use keybutton_lock::{
    Action, Address, Boot, Event, Input, LinkId, Maintenance, Memory, Reader, Uptime,
    clock::RetainedClock,
    env::{BoltCommand, BoltEvent, DoorEvent, Env},
    feedback::{Feedback, Light, Signal, Step},
};
use keybutton_protocol::{
    crypto::rustcrypto::{RustCrypto, RustSigner},
    ids::UnixTime,
    verdict::ClockState,
};
use tokio::sync::{broadcast, mpsc, watch};

use super::{
    Command, FileStore, LockEvent, LockFolder, LockOptions, LockView,
    hardware::{Hardware, Sensed, Sensors},
    radio::LockRadio,
};
use crate::failure::Failure;

type Crypto = RustCrypto<SysRng>;

/// Where a lock's board is seen and commanded from.
pub(super) struct Outlets {
    pub(super) view: watch::Sender<LockView>,
    pub(super) events: broadcast::Sender<LockEvent>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
}

/// The lock with everything around it.
pub(super) struct Board {
    reader: Reader<Box<Memory<Crypto>>, Crypto, RustSigner, FileStore>,
    radio: LockRadio,
    hardware: Box<dyn Hardware>,
    sensors: Sensors,
    outlets: Outlets,
    started: Instant,
    links: HashMap<LinkId, air::LinkId>,
    last_link: u16,
    withdrawn: bool,
    playing: Option<(Feedback, Uptime)>,
    /// The hardware is gone: the lock ends with this.
    broken: Option<Failure>,
}

/// An action of the reader, kept until the reader is done with its turn.
enum Todo {
    Advertise(AdvertisingData),
    Notify(LinkId, Vec<u8>),
    Close(LinkId),
    Bolt(BoltCommand),
    Feedback(Feedback),
    Event(Event),
}

/// What woke the board.
enum Wake {
    Radio(PeripheralEvent),
    Sensed(Sensed),
    Command(Option<Command>),
    Time,
}

impl Board {
    /// Powers the lock up. It moves nothing and advertises only once it runs.
    pub(super) fn start(
        options: &LockOptions,
        (hardware, sensors): (Box<dyn Hardware>, Sensors),
        radio: LockRadio,
        outlets: Outlets,
    ) -> Result<Self, Failure> {
        let folder = LockFolder::new(options.folder.clone());
        let env =
            Env { crypto: RustCrypto::new(SysRng), signer: folder.signer()?, store: FileStore::open(&folder.store())? };
        let (config, retained_clock) = match folder.config()? {
            Some((config, now)) => {
                let now = UnixTime(now.0.saturating_add(options.clock_ahead_s));
                let clock = RetainedClock { now, state: ClockState::Confirmed };
                (Some(config), (!options.clock_lost).then_some(clock))
            }
            None => (None, None),
        };
        let boot = Boot { uptime: Uptime(0), retained_clock };
        let reader = Reader::new(Box::new(Memory::new()), env, config, boot).map_err(|error| {
            Failure::new(
                "lock-store-failed",
                format_args!("{}: {error}", folder.store().display()),
                "Restore the file from a backup, or remove the lock's folder and claim the lock again.",
            )
        })?;
        Ok(Self {
            reader,
            radio,
            hardware,
            sensors,
            outlets,
            started: Instant::now(),
            links: HashMap::new(),
            last_link: 0,
            withdrawn: false,
            playing: None,
            broken: None,
        })
    }

    /// Runs the lock until nobody can command it any more, or its radio or its hardware is gone.
    pub(super) async fn run(mut self, mut ready: impl FnMut()) -> Result<(), Failure> {
        self.feed(Input::Deadline);
        ready();
        loop {
            let wake = self.wake().await;
            // The bolt has been where it went for however long this thread was kept waiting: that comes before what the
            // reader makes of the time that has passed.
            self.bolt_arrives();
            match wake {
                Wake::Radio(PeripheralEvent::Down) => return Err(self.radio.lost()),
                Wake::Radio(event) => self.radio(event),
                Wake::Sensed(sensed) => self.sensed(sensed),
                Wake::Command(Some(command)) => self.command(command),
                Wake::Command(None) => {
                    self.radio.stop().await;
                    return Ok(());
                }
                Wake::Time => self.time(),
            }
            if let Some(failure) = self.broken.take() {
                self.radio.stop().await;
                return Err(failure);
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let next = self.next_time();
        tokio::select! {
            biased;
            event = self.radio.next_event() => Wake::Radio(event),
            sensed = self.sensors.next() => Wake::Sensed(sensed),
            command = self.outlets.commands.recv() => Wake::Command(command),
            () = sleep_until(next.map(|at| self.started + Duration::from_millis(at.0))) => Wake::Time,
        }
    }

    fn next_time(&self) -> Option<Uptime> {
        let now = self.now();
        let signal = self.playing.and_then(|(feedback, start)| feedback.at(start, now)).map(|(_, until)| until);
        let ended = self.playing.is_some() && signal.is_none();
        [self.reader.next_deadline(), self.hardware.bolt_due(), signal, ended.then_some(now)]
            .into_iter()
            .flatten()
            .min()
    }

    fn time(&mut self) {
        let now = self.now();
        if self.reader.next_deadline().is_some_and(|at| at <= now) {
            self.feed(Input::Deadline);
        }
        self.show();
    }

    fn radio(&mut self, event: PeripheralEvent) {
        match event {
            PeripheralEvent::Connected { link, peer, mtu } => {
                self.last_link = self.last_link.wrapping_add(1);
                let id = LinkId(self.last_link);
                self.links.insert(id, link);
                self.count_links();
                self.emit(LockEvent::Connected);
                self.feed(Input::Connected { link: id, address: Address(peer), mtu });
            }
            PeripheralEvent::Value { link, value } => {
                if let Some(id) = self.own_link(link) {
                    self.feed(Input::Received { link: id, value: &value });
                }
            }
            PeripheralEvent::Closed { link } => {
                if let Some(id) = self.own_link(link) {
                    self.links.remove(&id);
                    self.count_links();
                    self.emit(LockEvent::Disconnected);
                    self.feed(Input::Disconnected { link: id });
                }
            }
            PeripheralEvent::Radio(_) | PeripheralEvent::Down => {}
        }
    }

    fn own_link(&self, link: air::LinkId) -> Option<LinkId> {
        self.links.iter().find(|(_, other)| **other == link).map(|(id, _)| *id)
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Privacy(on) => self.feed(Input::Privacy { on }),
            Command::Lockdown(lockdown) => self.feed(Input::Maintenance(Maintenance::Lockdown(lockdown))),
            Command::Jam(jammed) => self.hardware.jam(jammed),
            Command::Door(open) => self.door(open),
        }
    }

    fn sensed(&mut self, sensed: Sensed) {
        match sensed {
            Sensed::BoltInPlace(in_place) => match self.hardware.bolt_sensed(in_place) {
                Some(event) => self.bolt_rests(event),
                None => self.bolt_arrives(),
            },
            Sensed::DoorClosed(closed) => self.door(!closed),
            Sensed::Privacy(on) => self.feed(Input::Privacy { on }),
            Sensed::Lost(failure) => self.broken = Some(failure),
        }
    }

    fn door(&mut self, open: bool) {
        self.feed(Input::Door(if open { DoorEvent::Opened } else { DoorEvent::Closed }));
    }

    /// One turn of the reader, then what it said.
    fn feed(&mut self, input: Input<'_>) {
        let begun = Instant::now();
        let now = self.now();
        let mut todo = Vec::new();
        self.reader.handle(now, input, &mut |action: Action<'_>| match action {
            Action::Advertise(advertising) => todo.push(Todo::Advertise(AdvertisingData {
                address: advertising.address.0,
                advertisement: advertising.advertisement.to_vec(),
                scan_response: advertising.scan_response.to_vec(),
            })),
            Action::Notify { link, value } => todo.push(Todo::Notify(link, value.to_vec())),
            Action::Close { link } => todo.push(Todo::Close(link)),
            Action::Bolt(command) => todo.push(Todo::Bolt(command)),
            Action::Feedback(feedback) => todo.push(Todo::Feedback(feedback)),
            Action::Event(event) => todo.push(Todo::Event(event)),
            // The board sleeps until `next_deadline`, and it has no NFC.
            Action::Deadline(_) | Action::Transmit { .. } | Action::NfcRelease => {}
        });
        let took = begun.elapsed();
        self.outlets.view.send_modify(|view| view.busy += took);
        for action in todo {
            self.carry_out(action, now);
        }
    }

    fn carry_out(&mut self, action: Todo, now: Uptime) {
        match action {
            Todo::Advertise(data) => self.radio.advertise(Some(data)),
            Todo::Notify(link, value) => {
                if let Some(link) = self.links.get(&link) {
                    self.radio.notify(*link, value);
                }
            }
            Todo::Close(link) => {
                if let Some(link) = self.links.remove(&link) {
                    self.count_links();
                    self.radio.close(link);
                }
            }
            Todo::Bolt(command) => self.move_bolt(command, now),
            Todo::Feedback(feedback) => {
                self.playing = Some((feedback, self.now()));
                if answers_a_phone(feedback.signal) {
                    self.outlets.view.send_modify(|view| {
                        view.answer = Some(feedback);
                        view.answers += 1;
                    });
                }
                self.emit(LockEvent::Signal(feedback));
                self.show();
            }
            Todo::Event(event) => {
                self.outlets.view.send_if_modified(|view| count(view, event));
                self.emit(LockEvent::Happened(event));
            }
        }
    }

    /// Starts at the time the reader was told, so that a slow turn of it does not put the bolt behind its deadlines.
    fn move_bolt(&mut self, command: BoltCommand, now: Uptime) {
        match self.hardware.move_bolt(command, now) {
            Ok(()) => self.outlets.view.send_modify(|view| view.moving = true),
            Err(failure) => {
                self.broken = Some(failure);
                self.bolt_rests(BoltEvent::MotorFault);
            }
        }
    }

    fn bolt_arrives(&mut self) {
        if let Some(event) = self.hardware.bolt_rests(self.now()) {
            self.bolt_rests(event);
        }
    }

    fn bolt_rests(&mut self, event: BoltEvent) {
        let withdrawn = match event {
            BoltEvent::Withdrawn => true,
            BoltEvent::Secured => false,
            BoltEvent::Jammed | BoltEvent::MotorFault => self.withdrawn,
        };
        let opened = withdrawn && !self.withdrawn;
        self.withdrawn = withdrawn;
        self.outlets.view.send_modify(|view| {
            view.moving = false;
            view.withdrawn = withdrawn;
            view.openings += u32::from(opened);
        });
        self.emit(LockEvent::Bolt(event));
        self.feed(Input::Bolt(event));
    }

    /// Brings light and buzzer to where the signal that plays has them.
    fn show(&mut self) {
        let step = self.playing.and_then(|(feedback, start)| feedback.at(start, self.now())).map(|(step, _)| step);
        if step.is_none() {
            self.playing = None;
        }
        let Step { light, tone_hz, .. } = step.unwrap_or(Step { light: Light::Off, tone_hz: 0, duration_ms: 0 });
        self.outlets.view.send_if_modified(|view| {
            let changed = (view.light, view.tone_hz) != (light, tone_hz);
            (view.light, view.tone_hz) = (light, tone_hz);
            changed
        });
        if let Err(failure) = self.hardware.show(light, tone_hz) {
            self.broken = Some(failure);
        }
    }

    fn count_links(&self) {
        let links = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        self.outlets.view.send_modify(|view| view.links = links);
    }

    fn emit(&self, event: LockEvent) {
        // Nobody may be listening.
        let _ = self.outlets.events.send(event);
    }

    fn now(&self) -> Uptime {
        Uptime(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Counts what one sees of a lock from outside; tells whether this is of it.
fn count(view: &mut LockView, event: Event) -> bool {
    match event {
        Event::Verdict { .. } => view.verdicts += 1,
        Event::RevocationApplied => view.revocations += 1,
        Event::AuditHandedOver { number } => view.audit_handed_over = number,
        Event::AuditAcknowledged { number } => view.audit_acknowledged = number,
        Event::Failed { .. } | Event::Time { .. } | Event::StoreFailed => return false,
    }
    true
}

fn answers_a_phone(signal: Signal) -> bool {
    match signal {
        Signal::Granted | Signal::Refused | Signal::Acknowledged | Signal::Fault => true,
        Signal::Secured | Signal::Alarm => false,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
