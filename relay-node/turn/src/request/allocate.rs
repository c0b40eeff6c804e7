//! Allocate (RFC 8656 section 7.2): from the request over open sockets to the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt};
use stun::attribute::{
    AddressErrorCode, AddressFamily, Lifetime, ReservationToken, XorMappedAddress, XorRelayedAddress,
};
use stun::{BufferFull, MessageWriter};

use super::wish::{PortWish, Wish};
use crate::address::{Family, RelayId, RelayPort};
use crate::allocation::{Allocation, Opening, Origin, PerFamily, Relayed};
use crate::answer::Refusal;
use crate::authentication::Authenticated;
use crate::credentials::UserId;
use crate::event::{CloseReason, Event};
use crate::io::OpenError;
use crate::ledger::{PortKind, QuotaReached, Usage};
use crate::peers::Peers;
use crate::server::Turn;
use crate::table::Slot;
use crate::time::{Monotonic, Now};

/// How many ports are tried when others on this node hold what was picked.
const PORT_TRIES: u8 = 16;
/// How long a reserved port is kept (RFC 8656 section 7.2: at least 30 s).
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// What an Allocate was given of the node's ports.
#[derive(Default)]
struct Taken {
    relayed: PerFamily<Relayed>,
    reservation: Option<ReservationToken>,
    refused: Option<(Family, Refusal)>,
}

impl Turn {
    /// Allocates, or refuses to. The answer leaves when the driver has opened the sockets.
    pub(super) fn allocate(&mut self, now: Now, request: Authenticated<'_>) {
        // 2. "If the 5-tuple is in use: 437", but a retransmission is answered like the original.
        if let Some(slot) = request.slot {
            self.allocate_again(slot, &request);
            return;
        }
        if let Err(refusal) = self.try_allocate(now, &request) {
            self.refuse(&request, refusal);
        }
    }

    fn allocate_again(&mut self, slot: Slot, request: &Authenticated<'_>) {
        let Some(allocation) = self.table.get(slot) else { return };
        let same =
            allocation.origin.transaction == request.reply.transaction && request.is_owner_of(allocation);
        if !same {
            self.refuse(request, Refusal::AllocationMismatch);
        } else if allocation.opening.is_none() {
            let software = self.settings.software.as_deref();
            request.reply.success(&mut self.outbox, &mut self.stats, software, |writer| {
                write_allocated(writer, allocation)
            });
        }
    }

    fn try_allocate(&mut self, now: Now, request: &Authenticated<'_>) -> Result<(), Refusal> {
        // 3. to 9.: what the request says by itself.
        let wish = Wish::read(&request.message)?;
        // 6. "If the server does not support the address family: 440." Of two, one is enough.
        if !wish.families().iter().any(|family| self.settings.relay.get(*family).is_some()) {
            return Err(Refusal::AddressFamilyNotSupported);
        }
        // 12. A draining relay has no capacity for new allocations.
        if self.draining {
            return Err(Refusal::InsufficientCapacity);
        }
        // 11. "If the user's quota is reached: 486."
        let usage =
            self.ledger.take_allocation(request.user(), &self.settings.limits).map_err(|reached| {
                match reached {
                    QuotaReached::User => Refusal::AllocationQuotaReached,
                    QuotaReached::Total => Refusal::InsufficientCapacity,
                }
            })?;
        // 5., 8., 12. "If the token is not valid, or no such port can be had: 508."
        self.ledger.expire(now.monotonic);
        let lifetime = self.settings.lifetimes.grant(wish.lifetime);
        let expires = now.monotonic.after(Duration::from_secs(lifetime.into()));
        let taken = match wish.port {
            PortWish::Reserved(token) => self.take_reserved(now, request.user(), token, expires),
            PortWish::Fresh(kind) => self.take_fresh(now, request.user(), wish.families(), kind, expires),
        };
        if taken.relayed.iter().next().is_none() {
            self.ledger.release_allocation(&usage);
            return Err(Refusal::InsufficientCapacity);
        }
        let origin = Origin {
            transaction: request.reply.transaction,
            lifetime,
            reservation: taken.reservation,
            refused: taken.refused,
        };
        let kind = match wish.port {
            PortWish::Fresh(kind) => Some(kind),
            PortWish::Reserved(_) => None,
        };
        self.open(now, request, usage, origin, taken.relayed, kind);
        Ok(())
    }

