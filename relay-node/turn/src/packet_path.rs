//! The path of a packet: client to peer and back, without allocation, lock or scan. Between two relayed
//! addresses of one node it does not leave the node: from client to client, by the same checks as outside.

use std::net::{IpAddr, SocketAddr};

use rand::RngExt;
use stun::attribute::{AddressFamily, Data, DontFragment, Icmp, XorPeerAddress};
use stun::{ChannelData, Class, Message, MessageWriter, Method, TransactionId};

use crate::address::{Client, PeerAddr, RelayId, RelayPort};
use crate::io::{Forward, HEADROOM, IcmpError, Shortcut, Span, TAILROOM};
use crate::peers::Way;
use crate::request::UNDERSTOOD;
use crate::server::Turn;
use crate::stats::DropReason;
use crate::table::{Slot, Table};
use crate::time::Now;

/// Longest payload of a UDP datagram over IPv4: one that is longer cannot have come to a relayed address.
const LONGEST_DATAGRAM: usize = 65_535 - 20 - 8;

/// What a client wants its allocation to send.
pub(crate) struct Outward {
    slot: Slot,
    peer: PeerAddr,
    payload: Span,
    dont_fragment: bool,
}

impl Outward {
    /// The same in a buffer that has `bytes` more in front.
    pub(crate) fn behind(self, bytes: usize) -> Self {
        Self { payload: self.payload.behind(bytes), ..self }
    }
}

