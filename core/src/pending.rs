//! Work that goes on in the background: a handle to wait for its result, by thread, by future or by call-back.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use tokio::sync::oneshot;

/// The result of work that was started and goes on in the background. It always comes, and only once.
///
/// Clones stand for the same work; dropping them all does not stop it.
pub struct Pending<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    settled: Condvar,
}

struct State<T> {
    value: Option<T>,
    waiting: Vec<Box<dyn FnOnce(T) + Send>>,
}

impl<T: Clone + Send + 'static> Pending<T> {
    /// Makes work that is not done yet.
    pub(crate) fn new() -> Self {
        let state = Mutex::new(State { value: None, waiting: Vec::new() });
        Self { shared: Arc::new(Shared { state, settled: Condvar::new() }) }
    }

    /// The result, if it is there.
    pub fn get(&self) -> Option<T> {
        self.lock().value.clone()
    }

    /// Blocks the calling thread until the result is there.
    ///
    /// Never call this from a listener or from an async task: use [`Pending::done`] there.
    pub fn wait(&self) -> T {
        let mut state = self.lock();
        loop {
            if let Some(value) = &state.value {
                return value.clone();
            }
            state = self.shared.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the result, on any executor.
    pub async fn done(&self) -> T {
        let (sender, receiver) = oneshot::channel();
        self.on_done(move |value| {
            // The future may have been dropped meanwhile.
            let _ = sender.send(value);
        });
        match receiver.await {
            Ok(value) => value,
            // The call-back above is run exactly once, so this is never reached; waiting is still right.
            Err(_) => std::future::pending().await,
        }
    }

    /// Calls `call_back` with the result, once: at once if it is there, else on the thread that brings it.
    pub fn on_done(&self, call_back: impl FnOnce(T) + Send + 'static) {
        let mut state = self.lock();
        match state.value.clone() {
            None => state.waiting.push(Box::new(call_back)),
            Some(value) => {
                drop(state);
                guarded(|| call_back(value));
            }
        }
    }

    /// Brings the result. Later ones are ignored and answered with `false`.
    pub(crate) fn settle(&self, value: T) -> bool {
        let waiting = {
            let mut state = self.lock();
            if state.value.is_some() {
                return false;
            }
            state.value = Some(value.clone());
            std::mem::take(&mut state.waiting)
        };
        self.shared.settled.notify_all();
        for call_back in waiting {
            guarded(|| call_back(value.clone()));
        }
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Pending<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// Runs the host's code; a panic in it ends there. Returns whether it came through.
pub(crate) fn guarded(host: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(host)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_thread_and_every_call_back_get_the_one_result() {
        let pending = Pending::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let push = |seen: &Arc<Mutex<Vec<u32>>>| {
            let seen = seen.clone();
            move |value| seen.lock().unwrap().push(value)
        };
        pending.on_done(push(&seen));
        pending.on_done(|_| panic!("as told"));
        pending.on_done(push(&seen));
        let waiter = std::thread::spawn({
            let pending = pending.clone();
            move || pending.wait()
        });
        assert_eq!(pending.get(), None);
        assert!(pending.settle(7));
        assert!(!pending.settle(8));
        pending.on_done(push(&seen));
        assert_eq!(waiter.join().unwrap(), 7);
        assert_eq!(*seen.lock().unwrap(), [7, 7, 7]);
    }

    #[tokio::test]
    async fn a_future_ends_whether_it_was_early_or_late() {
        let pending = Pending::new();
        let early = tokio::spawn({
            let pending = pending.clone();
            async move { pending.done().await }
        });
        tokio::task::yield_now().await;
        pending.settle("done");
        assert_eq!(early.await.unwrap(), "done");
        assert_eq!(pending.done().await, "done");
    }
}
