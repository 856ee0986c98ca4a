//! Measures key issue.
fn main() {}
