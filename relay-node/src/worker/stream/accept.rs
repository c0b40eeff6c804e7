//! Letting connections in.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ipnet::IpNet;
use turn::{ClientAddr, Entrance, Monotonic, Now, ServerAddr, Transport};

use crate::net::poll::{Interest, Poller};
use crate::net::tcp::{Accepted, Acceptor};
use crate::tls::Certificates;
use crate::worker::counters::SocketStats;
use crate::worker::mailbox::Command;
use crate::worker::token::Token;

use super::admission::{Entered, Place, Seat};
use super::connection::{Connection, Layer};
use super::deadlines::Deadline;
use super::outgoing::Outgoing;
use super::proxy::ProxyHeader;
use super::{Cause, Streams};

/// Connections accepted from one listener in a row.
const ACCEPT_BURST: usize = 32;
/// How long a listener is left alone when the system cannot give what waits there.
const PAUSE: Duration = Duration::from_millis(100);

/// One worker's socket of a TCP or TLS listener.
pub(in crate::worker) struct StreamListener {
    pub(in crate::worker) acceptor: Acceptor,
    pub(in crate::worker) address: SocketAddr,
    pub(in crate::worker) transport: Transport,
    /// By which way clients come there.
    pub(in crate::worker) entrance: Entrance,
    /// Who may connect, each time with a PROXY header; empty where clients connect themselves.
    pub(in crate::worker) proxies: Vec<IpNet>,
    pub(in crate::worker) tls: Option<Certificates>,
    /// When it is looked at again, while it is left alone.
    pub(in crate::worker) resumes: Option<Monotonic>,
}

impl Streams {
    /// Takes the connections that wait at a listener.
    pub(in crate::worker) fn accept(
        &mut self,
        index: usize,
        poller: &Poller,
        now: Now,
        stats: &mut SocketStats,
    ) {
        for _ in 0..ACCEPT_BURST {
            let Some(Some(listener)) = self.listeners.get_mut(index) else { return };
            match listener.acceptor.accept() {
                Accepted::None => return,
                Accepted::Refused => stats.connections_refused += 1,
                Accepted::Unable => {
                    stats.accepts_paused += 1;
                    // Else epoll would tell of it again at once, and for as long as it lasts.
                    let token = Token::Acceptor(index).pack();
                    if poller.modify(listener.acceptor.socket(), token, Interest::Nothing).is_ok() {
                        listener.resumes = Some(now.monotonic.after(PAUSE));
                    }
                    return;
                }
                Accepted::Connection(socket, client) => {
                    stats.connections_accepted += 1;
                    match self.admit(index, socket, client, poller, now) {
                        Ok(()) => {}
                        Err(cause) => cause.count(stats),
                    }
                }
            }
            stats.connections_open = self.connections.len() as u64;
        }
    }

    /// Closes the listeners, which others may go on having open.
    pub(in crate::worker) fn close_listeners(&mut self, poller: &Poller) {
        for listener in self.listeners.iter_mut().filter_map(Option::take) {
            poller.remove(listener.acceptor.socket());
        }
    }

    /// Looks again at listeners that were left alone.
    pub(in crate::worker) fn resume_accepting(&mut self, poller: &Poller, now: Now) {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            let Some(listener) = listener else { continue };
            if listener.resumes.is_some_and(|resumes| resumes <= now.monotonic) {
                let token = Token::Acceptor(index).pack();
                let resumed = poller.modify(listener.acceptor.socket(), token, Interest::Read);
                listener.resumes = resumed.is_err().then(|| now.monotonic.after(PAUSE));
            }
        }
    }

    /// When a listener is to be looked at again.
    pub(in crate::worker) fn next_resumption(&self) -> Option<Monotonic> {
        self.listeners.iter().flatten().filter_map(|listener| listener.resumes).min()
    }

    /// Gives a connection a place in the table, if all limits allow it.
    fn admit(
        &mut self,
        listener: usize,
        socket: TcpStream,
        client: SocketAddr,
        poller: &Poller,
        now: Now,
    ) -> Result<(), Cause> {
        let Some(Some(listener)) = self.listeners.get(listener) else { return Err(Cause::Refused) };
        let is_proxied = !listener.proxies.is_empty();
        if is_proxied && !listener.proxies.iter().any(|network| network.contains(&client.ip().to_canonical()))
        {
            return Err(Cause::Untrusted);
        }
        let server = if listener.address.ip().is_unspecified() {
            socket.local_addr().map_err(|_| Cause::Gone)?
        } else {
            listener.address
        };
        let layer = match &listener.tls {
            None => Layer::Plain,
            Some(certificates) if listener.transport == Transport::Tcp => {
                Layer::Undecided(certificates.clone())
            }
            Some(certificates) => Layer::tls(certificates).ok_or(Cause::Refused)?,
        };
        let seat =
            Seat { worker: self.worker, index: self.connections.vacant_key(), serial: self.accepted + 1 };
        let mut place = self.enter(seat, client, is_proxied).ok_or(Cause::Refused)?;
        // A proxy's header says between whom its connections are.
        if !is_proxied && !place.claim((client, server)) {
            return Err(Cause::Refused);
        }
        let token = Token::Connection(seat.index).pack();
        poller.add(&socket, token, Interest::Read).map_err(|_| Cause::Refused)?;
        self.accepted = seat.serial;
        let entry = self.connections.vacant_entry();
        let connection = entry.insert(Connection {
            socket,
            client: ClientAddr::new(client),
            server: ServerAddr::new(server),
            entrance: listener.entrance,
            place,
            serial: seat.serial,
            deadline: Deadline::NEVER,
            proxy: is_proxied.then(ProxyHeader::new),
            layer,
            half: Vec::new(),
            outgoing: Outgoing::default(),
            deadline_is_for_half: false,
            has_spoken: false,
            is_ending: false,
            awaits_room: false,
            interest: Interest::Read,
        });
        let due = now.monotonic.after(self.limits.handshake_deadline);
        self.deadlines.set(&mut connection.deadline, seat.index, seat.serial, due);
        Ok(())
    }

    /// Asks for a place, and has the worker of whoever gives way close that connection.
    fn enter(&self, seat: Seat, client: SocketAddr, is_proxy: bool) -> Option<Place> {
        let Entered { place, displaced } = self.admission.enter(seat, client.ip(), is_proxy)?;
        if let Some(seat) = displaced
            && let Some(mailbox) = self.mailboxes.get(seat.worker)
        {
            mailbox.command(Command::Displace(seat));
        }
        Some(place)
    }
}
