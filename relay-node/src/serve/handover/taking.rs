//! The new relay's side, until it serves.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;

use super::line::{Line, LineError};
use super::message::{self, Near, PROTOCOL, Passed, Reply, Request, Welcome};
use super::neighbours::Neighbour;
use crate::recovery::Vault;
use crate::recovery::records::Unusable;
use crate::serve::fleet::Kept;
use crate::worker::InheritedListener;

/// How long the old one may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the relay that serves is not taken over. It goes on.
#[derive(Debug, Error)]
pub enum TakeError {
    /// It does not want to.
    #[error("it refuses: {0}")]
    Refused(String),
    /// It says nothing.
    #[error("it does not answer; if it hangs, end it")]
    Silent,
    /// It is gone, or of a version that nobody knows.
    #[error(transparent)]
    Line(#[from] LineError),
    /// What it passed is not what it said.
    #[error("it passed something that cannot be used: {0}")]
    Useless(#[source] io::Error),
    /// Its records are of a version that this program does not know.
    #[error(
        "its records are of version {0}, and this program reads up to {MOST_VERSION}: hand over to a newer one"
    )]
    Version(u16),
    /// They were forged, or are of another boot.
    #[error("its records cannot be used: {0}")]
    Records(#[from] Unusable),
    /// Calls would end with it.
    #[error(
        "calls would end with it: {addresses_lost} have relayed addresses that are not in relay.addresses and \
         relay.ports any more, and {without_listener} came by a listener that is not among listeners. Leave these \
         in until the calls have ended, or drain that relay first"
    )]
    Lossy {
        /// Allocations whose relayed addresses cannot be had.
        addresses_lost: usize,
        /// Allocations of clients of a listener that is no more.
        without_listener: usize,
    },
    /// This one was not fast enough.
    #[error("it has gone on meanwhile; try again when the machine is less busy")]
    Late,
}

const MOST_VERSION: u16 = turn::record::VERSION;

/// A relay that serves and has said that it hands over.
pub struct Taking {
    line: Line,
    welcome: Welcome,
    /// What it listens on.
    pub listeners: Vec<InheritedListener>,
    /// Its admin server's listener.
    pub admin: Option<PassedAdmin>,
    /// Itself, as a neighbour.
    old: Neighbour,
}

/// An admin server's listener.
#[derive(Debug)]
pub struct PassedAdmin {
    /// What the configuration asked for.
    pub bind: SocketAddr,
    /// What it is bound to.
    pub address: SocketAddr,
    /// The socket.
    pub socket: OwnedFd,
}

/// What the old one has when nothing moves any more.
pub struct Left {
    /// Whose records are to be read.
    pub generation: u64,
    /// The sockets of relayed addresses.
    pub relays: HashMap<SocketAddr, OwnedFd>,
    /// Those who went before the old one.
    pub predecessors: Vec<(Neighbour, Line)>,
}

impl Taking {
    /// Asks the relay at the other end of `line` for its place, in the name of `instance`.
    ///
    /// # Errors
    /// When it does not give it.
    pub async fn begin(mut line: Line, instance: &str) -> Result<Self, TakeError> {
        let instance = instance.to_owned();
        let hello = Request::Hello { protocol: PROTOCOL, reads_record_version: MOST_VERSION, instance };
        in_time(line.send(&hello, &[])).await?;
        let welcome = match in_time(line.receive()).await?.0 {
            Reply::Welcome(welcome) => welcome,
            Reply::Refused { why } => return Err(TakeError::Refused(why)),
            _ => return Err(LineError::OutOfTurn.into()),
        };
        if !turn::record::is_known(welcome.record_version) {
            return Err(TakeError::Version(welcome.record_version));
        }
        let (mut listeners, mut admin, mut old) = (Vec::new(), None, None);
        for (what, descriptor) in in_time(line.take(welcome.descriptors)).await? {
            match what {
                Passed::Listener { transport, bind, address } => {
                    let transport = message::transport(&transport).ok_or(LineError::OutOfTurn)?;
                    let sockets = vec![descriptor];
                    add(&mut listeners, InheritedListener { transport, bind, address, sockets });
                }
                Passed::Admin { bind, address } => {
                    admin = Some(PassedAdmin { bind, address, socket: descriptor });
                }
                Passed::OpenPorts(near) => old = Some(neighbour(near, descriptor)?),
                // Of a later version.
                _ => {}
            }
        }
        let old = old.ok_or(LineError::OutOfTurn)?;
        Ok(Self { line, welcome, listeners, admin, old })
    }

