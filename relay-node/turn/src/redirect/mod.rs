//! Sending clients on to the node that is to serve them: 300 (Try Alternate), RFC 8489 section 10.
//!
//! Done where a load balancer leads to, so that media goes past it, and by a relay that is to take no more.

mod alternates;
mod followers;

use std::sync::Arc;

pub(crate) use alternates::Target;
use alternates::Traveller;
pub use alternates::{Alternate, Alternates};

use crate::address::Entrance;
use crate::authentication::Authenticated;
use crate::nonce::{NONCE_LEN, NonceKind};
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::time::Now;

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

/// What became of an Allocate that came where clients are sent on: through a load balancer, or to a relay that
/// drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Redirection {
    /// It got a 300.
    Sent,
    /// Its client is not known to follow.
    NotFollowing,
    /// It was sent here by a 300 itself.
    SentBefore,
    /// It came for a port that was reserved here.
    Reserved,
    /// There is no other node for it.
    NoAlternate,
}

impl Redirection {
    /// Every one, in the order of [`Stats::redirections`](crate::Stats::redirections).
    pub const ALL: [Self; 5] =
        [Self::Sent, Self::NotFollowing, Self::SentBefore, Self::Reserved, Self::NoAlternate];

    /// The name in metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::NotFollowing => "not_following",
            Self::SentBefore => "sent_before",
            Self::Reserved => "reserved",
            Self::NoAlternate => "no_alternate",
        }
    }
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

    /// Answers an Allocate by 300 if it is to go elsewhere, and tells whether it was. `is_reserved`: whether it
    /// comes for a port that was kept for it.
    ///
    /// # Errors
    /// 508 if the relay drains and the client can neither be sent on nor be served.
    pub(crate) fn sends_on(
        &mut self,
        now: Now,
        request: &Authenticated<'_>,
        is_reserved: bool,
    ) -> Result<bool, Refusal> {
        if self.draining.is_none() && request.reply.client.entrance == Entrance::Direct {
            return Ok(false);
        }
        let outcome = self.redirect(now, request, is_reserved);
        self.stats.count_redirection(outcome);
        match (outcome, self.draining) {
            (Redirection::Sent, _) => Ok(true),
            (_, None) => Ok(false),
            // "The server is unable to satisfy the request due to lack of capacity: 508."
            (_, Some(Drain::ToEnd)) | (Redirection::NoAlternate, _) => Err(Refusal::InsufficientCapacity),
            (_, Some(Drain::ToOthers)) => Ok(false),
        }
    }

    fn redirect(&mut self, now: Now, request: &Authenticated<'_>, is_reserved: bool) -> Redirection {
        let five_tuple = &request.reply.client.five_tuple;
        // RFC 8489 section 10: "to prevent the client from being in a loop", which a client checks too, nobody
        // is sent on twice.
        if request.nonce == NonceKind::Redirected {
            return Redirection::SentBefore;
        }
        if is_reserved {
            return Redirection::Reserved;
        }
        if !self.settings.redirect.follows(&request.message, five_tuple.transport, request.name) {
            return Redirection::NotFollowing;
        }
        let (user, most) = (self.hasher.hash_one(request.user()), self.settings.limits.user.allocations);
        let client = Traveller { five_tuple, user, most };
        let chosen = self.alternates.choose(&client, self.draining.is_some(), &mut self.random);
        let Some(target) = chosen else { return Redirection::NoAlternate };
        // With a nonce and the realm, so that the request succeeds there at once.
        let mut nonce = [0; NONCE_LEN];
        let client = five_tuple.client.ip();
        self.settings.nonces.issue(now.unix, NonceKind::Redirected, client, &mut nonce);
        let realm = &self.settings.realm;
        request.reply.redirect(&mut self.outbox, &mut self.stats, &target, realm, &nonce);
        Redirection::Sent
    }
}
