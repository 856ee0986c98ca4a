//! The device key: proves to a lock that this phone is here.
//!
//! It signs nothing but [`AuthenticationData`], whose bytes can't be chosen (`docs/PROTOCOL.md` section 7), so a
//! signature made here never passes for anything else.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keybutton_protocol::{
    crypto::{Signer as _, ring::RingSigner},
    ids::{PublicKey, Signature},
    keys::{AuthenticationData, Usage},
};
use thiserror::Error;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::{
    alive::Alive,
    vault::{Vault, VaultError},
};

const ENTRY: &str = "device-key";

/// A P-256 signing key that never leaves the device, in hardware where there is any.
#[cfg_attr(feature = "uniffi", uniffi::export(rust, foreign))]
pub trait DeviceKey: Send + Sync + 'static {
    /// The public half. Makes the key if there is none yet.
    fn public_key(&self) -> Result<PublicKey, DeviceKeyError>;

    /// Starts signing with ECDSA P-256/SHA-256 and returns at once; the signature comes back through `answer`, which
    /// may take as long as a biometric prompt.
    fn sign(&self, data: AuthenticationData, answer: Arc<SignatureAnswer>);

    /// Has the user unlock the phone or confirm with fingerprint, face or code, and returns at once; the result comes
    /// back through `answer`. Asked for when a lock forces user authentication.
    fn authenticate_user(&self, answer: Arc<UserAnswer>);

    /// Destroys the key; destroying what is not there is fine. The next [`DeviceKey::public_key`] makes a new one.
    fn remove(&self) -> Result<(), DeviceKeyError>;
}

