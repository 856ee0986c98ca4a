//! The clock: what the core asks of the host's time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keybutton_protocol::ids::UnixTime;

use crate::unlock::{Moment, Now};

/// Wall time and elapsed time. The core never reads any other clock to decide something.
#[cfg_attr(feature = "uniffi", uniffi::export(rust, foreign))]
pub trait Clock: Send + Sync + 'static {
    /// The wall time, milliseconds since 1970-01-01T00:00:00Z. May jump when the user or the network sets it.
    fn unix_ms(&self) -> u64;

    /// Microseconds since an arbitrary start. Never jumps; should go on while the device sleeps.
    fn monotonic_us(&self) -> u64;
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts counting elapsed time now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Both clocks at once.
pub(crate) fn now(clock: &dyn Clock) -> Now {
    Now { moment: Moment(clock.monotonic_us()), wall: unix_time(clock) }
}

/// Rounds a clock's wall time down to whole seconds, as documents and requests carry it.
pub(crate) fn unix_time(clock: &dyn Clock) -> UnixTime {
    UnixTime(u32::try_from(clock.unix_ms() / 1000).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);

    impl Clock for Fixed {
        fn unix_ms(&self) -> u64 {
            self.0
        }

        fn monotonic_us(&self) -> u64 {
            0
        }
    }

    #[test]
    fn seconds_are_rounded_down_and_never_wrap() {
        assert_eq!(unix_time(&Fixed(1_999)), UnixTime(1));
        assert_eq!(unix_time(&Fixed(u64::MAX)), UnixTime(u32::MAX));
    }

    #[test]
    fn system_time_is_after_this_was_written() {
        assert!(unix_time(&SystemClock::new()) > UnixTime(1_750_000_000));
    }
}
