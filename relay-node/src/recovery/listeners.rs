//! Where a relay listens, so that the next one goes on there, with the same sockets if they are still open.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

use serde::{Deserialize, Serialize};
use turn::Transport;

use super::Vault;
use crate::net::inherited::{Kind, Left};
use crate::worker::{InheritedListener, ListenerDescriptors};

/// The piece's name.
const NAME: &str = "listeners";

/// All that a relay listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listeners {
    /// The number of the keeper whose descriptor table the numbers are of.
    keeper: u32,
    /// Those of clients.
    clients: Vec<Listener>,
    /// The admin server's.
    admin: AdminListener,
}

/// One listener of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Listener {
    #[serde(with = "Spoken")]
    transport: Transport,
    bind: SocketAddr,
    address: SocketAddr,
    descriptors: Vec<RawFd>,
}

/// The admin server's listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminListener {
    /// What the configuration says.
    pub bind: SocketAddr,
    /// Where it is.
    pub address: SocketAddr,
    /// Its descriptor.
    pub descriptor: RawFd,
}

/// How a transport is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Transport", rename_all = "lowercase")]
enum Spoken {
    Udp,
    Tcp,
    Tls,
}

/// What the next relay gets of it.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Listeners of clients.
    pub clients: Vec<InheritedListener>,
    /// The admin server's.
    pub admin: Option<InheritedAdmin>,
}

/// The admin server's listener as it was.
#[derive(Debug)]
pub struct InheritedAdmin {
    /// What the configuration said.
    pub bind: SocketAddr,
    /// Where it was.
    pub address: SocketAddr,
    /// The socket, if it is still open.
    pub socket: Option<OwnedFd>,
}

impl Listeners {
    /// Those of a relay that `keeper` keeps.
    pub fn new(keeper: u32, clients: &[ListenerDescriptors], admin: AdminListener) -> Self {
        let clients = clients.iter().map(|listener| Listener {
            transport: listener.transport,
            bind: listener.bind,
            address: listener.address,
            descriptors: listener.sockets.clone(),
        });
        Self { keeper, clients: clients.collect(), admin }
    }

    /// Keeps them for the next relay.
    ///
    /// # Errors
    /// When the vault has no room.
    pub fn keep(&self, vault: &Vault) -> io::Result<()> {
        vault.keep(NAME, &serde_json::to_vec(self)?)
    }

    /// Those of the relay before, if any were kept that can be read.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub fn of(vault: &Vault) -> io::Result<Option<Self>> {
        Ok(vault.kept(NAME)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// What the next relay goes on with, which `keeper` keeps: sockets among `left`, where they are what was
    /// written down, or addresses alone.
    pub fn inherit(self, keeper: u32, left: &mut Vec<Left>) -> Inherited {
        let is_same_table = self.keeper == keeper;
        let mut take = |descriptor: RawFd, kind: Kind, address: SocketAddr| {
            let is_it = |it: &Left| it.number == descriptor && it.kind == kind && it.address == address;
            let place = left.iter().position(is_it).filter(|_| is_same_table)?;
            Some(left.swap_remove(place).socket)
        };
        let clients = self.clients.into_iter().map(|listener| {
            let Listener { transport, bind, address, descriptors } = listener;
            let kind = if transport == Transport::Udp { Kind::Datagrams } else { Kind::Acceptor };
            let sockets = descriptors.into_iter().map(|descriptor| take(descriptor, kind, address));
            // Workers are named by the order: one alone that is missing makes the rest useless.
            let sockets = sockets.collect::<Option<_>>().unwrap_or_default();
            InheritedListener { transport, bind, address, sockets }
        });
        let clients = clients.collect();
        let AdminListener { bind, address, descriptor } = self.admin;
        let socket = take(descriptor, Kind::Acceptor, address);
        Inherited { clients, admin: Some(InheritedAdmin { bind, address, socket }) }
    }
}
