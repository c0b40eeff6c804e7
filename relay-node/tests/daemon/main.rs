//! The daemon on real sockets: one file for each behaviour.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody uses it from outside"
)]

mod admin_endpoints;
mod admin_under_attack;
mod command_line;
mod configuration_errors;
mod configuration_precedence;
mod crash_recovery;
mod drain;
mod fair_rounds;
mod fair_streams;
mod few_sources_many_connections;
mod files_lost_in_a_crash;
mod first_contact;
mod fleet_commands;
mod fleet_configuration;
mod fleet_node;
mod fleet_quota;
mod fleet_records;
mod garbage_after_allocate;
mod hairpin;
mod half_frames;
mod handover_between_workers;
mod icmp_errors;
mod inherited_calls;
mod inherited_listeners;
mod keeper;
mod kept_configuration;
mod logs;
mod metrics_count_traffic;
mod otlp_export;
mod proxied_streams;
mod readme;
mod released_workers;
mod reload;
mod reload_by_hand_over;
mod replacement;
mod service_manager;
mod slow_readers;
mod slow_writers;
mod start_errors;
mod support;
mod take_over;
mod take_over_broken;
mod take_over_refused;
mod tcp_relaying;
mod tls_on_the_tcp_listener;
mod tls_relaying;
mod trial;
mod trial_follows;
mod udp_relaying;
mod unwritten_records;
mod wildcard_listeners;
mod workers_drain_and_stop;
