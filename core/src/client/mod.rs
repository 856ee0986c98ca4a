//! The driver: everything the pure modules decide, done.

mod config;
mod contact;
mod failure;
mod health;
mod hub;
mod inner;
mod listeners;
mod nearby;
mod presses;
mod renewal;
mod run;
mod state;
mod subject;
pub(crate) mod tap;
mod threads;
mod watch;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use config::{Config, Platform, StartError};
use keybutton_protocol::{
    api::{ButtonState, Device, DeviceId, DoorRights},
    ids::UnlockId,
};
pub use nearby::{Nearby, NearbyListener};
pub use tap::{TapLink, TapListener};
pub use watch::{ButtonListener, ButtonWatch};

use self::{
    contact::Purpose,
    inner::{Inner, Ticket},
    state::{Entry, Member},
};
use crate::{
    doctor::Check,
    download::{self, Session},
    error::{ErrorCode, KeyError},
    pending::Pending,
    press::{Press, PressListener, PressOptions},
};

/// The mobile keys of one member in one Branded App.
///
/// Every call returns at once; what takes time goes on on the core's own threads and is answered through a
/// [`Pending`] or a listener. All methods may be called from any thread.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct MobileKeys {
    inner: Arc<Inner>,
    /// Held while the member changes: of two that sign in at once neither gets the other's token.
    changing: Mutex<()>,
}

impl MobileKeys {
    /// Opens the vault and is ready. Whoever was signed in still is. Talks to nobody yet.
    ///
    /// # Errors
    ///
    /// A [`StartError`] that names the file and the remedy when the vault is damaged: nothing of it is touched.
    pub fn new(config: Config, platform: Platform) -> Result<Self, StartError> {
        Ok(Self { inner: Inner::new(config, platform)?, changing: Mutex::new(()) })
    }

    /// Signs a member in with the Branded App's own session token, or hands over a renewed token.
    ///
    /// Enrols the device at the first contact and downloads keys; the result tells whether the Key Button is there.
    /// Without a connection the member stays signed in, and the next press or [`MobileKeys::refresh`] makes up for it.
    /// Everything held for another member is wiped first.
    ///
    /// # Errors
    ///
    /// `session-rejected` for what is not a session token, `vault-unavailable` when nothing can be kept.
    pub fn sign_in(&self, session_token: String) -> Result<Pending<Result<ButtonState, KeyError>>, KeyError> {
        let inner = &self.inner;
        let subject = subject::subject_of(&session_token).ok_or(ErrorCode::SessionRejected)?;
        let session = Session::new(session_token.as_str(), inner.config.app.clone())?;
        let _changing = self.changing();
        let same = inner.state().member.as_ref().is_some_and(|member| member.subject == subject);
        if !same {
            self.leave()?;
        }
        let generation = {
            let mut state = inner.state();
            let fresh = || Member::new(inner.service.as_str(), &inner.config.app, subject, String::new());
            let member = state.member.get_or_insert_with(fresh);
            member.token = session_token.into();
            state.session = Some(Arc::new(session));
            state.generation
        };
        inner.button_touched();
        inner.save(Entry::Member, generation)?;
        inner.log.info("client", format_args!("signed in"));
        self.in_contact(Purpose::SignIn)
    }

    /// Asks the service for rights and new keys, and hands in what waits for it.
    ///
    /// # Errors
    ///
    /// `not-signed-in`.
    pub fn refresh(&self) -> Result<Pending<Result<ButtonState, KeyError>>, KeyError> {
        self.in_contact(Purpose::Refresh)
    }

    /// The member's devices.
    ///
    /// # Errors
    ///
    /// `not-signed-in`.
    pub fn devices(&self) -> Result<Pending<Result<Vec<Device>, KeyError>>, KeyError> {
        self.ask(|inner, ticket| async move { inner.call(&download::devices(&ticket.session)).await })
    }

    /// Removes one of the member's devices; its keys are revoked. To give up this one, sign out.
    ///
    /// # Errors
    ///
    /// `not-signed-in`.
    pub fn revoke_device(&self, device: DeviceId) -> Result<Pending<Result<(), KeyError>>, KeyError> {
        self.ask(|inner, ticket| async move { inner.call(&download::remove_device(&ticket.session, &device)).await })
    }

    /// Finds what stands between the member and an open door, in a fixed order, each with a remedy.
    pub fn doctor(&self) -> Result<Pending<Result<Vec<Check>, KeyError>>, KeyError> {
        let inner = self.inner.clone();
        self.start(async move { Ok(inner.examine().await) })
    }

    fn in_contact(&self, purpose: Purpose) -> Result<Pending<Result<ButtonState, KeyError>>, KeyError> {
        self.ask(move |inner, ticket| async move { inner.contact(&ticket, purpose).await })
    }

    fn ask<T, F>(&self, work: impl FnOnce(Arc<Inner>, Ticket) -> F) -> Result<Pending<Result<T, KeyError>>, KeyError>
    where
        T: Clone + Send + 'static,
        F: Future<Output = Result<T, KeyError>> + Send + 'static,
    {
        let ticket = self.inner.ticket()?;
        self.start(work(self.inner.clone(), ticket))
    }

