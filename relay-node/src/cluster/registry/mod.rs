//! The registry: which nodes there are, where clients reach them, and how much each has to do.
//!
//! A node is in it by telling of itself each second ([`member`]): a sealed entry of its own ([`entry`], [`wire`]) that Redis
//! forgets if it is not renewed, and a place in sorted sets by load. It reads a few others ([`sample`]), knows them for as
//! long as they can be believed ([`known`]), and makes of them who its clients are sent to ([`snapshot`]).

mod chosen;
pub mod entry;
#[cfg(test)]
mod fixtures;
mod known;
pub mod member;
mod sample;
mod snapshot;
mod wire;

pub use sample::MOST as SAMPLE;
pub use snapshot::{Choice, alternates};