impl Turn {
    /// ChannelData from a client (RFC 8656 section 12.6).
    pub(crate) fn channel_data(
        &mut self,
        now: Now,
        client: &Client,
        buffer: &mut [u8],
        packet: Span,
    ) -> Forward {
        let Ok(data) = ChannelData::parse(buffer.get(packet.range()).unwrap_or_default()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let start = packet.start + stun::CHANNEL_HEADER_LEN;
        let payload = Span { start, end: start + data.payload.len() };
        let Some(slot) = self.table.find(&client.five_tuple) else {
            return self.drop_packet(DropReason::NoAllocation);
        };
        let bound = self.table.get_mut(slot).and_then(|it| it.peers.peer_of(data.channel, now.monotonic));
        let Some(peer) = bound else {
            return self.drop_packet(DropReason::NoChannel);
        };
        self.relay_to_peer(now, Outward { slot, peer, payload, dont_fragment: false }, buffer)
    }

    /// A Send indication (RFC 8656 section 11.4). What is wrong with it is answered by silence.
    pub(crate) fn send_indication(
        &mut self,
        now: Now,
        client: &Client,
        message: &Message<'_>,
    ) -> Result<Outward, DropReason> {
        let slot = self.table.find(&client.five_tuple).ok_or(DropReason::NoAllocation)?;
        // "Unknown comprehension-required attributes: discarded"; known ones that are not expected are
        // ignored (RFC 8489 section 6.3.2).
        if !message.unknown_required(&UNDERSTOOD).is_empty() {
            return Err(DropReason::Unexpected);
        }
        let (Ok(Some(XorPeerAddress(peer))), Ok(Some(Data(payload))), Ok(dont_fragment)) =
            (message.get(), message.get(), message.get::<DontFragment>())
        else {
            return Err(DropReason::Malformed);
        };
        let peer = PeerAddr::new(peer);
        if !self.table.get_mut(slot).is_some_and(|it| it.peers.permits(peer, now.monotonic)) {
            return Err(DropReason::NoPermission);
        }
        let start = payload.as_ptr() as usize - message.bytes().as_ptr() as usize;
        let payload = Span { start, end: start + payload.len() };
        Ok(Outward { slot, peer, payload, dont_fragment: dont_fragment.is_some() })
    }

    /// The last steps towards a peer that may be reached; the payload lies in `buffer`.
    #[inline]
    pub(crate) fn relay_to_peer(&mut self, now: Now, outward: Outward, buffer: &mut [u8]) -> Forward {
        match self.own.get(outward.peer.family()) {
            Some(own) if outward.peer.is_on(own.advertised) => {
                self.relay_within_node(now, outward, own.bind, buffer)
            }
            _ => self.leave(now, &outward, outward.peer, None),
        }
    }

    /// To the node's own address only where a live relayed one is, this relay's or a neighbour's, which is bound
    /// to `bind`: nothing else that listens on this node may be reached, unless the policy allows that address
    /// by name.
    fn relay_within_node(&mut self, now: Now, outward: Outward, bind: IpAddr, buffer: &mut [u8]) -> Forward {
        let Outward { slot, peer, payload, .. } = outward;
        let family = peer.family();
        let to = RelayPort::new(peer.get().port());
        let Some(holder) = self.ledger.holder(family, to) else {
            if self.ledger.is_open_beside(family, to) {
                return self.leave(now, &outward, PeerAddr::new(SocketAddr::new(bind, to.get())), None);
            }
            return match self.open_to_peers.get(family) {
                true => self.leave(now, &outward, peer, None),
                false => self.drop_packet(DropReason::Policy),
            };
        };
        // That there is a relayed address of that family goes without a look elsewhere: no peer is permitted
        // before its socket is open, and none stays when it is closed.
        let relayed = self.table.get(slot).and_then(|it| it.relayed.get(family).as_ref());
        let shortcut = relayed.filter(|_| payload.len() <= LONGEST_DATAGRAM).map(|relayed| Shortcut {
            holder,
            to,
            from: relayed.port.number(),
        });
        match shortcut {
            Some(shortcut) if shortcut.worker() == self.worker => match self.charge(now, &outward) {
                Ok(()) => self.shortcut_packet(now, shortcut, buffer, payload),
                Err(reason) => self.drop_packet(reason),
            },
            _ => self.leave(now, &outward, PeerAddr::new(SocketAddr::new(bind, to.get())), shortcut),
        }
    }

    /// The last step of what leaves by a socket.
    #[inline]
    fn leave(
        &mut self,
        now: Now,
        outward: &Outward,
        destination: PeerAddr,
        shortcut: Option<Shortcut>,
    ) -> Forward {
        if let Err(reason) = self.charge(now, outward) {
            return self.drop_packet(reason);
        }
        let Outward { slot, peer, payload, dont_fragment } = *outward;
        let relay = self.table.relay_id(slot, peer.family());
        Forward::ToPeer { relay, peer: destination, payload, dont_fragment, shortcut }
    }

    /// Counts what goes to a peer, if its sender's limits let it pass.
    #[inline]
    fn charge(&mut self, now: Now, outward: &Outward) -> Result<(), DropReason> {
        let allocation = self.table.get_mut(outward.slot).ok_or(DropReason::NoAllocation)?;
        let (family, bytes) = (outward.peer.family(), outward.payload.len());
        if !allocation.account.meter(now.monotonic, family, bytes, &self.settings.limits) {
            return Err(DropReason::Bandwidth);
        }
        allocation.to_peers.add(bytes);
        self.stats.to_peers.add(bytes);
        self.recording.tally(outward.slot, allocation, &self.settings.limits);
        Ok(())
    }

    /// A datagram from `peer` at a relayed address (RFC 8656 sections 11.6 and 12.7). It lies at
    /// `payload` in `buffer`, with [`HEADROOM`] before and [`TAILROOM`] behind it.
    pub fn peer_packet(
        &mut self,
        now: Now,
        relay: RelayId,
        peer: PeerAddr,
        buffer: &mut [u8],
        payload: Span,
    ) -> Forward {
        let peer = self.as_seen_outside(peer);
        match self.table.owner_of(relay) {
            Some((slot, family)) => self.relay_to_client(now, slot, family, peer, buffer, payload),
            None => self.drop_packet(DropReason::NoAllocation),
        }
    }

    /// What another relayed address of this node sent by a [`Shortcut`] to this worker: it fares as if it
    /// had come from the kernel to [`Self::peer_packet`].
    pub fn shortcut_packet(
        &mut self,
        now: Now,
        shortcut: Shortcut,
        buffer: &mut [u8],
        payload: Span,
    ) -> Forward {
        let Shortcut { holder, to, from } = shortcut;
        let (slot, family) = Table::place(holder.index);
        let relayed = self.table.get(slot).and_then(|it| it.relayed.get(family).as_ref());
        // On the way it may have ended, and another one have its place.
        let lives = relayed.is_some_and(|relayed| relayed.open && relayed.port.number() == to);
        match self.own.get(family) {
            Some(own) if lives => {
                let from = PeerAddr::new(SocketAddr::new(own.advertised, from.get()));
                self.relay_to_client(now, slot, family, from, buffer, payload)
            }
            _ => self.drop_packet(DropReason::NoAllocation),
        }
    }

    /// The last steps of what came from `peer` to a relayed address.
    fn relay_to_client(
        &mut self,
        now: Now,
        slot: Slot,
        family: AddressFamily,
        peer: PeerAddr,
        buffer: &mut [u8],
        payload: Span,
    ) -> Forward {
        let Some(allocation) = self.table.get_mut(slot) else {
            return self.drop_packet(DropReason::NoAllocation);
        };
        let Some(way) = allocation.peers.way_from(peer, now.monotonic) else {
            return self.drop_packet(DropReason::NoPermission);
        };
        if !allocation.account.meter(now.monotonic, family, payload.len(), &self.settings.limits) {
            return self.drop_packet(DropReason::Bandwidth);
        }
        let stream = allocation.five_tuple.transport.is_stream();
        let packet = match way {
            Way::Channel(channel) => channel_data_around(buffer, payload, channel, stream),
            Way::Indication => {
                // Nobody matches indications by their transaction, so a cheap unique one does.
                let id = TransactionId::new(self.random.random());
                stun::write_data_indication(buffer, payload.range(), peer.get(), id).map(Span::from)
            }
        };
        let Some(packet) = packet else {
            return self.drop_packet(DropReason::Malformed);
        };
        allocation.to_client.add(payload.len());
        self.stats.to_clients.add(payload.len());
        self.recording.tally(slot, allocation, &self.settings.limits);
        Forward::ToClient { client: allocation.client(), packet }
    }

    /// An ICMP error for what was sent to `peer` from a relayed address. It becomes a Data indication
    /// without DATA (RFC 8656 section 11.5).
    pub fn peer_icmp(&mut self, now: Now, relay: RelayId, peer: PeerAddr, error: IcmpError) {
        // "Type 3 or 11 for ICMPv4, 1, 2 or 3 for ICMPv6": others are dropped.
        let told = match peer.family() {
            AddressFamily::V4 => matches!(error.kind, 3 | 11),
            AddressFamily::V6 => matches!(error.kind, 1..=3),
        };
        if !told {
            self.stats.count_drop(DropReason::Unexpected);
            return;
        }
        let peer = self.as_seen_outside(peer);
        let allocation = self.table.owner_of(relay).and_then(|(slot, _)| self.table.get_mut(slot));
        let Some(allocation) = allocation else { return };
        if !allocation.peers.permits(peer, now.monotonic) {
            self.stats.count_drop(DropReason::NoPermission);
            return;
        }
        let family = peer.family();
        if !allocation.account.meter(now.monotonic, family, error.data.len(), &self.settings.limits) {
            self.stats.count_drop(DropReason::Bandwidth);
            return;
        }
        let id = TransactionId::new(self.random.random());
        self.outbox.message(&allocation.client(), |buf| {
            let mut writer = MessageWriter::new(buf, Class::Indication, Method::DATA, id)?;
            writer.attribute(&XorPeerAddress(peer.get()))?;
            writer.attribute(&Icmp { kind: error.kind, code: error.code, data: error.data })?;
            Ok(writer.finish())
        });
    }

    /// How the world sees who sent a packet: a relayed address of this node reaches another one from
    /// what it is bound to.
    #[inline]
    fn as_seen_outside(&self, peer: PeerAddr) -> PeerAddr {
        let (family, port) = (peer.family(), RelayPort::new(peer.get().port()));
        match self.own.get(family) {
            Some(own)
                if peer.is_on(own.bind)
                    && own.advertised != own.bind
                    && (self.ledger.holder(family, port).is_some()
                        || self.ledger.is_open_beside(family, port)) =>
            {
                PeerAddr::new(SocketAddr::new(own.advertised, peer.get().port()))
            }
            _ => peer,
        }
    }
}

/// Puts a ChannelData header in front of a payload, and on streams padding behind it (RFC 8656 section 12.5).
fn channel_data_around(
    buffer: &mut [u8],
    payload: Span,
    channel: stun::attribute::ChannelNumber,
    stream: bool,
) -> Option<Span> {
    debug_assert!(payload.start >= HEADROOM && buffer.len() >= payload.end + TAILROOM);
    let start = payload.start.checked_sub(stun::CHANNEL_HEADER_LEN)?;
    let length = u16::try_from(payload.len()).ok()?;
    let header = buffer.get_mut(start..)?.first_chunk_mut()?;
    stun::write_channel_header(header, channel, length);
    let mut end = payload.end;
    if stream {
        end = payload.start + payload.len().next_multiple_of(4);
        buffer.get_mut(payload.end..end)?.fill(0);
    }
    Some(Span { start, end })
}
