//! The sockets of relayed transport addresses.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use turn::{OpenError, RelayId};

use crate::net::poll::{Interest, Poller};
use crate::net::udp;

use super::token::Token;

/// Relay sockets by the index of their [`RelayId`].
#[derive(Default)]
pub(super) struct Relays {
    sockets: Vec<Option<(RelayId, UdpSocket)>>,
}

impl Relays {
    /// Opens a relay's socket and waits for its peers' datagrams.
    pub(super) fn open(
        &mut self,
        relay: RelayId,
        local: SocketAddr,
        poller: &Poller,
    ) -> Result<(), OpenError> {
        let socket = udp::relay(local).map_err(|error| reason(&error))?;
        // Told once: it waits for its turns in the backlog from then on, until it is empty.
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
