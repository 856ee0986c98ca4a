//! What the public objects and the background tasks share.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use keybutton_protocol::{
    api::{ButtonState, DeviceId},
    crypto::ring::Ring,
    ids::PublicKey,
};
use tokio::{sync::watch, task::AbortHandle};

use super::{
    config::{Config, Platform, StartError},
    hub::Hub,
    presses::Presses,
    state::{Entry, Member, State},
    threads::Threads,
};
use crate::{
    alive::Alive,
    button::{Capabilities, Facts, key_button},
    clock::now,
    download::Session,
    error::{ErrorCode, KeyError},
    http::ServiceUrl,
    log::Log,
    pending::guarded,
    radio::RadioState,
    unlock::Now,
};

pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) service: ServiceUrl,
    pub(super) platform: Platform,
    pub(super) log: Log,
    pub(super) hub: Arc<Hub>,
    pub(super) crypto: Ring,
    state: Mutex<State>,
    /// Held while the vault is written, so that entries are written in the order of their changes.
    writing: Mutex<Writing>,
    keyring_dirty: AtomicBool,
    /// One enrolment at a time.
    pub(super) enrolling: tokio::sync::Mutex<()>,
    /// One upload at a time.
    pub(super) delivering: tokio::sync::Mutex<()>,
    pub(super) threads: Threads,
    renewal: Mutex<Option<AbortHandle>>,
    /// The generation of now: tells what is going on that the member has signed out.
    generations: watch::Sender<u64>,
    pub(super) presses: Mutex<Presses>,
    /// Marked as changed whenever what the Key Button depends on was touched.
    button: watch::Sender<()>,
    _alive: Alive,
}

/// Whether the vault is still ours to write: once the core is gone, the next one may have opened it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    Open,
    Closed,
}

/// A session as work in progress holds it: worth nothing after the next sign-out.
#[derive(Clone)]
pub(super) struct Ticket {
    pub(super) session: Arc<Session>,
    pub(super) generation: u64,
}

impl Inner {
    pub(super) fn new(config: Config, platform: Platform) -> Result<Arc<Self>, StartError> {
        config.check()?;
        let service: ServiceUrl = config.service_url.parse()?;
        let crypto = Ring::new();
        let state = State::load(&*platform.vault, service.as_str(), &config.app, &crypto)?;
        Ok(Arc::new(Self {
            log: Log::new(platform.log.clone()),
            hub: Hub::new(platform.radio.clone()),
            config,
            service,
            platform,
            crypto,
            state: Mutex::new(state),
            writing: Mutex::new(Writing::Open),
            keyring_dirty: AtomicBool::new(false),
            enrolling: tokio::sync::Mutex::new(()),
            delivering: tokio::sync::Mutex::new(()),
            threads: Threads::new(),
            renewal: Mutex::new(None),
            generations: watch::Sender::new(0),
            presses: Mutex::default(),
            button: watch::Sender::new(()),
            _alive: Alive::new(),
        }))
    }

    pub(super) fn now(&self) -> Now {
        now(&*self.platform.clock)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of now, for work that may outlast it.
    pub(super) fn ticket(&self) -> Result<Ticket, KeyError> {
        let state = self.state();
        let session = state.session.clone().ok_or(ErrorCode::NotSignedIn)?;
        Ok(Ticket { session, generation: state.generation })
    }

    /// The state, if nobody signed out since the ticket was drawn.
    pub(super) fn state_of(&self, ticket: &Ticket) -> Result<MutexGuard<'_, State>, KeyError> {
        let state = self.state();
        if state.generation == ticket.generation { Ok(state) } else { Err(ErrorCode::NotSignedIn.into()) }
    }

    pub(super) fn key_button(&self) -> ButtonState {
        let capabilities = self.capabilities();
        let state = self.state();
        key_button(&Facts {
            capabilities,
            signed_in: state.session.is_some(),
            enrolled: state.member.as_ref().and_then(Member::enrolled).is_some(),
            rights: state.keyring.rights(),
        })
    }

    /// Has those who watch the Key Button look at it again.
    pub(super) fn button_touched(&self) {
        self.button.send_replace(());
    }

    /// Hears that the Key Button may have changed.
    pub(super) fn button_touches(&self) -> watch::Receiver<()> {
        self.button.subscribe()
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        let bluetooth = self.hub.radio().state() != RadioState::Absent;
        Capabilities { bluetooth, nfc: self.platform.nfc, key_store: true }
    }

