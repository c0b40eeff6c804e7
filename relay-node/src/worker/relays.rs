//! The sockets of relayed transport addresses.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use turn::{OpenError, RelayId};

use crate::net::poll::{Interest, Poller};
use crate::net::udp;

use super::token::Token;

/// Relay sockets by the index of their [`RelayId`].
#[derive(Default)]
pub(super) struct Relays {
    sockets: Vec<Option<(RelayId, UdpSocket)>>,
    /// Of a former process, while their owners are restored.
    inherited: HashMap<SocketAddr, OwnedFd>,
}

impl Relays {
    /// From now on takes these rather than to bind their addresses.
    pub(super) fn inherit(&mut self, sockets: HashMap<SocketAddr, OwnedFd>) {
        self.inherited = sockets;
    }

    /// Gives back those that were not taken.
    pub(super) fn disinherit(&mut self) -> HashMap<SocketAddr, OwnedFd> {
        std::mem::take(&mut self.inherited)
    }

    /// Opens a relay's socket and waits for its peers' datagrams.
    pub(super) fn open(
        &mut self,
        relay: RelayId,
        local: SocketAddr,
        poller: &Poller,
    ) -> Result<(), OpenError> {
        let inherited = self.inherited.remove(&local).and_then(|it| udp::adopt_relay(it, local).ok());
        let socket = inherited.map_or_else(|| udp::relay(local), Ok).map_err(|error| reason(&error))?;
        // Told once, also of what waits in it already: then it waits for its turns in the backlog, until it is
        // empty.
        poller
            .add(&socket, Token::Relay(relay.index()).pack(), Interest::ReadEdge)
            .map_err(|error| reason(&error))?;
        if self.sockets.len() <= relay.index() {
            self.sockets.resize_with(relay.index() + 1, || None);
        }
        if let Some(place) = self.sockets.get_mut(relay.index()) {
            *place = Some((relay, socket));
        }
        Ok(())
    }

    /// Closes a relay's socket; whether it was open.
    pub(super) fn close(&mut self, relay: RelayId) -> bool {
        let place = self.sockets.get_mut(relay.index());
        place.is_some_and(|place| place.take_if(|(id, _)| *id == relay).is_some())
    }

    /// The relay that has this index now, and its socket.
    pub(super) fn get(&self, index: usize) -> Option<(RelayId, BorrowedFd<'_>)> {
        let (relay, socket) = self.sockets.get(index)?.as_ref()?;
        Some((*relay, socket.as_fd()))
    }
}

fn reason(error: &io::Error) -> OpenError {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => OpenError::InUse,
        // Out of descriptors, memory, or places in the epoll set.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC) => {
            OpenError::Exhausted
        }
        _ => OpenError::Unavailable,
    }
}
