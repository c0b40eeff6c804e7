//! From listeners that are bound to listeners that are served.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use crate::net::steering::Steering;
use crate::net::tcp;
use crate::worker::mailbox::Mailbox;

use super::leaving::{self, Leaving};

/// What is left to be done when nobody else serves the listeners any more.
pub(in crate::worker) struct Opening {
    steering: Steering,
    /// One of each group.
    steered: Vec<(UdpSocket, SocketAddr)>,
    silent: Vec<TcpListener>,
    leaving: Vec<Leaving>,
}

impl Opening {
    pub(super) const fn new(steering: Steering) -> Self {
        Self { steering, steered: Vec::new(), silent: Vec::new(), leaving: Vec::new() }
    }

    /// Steers the datagrams of the group of `socket`.
    pub(super) fn steer(&mut self, socket: UdpSocket, address: SocketAddr) {
        self.steered.push((socket, address));
    }

    /// Lets clients connect to `socket`.
    pub(super) fn listen(&mut self, socket: TcpListener) {
        self.silent.push(socket);
    }

    /// Empties and closes a socket that no worker has any more.
    pub(super) fn leaves(&mut self, leaving: Leaving) {
        self.leaving.push(leaving);
    }

    /// From now on everything comes to the workers, once they run.
    ///
    /// # Errors
    /// When the system does not let clients connect.
    pub(in crate::worker) fn open(&mut self) -> io::Result<()> {
        for (socket, address) in self.steered.drain(..) {
            if let Err(error) = self.steering.attach(&socket, address) {
                tracing::warn!(%address, %error, "the kernel cannot steer datagrams; workers hand them over");
            }
        }
        self.silent.drain(..).try_for_each(|socket| tcp::listen(&socket))
    }

    /// Hands what waits in sockets that no worker has any more to the workers, which run, and closes them.
    pub(in crate::worker) fn finish(self, mailboxes: &[Arc<Mailbox>]) {
        leaving::empty(self.leaving, self.steering, mailboxes);
    }
}
