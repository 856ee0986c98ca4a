//! Settings of the binary: by flag, environment or file, in this order.
