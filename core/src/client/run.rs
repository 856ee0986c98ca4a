//! Runs one press: feeds the unlock machine what happens, and does what it says.

mod actions;
mod reader;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use keybutton_protocol::{
    api::{Bytes, ReportPress},
    crypto::ring::Ring,
    ids::{PublicKey, UnlockId},
};
use tokio::sync::mpsc;

use super::{
    config::Platform,
    hub::{Ear, LinkEvent, LinkId, RadioEvent},
    inner::{Inner, Ticket},
    listeners::{News, Teller},
    presses::Current,
    state::{Entry, State},
    tap::{Question, Reader},
};
use crate::{
    discovery::Discovery,
    error::ErrorCode,
    keyring::Keyring,
    outcome::{Cause, Outcome, PressMetrics, PressOutcome},
    pending::{Pending, guarded},
    press::{Command, PressOptions},
    radio::RadioState,
    unlock::{Env, Input, Machine, Moment, Now, UnlockOptions},
};

/// How long a new press waits for the link of the one before to be given up.
const FORMER_LINK: Duration = Duration::from_secs(1);

/// When a scan that the system throttles is asked for again.
pub(super) const SCAN_AGAIN: Duration = Duration::from_secs(1);

/// A machine that has not ended this long after its deadline is ended from outside: a press always ends.
const GRACE: Duration = Duration::from_millis(500);

/// Stands for the device key until the device is enrolled; no key is installed and nothing is signed before.
const NOT_ENROLLED: PublicKey = PublicKey([0; 65]);

/// What is to be run.
pub(super) struct Course {
    pub(super) id: UnlockId,
    pub(super) options: PressOptions,
    /// When the press began; for a repeat, when the first try began.
    pub(super) begun: Moment,
    pub(super) repeats: bool,
    /// For a press that a reader began, which goes by tap alone: whether the reader is still there.
    pub(super) at_reader: Option<Arc<AtomicBool>>,
}

/// Whom to tell about the ends of a press.
pub(super) struct Ends {
    /// The outcome is there.
    pub(super) outcome: Pending<PressOutcome>,
    /// The radio is free.
    pub(super) over: Pending<()>,
    /// Nothing goes on any more.
    pub(super) settled: Pending<()>,
}

pub(super) struct Runner {
    inner: Arc<Inner>,
    ticket: Ticket,
    course: Course,
    machine: Machine<Ring>,
    crypto: Ring,
    ear: Ear,
    orders: mpsc::UnboundedReceiver<Command>,
    answers: (mpsc::UnboundedSender<Input>, mpsc::UnboundedReceiver<Input>),
    teller: Teller,
    ends: Ends,
    /// What the machine sees instead of the next member's keys after a sign-out.
    nobody: (Keyring, Discovery),
    radio: RadioState,
    /// The link that the radio has not reported the end of.
    link: Option<LinkId>,
    /// The reader that the phone is held to.
    reader: Option<Arc<Reader>>,
    /// The reader's command that waits for its answer.
    question: Option<Question>,
    started: Now,
    scan_again: Option<Instant>,
    asked: bool,
    finished: bool,
    done: bool,
}

impl Runner {
    pub(super) fn new(
        inner: Arc<Inner>,
        ticket: Ticket,
        course: Course,
        orders: mpsc::UnboundedReceiver<Command>,
        teller: Teller,
        ends: Ends,
    ) -> Self {
        let options = unlock_options(&course, &inner.platform, Duration::ZERO);
        Self {
            machine: Machine::new(course.id, options),
            crypto: Ring::new(),
            ear: inner.hub.listen(),
            orders,
            answers: mpsc::unbounded_channel(),
            teller,
            ends,
            nobody: (Keyring::new(), Discovery::new()),
            radio: RadioState::Absent,
            link: None,
            reader: None,
            question: None,
            started: inner.now(),
            scan_again: None,
            asked: course.repeats,
            finished: false,
            done: false,
            inner,
            ticket,
            course,
        }
    }

