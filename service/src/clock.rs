//! The service's clock: replaceable, so that tests decide what time it is.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Tells the time in Unix seconds.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u32 + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::new(|| {
            let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX)
        })
    }

    /// A clock of the caller's making.
    pub fn new(now: impl Fn() -> u32 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now, Unix seconds.
    pub fn now(&self) -> u32 {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
