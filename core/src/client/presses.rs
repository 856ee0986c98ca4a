//! Which press is going on, and which may be repeated.

use std::{
    collections::VecDeque,
    sync::{Arc, MutexGuard, PoisonError},
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
    outcome::{Outcome, PressOutcome},
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
        let random = ring::rand::generate::<[u8; 16]>(&SystemRandom::new()).map_err(|_| ErrorCode::Internal)?;
        let begun = self.now().moment;
        self.begin(Course { id: UnlockId(random.expose()), options, begun, repeats: false }, listener)
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
            Course { id: press, options, begun: recent.begun, repeats: true }
        };
        self.begin(course, listener)
    }

    fn begin(self: &Arc<Self>, course: Course, listener: Arc<dyn PressListener>) -> Result<Arc<Press>, KeyError> {
        let ticket = self.ticket()?;
        if course.options.deadline.is_zero() || course.options.deadline > PressOptions::DEADLINE_MAX {
            return Err(ErrorCode::InvalidRequest.into());
        }
        let runtime = self.runtime()?;
        let (commands, orders) = mpsc::unbounded_channel();
        let ends = Ends { outcome: Pending::new(), over: Pending::new(), settled: Pending::new() };
        let outcome = ends.outcome.clone();
        let former = {
            let mut presses = self.presses();
            if presses.current.as_ref().is_some_and(|current| current.outcome.get().is_none()) {
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
            let current = Current { commands, outcome, over };
            presses.current.replace(current)
        };
        let press = Arc::new(Press::new(course.id, commands, outcome, ends.settled.clone()));
        let (teller, telling) = teller(listener);
        runtime.spawn(telling.run());
        let runner = Runner::new(self.clone(), ticket, course, orders, teller, ends);
        runtime.spawn(runner.run(former));
        Ok(press)
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
