//! What must not compile.
//!
//! A device key signs authentication data of section 7 and nothing else:
//!
//! ```compile_fail
//! fn sign(key: &dyn keybutton::device_key::DeviceKey, answer: std::sync::Arc<keybutton::device_key::SignatureAnswer>) {
//!     key.sign(b"any other bytes", answer);
//! }
//! ```
//!
//! Authentication data cannot be made of bytes of one's own choice:
//!
//! ```compile_fail
//! use keybutton_protocol::keys::{AuthenticationData, Usage};
//! let forged = AuthenticationData { bytes: [0; 126], usage: Usage::Phone };
//! ```
//!
//! An ephemeral key serves one agreement:
//!
//! ```compile_fail
//! use keybutton_protocol::crypto::Crypto;
//! use keybutton_tests::pair::keys::{crypto, public};
//! let mut crypto = crypto();
//! let (own, _) = crypto.generate_ephemeral().unwrap();
//! let _ = crypto.agree(own, &public("peer"));
//! let _ = crypto.agree(own, &public("peer"));
//! ```
//!
//! The same with one agreement, and with the data's own constructors, does compile:
//!
//! ```
//! use keybutton_protocol::{crypto::Crypto, keys::AuthenticationData};
//! use keybutton_tests::pair::keys::{crypto, public};
//! let mut crypto = crypto();
//! let (own, _) = crypto.generate_ephemeral().unwrap();
//! let _ = crypto.agree(own, &public("peer"));
//! let _ = AuthenticationData::for_enrolment(&[7; 32]);
//! ```
