//! Requests: from bytes to an answer. Each method has a file.

mod allocate;
mod binding;
mod channel_bind;
mod create_permission;
mod refresh;
mod wish;

use stun::attribute::{AddressFamily, AttributeType};
use stun::{AttributeError, Message, Method};

use crate::address::{Client, Entrance, PeerAddr};
use crate::allocation::Allocation;
use crate::answer::ReplyTo;
use crate::authentication::{Authenticated, Unproved};
use crate::budget::Stranger;
use crate::ledger::Ledger;
use crate::nonce::{NONCE_LEN, NonceKind};
use crate::policy::Denied;
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::settings::Settings;
use crate::stats::{DropReason, RequestKind};
use crate::table::{Slot, Table};
use crate::time::Now;

/// The comprehension-required attributes that are understood, expected or not
/// (RFC 8489 section 14: what is known but not expected is ignored).
pub(crate) const UNDERSTOOD: [AttributeType; 22] = [
    AttributeType::MAPPED_ADDRESS,
    AttributeType::CHANGE_REQUEST,
    AttributeType::USERNAME,
    AttributeType::MESSAGE_INTEGRITY,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::LIFETIME,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::DATA,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::XOR_RELAYED_ADDRESS,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::EVEN_PORT,
    AttributeType::REQUESTED_TRANSPORT,
    AttributeType::DONT_FRAGMENT,
    AttributeType::MESSAGE_INTEGRITY_SHA256,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::USERHASH,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::RESERVATION_TOKEN,
];

impl Turn {
    /// A request, by the steps of RFC 8489 section 6.3.1.
    pub(crate) fn request(&mut self, now: Now, client: &Client, message: &Message<'_>) {
        let Some(kind) = RequestKind::of(message.method()) else {
            self.stats.count_drop(DropReason::Unexpected);
            return;
        };
        if kind == RequestKind::Binding {
            self.binding(now, client, message);
            return;
        }
        if message.is_classic() {
            // RFC 3489 knows Binding only.
            self.stats.count_drop(DropReason::Unexpected);
            return;
        }
        let reply = ReplyTo::new(client, kind, message);
        let request = match self.authenticate(now, message, reply.clone()) {
            Ok(request) => request,
            Err(unproved) => {
                self.answer_unproved(now, message, &reply, unproved);
                return;
            }
        };
        let unknown = message.unknown_required(&UNDERSTOOD);
        if !unknown.is_empty() {
            request.reply.refuse_unknown(&mut self.outbox, &mut self.stats, &unknown);
            return;
        }
        match message.method() {
            Method::ALLOCATE => self.allocate(now, request),
            Method::REFRESH => self.refresh(now, &request),
            Method::CREATE_PERMISSION => self.create_permission(now, &request),
            _ => self.channel_bind(now, &request),
        }
    }

    /// Answers who proved no credentials, as far as its like are answered.
    fn answer_unproved(&mut self, now: Now, message: &Message<'_>, reply: &ReplyTo, unproved: Unproved) {
        let client = &reply.client;
        match unproved {
            Unproved::Guessing => self.stats.count_drop(DropReason::Guessing),
            Unproved::Reached(refusal) => {
                let bytes = self.challenge(now, reply, refusal);
                self.stats.unauthenticated_answer_bytes += bytes as u64;
            }
            Unproved::Stranger(refusal) => {
                // Whoever has a call is never silenced: its nonce became foreign with a change of the key.
                if self.may_answer_stranger(now, client, message)
                    || self.comes_from_owner(message, &client.five_tuple)
                {
                    let bytes = self.challenge(now, reply, refusal);
                    self.count_stranger(now, client, message, bytes);
                } else {
                    self.stats.count_drop(DropReason::AnswerBudget);
                }
            }
        }
    }

    /// 400, or 401 or 438 with what it takes to authenticate. Tells the bytes of the answer.
    fn challenge(&mut self, now: Now, reply: &ReplyTo, refusal: Refusal) -> usize {
        if refusal == Refusal::BadRequest {
            return reply.refuse(&mut self.outbox, &mut self.stats, refusal);
        }
        let five_tuple = &reply.client.five_tuple;
        let mut nonce = [0; NONCE_LEN];
        let kind = match reply.client.entrance {
            Entrance::Direct => NonceKind::Bound,
            Entrance::FirstContact => NonceKind::Unbound,
        };
        self.settings.nonces.issue(now.unix, kind, five_tuple.client.ip(), &mut nonce);
        let realm = self.realm_for(five_tuple).clone();
        reply.challenge(&mut self.outbox, &mut self.stats, refusal, &realm, &nonce)
    }

    /// Whether the budget has an answer left for somebody whose address may be spoofed.
    fn may_answer_stranger(&self, now: Now, client: &Client, message: &Message<'_>) -> bool {
        // A stream's client is there: TCP's handshake has shown it.
        client.five_tuple.transport.is_stream()
            || self.budget.answers(now.monotonic, &stranger(client, message))
    }

    fn count_stranger(&mut self, now: Now, client: &Client, message: &Message<'_>, bytes: usize) {
        self.stats.unauthenticated_answer_bytes += bytes as u64;
        if !client.five_tuple.transport.is_stream() {
            let (limits, asked) = (&self.settings.limits.answers, message.bytes().len());
            self.budget.charge(now.monotonic, limits, &stranger(client, message), asked, bytes);
        }
    }

    fn refuse(&mut self, request: &Authenticated<'_>, refusal: Refusal) {
        request.reply.refuse(&mut self.outbox, &mut self.stats, refusal);
    }
}

/// What is wrong with an address family: there is none with that number, or the attribute is malformed.
fn or_unknown(unknown: Refusal) -> impl FnOnce(AttributeError) -> Refusal {
    move |error| match error {
        AttributeError::Value { .. } => unknown,
        AttributeError::Length { .. } => Refusal::BadRequest,
    }
}

/// Whether `allocation` may have a permission for `peer` (RFC 8656 sections 10.2, 12.2).
fn check_peer(
    settings: &Settings,
    ledger: &Ledger,
    allocation: &Allocation,
    peer: PeerAddr,
) -> Result<(), Refusal> {
    let family = AddressFamily::of(peer.ip());
    if allocation.relayed.get(family).is_none() {
        return Err(Refusal::PeerAddressFamilyMismatch);
    }
    let own = ledger.relay_address(family).is_some_and(|own| own.advertised == peer.ip());
    match settings.policy.check(peer.ip()) {
        Ok(()) => Ok(()),
        // Relay to relay on one node: packets go to ports of live relayed addresses only.
        Err(denied) if denied != Denied::Listed && own => Ok(()),
        Err(_) => Err(Refusal::Forbidden),
    }
}

impl Table {
    /// The live allocation that a request is about, if it comes from its owner (RFC 8656 section 5).
    fn owned_by(&mut self, request: &Authenticated<'_>) -> Result<(Slot, &mut Allocation), Refusal> {
        let slot = request.slot.ok_or(Refusal::AllocationMismatch)?;
        let allocation = self.get_mut(slot).filter(|it| it.opening.is_none());
        let allocation = allocation.ok_or(Refusal::AllocationMismatch)?;
        if !request.is_owner_of(allocation) {
            return Err(Refusal::WrongCredentials);
        }
        Ok((slot, allocation))
    }
}

fn stranger(client: &Client, message: &Message<'_>) -> Stranger {
    Stranger {
        client: client.five_tuple.client,
        entrance: client.entrance,
        transaction: message.transaction_id(),
        binding: message.method() == Method::BINDING,
    }
}
