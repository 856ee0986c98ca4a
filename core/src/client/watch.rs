//! The Key Button, told whenever it changes.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use keybutton_protocol::api::ButtonState;
use tokio::sync::oneshot;

use super::inner::Inner;
use crate::{alive::Alive, error::KeyError, pending::guarded};

/// Hears whether the Key Button is there.
///
/// Called from the core's own threads, in order, one call at a time, and never while the core holds a lock. A listener
/// that is slow hears the newest state next and none of those in between; one that panics goes on hearing.
#[cfg_attr(feature = "uniffi", uniffi::export(callback_interface))]
pub trait ButtonListener: Send + Sync + 'static {
    /// The Key Button is in this state. The first call comes at once, the others when it has changed.
    fn on_button(&self, state: ButtonState);
}

/// A listener of the Key Button at work. Stops when told or dropped.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct ButtonWatch {
    stop: Mutex<Option<oneshot::Sender<()>>>,
    _alive: Alive,
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl ButtonWatch {
    /// Stops telling. No call to the listener begins after a call that is going on has returned.
    pub fn stop(&self) {
        // Dropping the sender is what stops it.
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl fmt::Debug for ButtonWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ButtonWatch").finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn watch_button(self: &Arc<Self>, listener: Arc<dyn ButtonListener>) -> Result<ButtonWatch, KeyError> {
        let (stop, stopped) = oneshot::channel();
        let inner = self.clone();
        self.apart(async move { inner.tell_button(&*listener, stopped).await })?;
        Ok(ButtonWatch { stop: Mutex::new(Some(stop)), _alive: Alive::new() })
    }

    async fn tell_button(&self, listener: &dyn ButtonListener, mut stopped: oneshot::Receiver<()>) {
        let (mut touches, mut radio) = (self.button_touches(), self.hub.states());
        let mut told = None;
        loop {
            touches.mark_unchanged();
            radio.mark_unchanged();
            let state = self.key_button();
            if told != Some(state) && matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                told = Some(state);
                guarded(|| listener.on_button(state));
            }
            tokio::select! {
                biased;
                _ = &mut stopped => return,
                // Both senders live as long as the core.
                _ = touches.changed() => {}
                _ = radio.changed() => {}
            }
        }
    }
}
