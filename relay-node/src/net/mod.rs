//! Sockets: batched UDP, options, errors and readiness, each behind a small safe interface.
//!
//! The only place of this package with `unsafe` code: the system calls that no well-kept crate wraps.

pub mod affinity;
pub mod control;
pub mod descriptors;
pub mod icmp;
pub mod inherited;
pub mod memory;
pub mod name;
pub mod occupants;
pub mod option;
pub mod passing;
pub mod poll;
pub mod receive;
pub mod send;
pub mod steering;
pub mod tcp;
pub mod udp;
pub mod wake;
