//! EdgeRelay, Debian's coturn, turn-rs and two bare UDP forwarders, measured side by side with one command.
//!
//! [`lab`] is the network, [`server`] starts what is measured, [`load`] is the clients and the peer;
//! each server has a [`site`] of its own with all three. [`measure`] takes one figure, [`rate`] says at
//! which rate, [`campaign`] takes all of them in turn, and [`report`] prints them; [`published`] makes
//! README's tables of the run that is kept.

pub mod campaign;
pub mod cli;
pub mod datagrams;
pub mod forwarder;
pub mod lab;
pub mod load;
pub mod machine;
pub mod measure;
pub mod plain;
pub mod profile;
pub mod published;
pub mod rate;
pub mod redis;
pub mod report;
pub mod server;
pub mod shape;
pub mod site;
pub mod statistics;
pub mod usage;
