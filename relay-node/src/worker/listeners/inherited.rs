//! Listeners of the relay before this one, until each is taken in or closed.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use turn::Transport;

use crate::net::occupants::{self, Inodes};
use crate::net::tcp::Acceptor;
use crate::net::udp;
use crate::worker::inheritance::InheritedListener;
use crate::worker::plan::ListenerPlan;

pub(super) struct Inherited {
    left: Vec<InheritedListener>,
    /// Of which kind they are and where, those included that were taken in.
    places: Vec<(bool, SocketAddr)>,
    inodes: Inodes,
}

impl Inherited {
    pub(super) fn new(listeners: Vec<InheritedListener>) -> Self {
        let places = listeners.iter().map(|it| (it.transport.is_stream(), it.address)).collect();
        let sockets = listeners.iter().flat_map(|listener| &listener.sockets);
        // One that cannot even tell that much is no socket.
        let inodes = sockets.filter_map(|socket| occupants::inode(socket).ok()).collect();
        Self { left: listeners, places, inodes }
    }

    /// The sockets of what was planned as `plan` is, and where they are, if all can be taken in.
    pub(super) fn take<S>(
        &mut self,
        plan: &ListenerPlan,
        adopt: impl Fn(OwnedFd, SocketAddr) -> io::Result<S>,
    ) -> Option<(SocketAddr, Vec<S>)> {
        let is_stream = plan.transport.is_stream();
        let same = |it: &InheritedListener| it.bind == plan.bind && it.transport.is_stream() == is_stream;
        let found = self.left.iter().position(same)?;
        let InheritedListener { address, sockets, .. } = self.left.remove(found);
        let adopted =
            sockets.into_iter().map(|socket| adopt(socket, address)).collect::<io::Result<Vec<_>>>();
        match adopted {
            Ok(sockets) => Some((address, sockets)).filter(|(_, sockets)| !sockets.is_empty()),
            Err(error) => {
                tracing::warn!(%address, %error, "the former relay's listener cannot be taken in; binding anew");
                None
            }
        }
    }

    /// An address for a new listener that no other relay has. Workers share theirs by SO_REUSEPORT, which another
    /// relay of the same user could join unseen.
    ///
    /// # Errors
    /// When one has it.
    pub(super) fn free_address(&self, plan: &ListenerPlan) -> io::Result<SocketAddr> {
        let (is_stream, address) = (plan.transport.is_stream(), plan.bind);
        let is_ours = |(kind, ours): &(bool, SocketAddr)| {
            *kind == is_stream && occupants::are_in_conflict(*ours, address)
        };
        if !self.places.iter().any(is_ours) {
            return match plan.transport {
                Transport::Udp => udp::probe(address),
                Transport::Tcp | Transport::Tls => Acceptor::probe(address).map(|()| address),
            };
        }
        // Such as the same port on all addresses until now: to bind it as a stranger would fail for our own.
        if occupants::is_taken_by_others(address, is_stream, &self.inodes)? {
            return Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
        }
        Ok(address)
    }
}
