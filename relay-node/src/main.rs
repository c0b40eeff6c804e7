//! The EdgeRelay relay.
fn main() {}
