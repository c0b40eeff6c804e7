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
mod calls_written_behind;
mod cluster_mode;
mod credentials_by_https;
#[path = "../daemon/support/mod.rs"]
mod daemon;
mod desks;
mod fleet;
mod fleet_commands;
mod going_on_from_redis;
mod hostile_callers;
mod keyrings;
mod known_fleet;
mod link_trouble;
mod no_secret_in_logs;
mod nodes;
mod poisoned_calls;
mod poisoned_registry;
mod poisoned_usage;
mod quota_of_a_dead_node;
mod quota_race;
mod registry_expiry;
mod relay_without_redis;
mod renewed_certificates;
mod revocation;
mod sentinel_fail_over;
mod simulated_fleets;
mod support;
mod tls;
mod usage_through_a_crash;
mod usage_told_again;
mod who_may_call;
