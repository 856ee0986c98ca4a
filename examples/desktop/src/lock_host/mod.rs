//! A lock on a laptop: the reference lock with RustCrypto, a store in a file, the air or Bluetooth for its radio, and for
//! its bolt, light and buzzer a screen or a door's real ones.

mod board;
mod hardware;
mod provision;
mod radio;
mod store;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use keybutton::radio::air::{Endpoint, Participant};
use keybutton_lock::{
    Event, Lockdown,
    env::BoltEvent,
    feedback::{Feedback, Light},
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use hardware::{Fittings, LineName, Part, Pull, Wire, Wiring};
pub use provision::LockFolder;
pub use radio::Medium;
pub use store::FileStore;

use crate::failure::Failure;

/// How many events a slow reader of them may be behind.
const EVENT_BACKLOG: usize = 256;

/// How a virtual lock runs.
#[derive(Clone, Debug)]
pub struct LockOptions {
    /// Its folder: key, provisioning, store.
    pub folder: PathBuf,
    /// Where it is heard.
    pub medium: Medium,
    /// Its name, place and knobs on the air.
    pub participant: Participant,
    /// What it moves and shows.
    pub fittings: Fittings,
    /// How long the bolt takes to move where it is only counted.
    pub bolt_travel: Duration,
    /// Its clock did not survive the power cut: it does not know the time until a phone brings it.
    pub clock_lost: bool,
    /// How far its clock is ahead of this machine's beyond what its claim found, seconds.
    pub clock_ahead_s: u32,
}

impl LockOptions {
    /// Describes a lock at the origin with the default knobs and a bolt that moves in 60 ms.
    pub fn new(folder: PathBuf, endpoint: Endpoint, name: &str) -> Self {
        Self::on(Medium::Air(endpoint), folder, name)
    }

    /// Describes a lock on real Bluetooth, on `adapter` or the first one.
    pub fn bluetooth(folder: PathBuf, adapter: Option<String>, name: &str) -> Self {
        Self::on(Medium::Bluetooth(adapter), folder, name)
    }

    fn on(medium: Medium, folder: PathBuf, name: &str) -> Self {
        Self {
            folder,
            medium,
            participant: Participant::named(name),
            fittings: Fittings::Screen,
            bolt_travel: Duration::from_millis(60),
            clock_lost: false,
            clock_ahead_s: 0,
        }
    }
}

/// A running lock. Dropping it is a power cut: the air finds out by the supervision time-out.
#[derive(Debug)]
pub struct VirtualLock {
    view: watch::Receiver<LockView>,
    events: broadcast::Sender<LockEvent>,
    commands: mpsc::UnboundedSender<Command>,
    failure: Arc<Mutex<Option<Failure>>>,
    thread: Option<JoinHandle<()>>,
}

/// What one sees of a lock from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LockView {
    /// The light now.
    pub light: Light,
    /// The tone now, Hz; 0 is silence.
    pub tone_hz: u16,
    /// The last signal that answered a phone: granted, refused, acknowledged or a fault.
    pub answer: Option<Feedback>,
    /// How many such signals were played since the start.
    pub answers: u32,
    /// The bolt is on its way.
    pub moving: bool,
    /// The bolt is withdrawn.
    pub withdrawn: bool,
    /// How many times the bolt was withdrawn since the start.
    pub openings: u32,
    /// The time the lock spent thinking (its store included) since the start.
    pub busy: Duration,
    /// How many verdicts it gave since the start.
    pub verdicts: u32,
    /// How many phones are linked to it.
    pub links: u32,
    /// How many newer revocation documents it took from phones since the start.
    pub revocations: u32,
    /// The newest audit record that it handed over to a phone since the start; 0 for none.
    pub audit_handed_over: u32,
    /// The newest audit record that it was told has arrived since the start; 0 for none.
    pub audit_acknowledged: u32,
}

