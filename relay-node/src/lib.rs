//! The EdgeRelay relay daemon: sockets and workers around the TURN core, and what runs them.
//!
//! A packet's way: [`net`] (sockets) to [`worker`] (one thread for each core) to the `turn` crate (the
//! protocol) and back. What runs beside, on one control thread: [`serve`] takes a [`config`], starts
//! the workers, and keeps [`admin`] and [`telemetry`]. All of that is one process, which may die: the [`keeper`]
//! is its parent and starts the next one, which goes on by what [`recovery`] holds. [`cli`] names the commands; [`dev`],
//! [`reload`] and [`trial`] are three of them, and those that ask a fleet are in [`fleet`].

pub mod admin;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod dev;
pub mod fleet;
pub mod ice_servers;
pub mod keeper;
pub mod net;
pub mod recovery;
pub mod reload;
pub mod serve;
pub mod telemetry;
pub mod tls;
pub mod trial;
pub mod worker;
