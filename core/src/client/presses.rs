//! Which press is going on, and which may be repeated.

use std::{
    collections::VecDeque,
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keybutton_protocol::ids::UnlockId;
use ring::rand::SystemRandom;
use tokio::sync::mpsc;

use super::{
    inner::Inner,
    listeners::teller,
    run::{Course, Ends, Runner},
};
use crate::{
    error::{ErrorCode, KeyError},
    outcome::{Outcome, PressMetrics, PressOutcome, Route},
    pending::Pending,
    press::{Command, Press, PressListener, PressOptions},
    unlock::Moment,
};

/// A lock remembers a verdict for 60 s (docs/PROTOCOL.md section 16). It can't have decided before the press began, so
/// within 60 s of that a repeat moves nothing a second time: it has to begin by here and end by [`REPEAT_END`].
const REPEAT_BEGIN: Duration = Duration::from_secs(45);
const REPEAT_END: Duration = Duration::from_secs(55);

/// How many presses are remembered for a repeat.
const RECENT_MAX: usize = 16;

#[derive(Default)]
pub(super) struct Presses {
    current: Option<Current>,
    recent: VecDeque<Recent>,
}

/// The press that has the radio: until its outcome, and then for as long as its lock has something to exchange.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    outcome: Pending<PressOutcome>,
    pub(super) over: Pending<()>,
    /// For a press that a reader began: the reader is still there.
    at_reader: Option<Arc<AtomicBool>>,
}

impl Current {
    /// Whether a press of the member has to wait for this one. Not when a reader began it and went away.
    fn is_in_the_way(&self) -> bool {
        let left = self.at_reader.as_ref().is_some_and(|there| !there.load(Ordering::Acquire));
        self.outcome.get().is_none() && !left
    }
}

struct Recent {
    id: UnlockId,
    options: PressOptions,
    begun: Moment,
    outcome: Pending<PressOutcome>,
}

impl Inner {
    pub(super) fn press(
        self: &Arc<Self>,
        options: PressOptions,
        listener: Arc<dyn PressListener>,
    ) -> Result<Arc<Press>, KeyError> {
        let course = self.fresh_course(new_id()?, options, None);
        Ok(self.begin(course, listener)?.0)
    }

    /// Where a reader's commands go: to the press that has no outcome yet.
    pub(super) fn running_press(&self) -> Option<mpsc::UnboundedSender<Command>> {
        let presses = self.presses();
        let running = presses.current.as_ref().filter(|current| current.outcome.get().is_none());
        running.map(|current| current.commands.clone())
    }

    /// Begins a press for a reader that came by itself. Where that can't be, tells how the press would have ended.
    pub(super) fn press_for_reader(
        self: &Arc<Self>,
        user_authenticated: bool,
        listener: Arc<dyn PressListener>,
    ) -> Result<mpsc::UnboundedSender<Command>, Box<PressOutcome>> {
        let begin = |id| {
            let options = PressOptions { user_authenticated, ..PressOptions::default() };
            let course = self.fresh_course(id, options, Some(Arc::new(AtomicBool::new(true))));
            Ok(self.begin(course, listener)?.1)
        };
        let id = new_id();
        id.and_then(begin).or_else(|error: KeyError| {
            self.log.info("tap", format_args!("no press for a reader: {}", error.code()));
            // A press of the member may have come in between.
            self.running_press().ok_or_else(|| {
                Box::new(PressOutcome {
                    press: id.unwrap_or(UnlockId([0; 16])),
                    door: None,
                    route: Some(Route::Tap),
                    outcome: Outcome::refused(error),
                    metrics: PressMetrics::default(),
                })
            })
        })
    }

    fn fresh_course(&self, id: UnlockId, options: PressOptions, at_reader: Option<Arc<AtomicBool>>) -> Course {
        Course { id, options, begun: self.now().moment, repeats: false, at_reader }
    }

    pub(super) fn retry(
        self: &Arc<Self>,
        press: UnlockId,
        listener: Arc<dyn PressListener>,
    ) -> Result<Arc<Press>, KeyError> {
        self.ticket()?;
        let now = self.now().moment;
        let course = {
            let presses = self.presses();
            let recent = presses.recent.iter().find(|recent| recent.id == press).ok_or(ErrorCode::InvalidRequest)?;
            let Some(ended) = recent.outcome.get() else { return Err(ErrorCode::PressInProgress.into()) };
            let age = Duration::from_micros(now.since(recent.begun));
            if !matches!(ended.outcome, Outcome::Unconfirmed(_)) || age >= REPEAT_BEGIN {
                return Err(ErrorCode::InvalidRequest.into());
            }
            // The lock that was asked is the one that has the verdict.
            let door = ended.door.or_else(|| recent.options.door.clone());
            let deadline = recent.options.deadline.min(REPEAT_END - age);
            let options = PressOptions { door, deadline, ..recent.options.clone() };
            Course { id: press, options, begun: recent.begun, repeats: true, at_reader: None }
        };
        Ok(self.begin(course, listener)?.0)
    }

    fn begin(
        self: &Arc<Self>,
        course: Course,
        listener: Arc<dyn PressListener>,
    ) -> Result<(Arc<Press>, mpsc::UnboundedSender<Command>), KeyError> {
        let ticket = self.ticket()?;
        if course.options.deadline.is_zero() || course.options.deadline > PressOptions::DEADLINE_MAX {
            return Err(ErrorCode::InvalidRequest.into());
        }
        let (commands, orders) = mpsc::unbounded_channel();
        let ends = Ends { outcome: Pending::new(), over: Pending::new(), settled: Pending::new() };
        let outcome = ends.outcome.clone();
        let former = {
            let mut presses = self.presses();
            if presses.current.as_ref().is_some_and(Current::is_in_the_way) {
                return Err(ErrorCode::PressInProgress.into());
            }
            presses.recent.retain(|recent| recent.id != course.id);
            if presses.recent.len() == RECENT_MAX {
                presses.recent.pop_front();
            }
            presses.recent.push_back(Recent {
                id: course.id,
                options: course.options.clone(),
                begun: course.begun,
                outcome: outcome.clone(),
            });
            let (commands, outcome, over) = (commands.clone(), outcome.clone(), ends.over.clone());
            let current = Current { commands, outcome, over, at_reader: course.at_reader.clone() };
            presses.current.replace(current)
        };
        let press = Arc::new(Press::new(course.id, commands.clone(), outcome, ends.settled.clone()));
        let (teller, telling) = teller(listener);
        // Without a thread the press tells from where it ends, and that is here and now.
        let _ = self.apart(telling.run());
        let runner = Runner::new(self.clone(), ticket, course, orders, teller, ends);
        let _ = self.apart(runner.run(former));
        Ok((press, commands))
    }

    /// Ends whatever has the radio.
    pub(super) fn cancel_press(&self) {
        if let Some(current) = &self.presses().current {
            // It may have ended.
            let _ = current.commands.send(Command::Cancel);
        }
    }

    /// Ends whatever has the radio, and keeps no press for a repeat: the next member's key is another.
    pub(super) fn forget_presses(&self) {
        self.cancel_press();
        self.presses().recent.clear();
    }

    fn presses(&self) -> MutexGuard<'_, Presses> {
        self.presses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_id() -> Result<UnlockId, KeyError> {
    let random = ring::rand::generate::<[u8; 16]>(&SystemRandom::new()).map_err(|_| ErrorCode::Internal)?;
    Ok(UnlockId(random.expose()))
}
