//! A listener that keeps what it is told, and throws when it is to.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use keybutton::{Phase, Press, PressListener, PressOutcome};

/// Long enough for anything that happens at all, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A press that was started.
pub struct Running {
    pub press: Arc<Press>,
    pub told: Arc<Told>,
}

/// What the listener was told.
pub struct Told {
    heard: Mutex<Heard>,
    more: Condvar,
    throws: bool,
}

#[derive(Default)]
pub struct Heard {
    pub phases: Vec<String>,
    pub outcomes: Vec<PressOutcome>,
    after_the_end: usize,
}

impl Told {
    pub fn new(throws: bool) -> Arc<Self> {
        Arc::new(Self { heard: Mutex::default(), more: Condvar::new(), throws })
    }

    /// Waits for a phase.
    pub fn reach(&self, phase: &str) {
        let heard = self.wait(|heard| !heard.outcomes.is_empty() || heard.phases.iter().any(|told| told == phase));
        assert!(heard.phases.iter().any(|told| told == phase), "{phase} was not reached: {:?}", heard.outcomes);
    }

    /// Waits for the outcome.
    pub fn outcome(&self) -> (Vec<String>, PressOutcome) {
        let heard = self.wait(|heard| !heard.outcomes.is_empty());
        (heard.phases.clone(), heard.outcomes[0].clone())
    }

    /// Checks that there was one outcome and that it was the last that was told.
    pub fn check_end(&self) {
        let heard = self.wait(|heard| !heard.outcomes.is_empty());
        assert_eq!(heard.outcomes.len(), 1, "one outcome: {:?}", heard.outcomes);
        assert_eq!(heard.after_the_end, 0, "nothing comes after the outcome");
    }

    fn wait(&self, done: impl Fn(&Heard) -> bool) -> MutexGuard<'_, Heard> {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = self.heard.lock().unwrap();
        while !done(&heard) {
            let left = deadline.checked_duration_since(Instant::now()).expect("nothing happened for a minute");
            heard = self.more.wait_timeout(heard, left).unwrap().0;
        }
        heard
    }

    fn keep(&self, note: impl FnOnce(&mut Heard)) {
        {
            let mut heard = self.heard.lock().unwrap();
            if !heard.outcomes.is_empty() {
                heard.after_the_end += 1;
            }
            note(&mut heard);
        }
        self.more.notify_all();
        assert!(!self.throws, "thrown as told");
    }
}

impl PressListener for Told {
    fn on_phase(&self, phase: Phase) {
        self.keep(|heard| heard.phases.push(phase.name().to_owned()));
    }

    fn on_outcome(&self, outcome: PressOutcome) {
        self.keep(|heard| heard.outcomes.push(outcome));
    }
}
