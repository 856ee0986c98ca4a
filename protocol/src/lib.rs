//! What both sides of a door agree on: the bytes between phone, lock and access service.
//!
//! The transaction follows the Aliro 1.0 access transaction with a profile of our own on top; not certified.
//! `docs/PROTOCOL.md` describes every byte with worked numbers.
//!
//! The crate needs neither `std` nor a heap. Features that do are for the phone and the service:
//! `ring` (their crypto back end), `issue` (documents, certificates and tokens are built on the heap),
//! `api` (the JSON exchanged over HTTP).
#![no_std]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod a5;
pub mod advert;
pub mod apdu;
#[cfg(feature = "api")]
pub mod api;
pub mod audit;
pub mod buf;
pub mod cbor;
pub mod certificate;
pub mod channel;
pub mod cose;
pub mod crypto;
pub mod document;
pub mod exchange;
pub mod frame;
pub mod ids;
pub mod initiator;
#[cfg(feature = "issue")]
pub mod issue;
pub mod keys;
pub mod message;
pub mod profile;
pub mod reader;
pub mod signalling;
pub mod tdate;
pub mod tlv;
pub mod token;
pub mod verdict;

#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod pair;
#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod testing;
