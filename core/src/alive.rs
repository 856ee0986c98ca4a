//! Counts the objects a host holds, or that hold a host's, so that a test finds what leaks.

use std::sync::atomic::{AtomicU64, Ordering};

static LIVING: AtomicU64 = AtomicU64::new(0);

/// Tells how many objects of this library live in this process: cores, presses, scans, answers that are waited for and
/// the ears of radios. 0 once everything was closed and what went on in the background has ended.
#[cfg_attr(feature = "uniffi", uniffi::export)]
pub fn live_objects() -> u64 {
    LIVING.load(Ordering::Acquire)
}

/// Stands in an object for as long as it lives.
#[derive(Debug)]
pub(crate) struct Alive(());

impl Alive {
    pub(crate) fn new() -> Self {
        LIVING.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        LIVING.fetch_sub(1, Ordering::AcqRel);
    }
}
