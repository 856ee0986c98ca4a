//! The desktop harness: access service, virtual locks, a simulated radio and the real phone core on one laptop.
//!
//! The binary `keybutton` is a thin shell over this library, which the end-to-end tests use as well.

pub mod apdu;
pub mod bench;
pub mod bluetooth;
pub mod commands;
pub mod console;
pub mod demo;
pub mod doctor;
pub mod failure;
pub mod lock_host;
pub mod organization;
pub mod phone;
pub mod press_report;
pub mod service_client;
pub mod service_host;
pub mod session;
pub mod sniff;
pub mod stage;
pub mod state;
pub mod tokens;
