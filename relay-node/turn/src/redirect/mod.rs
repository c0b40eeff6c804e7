//! Sending clients on to the node that is to serve them: 300 (Try Alternate), RFC 8489 section 10.
//!
//! Done where a load balancer leads to, so that media goes past it, and by a relay that is to take no more.

mod alternates;

use std::sync::Arc;

pub use alternates::{Alternate, Alternates};

use crate::server::Turn;

/// Which clients are sent on to another node. Those who do not follow never come back after a 300, and so are
/// lost: who gets one is decided beforehand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirect {
    /// Those that are known to follow: by the shape of their request, or by a mark in their credential.
    #[default]
    Known,
    /// All but those that are known not to.
    All,
    /// None.
    Never,
}

/// What becomes of new allocations on a relay that is to take no more. A client that follows is sent to another
/// node in either case, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// The relay is about to end: whoever cannot be sent on is refused by 508.
    ToEnd,
    /// By command, and the relay stays: those who follow are refused by 508 where there is no other node, and
    /// all others are served in place.
    ToOthers,
}

impl Turn {
    /// From now on chooses among these nodes where to send clients.
    pub fn set_alternates(&mut self, alternates: Arc<Alternates>) {
        self.alternates = alternates;
    }

    /// From now on takes no new allocations, as far as `how` says.
    pub fn drain(&mut self, how: Drain) {
        self.draining = Some(how);
    }

    /// Takes new allocations again, after [`Self::drain`].
    pub fn resume(&mut self) {
        self.draining = None;
    }
}
