//! The whole product end to end: a real access service on a real database, real locks with their store in a file, real
//! phone cores with their vault on disk, and the simulated radio between them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod button;
mod doors;
mod endings;
mod failures;
mod hours;
mod lossy;
mod power;
mod presses;
mod revoked;
mod taps;
mod world;
