//! The desktop harness: access service, virtual locks, a simulated radio and the real phone core on one laptop.
//!
//! The binary `keybutton` is a thin shell over this library, which the end-to-end tests use as well.

pub mod console;
pub mod failure;
pub mod lock_host;
pub mod phone;
pub mod service_client;
pub mod state;
pub mod tokens;
