//! The TURN server as a state machine (RFC 8656): inputs in, outputs out; no socket, no clock,
//! no random source but a seed.
//!
//! [`Turn`] is the server of one worker. What the workers of a node have to agree upon, the ports and
//! the quotas, is in the [`Ledger`]; only control messages touch it. What can change while the relay
//! runs is in [`Settings`], a snapshot that is swapped as a whole.
//!
//! What has to outlive the process is told to the driver change by change, if it wants to know, and taken in
//! again by the core of another one, as [`record`] says.
//!
//! To find one's way: [`Turn`] in `server.rs` takes the inputs; `packet_path.rs` relays packets;
//! `authentication.rs` proves credentials; `request/` has a file for each method; `recording.rs` and
//! `restore.rs` are the two ends of a life.

#![forbid(unsafe_code)]

mod address;
mod allocation;
mod answer;
mod authentication;
mod budget;
pub mod credentials;
mod ending;
mod event;
mod expiring;
mod io;
pub mod ledger;
pub mod nonce;
mod opening;
mod outbox;
mod packet_path;
mod peers;
mod per_family;
pub mod policy;
mod quota;
mod rate;
mod recently_closed;
pub mod record;
mod recording;
mod redirect;
mod refusal;
mod relay_address;
mod release;
mod request;
mod restore;
mod revocations;
mod server;
mod settings;
mod stats;
mod survey;
mod table;
mod time;
mod timers;

pub use address::{
    Client, ClientAddr, Entrance, FiveTuple, PathId, PeerAddr, RelayId, RelayPort, ServerAddr, Transport,
};
pub use budget::AnswerBudget;
pub use credentials::Credentials;
pub use ending::Session;
pub use event::{CloseReason, Event};
pub use io::{Forward, HEADROOM, IcmpError, OpenError, Output, Shortcut, Span, TAILROOM};
pub use ledger::{Ledger, WorkerId};
pub use nonce::Nonces;
pub use per_family::PerFamily;
pub use policy::PeerPolicy;
pub use quota::QuotaTicket;
pub use redirect::{Alternate, Alternates, Drain, Redirect, Redirection};
pub use refusal::Refusal;
pub use relay_address::{RelayAddress, RelayAddresses};
pub use restore::Unrestorable;
pub use revocations::{Revocations, Revoked};
pub use server::Turn;
pub use settings::{AnswerLimits, Lifetimes, Limits, Quota, Realm, RealmError, Settings};
pub use stats::{DropReason, OUTCOMES, RequestKind, Stats, Traffic};
pub use stun::attribute::AddressFamily;
pub use survey::Metered;
pub use time::{Monotonic, Now, UnixSeconds};
