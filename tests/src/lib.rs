//! What the tests of the whole product share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod external;
pub mod fixed_rng;
pub mod misuse;
pub mod pair;
pub mod radio_behaviour;
