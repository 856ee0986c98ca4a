//! The lock's half of the handshake: each step consumes the last (`docs/PROTOCOL.md` sections 4 to 11 and 22).
//!
//! ```text
//! Opened --auth0--> Auth0Sent --response--> Auth0Done --auth1--> Auth1Sent --response--> Deciding
//!                                               |  `--load_certificate--> CertificateSent --response--> Auth0Done
//!                                               `--find, into_fast--> Deciding
//! Deciding --envelope--> EnvelopeSent --response--> Deciding
//! Deciding --ask--> ExchangeSent --reply--> Deciding
//! Deciding --verdict--> ExchangeSent --reply--> Decided --ask, hand_over--> ExchangeSent --reply--> Decided
//! ```
//!
//! Every step writes a complete command APDU into the caller's buffer and returns its length. On BLE the caller puts a
//! message header in front ([`message::finish`](crate::message::finish) with [`Kind::Command`](crate::message::Kind)),
//! on NFC it cuts the command by [`CommandPieces`](crate::apdu::CommandPieces) and joins the answer by
//! [`ResponseAssembler`](crate::apdu::ResponseAssembler). A failed step returns a [`Failure`], which knows what to send
//! before closing; all keys are gone by then.
#![deny(clippy::wildcard_enum_match_arm)]

mod auth0;
mod auth1;
mod failure;
mod opening;
mod session;

pub use auth0::{Auth0Done, Auth0Sent, CertificateSent, FastMatch};
pub use auth1::Auth1Sent;
pub use failure::{Failure, ReaderError};
pub use opening::{Opened, Prepared, select};
pub use session::{Decided, Deciding, EnvelopeSent, ExchangeSent, Peer, Phase, StepUpSelectSent};

use crate::{
    ids::{PublicKey, ReaderId},
    profile::Profile,
};

/// Who the lock is. Unchanged over a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The switches.
    pub profile: &'a Profile,
    /// The lock's identifier.
    pub reader: ReaderId,
    /// What phones of the group hold to recognise the lock: the site CA key, or the reader key without certificate.
    pub anchor: PublicKey,
    /// The reader certificate in compressed form.
    pub certificate: Option<&'a [u8]>,
}
