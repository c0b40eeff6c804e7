//! The TURN server as a state machine (RFC 8656): inputs in, outputs out; no socket, no clock,
//! no random source but a seed.

pub mod address;
pub mod time;
