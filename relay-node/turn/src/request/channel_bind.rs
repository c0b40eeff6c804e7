//! ChannelBind (RFC 8656 section 12.2).

use stun::attribute::{ChannelNumber, XorPeerAddress};

use crate::address::PeerAddr;
use crate::answer::Refusal;
use crate::authentication::Authenticated;
use crate::server::Turn;
use crate::time::Now;

impl Turn {
    /// Binds a channel to a peer, or refreshes the binding; the permission comes with it.
    pub(super) fn channel_bind(&mut self, now: Now, request: &Authenticated<'_>) {
        if let Some(slot) = request.slot {
            self.expire_peers(now, slot);
        }
        match self.try_bind(now, request) {
            Ok(()) => {
                let software = self.settings.software.as_deref();
                request.reply.success(&mut self.outbox, &mut self.stats, software, |_| Ok(()));
            }
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    fn try_bind(&mut self, now: Now, request: &Authenticated<'_>) -> Result<(), Refusal> {
        let allocation = self.owned_allocation(request)?;
        // "Both CHANNEL-NUMBER and XOR-PEER-ADDRESS, the number in 0x4000 to 0x4FFF: else 400."
        let (Ok(Some(number)), Ok(Some(XorPeerAddress(peer)))) =
            (request.message.get::<ChannelNumber>(), request.message.get())
        else {
            return Err(Refusal::BadRequest);
        };
        let peer = PeerAddr::new(peer);
        // "Neither is bound to another one: else 400."
        let new = allocation.peers.check_bind(number, peer).map_err(|_| Refusal::BadRequest)?;
        // "The family is that of a relayed address: else 443", "the address is allowed: else 403."
        self.check_peer(allocation, peer)?;
        // "The server cannot: 508."
        if !self.ledger.take_peers(&allocation.usage, new.permissions, new.channels, &self.settings.limits) {
            return Err(Refusal::InsufficientCapacity);
        }
        self.stats.permissions += u64::from(new.permissions);
        self.stats.channels += u64::from(new.channels);

        let slot = request.slot.ok_or(Refusal::AllocationMismatch)?;
        if let Some(allocation) = self.table.get_mut(slot) {
            let next = allocation.peers.bind(number, peer, now.monotonic);
            self.timers.set_earlier(slot.0, next);
        }
        Ok(())
    }
}
