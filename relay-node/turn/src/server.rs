//! The server: what goes in, in what order it is dealt with, what comes out.

use std::sync::Arc;

use ahash::RandomState;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stun::attribute::AddressFamily;
use stun::{Kind, Method};

use crate::address::{Client, FiveTuple};
use crate::allocation::{Allocation, Relayed};
use crate::budget::AnswerBudget;
use crate::event::{CloseReason, Event};
use crate::io::{Forward, Output, Span};
use crate::ledger::{Ledger, WorkerId};
use crate::outbox::Outbox;
use crate::per_family::PerFamily;
use crate::recently_closed::RecentlyClosed;
use crate::recording::Recording;
use crate::redirect::{Alternates, Drain};
use crate::relay_address::RelayAddresses;
use crate::settings::Settings;
use crate::stats::{DropReason, Stats};
use crate::table::{Slot, Table};
use crate::time::{Monotonic, Now};
use crate::timers::Timers;

/// Allocations with something to end that are looked after at a time.
const EXPIRIES: usize = 64;

/// The TURN server of one worker.
///
/// Every input is handled to its end at once. A packet to be relayed is its result; all else that is
/// to be done waits in [`Turn::poll_output`], which the driver empties after every input:
///
/// ```text
/// loop {
///     forward = turn.client_packet(..) | turn.peer_packet(..) | turn.shortcut_packet(..)
///             | turn.peer_icmp(..) | turn.relay_opened(..) | turn.quota_answered(..) | turn.client_gone(..)
///             | turn.timeout(..)
///     send what `forward` says
///     while let Some(output) = turn.poll_output() { do it }
/// }
/// ```
#[derive(Debug)]
pub struct Turn {
    pub(crate) settings: Arc<Settings>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) table: Table,
    pub(crate) timers: Timers,
    pub(crate) outbox: Outbox,
    pub(crate) stats: Stats,
    pub(crate) budget: Arc<AnswerBudget>,
    pub(crate) closed: RecentlyClosed,
    pub(crate) random: StdRng,
    pub(crate) hasher: RandomState,
    pub(crate) draining: Option<Drain>,
    pub(crate) alternates: Arc<Alternates>,
    pub(crate) recording: Recording,
    pub(crate) worker: WorkerId,
    /// The ledger's, which packets ask for: that is shared with workers who write to it.
    pub(crate) own: RelayAddresses,
    /// Whether the policy allows the relay's own address by name: any port of it may be a peer then.
    pub(crate) open_to_peers: PerFamily<bool>,
}

impl Turn {
    /// A server without allocations, of one of the workers that share `ledger` and `budget`. All randomness
    /// comes from `seed`, which has to be secret.
    pub fn new(
        settings: Arc<Settings>,
        ledger: Arc<Ledger>,
        budget: Arc<AnswerBudget>,
        worker: WorkerId,
        seed: [u8; 32],
    ) -> Self {
        let mut random = StdRng::from_seed(seed);
        let hasher = RandomState::with_seeds(
            random.next_u64(),
            random.next_u64(),
            random.next_u64(),
            random.next_u64(),
        );
        Self {
            budget,
            open_to_peers: open_to_peers(&settings, &ledger),
            own: RelayAddresses::from_fn(|family| ledger.relay_address(family)),
            worker,
            settings,
            ledger,
            table: Table::new(&hasher),
            timers: Timers::default(),
            outbox: Outbox::default(),
            stats: Stats::default(),
            closed: RecentlyClosed::new(&hasher),
            random,
            hasher,
            draining: None,
            alternates: Arc::default(),
            recording: Recording::default(),
        }
    }

    /// A packet from a client: a datagram, or one frame of a stream without its padding. It lies at
    /// `packet` in `buffer`, with [`HEADROOM`](crate::HEADROOM) before and [`TAILROOM`](crate::TAILROOM)
    /// behind it. All that is in front of it may be overwritten, and what pads it to a multiple of four.
    pub fn client_packet(&mut self, now: Now, client: &Client, buffer: &mut [u8], packet: Span) -> Forward {
        let bytes = buffer.get(packet.range()).unwrap_or_default();
        match Kind::of(bytes) {
            Kind::ChannelData => self.channel_data(now, client, buffer, packet),
            Kind::Stun => self.message(now, client, buffer, packet),
            Kind::Other => self.drop_packet(DropReason::Malformed),
        }
    }

    /// A client's stream ended, and so does its allocation (RFC 8656 section 3.1).
    pub fn client_gone(&mut self, now: Now, five_tuple: &FiveTuple) {
        if let Some(slot) = self.table.find(five_tuple) {
            self.close(now, slot, CloseReason::ClientGone);
        }
    }

    /// Ends what is over, but not more at a time than packets can wait for. To be called at
    /// [`Self::next_timeout`], or a little later.
    pub fn timeout(&mut self, now: Now) {
        for _ in 0..EXPIRIES {
            let Some(slot) = self.timers.pop_due(now.monotonic) else { break };
            self.expire(now, Slot(slot));
        }
        self.closed.expire(now.monotonic);
    }

