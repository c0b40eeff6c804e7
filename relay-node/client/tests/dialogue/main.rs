//! A client against a server whose answers the test writes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod allocations;
mod data;
mod forged_answers;
mod login;
mod redirect;
mod repetition;
mod server;
