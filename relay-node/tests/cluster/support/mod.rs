//! What the tests stand on.

mod way;

pub use way::Way;
