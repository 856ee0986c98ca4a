//! Doors with our own locks: the phone opens them with an access key, the service never stands between.

/// What the native integration can do.
pub const CAPABILITIES: &[&str] = &["radio", "tap", "offline", "audit"];
