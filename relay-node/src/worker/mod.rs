//! Workers: one thread for each core, each a relay of its own.
//!
//! [`start`] binds all sockets of a [`Plan`] and starts the threads. A worker waits in one epoll set
//! for everything that is its own: its sockets of the UDP listeners, the relay sockets of its
//! allocations, the connections that it accepted, its mailbox. In a round it takes what has come,
//! hands each packet to its [`turn::Turn`], and sends what comes of it at the end of the round
//! (`run.rs`). Datagrams pass through `datagrams.rs`, streams through `stream/`.
//!
//! A round takes a bounded number of packets from each side. A socket that has more waits for the next
//! one in a [`backlog`], so that nobody's flood takes another's turn.
//!
//! TLS handshakes are calculated by threads of their own, which get the processor after the workers: a
//! signature takes as long as hundreds of packets. Everything else about a connection is its worker's.
//!
//! On a packet's way there is no lock, no allocation and no log. A UDP client belongs to the worker
//! that a hash of its address names; a datagram that the kernel gave to another worker is handed to
//! that one through its mailbox.

mod backlog;
mod clock;
mod counters;
mod datagrams;
mod fleet;
mod frames;
mod freezing;
mod inheritance;
mod listeners;
mod mailbox;
mod plan;
mod pulse;
mod recorder;
mod relays;
mod restore;
mod run;
mod start;
mod stream;
#[cfg(test)]
mod tests;
mod token;
mod workers;

pub use counters::{Counters, SocketStats};
pub use fleet::{Changed, Ended, FleetPlan, Question, Which};
pub use freezing::{Frozen, NotFrozen};
pub use inheritance::{Inheritance, InheritedListener, ListenerDescriptors};
pub use plan::{ListenerPlan, Plan, StreamLimits};
pub use restore::Restored;
pub use start::{Prepared, StartError, prepare, start};
pub use workers::{BoundListener, Events, Workers};
