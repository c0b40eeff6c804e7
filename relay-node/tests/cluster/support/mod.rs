//! What the tests stand on.

mod linked;
mod way;

pub use linked::{Linked, NOTHING, SOON, fleet};
pub use way::Way;
