//! The desktop harness.
