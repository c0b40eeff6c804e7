//! EdgeRelay, Debian's coturn and a bare UDP forwarder, measured side by side with one command.
//!
//! [`lab`] is the network, [`server`] starts what is measured, [`load`] is the clients and the peer,
//! [`measure`] takes one figure, [`campaign`] takes all of them in turn, and [`report`] prints them.

pub mod campaign;
pub mod cli;
pub mod datagrams;
pub mod forwarder;
pub mod lab;
pub mod load;
pub mod machine;
pub mod measure;
pub mod profile;
pub mod report;
pub mod server;
pub mod shape;
pub mod statistics;
pub mod usage;
