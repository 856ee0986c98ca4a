//! The open mobile key SDK. Work in progress.

pub mod button;
pub mod clock;
pub mod doctor;
pub mod download;
pub mod error;
pub mod http;
pub mod log;
pub mod outcome;
pub mod pending;
pub mod radio;
pub mod vault;
