//! The calls that take an object of the host, which hears their result or what goes on. Only the host makes such
//! objects, so nothing is exported for calling ours.

use std::sync::Arc;

use keybutton_protocol::{
    api::{ButtonState, Device, DeviceId},
    ids::UnlockId,
};

use crate::{
    client::{
        ButtonListener, ButtonWatch, Config, MobileKeys, Nearby, NearbyListener, Platform, StartError, TapLink,
        TapListener,
    },
    doctor::Check,
    error::KeyError,
    pending::Pending,
    press::{Press, PressListener, PressOptions},
};

/// Declares a trait that hears one result.
macro_rules! answer {
    ($(#[$doc:meta])* $name:ident hears $value:ty) => {
        $(#[$doc])*
        #[uniffi::export(callback_interface)]
        pub trait $name: Send + Sync + 'static {
            /// It worked.
            fn succeed(&self, value: $value);

            /// It failed.
            fn fail(&self, error: KeyError);
        }

        impl Hears<$value> for dyn $name {
            fn hear(&self, result: Result<$value, KeyError>) {
                match result {
                    Ok(value) => self.succeed(value),
                    Err(error) => self.fail(error),
                }
            }
        }
    };
}

answer!(
    /// Hears whether the Key Button is there. Called once, from a thread of the core.
    ButtonAnswer hears ButtonState
);
answer!(
    /// Hears the member's devices. Called once, from a thread of the core.
    DevicesAnswer hears Vec<Device>
);
answer!(
    /// Hears what the doctor found. Called once, from a thread of the core.
    ChecksAnswer hears Vec<Check>
);

/// Hears that something was done. Called once, from a thread of the core.
#[uniffi::export(callback_interface)]
pub trait DoneAnswer: Send + Sync + 'static {
    /// It worked.
    fn succeed(&self);

    /// It failed.
    fn fail(&self, error: KeyError);
}

impl Hears<()> for dyn DoneAnswer {
    fn hear(&self, result: Result<(), KeyError>) {
        match result {
            Ok(()) => self.succeed(),
            Err(error) => self.fail(error),
        }
    }
}

trait Hears<T> {
    fn hear(&self, result: Result<T, KeyError>);
}

fn tell<T: Clone + Send + 'static, H>(pending: &Pending<Result<T, KeyError>>, answer: Box<H>)
where
    H: Hears<T> + Send + Sync + ?Sized + 'static,
{
    pending.on_done(move |result| answer.hear(result));
}

#[uniffi::export]
impl MobileKeys {
    /// Opens the vault and is ready. Whoever was signed in still is. Talks to nobody yet.
    #[uniffi::constructor(name = "new")]
    fn exported_new(config: Config, platform: Platform) -> Result<Arc<Self>, StartError> {
        Self::new(config, platform).map(Arc::new)
    }

    /// Signs a member in with the Branded App's own session token, or hands over a renewed token.
    ///
    /// Enrols the device at the first contact and downloads keys; the answer tells whether the Key Button is there.
    /// Without a connection the member stays signed in, and the next press or refresh makes up for it. Everything held
    /// for another member is wiped first.
    #[uniffi::method(name = "sign_in")]
    fn exported_sign_in(&self, session_token: String, answer: Box<dyn ButtonAnswer>) -> Result<(), KeyError> {
        tell(&self.sign_in(session_token)?, answer);
        Ok(())
    }

    /// Asks the service for rights and new keys, and hands in what waits for it.
    #[uniffi::method(name = "refresh")]
    fn exported_refresh(&self, answer: Box<dyn ButtonAnswer>) -> Result<(), KeyError> {
        tell(&self.refresh()?, answer);
        Ok(())
    }

    /// Asks for the member's devices.
    #[uniffi::method(name = "devices")]
    fn exported_devices(&self, answer: Box<dyn DevicesAnswer>) -> Result<(), KeyError> {
        tell(&self.devices()?, answer);
        Ok(())
    }

    /// Removes one of the member's devices; its keys are revoked. To give up this one, sign out.
    #[uniffi::method(name = "revoke_device")]
    fn exported_revoke_device(&self, device: DeviceId, answer: Box<dyn DoneAnswer>) -> Result<(), KeyError> {
        tell(&self.revoke_device(device)?, answer);
        Ok(())
    }

    /// Finds what stands between the member and an open door, in a fixed order, each with a remedy.
    #[uniffi::method(name = "doctor")]
    fn exported_doctor(&self, answer: Box<dyn ChecksAnswer>) -> Result<(), KeyError> {
        tell(&self.doctor()?, answer);
        Ok(())
    }

    /// Opens a door. The press runs by itself from here: it ends exactly once, within its deadline.
    ///
    /// One press at a time: a second one is refused while the first has no outcome. A press that has its outcome may
    /// still exchange audit and tokens with its lock; a new press cuts that short.
    #[uniffi::method(name = "press")]
    fn exported_press(&self, options: PressOptions, listener: Box<dyn PressListener>) -> Result<Arc<Press>, KeyError> {
        self.press(options, listener.into())
    }

    /// Repeats an unconfirmed press under the same id: the lock answers with the same verdict and moves nothing a
    /// second time. May begin for 45 s from the begin of the press and ends by 55 s, while the lock surely remembers it.
    #[uniffi::method(name = "retry")]
    fn exported_retry(&self, press: UnlockId, listener: Box<dyn PressListener>) -> Result<Arc<Press>, KeyError> {
        self.retry(press, listener.into())
    }

    /// Lets locks' readers ask this phone by NFC. A press that is going on answers them; where none is, one begins when
    /// a reader asks, goes by tap alone, and is told to `presses`.
    #[uniffi::method(name = "tap")]
    fn exported_tap(
        &self,
        reader: Box<dyn TapListener>,
        presses: Box<dyn PressListener>,
    ) -> Result<Arc<TapLink>, KeyError> {
        self.tap(reader.into(), presses.into())
    }

    /// Tells `listener` which doors are in range until the returned handle is stopped or dropped.
    #[uniffi::method(name = "nearby")]
    fn exported_nearby(&self, listener: Box<dyn NearbyListener>) -> Result<Nearby, KeyError> {
        self.nearby(listener.into())
    }

    /// Tells `listener` the state of the Key Button at once and then whenever it changes, until the returned handle is
    /// stopped or dropped. Goes on over sign-out and sign-in.
    #[uniffi::method(name = "watch_button")]
    fn exported_watch_button(&self, listener: Box<dyn ButtonListener>) -> Result<ButtonWatch, KeyError> {
        self.watch_button(listener.into())
    }
}
