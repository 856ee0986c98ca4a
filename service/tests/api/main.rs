//! The access service over real HTTP: every test starts one on a port of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod audit;
mod binary;
mod devices;
mod keys;
mod operators;
mod problems;
mod revocation;
mod rights;
mod secrets;
mod tenants;
mod vendors;
mod world;
