//! Whose credentials are good no more before their time: a log in Redis that every node reads, and reads again from its
//! beginning whenever it may have missed something.
//!
//! What was said last of a user or a name counts ([`list`]), so the order in which nodes hear of it does not matter, and
//! who writes an old line of the log again changes nothing. A node knows all that is in force ([`FleetState`]), also while
//! Redis is away and after a crash; what Redis has lost, those who know say again ([`log`]).
//!
//! [`FleetState`]: super::FleetState

pub mod list;
mod log;

use turn::UnixSeconds;

use super::Context;
use super::link::Away;
use list::{Full, Whom};

pub(super) use log::run;

/// What came of a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is in the log, which every node reads at once.
    ByAll,
    /// It is in force here, and will be told to the others when Redis is back.
    HereOnly {
        /// What is in the way, for a person.
        because: String,
    },
}

/// Refuses all names of `whom` from now on and ends what lives by them, at every node.
///
/// # Errors
/// When too many are refused already.
pub async fn revoke(context: &Context, whom: Whom, now: UnixSeconds) -> Result<Heard, Full> {
    say(context, whom, true, now).await
}

/// Takes a revocation back.
///
/// # Errors
/// As [`revoke`].
pub async fn restore(context: &Context, whom: Whom, now: UnixSeconds) -> Result<Heard, Full> {
    say(context, whom, false, now).await
}

async fn say(context: &Context, whom: Whom, revoked: bool, now: UnixSeconds) -> Result<Heard, Full> {
    let longest = context.config.issuing.max_ttl;
    let now = now.get().saturating_mul(1000);
    let mut said = Err(Full);
    context.fleet.send_if_modified(|fleet| {
        fleet.change_revocations(|list| {
            said = list.say(whom, revoked, now, longest);
            said.is_ok()
        })
    });
    Ok(match log::append(context, None, &[said?]).await {
        Ok(_) => Heard::ByAll,
        Err(away) => Heard::HereOnly { because: why(context, &away) },
    })
}

fn why(context: &Context, away: &Away) -> String {
    let state = context.link.state().borrow().clone();
    let reason = if state.why.is_empty() { away.to_string() } else { state.why };
    format!(
        "only this node knows so far ({reason}); the others are told when Redis answers, as long as this node runs"
    )
}
