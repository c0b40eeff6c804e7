//! The EdgeRelay relay daemon: sockets and workers around the TURN core, and what runs them.

pub mod cli;
pub mod config;
pub mod net;
pub mod tls;
pub mod worker;
