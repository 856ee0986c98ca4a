//! Doors that a vendor's own SDK inside the Branded App opens. They have no lock of ours and no access key: the phone asks
//! the service before each press, and nothing opens without a connection.

/// What such an integration can do.
pub const CAPABILITIES: &[&str] = &["vendor"];
