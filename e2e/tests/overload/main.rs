//! A call and newcomers beside each load that others may put on a relay with its default limits: the call
//! loses nothing, a Binding and an Allocate are answered within a second, memory stays bounded.
//!
//! The relay has a core of its own, hence one worker; who attacks has the others. What is printed
//! is what they saw.

mod all_connections;
mod many_relayed_addresses;
mod newcomer;
mod one_address;
mod one_byte_records;
mod slow_readers;
mod spoofed_sources;
mod stale_nonce;
mod tcp_at_full_speed;
mod tls_handshakes;
