//! The core without sockets: one file for each behaviour.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody uses it from outside"
)]

mod allocate;
mod answer_budget;
mod attributes_after_integrity;
mod authentication;
mod bandwidth;
mod bid_down;
mod binding;
mod channel_bind;
mod channel_data;
mod client_gone;
mod create_permission;
mod data_indication;
mod draining;
mod draining_to_others;
mod ended_by_command;
mod fingerprint;
mod first_contact;
mod first_contact_budget;
mod fleet_quota;
mod flooded_address;
mod guessing;
mod hairpin;
mod hairpin_across_relays;
mod hairpin_across_workers;
mod icmp;
mod killed_between_records;
mod many_expire_at_once;
mod memory_stays_flat;
mod no_allocation;
mod peer_policy;
mod peer_without_permission;
mod recorded;
mod redirect;
mod redirect_spreads;
mod reference_model;
mod refresh;
mod released;
mod reservation;
mod rest_credentials;
mod restored;
mod revoked;
mod send_indication;
mod served_in_place;
mod settings_swap;
mod support;
mod two_workers;
mod unknown_attributes;
mod userhash;
mod username_forms;
mod wrong_credentials;
