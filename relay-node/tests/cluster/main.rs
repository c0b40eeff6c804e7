//! The fleet's part of the relay against a real Redis: one file for each behaviour.
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

mod acl_user;
mod calls_in_redis;
mod cluster_mode;
mod keyrings;
mod link_trouble;
mod poisoned_calls;
mod poisoned_usage;
mod sentinel_fail_over;
mod support;
mod tls;
mod usage_told_again;
