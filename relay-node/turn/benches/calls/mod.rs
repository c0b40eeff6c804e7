//! A relay with many calls, for benchmarks of its packet path.

use std::hint::black_box;
use std::net::SocketAddr;

use stun::attribute::{Data, XorPeerAddress};
use stun::{Class, Method};
use turn::{Client, Forward, HEADROOM, Now, PeerAddr, RelayId, Span, TAILROOM, Turn};

use crate::support::{Relay, TestClient, at, channel_data, peer, settings, with_room, write};

const PAYLOAD: [u8; 160] = [7; 160];
const SPAN: Span = Span { start: HEADROOM, end: HEADROOM + PAYLOAD.len() };

/// How a packet comes.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    ChannelDataToPeer,
    PeerToChannelData,
    SendToPeer,
    PeerToData,
    /// From client to client: only for [`Calls::in_pairs`].
    ClientToClient,
}

impl Way {
    pub const WITH_PEERS: [Self; 4] =
        [Self::ChannelDataToPeer, Self::PeerToChannelData, Self::SendToPeer, Self::PeerToData];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ChannelDataToPeer => "ChannelData to peer",
            Self::PeerToChannelData => "peer to ChannelData",
            Self::SendToPeer => "Send to peer",
            Self::PeerToData => "peer to Data",
            Self::ClientToClient => "ChannelData to ChannelData",
        }
    }
}

/// A relay with many calls: each has a channel to one peer and a permission for another.
pub struct Calls {
    pub relay: Relay,
    calls: Vec<(Client, RelayId)>,
    next: usize,
    on_channel: (Vec<u8>, Span),
    to_client: (Vec<u8>, Span),
    send: (Vec<u8>, Span),
    with_channel: PeerAddr,
    without_channel: PeerAddr,
    buffer: [u8; HEADROOM + PAYLOAD.len() + TAILROOM],
}

impl Calls {
    pub fn new(count: usize) -> Self {
        Self::between(count, |_, _| {})
    }

    /// The same, and each has a channel to its neighbour's relayed address.
    pub fn in_pairs(pairs: usize) -> Self {
        Self::between(2 * pairs, |relay, clients| {
            for pair in clients.chunks_exact_mut(2) {
                let [(alice, alices), (bob, bobs)] = pair else { continue };
                alice.bind(relay, 0x4001, *bobs);
                bob.bind(relay, 0x4001, *alices);
            }
        })
    }

    fn between(count: usize, prepare: impl FnOnce(&mut Relay, &mut [(TestClient, SocketAddr)])) -> Self {
        let mut unlimited = settings();
        for quota in [&mut unlimited.limits.user, &mut unlimited.limits.total] {
            quota.allocations = u32::MAX;
            quota.permissions = u32::MAX;
            quota.channels = u32::MAX;
        }
        unlimited.limits.answers =
            turn::AnswerLimits { per_source_bytes_per_second: u32::MAX, total_bytes_per_second: u32::MAX };
        let mut relay = Relay::on_ports(unlimited, 40000..=59999);
        let mut clients: Vec<_> = (0..count)
            .map(|n| {
                let mut client = TestClient::new(&format!("198.51.{}.{}:4000", n / 250, n % 250));
                let relayed = client.allocate(&mut relay);
                client.bind(&mut relay, 0x4000, peer());
                client.permit(&mut relay, without_channel());
                (client, relayed)
            })
            .collect();
        prepare(&mut relay, &mut clients);
        let calls = clients.iter().map(|(client, relayed)| (client.path, relay.sockets[relayed])).collect();
        let send = write(Class::Indication, Method::SEND, stun::TransactionId::new([1; 12]), |writer| {
            writer.attribute(&XorPeerAddress(without_channel()))?.attribute(&Data(&PAYLOAD)).map(drop)
        });
        Self {
            relay,
            calls,
            next: 0,
            on_channel: with_room(&channel_data(0x4000, &PAYLOAD)),
            to_client: with_room(&channel_data(0x4001, &PAYLOAD)),
            send: with_room(&send),
            with_channel: PeerAddr::new(peer()),
            without_channel: PeerAddr::new(without_channel()),
            buffer: [0; HEADROOM + PAYLOAD.len() + TAILROOM],
        }
    }

    /// How many calls.
    #[allow(dead_code, reason = "one of two benchmarks asks")]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// A packet of another call each time, in an order that no cache foresees.
    pub fn packet(&mut self, way: Way) -> Forward {
        self.next = (self.next + 7919) % self.calls.len();
        let (client, relay) = self.calls[self.next];
        let (turn, now) = (&mut self.relay.turn, self.relay.now);
        match way {
            Way::ChannelDataToPeer => client_packet(turn, now, &client, &mut self.on_channel),
            // Its header is written anew each time, and is the same.
            Way::ClientToClient => client_packet(turn, now, &client, &mut self.to_client),
            Way::SendToPeer => client_packet(turn, now, &client, &mut self.send),
            Way::PeerToChannelData => {
                turn.peer_packet(now, relay, black_box(self.with_channel), &mut self.buffer, SPAN)
            }
            Way::PeerToData => {
                turn.peer_packet(now, relay, black_box(self.without_channel), &mut self.buffer, SPAN)
            }
        }
    }
}

fn client_packet(
    turn: &mut Turn,
    now: Now,
    client: &Client,
    (buffer, packet): &mut (Vec<u8>, Span),
) -> Forward {
    turn.client_packet(now, client, black_box(buffer), *packet)
}

fn without_channel() -> SocketAddr {
    at("192.0.2.11:7000")
}
