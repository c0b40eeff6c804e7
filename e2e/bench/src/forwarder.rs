//! The floor: a UDP forwarder that knows no TURN, as bare as user space can be.
//!
//! One socket toward the clients, and one for each session toward the peer. A client's address says
//! its session by a table made at the start. Packets are received and sent in the same batches as
//! the relay's, and nothing about them is looked at.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    os::fd::AsFd as _,
};

use rustix::{buffer::spare_capacity, event::epoll, net::sockopt::set_socket_recv_buffer_size_force};

use crate::{
    datagrams::{BATCH, ReceiveBatch, SendBatch},
    lab::{CLIENT_PORT, PEER, RELAY, RELAY_PORTS, SERVER, client_address},
};

/// As large as the relay's.
const BUFFER: usize = 4 << 20;
/// The listener's number in epoll; sessions have theirs.
const LISTENER: u64 = u64::MAX;

/// Forwards for `sessions` clients until it is killed.
pub fn run(sessions: u32) -> io::Result<()> {
    Forwarder::new(sessions)?.run()
}

struct Forwarder {
    listener: UdpSocket,
    relays: Vec<UdpSocket>,
    clients: Vec<SocketAddrV4>,
    sessions: HashMap<SocketAddrV4, usize, ahash::RandomState>,
    inbox: ReceiveBatch,
    out: SendBatch,
}

impl Forwarder {
    fn new(sessions: u32) -> io::Result<Self> {
        let clients: Vec<_> =
            (0..sessions).map(|number| SocketAddrV4::new(client_address(number), CLIENT_PORT)).collect();
        let relays =
            RELAY_PORTS.take(clients.len()).map(|port| bind(RELAY, port)).collect::<Result<_, _>>()?;
        // The table is made of our own addresses, so the seeds need not be secret.
        let mut sessions = HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        sessions.extend(clients.iter().copied().zip(0..));
        Ok(Self {
            listener: bind(*SERVER.ip(), SERVER.port())?,
            relays,
            sessions,
            clients,
            inbox: ReceiveBatch::default(),
            out: SendBatch::default(),
        })
    }

    fn run(mut self) -> io::Result<()> {
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let interest = epoll::EventFlags::IN;
        epoll::add(&ready, &self.listener, epoll::EventData::new_u64(LISTENER), interest)?;
        for (relay, number) in self.relays.iter().zip(0..) {
            epoll::add(&ready, relay, epoll::EventData::new_u64(number), interest)?;
        }
        let mut events = Vec::with_capacity(BATCH);
        loop {
            events.clear();
            epoll::wait(&ready, spare_capacity(&mut events), None)?;
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.forward_to_peer()?,
                    number => self.forward_to_client(number as usize)?,
                }
            }
            self.out.send(self.listener.as_fd())?;
        }
    }

    fn forward_to_peer(&mut self) -> io::Result<()> {
        self.out.send(self.listener.as_fd())?;
        self.inbox.receive(self.listener.as_fd())?;
        for datagram in self.inbox.iter() {
            let relay = self.sessions.get(&datagram.from).and_then(|session| self.relays.get(*session));
            if let Some(relay) = relay {
                rustix::net::sendto(relay, datagram.bytes, rustix::net::SendFlags::DONTWAIT, &PEER).ok();
            }
        }
        Ok(())
    }

    fn forward_to_client(&mut self, session: usize) -> io::Result<()> {
        let (Some(relay), Some(client)) = (self.relays.get(session), self.clients.get(session)) else {
            return Ok(());
        };
        self.inbox.receive(relay.as_fd())?;
        for datagram in self.inbox.iter() {
            if self.out.is_full() {
                self.out.send(self.listener.as_fd())?;
            }
            self.out.push(*client, None, |buffer| {
                let Some(room) = buffer.get_mut(..datagram.bytes.len()) else { return 0 };
                room.copy_from_slice(datagram.bytes);
                room.len()
            });
        }
        Ok(())
    }
}

fn bind(address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, port))?;
    set_socket_recv_buffer_size_force(&socket, BUFFER)?;
    Ok(socket)
}
