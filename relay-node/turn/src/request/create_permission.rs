//! CreatePermission (RFC 8656 section 10.2).

use stun::attribute::XorPeerAddress;

use super::check_peer;
use crate::address::PeerAddr;
use crate::authentication::Authenticated;
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::time::Now;

/// More peers than fit beside credentials in a datagram of 1,500 bytes.
const MOST_HOSTS: usize = 128;

impl Turn {
    /// Installs or refreshes permissions: all that the request names, or none.
    pub(super) fn create_permission(&mut self, now: Now, request: &Authenticated<'_>) {
        match self.try_permit(now, request) {
            Ok(()) => {
                let software = self.settings.software.as_deref();
                request.reply.success(&mut self.outbox, &mut self.stats, software, |_| Ok(()));
            }
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    fn try_permit(&mut self, now: Now, request: &Authenticated<'_>) -> Result<(), Refusal> {
        let (slot, allocation) = self.table.owned_by(request)?;
        let places = &mut self.recording.places;
        self.stats.count_gone(allocation.expire_peers(now.monotonic, places));
        // "If no XOR-PEER-ADDRESS, or one is malformed: 400."
        let mut hosts = Vec::new();
        for peer in request.message.all::<XorPeerAddress>() {
            let peer = PeerAddr::new(peer.map_err(|_| Refusal::BadRequest)?.0);
            // "If an address family is not that of a relayed address: 443", "not allowed: 403."
            check_peer(&self.settings, &self.ledger, allocation, peer)?;
            hosts.push(peer.ip());
        }
        if hosts.is_empty() {
            return Err(Refusal::BadRequest);
        }
        hosts.sort_unstable();
        hosts.dedup();
        // "If the server cannot install all of them: 508", and none is installed.
        if hosts.len() > MOST_HOSTS {
            return Err(Refusal::InsufficientCapacity);
        }
        let limits = &self.settings.limits;
        let new = allocation.permit(&hosts, now.monotonic, limits, places, &self.hasher)?;
        self.stats.count_new(new);
        self.timers.set(slot.0, allocation.next_deadline());
        hosts.into_iter().for_each(|host| self.record_permission(slot, host));
        Ok(())
    }
}
