//! What the lock does: the actions that [`Reader::handle`](crate::Reader::handle) hands out.

use keybutton_protocol::{
    ids::{CredentialId, Intent, Interface, UnlockId},
    reader::ReaderError,
    verdict::{ClockState, Reason},
};

use super::input::{Address, LinkId};
use crate::{env::BoltCommand, feedback::Feedback, uptime::Uptime};

/// Takes the actions, in order. Bytes are borrowed: copy or send them before returning.
///
/// Any `FnMut(Action<'_>)` is one.
pub trait Actions {
    /// Carries out `action`, or notes it for after.
    fn push(&mut self, action: Action<'_>);
}

impl<F: FnMut(Action<'_>)> Actions for F {
    fn push(&mut self, action: Action<'_>) {
        self(action);
    }
}

/// Something to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action<'a> {
    /// Advertise this from now on, instead of what was advertised before.
    Advertise(&'a Advertising),
    /// Notify one ATT value on the lock-to-phone characteristic.
    Notify {
        /// The link.
        link: LinkId,
        /// The value.
        value: &'a [u8],
    },
    /// Drop a link once all its values are sent. No [`Input::Disconnected`](crate::Input::Disconnected) needs to follow.
    Close {
        /// The link.
        link: LinkId,
    },
    /// Send a command APDU to the phone in the NFC field; its answer is [`Input::NfcResponse`](crate::Input::NfcResponse).
    Transmit {
        /// The command APDU.
        apdu: &'a [u8],
    },
    /// Release the phone in the NFC field and poll for the next.
    NfcRelease,
    /// Move the bolt.
    Bolt(BoltCommand),
    /// Play a signal on light and buzzer; it replaces one that is still playing.
    Feedback(Feedback),
    /// Call with [`Input::Deadline`](crate::Input::Deadline) at this time; replaces the earlier deadline. `None`: no more.
    Deadline(Option<Uptime>),
    /// For a screen or a local log; nothing needs to be done.
    Event(Event),
}

/// What to advertise (`docs/PROTOCOL.md` section 15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advertising {
    /// The ADV_IND payload.
    pub advertisement: [u8; 24],
    /// The scan response payload.
    pub scan_response: [u8; 28],
    /// The random, non-resolvable address to advertise with, in printed order. Changes together with the tag.
    pub address: Address,
}

/// What happened, without secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A verdict was given.
    Verdict {
        /// The reason.
        reason: Reason,
        /// The detail that goes with it.
        detail: u8,
        /// Over which interface.
        interface: Interface,
        /// What was asked.
        intent: Intent,
        /// Which key asked.
        credential: CredentialId,
        /// The press, where the phone gave one.
        unlock: Option<UnlockId>,
        /// The verdict of an earlier transaction of the same press was repeated; nothing moved.
        repeated: bool,
        /// The way the phone proved itself.
        path: Path,
    },
    /// A transaction ended before a verdict.
    Failed {
        /// Over which interface.
        interface: Interface,
        /// Why.
        failure: Failure,
    },
    /// The clock moved or its state changed.
    Time {
        /// The state.
        state: ClockState,
    },
    /// A revocation document was applied.
    RevocationApplied,
    /// Audit records were handed over to a phone.
    AuditHandedOver {
        /// Up to this number.
        number: u32,
    },
    /// An ACK token freed audit records.
    AuditAcknowledged {
        /// Up to this number.
        number: u32,
    },
    /// The store failed; nothing opens until it works again.
    StoreFailed,
}

/// The way a phone proved itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Path {
    /// Fast phase: no signature, one round trip.
    Fast,
    /// AUTH1 with a key the lock knows: two round trips.
    Known,
    /// AUTH1 and documents: three round trips.
    StepUp,
}

/// Why a transaction ended before a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// The phone did not answer in time.
    Timeout,
    /// The phone left.
    LinkLost,
    /// Fragments or messages did not follow the rules.
    Framing,
    /// No common version.
    Version,
    /// The phone answered with a failing status word, or not as it had to.
    Rejected,
    /// Something sealed did not open.
    Unauthentic,
    /// The device signature is wrong.
    DeviceSignature,
    /// Too many transactions at once.
    Busy,
    /// The lock's crypto engine or random source failed.
    Engine,
}

impl Failure {
    /// What a failed step of the handshake is called.
    pub(crate) const fn of(error: ReaderError) -> Self {
        match error {
            ReaderError::Refused(_) | ReaderError::Malformed | ReaderError::InvalidPoint | ReaderError::Cryptogram => {
                Self::Rejected
            }
            ReaderError::NoCommonVersion => Self::Version,
            ReaderError::Unauthentic => Self::Unauthentic,
            ReaderError::DeviceSignature => Self::DeviceSignature,
            ReaderError::NoStepUp | ReaderError::Exhausted | ReaderError::Room | ReaderError::Engine => Self::Engine,
        }
    }
}
