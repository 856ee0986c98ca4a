//! The open mobile key SDK. Work in progress.

pub mod access;
pub mod button;
pub mod clock;
pub mod discovery;
pub mod doctor;
pub mod download;
pub mod error;
pub mod http;
pub mod keyring;
pub mod log;
pub mod outcome;
pub mod pending;
pub mod radio;
pub mod unlock;
pub mod vault;
