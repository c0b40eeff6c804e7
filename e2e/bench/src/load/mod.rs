//! The load: the clients and the peer of a measurement, on one thread and one core.

mod cycles;
mod dialogue;
mod session;
mod sockets;
mod traffic;

pub use cycles::Cycles;
pub use dialogue::{Dialogue, DialogueError, PASSWORD, REALM, USERNAME};
pub use session::{Depth, Framing, Session, is_answering, open_sessions};
pub use sockets::Sockets;
pub use traffic::{Offer, Outcome, run};