    fn take_reserved(
        &mut self,
        now: Now,
        user: &UserId,
        ReservationToken(token): ReservationToken,
        expires: Monotonic,
    ) -> Taken {
        let mut taken = Taken::default();
        if let Some((family, port)) = self.ledger.redeem(token, user, now.monotonic) {
            match self.settings.relay.get(family) {
                Some(address) => *taken.relayed.slot(family) = Some(Relayed::at(address, port, expires)),
                None => self.ledger.release_port(family, port),
            }
        }
        taken
    }

    fn take_fresh(
        &mut self,
        now: Now,
        user: &UserId,
        families: &[Family],
        kind: PortKind,
        expires: Monotonic,
    ) -> Taken {
        let mut taken = Taken::default();
        for family in families.iter().copied() {
            let Some(address) = self.settings.relay.get(family) else {
                taken.refused = Some((family, Refusal::AddressFamilyNotSupported));
                continue;
            };
            let Some(port) = self.ledger.take_port(family, kind, self.random.next_u64()) else {
                taken.refused = Some((family, Refusal::InsufficientCapacity));
                continue;
            };
            *taken.relayed.slot(family) = Some(Relayed::at(address, port, expires));
            if let (PortKind::EvenAndNext, Some(next)) = (kind, port.next()) {
                let token = self.random.random();
                self.reserve(now, token, family, next, user.clone());
                taken.reservation = Some(ReservationToken(token));
            }
        }
        taken
    }

    fn reserve(&self, now: Now, token: [u8; 8], family: Family, port: RelayPort, user: UserId) {
        self.ledger.reserve(token, family, port, user, now.monotonic.after(RESERVATION_LIFETIME));
    }

    /// Writes the allocation down and asks for its sockets.
    fn open(
        &mut self,
        now: Now,
        request: &Authenticated<'_>,
        usage: Arc<Usage>,
        origin: Origin,
        relayed: PerFamily<Relayed>,
        kind: Option<PortKind>,
    ) {
        let slot = self.table.insert(Allocation {
            client: request.reply.client,
            owner: request.to_owner(),
            origin,
            created: now.monotonic,
            relayed,
            peers: Peers::new(&self.hasher),
            usage,
            to_peers: Default::default(),
            to_client: Default::default(),
            opening: Some(Box::new(Opening { reply: request.reply.clone(), kind, tries_left: PORT_TRIES })),
        });
        if let Some(deadline) = self.table.get(slot).and_then(Allocation::next_deadline) {
            self.timers.set(slot.0, deadline);
        }
        for (family, relayed) in relayed.iter() {
            self.ask_for_socket(slot, family, relayed.port);
        }
    }

    fn ask_for_socket(&mut self, slot: Slot, family: Family, port: RelayPort) {
        if let Some(address) = self.settings.relay.get(family) {
            let relay = self.table.relay_id(slot, family);
            self.outbox.open_relay(relay, SocketAddr::new(address.bind, port.get()));
        }
    }

    /// How an [`Output::OpenRelay`](crate::Output::OpenRelay) went: the Allocate that waits for it goes on.
    pub fn relay_opened(&mut self, now: Now, relay: RelayId, result: Result<(), OpenError>) {
        let Some((slot, family)) = self.table.owner_of(relay) else {
            // Its client went away meanwhile.
            if result.is_ok() {
                self.outbox.close_relay(relay);
            }
            return;
        };
        match result {
            Ok(()) => {
                if let Some(relayed) =
                    self.table.get_mut(slot).and_then(|it| it.relayed.slot(family).as_mut())
                {
                    relayed.open = true;
                }
            }
            Err(OpenError::InUse) if self.try_another_port(now, slot, family) => return,
            Err(_) => {
                self.close_relayed(slot, family);
                if let Some(allocation) = self.table.get_mut(slot) {
                    allocation.origin.refused = Some((family, Refusal::InsufficientCapacity));
                }
            }
        }
        let Some(allocation) = self.table.get_mut(slot) else { return };
        if allocation.relayed.iter().all(|(_, relayed)| relayed.open) {
            self.finish_allocating(now, slot);
        }
    }

