//! The fleet's part of the relay: what it shares with other nodes by Redis, and what it answers by gRPC and HTTPS.
//!
//! It has a thread and a runtime of its own: whatever waits here, for Redis, a file or a TLS handshake, holds neither
//! packets nor the control thread. What the rest of the relay needs of the fleet comes to it as [`Order`]s and as
//! snapshots; what the fleet needs of the relay it reads from a [`Node`].

pub mod api;
pub mod contract;
pub mod issuing;