    fn start<T, F>(&self, work: F) -> Result<Pending<Result<T, KeyError>>, KeyError>
    where
        T: Clone + Send + 'static,
        F: Future<Output = Result<T, KeyError>> + Send + 'static,
    {
        let pending = Pending::new();
        let end = EndOf(pending.clone());
        self.inner.apart(async move {
            let result = work.await;
            end.0.settle(result);
        })?;
        Ok(pending)
    }

    /// Wipes, and has the service forget the device in the background.
    fn leave(&self) -> Result<(), KeyError> {
        let inner = &self.inner;
        let left = inner.ticket().ok().and_then(|ticket| Some((inner.device(&ticket).ok()??.0, ticket)));
        inner.forget_presses();
        let result = inner.wipe();
        if let Some((device, ticket)) = left {
            let core = inner.clone();
            // Without threads or a connection the operator, or the member's list of devices, has to do it.
            let _ = inner.spawn(async move {
                let _ = core.call(&download::remove_device(&ticket.session, &device)).await;
            });
        }
        result
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MobileKeys {
    /// Tells `listener` the state of the Key Button at once and then whenever it changes, until the returned handle is
    /// stopped or dropped. Goes on over sign-out and sign-in.
    ///
    /// # Errors
    ///
    /// `internal` when there are no threads to tell it from.
    pub fn watch_button(&self, listener: Arc<dyn ButtonListener>) -> Result<ButtonWatch, KeyError> {
        self.inner.watch_button(listener)
    }

    /// Opens a door. The press runs by itself from here: it ends exactly once, within its deadline.
    ///
    /// One press at a time: a second one is refused while the first has no outcome. A press that has its outcome may
    /// still exchange audit and tokens with its lock; a new press cuts that short.
    ///
    /// # Errors
    ///
    /// `not-signed-in`, `press-in-progress`, `invalid-request` for a deadline of 0 or beyond
    /// [`PressOptions::DEADLINE_MAX`].
    pub fn press(&self, options: PressOptions, listener: Arc<dyn PressListener>) -> Result<Arc<Press>, KeyError> {
        self.inner.press(options, listener)
    }

    /// Repeats an unconfirmed press under the same id: the lock answers with the same verdict and moves nothing a
    /// second time. May begin for 45 s from the begin of the press and ends by 55 s, while the lock surely remembers it.
    ///
    /// # Errors
    ///
    /// As [`MobileKeys::press`]; `invalid-request` for a press that is not unconfirmed, too old or not known.
    pub fn retry(&self, press: UnlockId, listener: Arc<dyn PressListener>) -> Result<Arc<Press>, KeyError> {
        self.inner.retry(press, listener)
    }

    /// Lets locks' readers ask this phone by NFC. A press that is going on answers them; where none is, one begins when
    /// a reader asks, goes by tap alone, and is told to `presses`. That one has [`PressOptions::DEADLINE`], takes any
    /// door, and makes way for [`MobileKeys::press`] as soon as the phone has left the field.
    ///
    /// # Errors
    ///
    /// `unsupported-device` where [`Platform::nfc`] says that there is no NFC.
    pub fn tap(&self, reader: Arc<dyn TapListener>, presses: Arc<dyn PressListener>) -> Result<Arc<TapLink>, KeyError> {
        if !self.inner.platform.nfc {
            return Err(ErrorCode::UnsupportedDevice.into());
        }
        Ok(Arc::new(TapLink::new(&self.inner, reader, presses)))
    }

    /// Tells `listener` which doors are in range until the returned handle is stopped or dropped.
    ///
    /// # Errors
    ///
    /// `not-signed-in`.
    pub fn nearby(&self, listener: Arc<dyn NearbyListener>) -> Result<Nearby, KeyError> {
        self.inner.start_nearby(listener)
    }
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl MobileKeys {
    /// Signs out: ends a press that is going on, wipes vault, device key and caches, and has the service forget this
    /// device if it can be reached.
    ///
    /// # Errors
    ///
    /// `vault-unavailable` when not everything could be wiped. The member is signed out all the same.
    pub fn sign_out(&self) -> Result<(), KeyError> {
        let _changing = self.changing();
        self.leave()
    }

    /// Whether the Key Button is there, and if not, the one reason why.
    pub fn key_button(&self) -> ButtonState {
        self.inner.key_button()
    }

    /// The doors the member may see, as the service said last.
    pub fn doors(&self) -> Vec<DoorRights> {
        self.inner.state().keyring.rights().map(|rights| rights.doors.clone()).unwrap_or_default()
    }

    /// A support file: what happened lately, without names, identifiers or secrets.
    pub fn support_report(&self) -> String {
        self.inner.support_report()
    }
}

impl Drop for MobileKeys {
    fn drop(&mut self) {
        self.inner.cancel_press();
        self.inner.close_vault();
        self.inner.threads.close();
    }
}

impl fmt::Debug for MobileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MobileKeys").field("app", &self.inner.config.app).finish_non_exhaustive()
    }
}

/// Answers a question also when its work is dropped: the core went away, or the work panicked.
struct EndOf<T: Clone + Send + 'static>(Pending<Result<T, KeyError>>);

impl<T: Clone + Send + 'static> Drop for EndOf<T> {
    fn drop(&mut self) {
        self.0.settle(Err(ErrorCode::Internal.into()));
    }
}

#[cfg(test)]
mod tests;