    /// Under which the old one's clients have nonces.
    pub fn nonce_key(&self) -> [u8; 32] {
        self.welcome.nonce_key
    }

    /// What it knows of the fleet.
    pub fn fleet(&self) -> &Kept {
        &self.welcome.fleet
    }

    /// By which datagrams are steered to its workers.
    pub fn steering_key(&self) -> u32 {
        self.welcome.steering_key
    }

    /// What its deployment is called.
    pub fn instance(&self) -> &str {
        &self.welcome.instance
    }

    /// The old one itself.
    pub fn neighbour(&self) -> &Neighbour {
        &self.old
    }

    /// Has the old one stand still, now that nothing is left to do but to go on as `own` with what it has.
    ///
    /// # Errors
    /// When it cannot. It goes on then.
    pub async fn stand_still(&mut self, vault: &Vault, own: &Neighbour) -> Result<Left, TakeError> {
        in_time(self.line.send(&Request::Ready { near: own.near }, &[own.as_fd()])).await?;
        let (generation, descriptors) = match in_time(self.line.receive()).await?.0 {
            Reply::Frozen { generation, descriptors } => (generation, descriptors),
            Reply::Refused { why } => return Err(TakeError::Refused(why)),
            _ => return Err(LineError::OutOfTurn.into()),
        };
        let mut left = Left { generation, relays: HashMap::new(), predecessors: Vec::new() };
        let (mut lines, mut ports) = (HashMap::new(), Vec::new());
        for (what, descriptor) in in_time(self.line.take(descriptors)).await? {
            match what {
                Passed::Relay { local } => drop(left.relays.insert(local, descriptor)),
                Passed::Piece { name } => vault.adopt(&name, descriptor).map_err(TakeError::Useless)?,
                Passed::Line { generation } => drop(lines.insert(generation, descriptor)),
                Passed::OpenPorts(near) => ports.push(neighbour(near, descriptor)?),
                Passed::Listener { .. } | Passed::Admin { .. } => {}
            }
        }
        for neighbour in ports {
            if let Some(line) = lines.remove(&neighbour.near.generation) {
                let line = Line::new(line.into()).map_err(TakeError::Useless)?;
                left.predecessors.push((neighbour, line));
            }
        }
        Ok(left)
    }

    /// Tells the old one that it is over, and who its neighbours are from now on: it lets go. It has become a
    /// predecessor, if it is still there.
    pub async fn finish(mut self, neighbours: &[&Neighbour]) -> Option<(Neighbour, Line)> {
        let introduction = Request::Neighbours { neighbours: neighbours.iter().map(|it| it.near).collect() };
        let pieces: Vec<_> = neighbours.iter().map(|it| it.as_fd()).collect();
        let told = async {
            in_time(self.line.send(&introduction, &pieces)).await?;
            in_time(self.line.send(&Request::Serving, &[])).await
        };
        match told.await {
            Ok(()) => Some((self.old, self.line)),
            Err(error) => {
                // It looks whether its place was taken, and lets go all the same.
                tracing::warn!(%error, "the relay before goes on with its connections, and cannot be told anything");
                None
            }
        }
    }

    /// Tells the old one why it is not taken over.
    pub async fn give_up(mut self, why: &str) {
        // That it goes on does not depend on it.
        let _ = in_time(self.line.send(&Request::GivingUp { why: why.to_owned() }, &[])).await;
    }
}

/// Puts a listener's next socket beside the others.
fn add(listeners: &mut Vec<InheritedListener>, more: InheritedListener) {
    let is_same = |it: &&mut InheritedListener| {
        (it.transport, it.bind, it.address) == (more.transport, more.bind, more.address)
    };
    match listeners.iter_mut().find(is_same) {
        Some(listener) => listener.sockets.extend(more.sockets),
        None => listeners.push(more),
    }
}

fn neighbour(near: Near, piece: OwnedFd) -> Result<Neighbour, TakeError> {
    Neighbour::new(near, piece).map_err(TakeError::Useless)
}

async fn in_time<T>(answer: impl Future<Output = Result<T, LineError>>) -> Result<T, TakeError> {
    match timeout(PATIENCE, answer).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(TakeError::Silent),
    }
}
