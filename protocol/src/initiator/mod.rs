//! The phone's half of the handshake: each step consumes the last (`docs/PROTOCOL.md` sections 4 to 11 and 22).
//!
//! ```text
//! NFC: Waiting --select--> Opened        BLE: Opened::initiate --> Opened
//! Opened --auth0--> Auth0Done --handle--> CertificateLoaded | ToSign | Exchanged (fast phase)
//! ToSign --signed--> Secured --handle--> StepUpSelected | DocumentsAsked | Exchanged
//! DocumentsAsked --respond--> Secured        Exchanged --respond--> Secured
//! ```
//!
//! The lock leads: a step takes a complete command APDU and writes a complete response into the caller's buffer. On BLE
//! the caller puts a message header in front ([`message::finish`](crate::message::finish) with
//! [`Kind::Response`](crate::message::Kind)); on NFC [`PhoneChain`](crate::apdu::PhoneChain) joins commands and cuts
//! responses. A failed step returns an [`InitiatorError`] with the status word to answer; the session is over and all
//! keys are gone by then.
//!
//! Nothing that identifies the phone leaves it before the lock has proven itself.
#![deny(clippy::wildcard_enum_match_arm)]

mod auth0;
mod auth1;
mod error;
mod opening;
mod session;
mod trust;

pub use auth0::{Auth0Done, Auth0Next};
pub use auth1::ToSign;
pub use error::InitiatorError;
pub use opening::{Opened, Phone, Waiting};
pub use session::{DocumentsAsked, Exchanged, Secured, SecuredNext};
pub use trust::{Env, LockTrust, TrustStore};
