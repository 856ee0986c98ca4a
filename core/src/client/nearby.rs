//! The doors in range, for a list on the screen.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    hub::{Ear, LinkEvent, RadioEvent},
    inner::{Inner, Ticket},
    run::SCAN_AGAIN,
};
use crate::{
    alive::Alive,
    discovery::{Candidate, Discovery, GONE_US},
    error::{ErrorCode, KeyError},
    pending::guarded,
    radio::{RadioError, RadioState},
};

/// How often a list with doors in it is looked at again without an advertisement: often enough for a door that went
/// silent to leave the list in time. No timer runs while the list is empty.
const LOOK_AGAIN: Duration = Duration::from_micros(GONE_US / 5);

/// Advertisements are taken in together this often. Where many locks advertise they come by the hundred in a second, and
/// each by itself would wake the core and rank all doors anew.
const GATHER: Duration = Duration::from_millis(100);

/// Hears which doors are in range. Called from the core's own threads, in order, one call at a time.
#[cfg_attr(feature = "uniffi", uniffi::export(callback_interface))]
pub trait NearbyListener: Send + Sync + 'static {
    /// The doors in range, nearest first. Called when doors come, go or change places, and at most twice a second.
    fn on_doors(&self, doors: Vec<Candidate>);

    /// The scan does not run: Bluetooth is off or not allowed. It goes on by itself when that changes.
    fn on_blocked(&self, error: KeyError);
}

/// A running scan for nearby doors. Stops when told or dropped.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Nearby {
    stop: std::sync::Mutex<Option<oneshot::Sender<()>>>,
    _alive: Alive,
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Nearby {
    /// Stops the scan. No call to the listener begins after a call that is going on has returned.
    pub fn stop(&self) {
        // Dropping the sender is what stops it.
        self.stop.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    }
}

impl fmt::Debug for Nearby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nearby").finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn start_nearby(self: &Arc<Self>, listener: Arc<dyn NearbyListener>) -> Result<Nearby, KeyError> {
        let ticket = self.ticket()?;
        let (stop, mut stopped) = oneshot::channel();
        let inner = self.clone();
        self.apart(async move {
            tokio::select! {
                biased;
                _ = &mut stopped => {}
                () = inner.signed_out(ticket.generation) => {}
                () = inner.watch(&ticket, &*listener) => {}
            }
        })?;
        Ok(Nearby { stop: std::sync::Mutex::new(Some(stop)), _alive: Alive::new() })
    }

    /// Never returns by itself but for a listener that panics or a sign-out.
    async fn watch(self: &Arc<Self>, ticket: &Ticket, listener: &dyn NearbyListener) {
        let mut ear = self.hub.listen();
        let mut discovery = Discovery::new();
        let mut in_range = false;
        let mut revision = 0;
        let Some(mut throttled) = self.try_scan(&ear, listener) else { return };
        loop {
            let event = tokio::select! {
                event = ear.next() => Some(event),
                () = tokio::time::sleep(LOOK_AGAIN), if in_range => None,
                () = tokio::time::sleep(SCAN_AGAIN), if throttled => {
                    let Some(still) = self.try_scan(&ear, listener) else { return };
                    throttled = still;
                    continue;
                }
            };
            let now = self.now().moment;
            let gather = matches!(event, Some(RadioEvent::Heard(_)));
            match event {
                Some(RadioEvent::Heard(first)) => {
                    let Ok(state) = self.state_of(ticket) else { return };
                    if std::mem::replace(&mut revision, state.revision) != state.revision {
                        discovery.keyring_changed();
                    }
                    let more = std::iter::from_fn(|| ear.heard_already());
                    for heard in std::iter::once(first).chain(more) {
                        discovery.hear(&heard, now, &state.keyring, &self.crypto);
                    }
                }
                Some(RadioEvent::Link(LinkEvent::State(state))) => {
                    ear.stop_scan();
                    discovery.clear();
                    in_range = false;
                    if !guarded(|| listener.on_doors(Vec::new())) {
                        return;
                    }
                    throttled = false;
                    if state == RadioState::On {
                        let Some(refused) = self.try_scan(&ear, listener) else { return };
                        throttled = refused;
                    }
                    if let Some(code) = ErrorCode::from_radio_state(state)
                        && !guarded(|| listener.on_blocked(code.into()))
                    {
                        return;
                    }
                    continue;
                }
                Some(RadioEvent::Link(
                    LinkEvent::Connected(..) | LinkEvent::Value(..) | LinkEvent::Disconnected(..),
                )) => continue,
                None => {}
            }
            let doors = {
                let Ok(state) = self.state_of(ticket) else { return };
                in_range = !discovery.ranked(now, &state.keyring).is_empty();
                discovery.publish(now, &state.keyring)
            };
            if let Some(doors) = doors
                && !guarded(|| listener.on_doors(doors))
            {
                self.log.error("nearby", format_args!("the listener panicked; the scan has ended"));
                return;
            }
            if gather {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Starts the scan or says why not. Tells whether the system throttles it, so that it is to be asked for again;
    /// `None` when the listener panicked.
    fn try_scan(&self, ear: &Ear, listener: &dyn NearbyListener) -> Option<bool> {
        let blocked = match ErrorCode::from_radio_state(self.hub.radio().state()) {
            Some(code) => KeyError::new(code),
            None => match ear.start_scan() {
                Ok(()) => return Some(false),
                Err(RadioError::Throttled) => {
                    self.log.warn("nearby", format_args!("no scan yet: {}", RadioError::Throttled));
                    return Some(true);
                }
                Err(error) => error.into(),
            },
        };
        guarded(|| listener.on_blocked(blocked)).then_some(false)
    }
}
