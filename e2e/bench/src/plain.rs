//! A floor that shares no code with the relay: the same forwarding as [`crate::forwarder`], written
//! as plainly as `recvmmsg` and `sendmmsg` allow.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddrV4, UdpSocket},
    os::fd::AsFd as _,
};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::{
    datagrams::{ReceiveBatch, Received, SendBatch},
    lab::{CLIENT_PORT, PEER, RELAY, RELAY_PORTS, SERVER, client_address},
};

/// The listener's number; sessions have theirs, from 0 on.
const LISTENER: u64 = u64::MAX;
/// Sockets that are told of at once.
const EVENTS: usize = 512;

/// Forwards for `sessions` clients until it is killed.
pub fn run(sessions: u32) -> io::Result<()> {
    let listener = UdpSocket::bind(SERVER)?;
    let relays: Vec<UdpSocket> = RELAY_PORTS
        .take(sessions as usize)
        .map(|port| UdpSocket::bind((RELAY, port)))
        .collect::<io::Result<_>>()?;
    let clients: Vec<SocketAddrV4> =
        (0..sessions).map(|number| SocketAddrV4::new(client_address(number), CLIENT_PORT)).collect();
    let session_of: HashMap<SocketAddrV4, &UdpSocket> = clients.iter().copied().zip(&relays).collect();

    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    for (number, relay) in relays.iter().enumerate() {
        epoll::add(&poll, relay, EventData::new_u64(number as u64), EventFlags::IN)?;
    }
    let mut ready = Vec::with_capacity(EVENTS);
    let mut received = ReceiveBatch::default();
    let (mut to_peers, mut to_clients) = (SendBatch::default(), SendBatch::default());
    loop {
        ready.clear();
        epoll::wait(&poll, spare_capacity(&mut ready), None)?;
        for event in &ready {
            let number = event.data.u64();
            if number == LISTENER {
                received.receive(listener.as_fd())?;
                // Packets of one session in a row leave together.
                let mut leaving: Option<&UdpSocket> = None;
                for packet in received.iter() {
                    let Some(relay) = session_of.get(&packet.from).copied() else { continue };
                    if let Some(other) = leaving.filter(|other| !std::ptr::eq(*other, relay)) {
                        to_peers.send(other.as_fd())?;
                    }
                    leaving = Some(relay);
                    copy(&mut to_peers, packet, PEER);
                }
                if let Some(relay) = leaving {
                    to_peers.send(relay.as_fd())?;
                }
            } else if let Some((relay, client)) =
                relays.get(number as usize).zip(clients.get(number as usize))
            {
                received.receive(relay.as_fd())?;
                for packet in received.iter() {
                    if to_clients.is_full() {
                        to_clients.send(listener.as_fd())?;
                    }
                    copy(&mut to_clients, packet, *client);
                }
            }
        }
        to_clients.send(listener.as_fd())?;
    }
}

fn copy(batch: &mut SendBatch, packet: Received<'_>, to: SocketAddrV4) {
    // There is room: as many are received at a time as fit.
    batch.push(to, None, |buffer| {
        let length = packet.bytes.len().min(buffer.len());
        if let (Some(place), Some(bytes)) = (buffer.get_mut(..length), packet.bytes.get(..length)) {
            place.copy_from_slice(bytes);
        }
        length
    });
}
