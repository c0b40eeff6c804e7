//! The codec: vectors, properties, an independent oracle. One file for each behaviour.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody uses it from outside"
)]

mod attribute_round_trip;
mod data_in_place;
mod integrity;
mod message_framing;
mod message_writer;
mod no_allocation;
mod oracle;
mod rfc5769_vectors;
mod stream_framing;
mod wire;
