//! The load: the clients and the peer of a measurement, on one thread and one core.

mod cycles;
mod session;
mod sockets;
mod traffic;

pub use cycles::Cycles;
pub use session::{
    DialogueError, Framing, Session, is_answering, open_allocations, open_channels, open_pairs,
};
pub use sockets::{BUFFER, Sockets, SocketsError};
pub use traffic::{Offer, Outcome, run};
