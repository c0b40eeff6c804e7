//! What operators see of allocations, wherever they live.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use turn::FiveTuple;
use turn::credentials::UserId;

use super::name::Name;
use super::record::Written;
use super::shelf::Shelf;
use crate::cluster::Context;
use crate::cluster::link::Away;

/// Sessions that wait for who asked for them.
const AHEAD: usize = 256;

/// An allocation as its node last wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What it is called.
    pub id: Name,
    /// Where it lives.
    pub node: String,
    /// Whose it is.
    pub user: UserId,
    /// Whose packets it takes.
    pub five_tuple: FiveTuple,
    /// What its peers see.
    pub relayed: Vec<SocketAddr>,
    /// How long it has been there.
    pub age: Duration,
    /// How long it will be, unless it is refreshed.
    pub left: Duration,
    /// How many permissions it had.
    pub permissions: u32,
    /// How many channels.
    pub channels: u32,
}

/// Which sessions: what is given has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What it is called.
    pub id: Option<Name>,
    /// Of whose users.
    pub tenant: Option<String>,
    /// Whose, without the tenant.
    pub user: Option<String>,
}

impl Filter {
    /// Whether sessions of that user are meant.
    pub fn fits(&self, user: &UserId) -> bool {
        self.tenant.as_deref().is_none_or(|tenant| user.tenant() == Some(tenant))
            && self.user.as_deref().is_none_or(|name| user.user() == name)
    }
}

/// All sessions of these nodes that fit, as they come from Redis, which is asked no faster than they are taken. An
/// error is the last that comes: what was there then is not all.
pub fn list(context: &Context, nodes: Vec<String>, filter: Filter) -> mpsc::Receiver<Result<Session, Away>> {
    let (sender, sessions) = mpsc::channel(AHEAD);
    let context = context.clone();
    tokio::spawn(async move {
        for node in nodes {
            let shelf = Shelf::of(&context, &node);
            if let Err(away) = send(&shelf, &filter, &sender).await {
                let _ = sender.send(Err(away)).await;
            }
            if sender.is_closed() {
                return;
            }
        }
    });
    sessions
}

/// The session of that name on that node.
///
/// # Errors
/// When Redis does not say.
pub async fn find(context: &Context, node: &str, id: Name) -> Result<Option<Session>, Away> {
    let written = Shelf::of(context, node).get(id).await?;
    Ok(written.and_then(|written| Session::new(node, id, &written, since_1970())))
}

async fn send(
    shelf: &Shelf,
    filter: &Filter,
    sender: &mpsc::Sender<Result<Session, Away>>,
) -> Result<(), Away> {
    let now = since_1970();
    let mut walk = shelf.walk();
    loop {
        let page = match filter.id {
            Some(id) => shelf.get(id).await?.map(|written| vec![(id, written)]),
            None => walk.next().await?,
        };
        let Some(page) = page else { return Ok(()) };
        let sessions = page.iter().filter_map(|(id, written)| Session::new(shelf.node(), *id, written, now));
        for session in sessions.filter(|session| filter.fits(&session.user)) {
            if sender.send(Ok(session)).await.is_err() {
                return Ok(());
            }
        }
        if filter.id.is_some() {
            return Ok(());
        }
    }
}

impl Session {
    /// Nothing if it would have ended by now.
    fn new(node: &str, id: Name, written: &Written, now: Duration) -> Option<Self> {
        let allocation = &written.survivor.allocation;
        let left = written.expires().checked_sub(now).filter(|left| !left.is_zero())?;
        Some(Self {
            id,
            node: node.to_owned(),
            user: allocation.user().clone(),
            five_tuple: allocation.five_tuple,
            relayed: allocation.relayed.present().map(|(_, relayed)| relayed.advertised()).collect(),
            age: now.saturating_sub(written.created()),
            left,
            permissions: written.survivor.permissions.len() as u32,
            channels: written.survivor.channels.len() as u32,
        })
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_without_anything_fits_all_and_a_tenant_only_its_own_users() {
        let filter = |tenant: Option<&str>, user: Option<&str>| Filter {
            id: None,
            tenant: tenant.map(str::to_owned),
            user: user.map(str::to_owned),
        };
        let (carol, alice) = (UserId::time_limited("t1:carol"), UserId::long_term("alice"));
        for (filter, fits) in [
            (filter(None, None), [true, true]),
            (filter(Some("t1"), None), [true, false]),
            (filter(Some("t2"), None), [false, false]),
            (filter(None, Some("alice")), [false, true]),
            (filter(Some("t1"), Some("carol")), [true, false]),
            (filter(None, Some("t1:carol")), [false, false]),
        ] {
            assert_eq!([&carol, &alice].map(|user| filter.fits(user)), fits, "{filter:?}");
        }
    }
}
