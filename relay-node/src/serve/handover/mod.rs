//! One relay takes over from another one that serves, on the same node: the listeners, the relayed addresses, the
//! calls of all UDP clients. The old one goes on with its TCP and TLS clients until they have ended.
//!
//! The new one comes to the old one's [`door`], which is a socket in `recovery.directory`, or the [`line`] that
//! a keeper has laid between two of its own. Then
//!
//! | | new | old |
//! | --- | --- | --- |
//! | 1 | `Hello` | `Refused`, or `Welcome` with keys and listeners |
//! | 2 | binds what is missing, reads certificates: all that can fail; `Ready` | tells those that went before it; halts its workers; `Frozen` with the sockets of relayed addresses |
//! | 3 | takes in the records, and takes the old one's [offer](crate::recovery::state::State::take_offer): that is the moment; `Serving` | lets go |
//! | 4 | passes on settings and commands | answers `Report` until its last connection has ended |
//!
//! Whatever goes wrong before the moment, the old one goes on as if nothing had been, within seconds. After it,
//! the new one serves. Nothing in between: who takes the offer and who withdraws it compare and exchange one word.
//! A hand-over by which a call would end is none: the new one gives up, and says which addresses it lacks.
//!
//! While an old one serves its connections, all of them see each other's open ports ([`neighbours`]), so that
//! their clients reach each other; and one whose line to the new one broke comes back to whoever serves then.

pub mod arrival;
pub mod door;
pub mod giving;
pub mod line;
pub mod message;
pub mod neighbours;
pub mod predecessors;
pub mod retirement;
pub mod taking;
pub mod turns;
