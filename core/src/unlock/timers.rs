use super::Moment;

/// What a press waits for, each with the moment it is over. The driver is told the earliest only.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// The press itself.
    pub(super) deadline: Option<Moment>,
    /// The next word of the lock, or the link to come up.
    pub(super) answer: Option<Moment>,
    /// The rest of a message that has begun.
    pub(super) silence: Option<Moment>,
    /// The whole link.
    pub(super) link: Option<Moment>,
    /// Enough was heard to tell doors apart.
    pub(super) settle: Option<Moment>,
    /// The pause before the next attempt.
    pub(super) pause: Option<Moment>,
}

impl Timers {
    pub(super) fn next(&self) -> Option<Moment> {
        [self.deadline, self.answer, self.silence, self.link, self.settle, self.pause].into_iter().flatten().min()
    }

    /// A link ended: what was waited for on it is off.
    pub(super) fn link_is_gone(&mut self) {
        self.answer = None;
        self.silence = None;
        self.link = None;
    }
}

pub(super) fn is_due(timer: Option<Moment>, now: Moment) -> bool {
    timer.is_some_and(|at| at <= now)
}
