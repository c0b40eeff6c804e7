//! The fleet's part of the relay, with real Redis: one file for each behaviour.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody uses it from outside"
)]

mod calls_in_redis;
mod poisoned_calls;
mod poisoned_usage;
mod support;
mod usage_told_again;
