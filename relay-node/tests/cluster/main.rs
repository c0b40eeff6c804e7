//! The fleet's part of the relay against a real Redis: one file for each behaviour.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody uses it from outside"
)]

mod acl_user;
mod calls_in_redis;
mod calls_written_behind;
mod cluster_mode;
mod going_on_from_redis;
mod keyrings;
mod link_trouble;
mod poisoned_calls;
mod poisoned_usage;
#[path = "../daemon/support/mod.rs"]
mod relay;
mod sentinel_fail_over;
mod support;
mod tls;
mod usage_through_a_crash;
mod usage_told_again;
