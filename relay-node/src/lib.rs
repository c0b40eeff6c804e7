//! The EdgeRelay relay daemon: sockets and workers around the TURN core, and what runs them.

pub mod admin;
pub mod cli;
pub mod config;
pub mod dev;
pub mod ice_servers;
pub mod net;
pub mod serve;
pub mod telemetry;
pub mod tls;
pub mod trial;
pub mod worker;
