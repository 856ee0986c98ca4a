//! The core's own threads: one that waits for time and answers, and one for each piece of work that calls the host.
//!
//! A listener may hold its thread up for as long as it likes; nothing but its own work waits for it.

use std::{
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{
    runtime::{Builder, Handle},
    sync::watch,
    task::AbortHandle,
};

/// Work in a box: one kind of future, however many kinds of work there are, is what keeps the library small.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How many more threads the runtime may have: its HTTP asks for a host's address on one.
const BLOCKING: usize = 2;

pub(super) struct Threads(Mutex<State>);

enum State {
    NotYet,
    Running(Running),
    /// A test's own, with time at its command.
    #[cfg(test)]
    Lent(Handle),
    Closed,
}

/// While this is there, the threads are.
struct Running {
    handle: Handle,
    /// Dropped, it tells all work to end.
    _open: watch::Sender<()>,
    going: Going,
}

/// What a piece of work holds while it goes on.
#[derive(Clone)]
struct Going {
    open: watch::Receiver<()>,
    /// The waiting thread ends after the last of these: work that has to end may still set a timer.
    alive: watch::Receiver<()>,
}

impl Threads {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(State::NotYet))
    }

    /// Runs work beside other work; it must not call what may block.
    ///
    /// # Errors
    ///
    /// The threads are closed, or the system gives none.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> io::Result<AbortHandle> {
        self.spawn_boxed(Box::pin(work))
    }

    /// Runs work that may block, on a thread of its own.
    ///
    /// # Errors
    ///
    /// As [`Threads::spawn`].
    pub(super) fn apart(&self, work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        self.apart_boxed(Box::pin(work))
    }

    fn spawn_boxed(&self, work: Work) -> io::Result<AbortHandle> {
        let (handle, going) = self.running()?;
        let task = match going {
            Some(going) => handle.spawn(going.keep(work)),
            None => handle.spawn(work),
        };
        Ok(task.abort_handle())
    }

    fn apart_boxed(&self, work: Work) -> io::Result<()> {
        let (handle, going) = self.running()?;
        match going {
            Some(going) => {
                start_thread("keybutton-host", Box::new(move || handle.block_on(going.keep(work))))?;
            }
            // Time that a test commands must not go on while another thread works.
            None => drop(handle.spawn(work)),
        }
        Ok(())
    }

    /// Ends the threads without waiting for them: the last owner may be one of them.
    pub(super) fn close(&self) {
        *self.state() = State::Closed;
    }

    #[cfg(test)]
    pub(super) fn lend(&self, handle: Handle) {
        *self.state() = State::Lent(handle);
    }

    /// Where work goes, and what it has to hold there. Threads are made at first use.
    fn running(&self) -> io::Result<(Handle, Option<Going>)> {
        let mut state = self.state();
        if matches!(*state, State::NotYet) {
            *state = State::Running(Running::start()?);
        }
        match &*state {
            State::Running(running) => Ok((running.handle.clone(), Some(running.going.clone()))),
            #[cfg(test)]
            State::Lent(handle) => Ok((handle.clone(), None)),
            State::NotYet | State::Closed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().max_blocking_threads(BLOCKING).enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, is_open) = watch::channel(());
        let (ended, alive) = watch::channel(());
        start_thread(
            "keybutton",
            Box::new(move || {
                runtime.block_on(ended.closed());
                // What blocks may take its time; nobody waits for it any more.
                runtime.shutdown_background();
            }),
        )?;
        Ok(Self { handle, _open: open, going: Going { open: is_open, alive } })
    }
}

fn start_thread(name: &str, run: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

impl Going {
    /// Does work until it is done or the threads are closed; what is not done then is dropped.
    async fn keep(mut self, work: Work) {
        tokio::select! {
            biased;
            _ = self.open.changed() => {}
            () = work => {}
        }
        drop(self.alive);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        time::Duration,
    };

    use super::*;

    /// Says so when dropped.
    struct Canary(mpsc::Sender<&'static str>);

    impl Drop for Canary {
        fn drop(&mut self) {
            self.0.send("dropped").unwrap();
        }
    }

    #[test]
    fn work_that_is_held_up_holds_up_no_other() {
        let threads = Threads::new();
        let (release, held) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        for _ in 0..8 {
            let (done, still) = (done.clone(), threads.spawn(std::future::pending()).unwrap());
            threads
                .apart(async move {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    still.abort();
                    done.send(()).unwrap();
                })
                .unwrap();
        }
        threads.apart(async move { held.recv().unwrap() }).unwrap();
        (0..8).for_each(|_| is_done.recv().unwrap());
        release.send(()).unwrap();
    }

    #[test]
    fn closing_drops_what_is_not_done_and_lets_nothing_begin() {
        let threads = Arc::new(Threads::new());
        let (sender, dropped) = mpsc::channel();
        let canary = Canary(sender.clone());
        threads
            .spawn(async move {
                std::future::pending::<()>().await;
                drop(canary)
            })
            .unwrap();
        let canary = Canary(sender);
        // It closes the threads it runs on, and is dropped at its next wait, a timer of theirs.
        threads
            .apart({
                let threads = threads.clone();
                async move {
                    threads.close();
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                    drop(canary);
                }
            })
            .unwrap();
        assert_eq!([dropped.recv().unwrap(), dropped.recv().unwrap()], ["dropped"; 2]);
        assert!(threads.spawn(async {}).is_err());
        assert!(threads.apart(async {}).is_err());
    }
}
