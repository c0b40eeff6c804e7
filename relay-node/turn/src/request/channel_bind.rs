//! ChannelBind (RFC 8656 section 12.2).

use stun::attribute::{ChannelNumber, XorPeerAddress};

use super::check_peer;
use crate::address::PeerAddr;
use crate::authentication::Authenticated;
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::time::Now;

impl Turn {
    /// Binds a channel to a peer, or refreshes the binding; the permission comes with it.
    pub(super) fn channel_bind(&mut self, now: Now, request: &Authenticated<'_>) {
        match self.try_bind(now, request) {
            Ok(()) => {
                let software = self.settings.software.as_deref();
                request.reply.success(&mut self.outbox, &mut self.stats, software, |_| Ok(()));
            }
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    fn try_bind(&mut self, now: Now, request: &Authenticated<'_>) -> Result<(), Refusal> {
        let (slot, allocation) = self.table.owned_by(request)?;
        let places = &mut self.recording.places;
        self.stats.count_gone(allocation.expire_peers(now.monotonic, places));
        // "Both CHANNEL-NUMBER and XOR-PEER-ADDRESS, the number in 0x4000 to 0x4FFF: else 400."
        let (Ok(Some(number)), Ok(Some(XorPeerAddress(peer)))) =
            (request.message.get::<ChannelNumber>(), request.message.get())
        else {
            return Err(Refusal::BadRequest);
        };
        let peer = PeerAddr::new(peer);
        // "Neither is bound to another one: else 400."
        allocation.peers.check_bind(number, peer).map_err(|_| Refusal::BadRequest)?;
        // "The family is that of a relayed address: else 443", "the address is allowed: else 403."
        check_peer(&self.settings, &self.ledger, allocation, peer)?;
        // "The server cannot: 508."
        let limits = &self.settings.limits;
        let new = allocation.bind(number, peer, now.monotonic, limits, places, &self.hasher)?;
        self.stats.count_new(new);
        self.timers.set(slot.0, allocation.next_deadline());
        self.record_permission(slot, peer.ip());
        self.record_channel(slot, number);
        Ok(())
    }
}
