//! What the tests stand on.

mod linked;
mod member;
mod way;

pub use linked::{Linked, NOTHING, SOON, fleet};
pub use member::Member;
pub use way::Way;
