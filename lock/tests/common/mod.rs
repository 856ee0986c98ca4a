//! A lock and phones on a virtual clock, both halves real.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // each test binary uses a part

mod phone;
mod random;
mod store;
mod world;

pub use phone::{Log, Phone, SignWith, State};
pub use random::{TestCrypto, crypto, signer};
pub use store::TestStore;
pub use world::{GROUP, Hook, LockOptions, NOW, SUB, World, access_data, rule, weekly};