    /// When [`Self::timeout`] has work to do.
    pub fn next_timeout(&self) -> Option<Monotonic> {
        self.timers.next()
    }

    /// Whether [`Self::poll_output`] has something: usually not after a packet.
    #[inline]
    pub fn has_outputs(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// What the driver is to do next.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outbox.poll()
    }

    /// Goes on under other settings. What lives, lives on, other than what is revoked.
    pub fn apply(&mut self, now: Now, settings: Arc<Settings>) {
        self.open_to_peers = open_to_peers(&settings, &self.ledger);
        let before = std::mem::replace(&mut self.settings, settings);
        if !Arc::ptr_eq(&before.revocations, &self.settings.revocations) {
            self.end_revoked(now);
        }
    }

    /// How many allocations there are.
    pub fn allocations(&self) -> usize {
        self.table.len()
    }

    /// Whether a client has one.
    pub fn has_allocation(&self, five_tuple: &FiveTuple) -> bool {
        self.table.find(five_tuple).is_some()
    }

    /// What was counted.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    fn message(&mut self, now: Now, client: &Client, buffer: &mut [u8], packet: Span) -> Forward {
        let bytes = buffer.get(packet.range()).unwrap_or_default();
        let outward = match stun::Message::parse(bytes) {
            Ok(message) if message.fingerprint() != stun::Fingerprint::Invalid => {
                match (message.class(), message.method()) {
                    (stun::Class::Indication, Method::SEND) => self.send_indication(now, client, &message),
                    (stun::Class::Request, _) => {
                        self.request(now, client, &message);
                        return Forward::Nothing;
                    }
                    _ => Err(DropReason::Unexpected),
                }
            }
            _ => Err(DropReason::Malformed),
        };
        match outward {
            Ok(outward) => self.relay_to_peer(now, outward.behind(packet.start), buffer),
            Err(reason) => self.drop_packet(reason),
        }
    }

    #[cold]
    pub(crate) fn drop_packet(&mut self, reason: DropReason) -> Forward {
        self.stats.count_drop(reason);
        Forward::Nothing
    }

    /// Ends an allocation. What it held of the ledger goes back with it.
    pub(crate) fn close(&mut self, now: Now, slot: Slot, reason: CloseReason) {
        let Some(allocation) = self.remove(slot) else { return };
        // One whose sockets never opened was never announced either.
        if allocation.opening.is_none() {
            self.stats.allocations_closed += 1;
            self.record_allocation(slot);
            self.outbox.event(Event::AllocationClosed {
                five_tuple: allocation.five_tuple,
                user: allocation.owner.user,
                reason,
                age: now.monotonic.since(allocation.created),
                to_peers: allocation.to_peers,
                to_client: allocation.to_client,
            });
        }
    }

    /// Ends an allocation without a word.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Box<Allocation>> {
        self.record_redemption_in_vain(slot);
        for family in AddressFamily::BOTH {
            self.close_relayed(slot, family);
        }
        let mut allocation = self.table.remove(slot)?;
        self.timers.clear(slot.0);
        self.stats.count_gone(allocation.account.peers());
        allocation.peers.vacate(&mut self.recording.places);
        Some(allocation)
    }

    /// Closes one of two relayed addresses, with what was bound to it.
    pub(crate) fn close_family(&mut self, slot: Slot, family: AddressFamily) {
        self.close_relayed(slot, family);
        if let Some(allocation) = self.table.get_mut(slot) {
            self.stats.count_gone(allocation.forget_peers(family, &mut self.recording.places));
        }
    }

    /// Closes the relayed address of one family, if there is one.
    fn close_relayed(&mut self, slot: Slot, family: AddressFamily) {
        let relay = self.table.relay_id(slot, family);
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let Some(relayed) = allocation.relayed.get_mut(family).take() else { return };
        if relayed.open {
            self.outbox.close_relay(relay);
        }
    }

    fn expire(&mut self, now: Now, slot: Slot) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        self.stats.count_gone(allocation.expire_peers(now.monotonic, &mut self.recording.places));
        let over = |relayed: &Relayed| relayed.expires <= now.monotonic;
        if allocation.relayed.present().all(|(_, relayed)| over(relayed)) {
            self.close(now, slot, CloseReason::Expired);
            return;
        }
        // Of two, one at most: not all are over.
        let gone = allocation.relayed.present().find(|(_, relayed)| over(relayed)).map(|(family, _)| family);
        if let Some(family) = gone {
            self.close_family(slot, family);
            self.record_allocation(slot);
        }
        self.timers.set(slot.0, self.table.get(slot).and_then(Allocation::next_deadline));
    }
}

/// The policy is asked once for each snapshot, not for each packet.
fn open_to_peers(settings: &Settings, ledger: &Ledger) -> PerFamily<bool> {
    PerFamily::from_fn(|family| {
        let address = ledger.relay_address(family);
        address.is_some_and(|address| settings.policy.opens(address.advertised))
    })
}