/// Why the device key can't be used.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Error))]
pub enum DeviceKeyError {
    /// The user has to unlock the phone, or to confirm with a fingerprint or face, and has not.
    #[error("the user has not confirmed")]
    UserNotAuthenticated,
    /// The key was lost: new biometrics, a restored backup, a cleared key store. The device has to be enrolled again.
    #[error("the device key is gone")]
    Gone,
    /// The key store failed.
    #[error("the key store failed")]
    Failed,
    /// The vault that holds a software key failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Declares an object that takes one answer from the host.
macro_rules! answer_object {
    ($(#[$doc:meta])* $name:ident takes $value:ty) => {
        $(#[$doc])*
        #[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
        pub struct $name {
            waiting: Mutex<Option<oneshot::Sender<Result<$value, DeviceKeyError>>>>,
            _alive: Alive,
        }

        impl $name {
            /// Makes an answer and the end that waits for it.
            pub(crate) fn new() -> (Arc<Self>, oneshot::Receiver<Result<$value, DeviceKeyError>>) {
                let (sender, receiver) = oneshot::channel();
                (Arc::new(Self { waiting: Mutex::new(Some(sender)), _alive: Alive::new() }), receiver)
            }

            fn answer(&self, result: Result<$value, DeviceKeyError>) {
                let sender = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(sender) = sender {
                    // The press that asked may have ended meanwhile.
                    let _ = sender.send(result);
                }
            }
        }

        #[cfg_attr(feature = "uniffi", uniffi::export)]
        impl $name {
            /// It failed.
            pub fn fail(&self, error: DeviceKeyError) {
                self.answer(Err(error));
            }

            /// Tells whether anybody still waits; a prompt may be taken down when not.
            pub fn is_wanted(&self) -> bool {
                let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.as_ref().is_some_and(|sender| !sender.is_closed())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("wanted", &self.is_wanted()).finish()
            }
        }
    };
}

answer_object!(
    /// Takes one signature `r || s`. Made by the core, handed to [`DeviceKey::sign`].
    SignatureAnswer takes Signature
);
answer_object!(
    /// Takes the result of one prompt. Made by the core, handed to [`DeviceKey::authenticate_user`].
    UserAnswer takes ()
);

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl SignatureAnswer {
    /// It worked: `r || s`. Answers after the first one are ignored.
    pub fn succeed(&self, signature: Signature) {
        self.answer(Ok(signature));
    }
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl UserAnswer {
    /// The user has authenticated. Answers after the first one are ignored.
    pub fn succeed(&self) {
        self.answer(Ok(()));
    }
}

/// A device key in software, kept in the vault: for desktops and tests.
///
/// There is nobody to prompt: doors that force user authentication open when the host says with the press that the
/// user has authenticated.
pub struct SoftwareDeviceKey {
    vault: Arc<dyn Vault>,
    loaded: Mutex<Option<Arc<RingSigner>>>,
}

impl SoftwareDeviceKey {
    /// Keeps the key in `vault`.
    pub fn new(vault: Arc<dyn Vault>) -> Self {
        Self { vault, loaded: Mutex::new(None) }
    }

    /// The key; `None` where there is none.
    fn held(&self) -> Result<Option<Arc<RingSigner>>, DeviceKeyError> {
        let mut loaded = self.loaded();
        if loaded.is_none()
            && let Some(pkcs8) = self.vault.load(ENTRY.to_owned())?.map(Zeroizing::new)
        {
            let signer = RingSigner::from_pkcs8(&pkcs8).map_err(|_| DeviceKeyError::Gone)?;
            *loaded = Some(Arc::new(signer));
        }
        Ok(loaded.clone())
    }

    fn make(&self) -> Result<Arc<RingSigner>, DeviceKeyError> {
        let mut loaded = self.loaded();
        let pkcs8 = RingSigner::generate_pkcs8().map_err(|_| DeviceKeyError::Failed)?;
        let signer = Arc::new(RingSigner::from_pkcs8(&pkcs8).map_err(|_| DeviceKeyError::Failed)?);
        self.vault.store(ENTRY.to_owned(), pkcs8.to_vec())?;
        Ok(loaded.insert(signer).clone())
    }

    fn loaded(&self) -> MutexGuard<'_, Option<Arc<RingSigner>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceKey for SoftwareDeviceKey {
    fn public_key(&self) -> Result<PublicKey, DeviceKeyError> {
        let signer = match self.held()? {
            Some(signer) => signer,
            None => self.make()?,
        };
        Ok(signer.public_key())
    }

    fn sign(&self, data: AuthenticationData, answer: Arc<SignatureAnswer>) {
        // Only a lock's key signs for a lock, whoever asks.
        if !matches!(data.usage(), Usage::Phone | Usage::Enrolment) {
            return answer.fail(DeviceKeyError::Failed);
        }
        let signature = self.held().and_then(|signer| {
            let signer = signer.ok_or(DeviceKeyError::Gone)?;
            signer.sign_shared(data.as_bytes()).map_err(|_| DeviceKeyError::Failed)
        });
        match signature {
            Ok(signature) => answer.succeed(signature),
            Err(error) => answer.fail(error),
        }
    }

    fn authenticate_user(&self, answer: Arc<UserAnswer>) {
        answer.fail(DeviceKeyError::UserNotAuthenticated);
    }

    fn remove(&self) -> Result<(), DeviceKeyError> {
        self.loaded().take();
        Ok(self.vault.remove(ENTRY.to_owned())?)
    }
}

impl fmt::Debug for SoftwareDeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareDeviceKey").finish_non_exhaustive()
    }
}

/// Asks for a signature and waits for it.
pub(crate) async fn sign(key: &dyn DeviceKey, data: AuthenticationData) -> Result<Signature, DeviceKeyError> {
    let (answer, waiting) = SignatureAnswer::new();
    let start = std::panic::AssertUnwindSafe(|| key.sign(data, answer));
    if std::panic::catch_unwind(start).is_err() {
        return Err(DeviceKeyError::Failed);
    }
    waiting.await.unwrap_or(Err(DeviceKeyError::Failed))
}

/// Has the user authenticate and waits for it.
pub(crate) async fn authenticate_user(key: &dyn DeviceKey) -> Result<(), DeviceKeyError> {
    let (answer, waiting) = UserAnswer::new();
    let start = std::panic::AssertUnwindSafe(|| key.authenticate_user(answer));
    if std::panic::catch_unwind(start).is_err() {
        return Err(DeviceKeyError::Failed);
    }
    waiting.await.unwrap_or(Err(DeviceKeyError::Failed))
}

#[cfg(test)]
mod tests {
    use keybutton_protocol::ids::{ReaderId, TransactionId};
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use tempfile::TempDir;

    use super::*;
    use crate::vault::{FileVault, VaultKey};

    fn vault(dir: &TempDir) -> Arc<dyn Vault> {
        Arc::new(FileVault::open(dir.path(), VaultKey::Bytes(Zeroizing::new([7; 32]))).unwrap())
    }

    #[tokio::test]
    async fn signs_for_enrolment_and_keeps_its_key_over_a_restart() {
        let dir = TempDir::new().unwrap();
        let key = SoftwareDeviceKey::new(vault(&dir));
        let public = key.public_key().unwrap();
        let data = AuthenticationData::for_enrolment(&[1; 32]);
        let signature = sign(&SoftwareDeviceKey::new(vault(&dir)), data.clone()).await.unwrap();
        let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public.as_bytes());
        verifier.verify(data.as_bytes(), signature.as_bytes()).unwrap();
    }

    #[tokio::test]
    async fn never_signs_as_a_lock() {
        let dir = TempDir::new().unwrap();
        let key = SoftwareDeviceKey::new(vault(&dir));
        let public = key.public_key().unwrap();
        let as_lock = AuthenticationData::for_lock(&ReaderId([1; 32]), &public, &public, &TransactionId([2; 16]));
        assert_eq!(sign(&key, as_lock).await, Err(DeviceKeyError::Failed));
        assert_eq!(sign(&key, AuthenticationData::for_claim(&[0; 32])).await, Err(DeviceKeyError::Failed));
    }

    #[tokio::test]
    async fn a_removed_key_is_gone_and_the_next_one_is_new() {
        let dir = TempDir::new().unwrap();
        let key = SoftwareDeviceKey::new(vault(&dir));
        let first = key.public_key().unwrap();
        key.remove().unwrap();
        key.remove().unwrap();
        let data = AuthenticationData::for_enrolment(&[0; 32]);
        assert_eq!(sign(&key, data).await, Err(DeviceKeyError::Gone), "signing makes no key");
        assert_ne!(key.public_key().unwrap(), first);
    }

    #[tokio::test]
    async fn what_the_vault_holds_under_its_name_has_to_be_a_key() {
        let dir = TempDir::new().unwrap();
        let vault = vault(&dir);
        vault.store(ENTRY.into(), b"not a key".to_vec()).unwrap();
        let key = SoftwareDeviceKey::new(vault);
        assert_eq!(key.public_key(), Err(DeviceKeyError::Gone));
        assert_eq!(sign(&key, AuthenticationData::for_enrolment(&[0; 32])).await, Err(DeviceKeyError::Gone));
        assert_eq!(authenticate_user(&key).await, Err(DeviceKeyError::UserNotAuthenticated));
    }
}
