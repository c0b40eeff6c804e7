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
mod cluster_mode;
mod desks;
mod keyrings;
mod link_trouble;
mod nodes;
mod poisoned_registry;
mod quota_of_a_dead_node;
mod quota_race;
mod registry_expiry;
mod sentinel_fail_over;
mod simulated_fleets;
mod support;
mod tls;
