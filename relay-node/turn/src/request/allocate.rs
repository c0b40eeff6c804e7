//! Allocate (RFC 8656 section 7.2): from the request over open sockets to the answer.

use std::time::Duration;

use rand::{Rng, RngExt};
use stun::attribute::{
    AddressErrorCode, AddressFamily, Lifetime, ReservationToken, XorMappedAddress, XorRelayedAddress,
};
use stun::{BufferFull, MessageWriter};

use super::wish::{PortWish, Wish};
use crate::allocation::{Allocation, Origin, Relayed};
use crate::answer::ReplyTo;
use crate::authentication::Authenticated;
use crate::credentials::UserId;
use crate::event::Event;
use crate::ledger::{Account, Port, PortKind, QuotaReached};
use crate::opening::{CameFor, Opening, Waiting};
use crate::peers::Peers;
use crate::per_family::PerFamily;
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::table::Slot;
use crate::time::Now;

/// How many ports are tried when others on this node hold what was picked.
const PORT_TRIES: u8 = 16;
/// How long a reserved port is kept (RFC 8656 section 7.2: at least 30 s).
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// What an Allocate was given of the node's ports.
#[derive(Default)]
struct Taken {
    ports: PerFamily<Option<Port>>,
    reservation: Option<ReservationToken>,
    refused: Option<(AddressFamily, Refusal)>,
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
        // "Also, at any point, the server MAY choose to redirect the client to another server: 300."
        if self.sends_on(now, request, matches!(wish.port, PortWish::Reserved(_)))? {
            return Ok(());
        }
        // 6. "If the server does not support the address family: 440." Of two, one is enough; that of a
        // reserved port is not asked for.
        let is_there = |family: &AddressFamily| self.ledger.relay_address(*family).is_some();
        if matches!(wish.port, PortWish::Fresh(_)) && !wish.families().iter().any(is_there) {
            return Err(Refusal::AddressFamilyNotSupported);
        }
        // 11. "If the user's quota is reached: 486."
        let account = self.ledger.open_account(request.user(), &self.settings.limits);
        let account = account.map_err(|reached| match reached {
            QuotaReached::User => Refusal::AllocationQuotaReached,
            QuotaReached::Total => Refusal::InsufficientCapacity,
        })?;
        // 5., 8., 12. "If the token is not valid, or no such port can be had: 508."
        self.ledger.expire(now.monotonic);
        let (taken, came_for) = match wish.port {
            PortWish::Reserved(token) => self.take_reserved(now, request.user(), token)?,
            PortWish::Fresh(kind) => {
                (self.take_fresh(now, request.user(), wish.families(), kind), CameFor::Fresh(kind))
            }
        };
        if taken.ports.present().next().is_none() {
            return Err(Refusal::InsufficientCapacity);
        }
        self.open(now, request, account, taken, self.settings.lifetimes.grant(wish.lifetime), came_for);
        Ok(())
    }

    fn take_reserved(
        &mut self,
        now: Now,
        user: &UserId,
        token: ReservationToken,
    ) -> Result<(Taken, CameFor), Refusal> {
        let redeemed = self.ledger.redeem(token.0, user, now.monotonic);
        let (port, until) = redeemed.ok_or(Refusal::InsufficientCapacity)?;
        let (family, mut taken) = (port.family(), Taken::default());
        *taken.ports.get_mut(family) = Some(port);
        Ok((taken, CameFor::Reserved(token, until)))
    }

    fn take_fresh(&mut self, now: Now, user: &UserId, families: &[AddressFamily], kind: PortKind) -> Taken {
        let mut taken = Taken::default();
        for family in families.iter().copied() {
            if self.ledger.relay_address(family).is_none() {
                taken.refused = Some((family, Refusal::AddressFamilyNotSupported));
                continue;
            }
            let Some((port, next)) = self.ledger.take_port(family, kind, self.random.next_u64()) else {
                taken.refused = Some((family, Refusal::InsufficientCapacity));
                continue;
            };
            *taken.ports.get_mut(family) = Some(port);
            if let Some(next) = next {
                let token = self.random.random();
                self.reserve(now, token, next, user.clone());
                taken.reservation = Some(ReservationToken(token));
            }
        }
        taken
    }

    pub(crate) fn reserve(&self, now: Now, token: [u8; 8], port: Port, user: UserId) {
        self.ledger.reserve(token, port, user, now.monotonic.after(RESERVATION_LIFETIME));
    }

    /// Makes the allocation.
    fn open(
        &mut self,
        now: Now,
        request: &Authenticated<'_>,
        account: Account,
        taken: Taken,
        lifetime: u32,
        came_for: CameFor,
    ) {
        let expires = now.monotonic.after(Duration::from_secs(lifetime.into()));
        let relayed = |port: Option<Port>| port.map(|port| Relayed { port, expires, open: false });
        let asks_quota = self.settings.asks_quota;
        let waiting = Waiting { reply: request.reply.clone(), came_for, tries_left: PORT_TRIES, asks_quota };
        self.begin(Allocation {
            five_tuple: request.reply.client.five_tuple,
            path: request.reply.client.path,
            relayed: PerFamily { v4: relayed(taken.ports.v4), v6: relayed(taken.ports.v6) },
            peers: Peers::new(),
            account,
            to_peers: Default::default(),
            to_client: Default::default(),
            created: now.monotonic,
            owner: request.to_owner(),
            origin: Origin {
                transaction: request.reply.transaction,
                lifetime,
                reservation: taken.reservation,
                refused: taken.refused,
            },
            opening: Some(Box::new(Opening::Allocate(waiting))),
        });
    }

    /// All sockets that could be had are open: answers.
    pub(crate) fn finish_allocating(&mut self, slot: Slot, waiting: &Waiting) {
        let Waiting { reply, came_for, .. } = waiting;
        // A reserved port before the allocation that tells its token, and until there is one that has it.
        self.record_reservation_of(slot);
        self.record_allocation(slot);
        if matches!(came_for, CameFor::Reserved(..)) {
            self.record_redemption_of(slot);
        }
        let Some(allocation) = self.table.get(slot) else { return };
        self.stats.allocations_created += 1;
        self.outbox.event(Event::AllocationCreated {
            five_tuple: allocation.five_tuple,
            user: allocation.owner.user.clone(),
            relayed: allocation.relayed.present().map(|(_, relayed)| relayed.port.advertised()).collect(),
            lifetime: Duration::from_secs(allocation.origin.lifetime.into()),
        });
        let software = self.settings.software.as_deref();
        reply.success(&mut self.outbox, &mut self.stats, software, |writer| {
            write_allocated(writer, allocation)
        });
    }

    /// It cannot be had after all: nothing stays behind.
    pub(crate) fn give_up_allocating(&mut self, slot: Slot, reply: &ReplyTo, refusal: Refusal) {
        let Some(allocation) = self.remove(slot) else { return };
        if let Some(ReservationToken(token)) = allocation.origin.reservation {
            self.ledger.cancel_reservation(token);
        }
        reply.refuse(&mut self.outbox, &mut self.stats, refusal);
    }
}

/// The attributes of a success response (RFC 8656 section 7.2).
fn write_allocated(writer: &mut MessageWriter<'_>, allocation: &Allocation) -> Result<(), BufferFull> {
    for (_, relayed) in allocation.relayed.present() {
        writer.attribute(&XorRelayedAddress(relayed.port.advertised()))?;
    }
    writer.attribute(&Lifetime(allocation.origin.lifetime))?;
    if let Some(token) = &allocation.origin.reservation {
        writer.attribute(token)?;
    }
    writer.attribute(&XorMappedAddress(allocation.five_tuple.client.get()))?;
    if let Some((family, refusal)) = allocation.origin.refused {
        writer.attribute(&AddressErrorCode { family, code: refusal.code(), reason: refusal.reason() })?;
    }
    Ok(())
}