    pub(super) async fn run(mut self, former: Option<Current>) {
        let last = tokio::time::Instant::now() + self.course.options.deadline + GRACE;
        let lingering = self.make_way(former).await;
        self.feed(Input::Begin);
        let inner = self.inner.clone();
        let signed_out = inner.signed_out(self.ticket.generation);
        tokio::pin!(signed_out);
        let mut leaving = false;
        while !self.done {
            let timer = self.next_timer();
            let finished = self.finished;
            tokio::select! {
                biased;
                Some(command) = self.orders.recv() => self.obey(command),
                () = &mut signed_out, if !leaving => {
                    leaving = true;
                    self.feed(Input::Cancel);
                }
                Some(answer) = self.answers.1.recv() => self.answered(answer),
                event = self.ear.next() => self.heard(event),
                () = sleep(timer) => self.timer(),
                () = tokio::time::sleep_until(last), if !finished => {
                    self.inner.log.error("press", format_args!("the press did not end by itself"));
                    return;
                }
            }
        }
        self.stop_answering();
        // The next press may want the same lock, and no radio connects where it is still disconnecting.
        let _ = tokio::time::timeout(FORMER_LINK, self.link_gone()).await;
        if let Some(former) = lingering {
            let _ = tokio::time::timeout(FORMER_LINK, former.over.done()).await;
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Cancel => self.feed(Input::Cancel),
            Command::Choose(door) => self.feed(Input::Choose(door)),
            Command::Reader(question) => self.asked_by_reader(question),
            Command::FieldLost(reader) => self.field_lost(&reader),
        }
    }

    async fn link_gone(&mut self) {
        while self.link.is_some() {
            if let RadioEvent::Link(LinkEvent::Disconnected(ended, ..)) = self.ear.next().await {
                self.link.take_if(|link| *link == ended);
            }
        }
    }

    /// Has a press that only lingers give the radio up. The time this takes counts against the deadline. A press by tap
    /// does not wait for the radio; it gives back the former press, for those who come after it to wait for.
    async fn make_way(&mut self, former: Option<Current>) -> Option<Current> {
        let mut lingering = None;
        if let Some(former) = former.filter(|former| former.over.get().is_none()) {
            // It may have ended meanwhile.
            let _ = former.commands.send(Command::Cancel);
            if self.course.at_reader.is_some() {
                lingering = Some(former);
            } else {
                self.wait_for(former).await;
            }
        }
        self.radio = self.inner.hub.radio().state();
        lingering
    }

    async fn wait_for(&mut self, former: Current) {
        // A radio that does not report the end of the link gets a second and no more.
        let _ = tokio::time::timeout(FORMER_LINK, former.over.done()).await;
        let waited = Duration::from_micros(self.inner.now().moment.since(self.started.moment));
        let options = unlock_options(&self.course, &self.inner.platform, waited);
        self.machine = Machine::new(self.course.id, options);
        // What was heard until now was about the former link.
        self.ear = self.inner.hub.listen();
    }

    fn next_timer(&self) -> Option<Instant> {
        let now = self.inner.now().moment;
        let timer = self.machine.next_timer().map(|at| Instant::now() + Duration::from_micros(at.since(now)));
        timer.into_iter().chain(self.scan_again).min()
    }

    fn timer(&mut self) {
        if self.scan_again.is_some_and(|at| at <= Instant::now()) {
            self.start_scan();
        }
        self.feed(Input::Timer);
    }

    fn answered(&mut self, answer: Input) {
        let keys = matches!(answer, Input::Keys(Ok(_)));
        self.feed(answer);
        if keys && let Ok(mut state) = self.inner.state_of(&self.ticket) {
            state.keyring_changed();
        }
    }

    fn heard(&mut self, event: RadioEvent) {
        let input = match event {
            RadioEvent::Heard(advertisement) => Input::Heard(advertisement),
            RadioEvent::Link(LinkEvent::State(state)) => {
                self.radio = state;
                Input::RadioState(state)
            }
            // The machine knows a link by its peripheral: news of an earlier one would pass for this one's.
            RadioEvent::Link(
                LinkEvent::Connected(link, ..) | LinkEvent::Value(link, ..) | LinkEvent::Disconnected(link, ..),
            ) if self.link != Some(link) => {
                self.inner.log.debug("press", format_args!("late news of an earlier link"));
                return;
            }
            RadioEvent::Link(LinkEvent::Connected(_, peripheral, mtu)) => Input::Connected(peripheral, mtu),
            RadioEvent::Link(LinkEvent::Value(_, peripheral, value)) => Input::Value(peripheral, value),
            RadioEvent::Link(LinkEvent::Disconnected(_, peripheral, cause)) => {
                self.link = None;
                Input::Disconnected(peripheral, cause)
            }
        };
        self.feed(input);
    }

    /// One step: one input in, its actions done.
    fn feed(&mut self, input: Input) {
        self.inner.log.trace("press", format_args!("input {}", input_name(&input)));
        let now = self.inner.now();
        let actions = {
            let mut state = self.inner.state_of(&self.ticket).ok();
            let key = state.as_ref().and_then(|state| state.member.as_ref()?.enrolled()?.public_key());
            let key = key.unwrap_or(NOT_ENROLLED);
            let (keyring, discovery) = match state.as_deref_mut() {
                Some(State { keyring, discovery, .. }) => (keyring, discovery),
                None => (&mut self.nobody.0, &mut self.nobody.1),
            };
            let radio = Some(self.radio);
            let crypto = &mut self.crypto;
            self.machine.step(input, Env { now, keyring, discovery, crypto, device_key: &key, radio })
        };
        for action in actions {
            self.perform(action);
        }
    }

