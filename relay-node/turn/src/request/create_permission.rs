//! CreatePermission (RFC 8656 section 10.2).

use stun::attribute::XorPeerAddress;

use crate::address::PeerAddr;
use crate::answer::Refusal;
use crate::authentication::Authenticated;
use crate::server::Turn;
use crate::time::Now;

/// More peers than fit beside credentials in a datagram of 1,500 bytes.
const MAX_PEERS: usize = 128;

impl Turn {
    /// Installs or refreshes permissions: all that the request names, or none.
    pub(super) fn create_permission(&mut self, now: Now, request: &Authenticated<'_>) {
        if let Some(slot) = request.slot {
            self.expire_peers(now, slot);
        }
        match self.try_permit(now, request) {
            Ok(()) => {
                let software = self.settings.software.as_deref();
                request.reply.success(&mut self.outbox, &mut self.stats, software, |_| Ok(()));
            }
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    fn try_permit(&mut self, now: Now, request: &Authenticated<'_>) -> Result<(), Refusal> {
        let allocation = self.owned_allocation(request)?;
        // "If no XOR-PEER-ADDRESS, or one is malformed: 400."
        let mut peers = Vec::new();
        for peer in request.message.all::<XorPeerAddress>() {
            let peer = PeerAddr::new(peer.map_err(|_| Refusal::BadRequest)?.0);
            // "If an address family is not that of a relayed address: 443", "not allowed: 403."
            self.check_peer(allocation, peer)?;
            if !peers.contains(&peer.ip()) {
                peers.push(peer.ip());
            }
            if peers.len() > MAX_PEERS {
                return Err(Refusal::InsufficientCapacity);
            }
        }
        if peers.is_empty() {
            return Err(Refusal::BadRequest);
        }
        // "If the server cannot install all of them: 508", and none is installed.
        let new = peers.iter().filter(|peer| !allocation.peers.has_permission(**peer)).count() as u32;
        if !self.ledger.take_peers(&allocation.usage, new, 0, &self.settings.limits) {
            return Err(Refusal::InsufficientCapacity);
        }
        self.stats.permissions += u64::from(new);

        let slot = request.slot.ok_or(Refusal::AllocationMismatch)?;
        if let Some(allocation) = self.table.get_mut(slot) {
            for peer in peers {
                let expires = allocation.peers.permit(peer, now.monotonic);
                self.timers.set_earlier(slot.0, expires);
            }
        }
        Ok(())
    }
}