/// What happens at a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockEvent {
    /// A signal is played.
    Signal(Feedback),
    /// The bolt came to rest.
    Bolt(BoltEvent),
    /// A phone connected.
    Connected,
    /// A phone's link is gone.
    Disconnected,
    /// What the lock itself reports.
    Happened(Event),
}

/// What a hand at the lock, or its maintenance, does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Turns privacy on or off from inside.
    Privacy(bool),
    /// Locks the door down, or lifts it.
    Lockdown(Lockdown),
    /// Holds the bolt so that it jams, or lets go of it.
    Jam(bool),
    /// Opens or closes the door.
    Door(bool),
}

impl VirtualLock {
    /// Starts a lock on a thread of its own, as its own board would run it: a slow disk holds up nobody else.
    ///
    /// Returns when the lock advertises.
    pub async fn start(options: LockOptions) -> Result<Self, Failure> {
        let (view_sender, view) = watch::channel(LockView::default());
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let (commands, received) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let failure = Arc::new(Mutex::new(None));
        let outlets = board::Outlets { view: view_sender, events: events.clone(), commands: received };
        let late_failure = Arc::clone(&failure);
        // Whoever waits for the lock's end looks for the reason then: it has to be there.
        let end = outlets.view.clone();
        let thread = thread::Builder::new()
            .name(format!("lock {}", options.participant.name))
            .spawn(move || {
                let mut ready = Some(ready);
                if let Err(error) = run(&options, outlets, &mut ready) {
                    match ready {
                        Some(ready) => drop(ready.send(Err(error))),
                        None => *late_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
                    }
                }
                drop(end);
            })
            .map_err(|error| cannot_start(&error))?;
        let lock = Self { view, events, commands, failure, thread: Some(thread) };
        started.await.map_err(|_| cannot_start(&"its thread ended"))??;
        Ok(lock)
    }

    /// What one sees of the lock now.
    pub fn view(&self) -> LockView {
        *self.view.borrow()
    }

    /// Waits until what one sees of the lock fulfils `condition`.
    pub async fn wait_for(&self, condition: impl FnMut(&LockView) -> bool) -> Result<LockView, Failure> {
        match self.view.clone().wait_for(condition).await {
            Ok(view) => Ok(*view),
            Err(_) => Err(self.stopped()),
        }
    }

    /// Listens to what happens from now on.
    pub fn events(&self) -> broadcast::Receiver<LockEvent> {
        self.events.subscribe()
    }

    /// Does something at the lock.
    pub fn command(&self, command: Command) {
        // A lock that has stopped says why in `stopped`.
        let _ = self.commands.send(command);
    }

    /// Waits until the lock stops by itself, and says why.
    pub async fn ended(&self) -> Failure {
        let mut view = self.view.clone();
        while view.changed().await.is_ok() {}
        self.stopped()
    }

    /// Why the lock stopped by itself.
    pub fn stopped(&self) -> Failure {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failure.unwrap_or_else(|| cannot_start(&"it was switched off"))
    }
}

impl Drop for VirtualLock {
    fn drop(&mut self) {
        // The thread ends when nobody can command it any more.
        let (closed, _) = mpsc::unbounded_channel();
        self.commands = closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    options: &LockOptions,
    outlets: board::Outlets,
    ready: &mut Option<oneshot::Sender<Result<(), Failure>>>,
) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| cannot_start(&error))?;
    runtime.block_on(async {
        let hardware = hardware::open(options)?;
        let radio = radio::LockRadio::join(&options.medium, &options.participant).await?;
        let board = board::Board::start(options, hardware, radio, outlets)?;
        board
            .run(|| {
                if let Some(ready) = ready.take() {
                    let _ = ready.send(Ok(()));
                }
            })
            .await
    })
}

fn cannot_start(why: &dyn std::fmt::Display) -> Failure {
    Failure::new("lock-stopped", format_args!("the virtual lock is not running: {why}"), "Start it again.")
}
