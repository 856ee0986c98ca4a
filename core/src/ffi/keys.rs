//! The calls whose result comes later: each takes an object of the host that hears it, once.

use std::sync::Arc;

use keybutton_protocol::api::{ButtonState, Device, DeviceId};

use crate::{
    client::{Config, MobileKeys, Platform, StartError},
    doctor::Check,
    error::KeyError,
    pending::Pending,
};

/// Declares a trait that hears one result.
macro_rules! answer {
    ($(#[$doc:meta])* $name:ident hears $value:ty) => {
        $(#[$doc])*
        #[uniffi::export(foreign)]
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
#[uniffi::export(foreign)]
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

fn tell<T: Clone + Send + 'static, H>(pending: &Pending<Result<T, KeyError>>, answer: Arc<H>)
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
    fn exported_sign_in(&self, session_token: String, answer: Arc<dyn ButtonAnswer>) -> Result<(), KeyError> {
        tell(&self.sign_in(session_token)?, answer);
        Ok(())
    }

    /// Asks the service for rights and new keys, and hands in what waits for it.
    #[uniffi::method(name = "refresh")]
    fn exported_refresh(&self, answer: Arc<dyn ButtonAnswer>) -> Result<(), KeyError> {
        tell(&self.refresh()?, answer);
        Ok(())
    }

    /// Asks for the member's devices.
    #[uniffi::method(name = "devices")]
    fn exported_devices(&self, answer: Arc<dyn DevicesAnswer>) -> Result<(), KeyError> {
        tell(&self.devices()?, answer);
        Ok(())
    }

    /// Removes one of the member's devices; its keys are revoked. To give up this one, sign out.
    #[uniffi::method(name = "revoke_device")]
    fn exported_revoke_device(&self, device: DeviceId, answer: Arc<dyn DoneAnswer>) -> Result<(), KeyError> {
        tell(&self.revoke_device(device)?, answer);
        Ok(())
    }

    /// Finds what stands between the member and an open door, in a fixed order, each with a remedy.
    #[uniffi::method(name = "doctor")]
    fn exported_doctor(&self, answer: Arc<dyn ChecksAnswer>) -> Result<(), KeyError> {
        tell(&self.doctor()?, answer);
        Ok(())
    }
}
