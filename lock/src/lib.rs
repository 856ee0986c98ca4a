//! The lock's side of a Keybutton door: reader, policy, store, feedback.
//!
//! The transaction follows the Aliro 1.0 access transaction with a profile of our own on top; not certified.
//!
//! [`Reader`] is sans-IO: a board (or a program that plays one) tells it what happens as [`Input`]s with the uptime, and
//! carries out the [`Action`]s it hands out: values to notify, links to close, bolt, light and sound, and one deadline to
//! sleep until. Nothing polls. Crypto, signing key and store come as [`Env`](env::Env); what must survive a power cut, and in which
//! order it is written, is described at [`store`].
//!
//! The crate needs neither `std` nor a heap: the tables are in a [`Memory`] that the caller places.
#![no_std]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

#[cfg(test)]
extern crate std;

mod audit;
pub mod clock;
pub mod config;
pub mod env;
mod fast;
pub mod feedback;
mod known;
pub mod limits;
mod policy;
mod reader;
pub mod repeat;
mod revocation;
mod schedule;
pub mod store;
mod uptime;
mod uses;

pub use config::LockConfig;
pub use policy::Fault;
pub use reader::{
    Action, Actions, Address, Advertising, BATTERY_UNKNOWN, Boot, Event, Failure, Input, LINK, LinkId, Lockdown,
    Maintenance, Memory, PHASE, Path, Place, REASSEMBLY, Reader, Tables,
};
pub use uptime::Uptime;
