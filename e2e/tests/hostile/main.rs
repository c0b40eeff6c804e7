//! Hostile clients and peers in network namespaces of their own, a file for each attack.

mod attributes_after_integrity;
mod control_characters;
mod half_frames;
mod live_five_tuple;
mod malformed_messages;
mod nonces;
mod oversized_frames;
mod peer_addresses;
mod rest_usernames;
mod slow_loris;
mod slow_reader;