    fn finish(&mut self, outcome: PressOutcome) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let code = outcome.outcome.code().map_or("granted", ErrorCode::as_str);
        let took_ms = outcome.metrics.total_us / 1000;
        self.inner.log.info("press", format_args!("{}: {code} after {took_ms} ms", outcome.outcome.name()));
        self.note(&outcome);
        self.ends.outcome.settle(outcome.clone());
        self.teller.tell(News::Outcome(Box::new(outcome)));
    }

    /// Keeps the phone's account of the press for the service and for the support file.
    fn note(&self, outcome: &PressOutcome) {
        let Ok(mut state) = self.inner.state_of(&self.ticket) else { return };
        state.remember(self.started.wall, outcome.clone());
        let Some(device) = state.member.as_ref().and_then(|member| member.enrolled()) else { return };
        let report = ReportPress {
            press: Bytes::from(outcome.press.as_bytes()),
            device: device.id.clone(),
            door: outcome.door.clone(),
            outcome: outcome.outcome.name().to_owned(),
            code: outcome.outcome.code().map(|code| code.as_str().to_owned()),
            started: self.started.wall.0,
            took_ms: u32::try_from(outcome.metrics.total_us / 1000).unwrap_or(u32::MAX),
        };
        state.push_report(report);
    }

    /// Ends a press that will not end by itself: the core is going away, or the machine is at fault.
    fn end(&mut self) {
        if !self.done {
            guarded(|| self.feed(Input::Cancel));
        }
        if !self.finished {
            let outcome = if self.asked {
                Outcome::Unconfirmed(Cause::Cancelled)
            } else {
                Outcome::refused(ErrorCode::Internal.into())
            };
            let metrics = PressMetrics {
                total_us: self.inner.now().moment.since(self.started.moment),
                ..PressMetrics::default()
            };
            let door = self.course.options.door.clone();
            self.finish(PressOutcome { press: self.course.id, door, route: None, outcome, metrics });
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.end();
        self.ends.over.settle(());
        let (inner, ticket) = (self.inner.clone(), self.ticket.clone());
        let settled = Settled(self.ends.settled.clone());
        // Without threads the core is going away, and what waits goes with its next start.
        let _ = self.inner.spawn(async move {
            inner.after_press(&ticket).await;
            drop(settled);
        });
    }
}

/// Tells that a press has settled, also when its last task is dropped.
struct Settled(Pending<()>);

impl Drop for Settled {
    fn drop(&mut self) {
        self.0.settle(());
    }
}

impl Inner {
    /// Writes down what the press left, and hands it in if the service can be reached.
    async fn after_press(self: &Arc<Self>, ticket: &Ticket) {
        // Logged where it failed; the report is still in memory.
        let _ = self.save(Entry::Outbox, ticket.generation);
        if self.renew(ticket, false).await.is_ok() {
            self.deliver(ticket).await;
        }
    }
}

/// Inputs hold keys and identifiers: the log gets their names.
const fn input_name(input: &Input) -> &'static str {
    match input {
        Input::Begin => "begin",
        Input::Cancel => "cancel",
        Input::Choose(_) => "choose",
        Input::Rights(_) => "rights",
        Input::Keys(_) => "keys",
        Input::Heard(_) => "heard",
        Input::RadioState(_) => "radio-state",
        Input::Connected(..) => "connected",
        Input::Value(..) => "value",
        Input::Disconnected(..) => "disconnected",
        Input::Signed(..) => "signed",
        Input::UserAuthenticated(_) => "user-authenticated",
        Input::Apdu(_) => "apdu",
        Input::Vendor(_) => "vendor",
        Input::FieldLost => "field-lost",
        Input::Timer => "timer",
    }
}

fn unlock_options(course: &Course, platform: &Platform, waited: Duration) -> UnlockOptions {
    let PressOptions { door, intent, deadline, user_authenticated } = course.options.clone();
    let left = deadline.saturating_sub(waited);
    UnlockOptions {
        door,
        intent,
        deadline_us: u64::try_from(left.as_micros()).unwrap_or(u64::MAX),
        user_authenticated,
        tap: platform.nfc,
        vendor: platform.vendor.is_some(),
        radio: course.at_reader.is_none(),
        repeats: course.repeats,
    }
}

/// Sleeps until then, or for ever.
async fn sleep(until: Option<Instant>) {
    match until {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