    /// Somebody else has the port: asks for another one of the same kind.
    fn try_another_port(&mut self, now: Now, slot: Slot, family: Family) -> bool {
        let random = self.random.next_u64();
        let Some(allocation) = self.table.get_mut(slot) else { return false };
        let Some(Opening { kind: Some(kind), tries_left, .. }) = allocation.opening.as_deref_mut() else {
            return false;
        };
        let Some(relayed) = allocation.relayed.slot(family) else { return false };
        if *tries_left == 0 {
            return false;
        }
        *tries_left -= 1;
        // Taken before the old one is given back, so that it is another one.
        let Some(port) = self.ledger.take_port(family, *kind, random) else { return false };
        let old = std::mem::replace(&mut relayed.port, port);
        relayed.advertised.set_port(port.get());
        let (token, user) = (allocation.origin.reservation, allocation.owner.user.clone());
        self.ledger.release_port(family, old);
        if let (Some(ReservationToken(token)), Some(next)) = (token, port.next()) {
            self.ledger.cancel_reservation(token);
            self.reserve(now, token, family, next, user);
        }
        self.ask_for_socket(slot, family, port);
        true
    }

    /// All sockets that could be had are open: answers.
    fn finish_allocating(&mut self, now: Now, slot: Slot) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let relayed: Vec<_> = allocation.relayed.iter().map(|(_, relayed)| relayed.advertised).collect();
        if relayed.is_empty() {
            self.give_up_allocating(now, slot);
            return;
        }
        let Some(opening) = allocation.opening.take() else { return };
        self.stats.allocations_created += 1;
        self.outbox.event(Event::AllocationCreated {
            five_tuple: allocation.client.five_tuple,
            user: allocation.owner.user.clone(),
            relayed,
            lifetime: Duration::from_secs(allocation.origin.lifetime.into()),
        });
        let software = self.settings.software.as_deref();
        opening.reply.success(&mut self.outbox, &mut self.stats, software, |writer| {
            write_allocated(writer, allocation)
        });
    }

    /// No socket could be had: nothing stays behind.
    fn give_up_allocating(&mut self, now: Now, slot: Slot) {
        let Some(allocation) = self.table.get(slot) else { return };
        let Some(opening) = allocation.opening.clone() else { return };
        if let Some(ReservationToken(token)) = allocation.origin.reservation {
            self.ledger.cancel_reservation(token);
        }
        self.close(now, slot, CloseReason::Stopped);
        opening.reply.refuse(&mut self.outbox, &mut self.stats, Refusal::InsufficientCapacity);
    }
}

/// The attributes of a success response (RFC 8656 section 7.2).
fn write_allocated(writer: &mut MessageWriter<'_>, allocation: &Allocation) -> Result<(), BufferFull> {
    for (_, relayed) in allocation.relayed.iter() {
        writer.attribute(&XorRelayedAddress(relayed.advertised))?;
    }
    writer.attribute(&Lifetime(allocation.origin.lifetime))?;
    if let Some(token) = &allocation.origin.reservation {
        writer.attribute(token)?;
    }
    writer.attribute(&XorMappedAddress(allocation.client.five_tuple.client.get()))?;
    if let Some((family, refusal)) = allocation.origin.refused {
        let family = match family {
            Family::V4 => AddressFamily::V4,
            Family::V6 => AddressFamily::V6,
        };
        writer.attribute(&AddressErrorCode { family, code: refusal.code(), reason: refusal.reason() })?;
    }
    Ok(())
}
