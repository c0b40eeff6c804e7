//! What a node answers to other nodes, operators and applications, by gRPC with mutual TLS.

mod callers;
mod door;

pub use callers::{Admitted, Caller, Callers, Role, Unwelcome, node_name};
pub use door::{Door, DoorError, Speaks};
