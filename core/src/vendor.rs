//! Doors that a vendor's own SDK inside the Branded App opens.
//!
//! The service decides whether the member may open such a door, the vendor's SDK opens it. There is no lock of ours, no
//! access key, and nothing opens without a connection.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keybutton_protocol::{
    api::DoorId,
    ids::{Intent, UnlockId},
};
use tokio::sync::oneshot;

use crate::{alive::Alive, error::ErrorCode, pending::guarded, unlock::VendorWord};

/// The host's part for doors that a vendor's SDK opens. Called from the core's own threads.
#[cfg_attr(feature = "uniffi", uniffi::export(foreign))]
pub trait VendorUnlock: Send + Sync + 'static {
    /// Starts to open a door and returns; what came of it goes to `answer`, once. A retry comes with the press id of the
    /// press it repeats, and should open nothing a second time.
    fn unlock(&self, request: VendorRequest, answer: Arc<VendorAnswer>);

    /// The press ended before it was answered: it was cancelled, or its deadline passed.
    fn cancel(&self, press: UnlockId);
}

/// What a vendor's SDK is to open.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct VendorRequest {
    /// The press.
    pub press: UnlockId,
    /// The door, as the access service names it.
    pub door: DoorId,
    /// The door, as the vendor names it, where the operator has said so.
    pub vendor_door: Option<String>,
    /// What is wanted of the door.
    pub intent: Intent,
    /// When the press ends at the latest, from now.
    pub deadline: Duration,
}

/// Takes what a vendor's SDK said of one press. Made by the core, handed to [`VendorUnlock::unlock`]. Answers after the
/// first one are ignored; dropped without one, nobody knows whether the door opened.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct VendorAnswer {
    waiting: Mutex<Option<oneshot::Sender<VendorWord>>>,
    _alive: Alive,
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl VendorAnswer {
    /// The door opened.
    pub fn opened(&self) {
        self.answer(VendorWord::Opened);
    }

    /// Nothing moved, and this is why.
    pub fn refused(&self, code: ErrorCode) {
        self.answer(VendorWord::Refused(code));
    }

    /// The vendor was asked and did not say what happened: the door may have opened.
    pub fn unconfirmed(&self) {
        self.answer(VendorWord::Unconfirmed);
    }

    /// Tells whether anybody still waits; an attempt that goes on may be given up when not.
    pub fn is_wanted(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_ref().is_some_and(|sender| !sender.is_closed())
    }
}

impl VendorAnswer {
    fn new() -> (Arc<Self>, oneshot::Receiver<VendorWord>) {
        let (sender, waiting) = oneshot::channel();
        (Arc::new(Self { waiting: Mutex::new(Some(sender)), _alive: Alive::new() }), waiting)
    }

    fn answer(&self, word: VendorWord) {
        let sender = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // The press may have ended meanwhile.
            let _ = sender.send(word);
        }
    }
}

impl fmt::Debug for VendorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VendorAnswer").field("wanted", &self.is_wanted()).finish()
    }
}

/// Asks the vendor and waits for its word. Dropped before it has come, the vendor is told that nobody waits any more.
pub(crate) async fn unlock(vendor: Arc<dyn VendorUnlock>, request: VendorRequest) -> VendorWord {
    let mut asked = Asked { press: request.press, vendor, waits: true };
    let (answer, mut waiting) = VendorAnswer::new();
    if !guarded(|| asked.vendor.unlock(request, answer)) {
        waiting.close();
    }
    // Without a word nobody knows.
    let word = waiting.await.unwrap_or(VendorWord::Unconfirmed);
    asked.waits = false;
    word
}

struct Asked {
    press: UnlockId,
    vendor: Arc<dyn VendorUnlock>,
    waits: bool,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.waits {
            guarded(|| self.vendor.cancel(self.press));
        }
    }
}
