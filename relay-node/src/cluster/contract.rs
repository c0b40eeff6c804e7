//! The gRPC contracts of `proto/`, as Rust types.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::indexing_slicing,
    reason = "made from proto/, where what they mean is written"
)]

use serde::Serializer;

tonic::include_proto!("edgerelay.v1");

/// Writes a node's state as people know it.
fn state_by_name<S: Serializer>(state: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state_name(*state))
}

/// A node's state as people know it.
pub fn state_name(state: i32) -> &'static str {
    match node::State::try_from(state) {
        Ok(node::State::Serving) => "serving",
        Ok(node::State::Draining) => "draining",
        Ok(node::State::Unspecified) | Err(_) => "unknown",
    }
}
