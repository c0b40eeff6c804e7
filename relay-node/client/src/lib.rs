//! A TURN client (RFC 8656, with the long-term credentials of RFC 8489) as a state machine: packets and
//! time in, packets and events out. No socket, no clock, no random source but a seed.
//!
//! [`Client`] asks, repeats what is lost, logs in and tells what came of it. Its driver
//!
//! 1. sends what [`Client::poll_packet`] gives, until there is no more,
//! 2. waits for a packet until [`Client::next_timeout`],
//! 3. hands the packet to [`Client::receive`], or the time to [`Client::handle_timeout`], and goes on.
//!
//! On a stream, [`Frames`] finds the packets.
//!
//! ```
//! use std::time::Instant;
//! use turn_client::{Allocate, Client, Credential, Path, Request};
//!
//! let mut client = Client::new(Path::Datagrams, Credential::new("alice", "wonderland"), [7; 32]);
//! client.request(Instant::now(), Request::Allocate(Allocate::default()))?;
//! let packet = client.poll_packet().expect("the first Allocate");
//! assert_eq!(stun::Message::parse(&packet)?.method(), stun::Method::ALLOCATE);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Who sends what no client should uses the pieces below it: [`message`] of any attributes, [`Login`] to
//! sign them and to check answers, [`Incoming`] to read what comes.

#![forbid(unsafe_code)]

mod challenge;
mod client;
mod credential;
mod frames;
mod incoming;
mod login;
mod outgoing;
mod redirect;
mod request;
mod success;
mod transaction;

pub use challenge::{Challenge, ChallengeError};
pub use client::{Client, Event, Failure};
pub use credential::Credential;
pub use frames::{Frames, NoFrame};
pub use incoming::Incoming;
pub use login::Login;
pub use outgoing::{Path, channel_data, message, send_indication};
pub use redirect::RedirectError;
pub use request::{Allocate, Request};
pub use success::{Allocation, AnswerError, Success};
pub use transaction::{Timing, TransactionIds};