    /// The enrolled device of the member signed in.
    pub(super) fn device(&self, ticket: &Ticket) -> Result<Option<(DeviceId, PublicKey)>, KeyError> {
        let state = self.state_of(ticket)?;
        let enrolled = state.member.as_ref().and_then(Member::enrolled);
        Ok(enrolled.and_then(|device| Some((device.id.clone(), device.public_key()?))))
    }

    /// Writes an entry to the vault. Blocks for as long as the storage takes.
    pub(super) fn save(&self, entry: Entry, generation: u64) -> Result<(), KeyError> {
        let writing = self.writing();
        if *writing == Writing::Closed {
            return Ok(());
        }
        let snapshot = {
            let state = self.state();
            if state.generation != generation {
                return Ok(());
            }
            state.snapshot(entry)
        };
        self.platform.vault.store(entry.name().to_owned(), snapshot.to_vec()).map_err(|error| {
            self.log.error("vault", format_args!("{error}"));
            KeyError::from(&error)
        })
    }

    /// Writes the keyring in the background; changes made until then are written with it.
    pub(super) fn save_keyring_soon(self: &Arc<Self>) {
        if self.keyring_dirty.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = self.clone();
        if self.apart(async move { inner.flush_keyring() }).is_err() {
            self.flush_keyring();
        }
    }

    /// Writes the keyring if a change waits for it, whoever's it is by now; of nobody's there is nothing to keep.
    fn flush_keyring(&self) {
        if !self.keyring_dirty.swap(false, Ordering::AcqRel) {
            return;
        }
        if let Ok(ticket) = self.ticket() {
            // Logged where it failed; the next change tries again.
            let _ = self.save(Entry::Keyring, ticket.generation);
        }
    }

    /// The device key, made if there is none; `anew` destroys the former one first. Never after a sign-out.
    pub(super) fn device_key(&self, ticket: &Ticket, anew: bool) -> Result<PublicKey, KeyError> {
        let _writing = self.writing();
        drop(self.state_of(ticket)?);
        let key = &self.platform.device_key;
        let mut made = Err(ErrorCode::DeviceKeyFailed.into());
        guarded(|| {
            let removed = if anew { key.remove() } else { Ok(()) };
            made = removed.and_then(|()| key.public_key()).map_err(|error| KeyError::from(&error));
        });
        made
    }

    /// Writes what has to survive a last time. From here on nothing of this core writes the vault.
    pub(super) fn close_vault(&self) {
        let (generation, signed_in) = {
            let state = self.state();
            (state.generation, state.session.is_some())
        };
        for entry in [Entry::Keyring, Entry::Outbox].into_iter().filter(|_| signed_in) {
            // Logged where it failed; there is no later.
            let _ = self.save(entry, generation);
        }
        *self.writing() = Writing::Closed;
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wipes what belongs to the member: vault, device key, caches. Work in progress becomes stale at once.
    ///
    /// Goes on after a failure and reports the first one: as little as possible stays behind.
    pub(super) fn wipe(&self) -> Result<(), KeyError> {
        let generation = {
            let mut state = self.state();
            state.clear();
            state.generation
        };
        self.generations.send_replace(generation);
        self.button_touched();
        if let Some(renewal) = self.renewal().take() {
            renewal.abort();
        }
        let _writing = self.writing();
        self.keyring_dirty.store(false, Ordering::Release);
        let key = self.platform.device_key.remove().map_err(|error| KeyError::from(&error));
        let vault = self.platform.vault.wipe().map_err(|error| KeyError::from(&error));
        let result = vault.and(key);
        match &result {
            Ok(()) => self.log.info("client", format_args!("wiped vault and device key")),
            Err(error) => self.log.error("client", format_args!("the wipe was not complete: {error}")),
        }
        result
    }

    /// Ends when the generation is no longer `generation`.
    pub(super) async fn signed_out(&self, generation: u64) {
        // The sender lives as long as the core.
        let _ = self.generations.subscribe().wait_for(|current| *current != generation).await;
    }

    pub(super) fn renewal(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs work beside other work; it must not call what may block.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<AbortHandle, KeyError> {
        self.threads.spawn(work).map_err(|error| self.no_threads(&error))
    }

    /// Runs work that calls the host's listeners, which may take their time, on a thread of its own.
    pub(super) fn apart(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), KeyError> {
        self.threads.apart(work).map_err(|error| self.no_threads(&error))
    }

    /// Has a call to the host made from a thread of the core's own, or not at all when they are gone.
    pub(super) fn soon(&self, call: impl FnOnce() + Send + 'static) {
        // Without threads the core is going away.
        let _ = self.apart(async move { call() });
    }

    fn no_threads(&self, error: &std::io::Error) -> KeyError {
        self.log.error("client", format_args!("no threads: {error}"));
        ErrorCode::Internal.into()
    }
}
