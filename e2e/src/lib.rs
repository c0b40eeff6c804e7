//! EdgeRelay against real clients, in network namespaces.
//!
//! Every scenario builds a [`Network`]: a router and four parties, each in a namespace with an
//! IPv4 and an IPv6 address of its own. The built binary runs as a [`relay::Relay`] in one of them; clients
//! that we did not write run in the others. What a scenario starts or makes is gone when its value is
//! dropped, also when the test fails or is killed (see [`testbed`]).
//!
//! The tests in `tests/` need root (for namespaces) and the Debian packages that `e2e/test` installs.

pub mod aioice;
pub mod binary;
pub mod browser;
pub mod call;
pub mod calls;
pub mod certificate;
pub mod client;
pub mod connection;
pub mod cores;
pub mod coturn;
pub mod credential;
pub mod crowd;
pub mod fleet;
pub mod libdatachannel;
pub mod network;
pub mod pace;
pub mod passers_by;
pub mod peer;
pub mod pion;
pub mod relay;
pub mod request;
pub mod signalling;
pub mod spoof;
pub mod steady;
pub mod stream;
pub mod transport;
pub mod video_call;
pub mod wire;

pub use network::{Network, Party};
