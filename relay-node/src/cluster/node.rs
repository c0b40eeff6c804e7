//! What the fleet's part sees of the relay: its load and its allocations, and what it can have done.
//!
//! Nothing here waits for a worker in the way of its packets: a worker finds what is wanted in its mailbox, and answers
//! when it has taken its round.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use turn::credentials::UserId;
use turn::record::Survivor;
use turn::{Alternates, Ledger, Metered, QuotaTicket, Traffic, Transport};

use crate::admin::Health;
use crate::config::{Config, Listener};
use crate::tls::Certificates;
use crate::worker::{Changed, Ended, Question, Which, Workers};

/// How long a worker may take to answer: longer than it stands still while another relay gets ready.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rates are of this time at least.
const MEASURED: Duration = Duration::from_millis(900);
/// Bytes of IP and UDP headers around each packet's payload, of IPv4: what it is to a network.
const HEADERS: u64 = 28;

/// This node's relay, as the fleet's part sees it. Its end is not waited for: of a relay that has ended there is nothing.
pub struct Node {
    workers: Weak<Workers>,
    ledger: Arc<Ledger>,
    health: Arc<Health>,
    capacity: u32,
    user_limit: AtomicU32,
    direct: Vec<(Transport, SocketAddr)>,
    certificates: Option<Certificates>,
    found_records: bool,
    meter: Mutex<Meter>,
    questions: Mutex<Option<Receiver<Question>>>,
    ended: Mutex<Option<Receiver<Ended>>>,
}

/// What a node is made of.
pub struct NodePlan<'a> {
    /// Its workers.
    pub workers: &'a Arc<Workers>,
    /// Their books.
    pub ledger: Arc<Ledger>,
    /// Whether it drains.
    pub health: Arc<Health>,
    /// What it was started with.
    pub config: &'a Config,
    /// What it shows to TLS clients that come directly.
    pub certificates: Option<Certificates>,
    /// Whether it went on with calls of the relay before it by records of its own, or was not to.
    pub found_records: bool,
    /// What its workers ask.
    pub questions: Receiver<Question>,
    /// What its workers tell of allocations that have ended.
    pub ended: Receiver<Ended>,
}

/// How much a node has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Allocations that live.
    pub allocations: u32,
    /// Allocations that it can have.
    pub capacity: u32,
    /// What it relayed lately, in both directions together, with IP and UDP headers.
    pub bits_per_second: u64,
    /// The same in packets.
    pub packets_per_second: u64,
    /// Whether it takes no new calls.
    pub draining: bool,
}

/// What a certificate says of whom a client may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsNames {
    /// The name to expect, if it has one.
    pub domain: Option<String>,
    /// Those of the node's own addresses that it covers.
    pub covers: Vec<IpAddr>,
}

impl Node {
    /// The node of a relay that serves.
    pub fn new(plan: NodePlan<'_>) -> Self {
        let NodePlan { workers, ledger, health, config, certificates, found_records, questions, ended } =
            plan;
        let most = config.limits.total.allocations;
        Self {
            workers: Arc::downgrade(workers),
            ledger,
            health,
            capacity: config.cluster.as_ref().map_or(most, |cluster| cluster.capacity.min(most)),
            user_limit: AtomicU32::new(config.limits.user.allocations),
            direct: direct_addresses(config, workers),
            certificates,
            found_records,
            meter: Mutex::default(),
            questions: Mutex::new(Some(questions)),
            ended: Mutex::new(Some(ended)),
        }
    }

    /// How much it has to do.
    pub fn load(&self) -> Load {
        let counters = self.workers.upgrade().map(|workers| workers.counters()).unwrap_or_default();
        let mut relayed = Traffic::default();
        let mut allocations = 0;
        for worker in &counters {
            let stats = worker.turn();
            allocations += worker.allocations();
            relayed.packets += stats.to_peers.packets + stats.to_clients.packets;
            relayed.bytes += stats.to_peers.bytes + stats.to_clients.bytes;
        }
        let (bits_per_second, packets_per_second) = lock(&self.meter).look(Instant::now(), relayed);
        Load {
            allocations: u32::try_from(allocations).unwrap_or(u32::MAX),
            capacity: self.capacity,
            bits_per_second,
            packets_per_second,
            draining: self.health.is_draining(),
        }
    }

    /// Where clients reach it without a load balancer: at most one address for each transport and family.
    pub fn direct_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.direct
    }

    /// What it shows to TLS clients that come directly, as of now.
    pub fn tls(&self) -> Option<TlsNames> {
        let certificates = self.certificates.as_ref()?;
        let of_tls = self.direct.iter().filter(|(transport, _)| *transport == Transport::Tls);
        let mut covers: Vec<_> =
            of_tls.map(|(_, address)| address.ip()).filter(|ip| certificates.covers(*ip)).collect();
        covers.dedup();
        Some(TlsNames { domain: certificates.domain(), covers })
    }

    /// From now on clients are sent to these nodes.
    pub fn set_alternates(&self, alternates: &Arc<Alternates>) {
        if let Some(workers) = self.workers.upgrade() {
            workers.set_alternates(alternates);
        }
    }

    /// What its workers ask, each waiting for a tenth of a second. Given once.
    pub fn take_questions(&self) -> Option<Receiver<Question>> {
        lock(&self.questions).take()
    }

    /// Answers a question.
    pub fn answer_quota(&self, worker: usize, ticket: QuotaTicket, granted: bool) {
        if let Some(workers) = self.workers.upgrade() {
            workers.answer_quota(worker, ticket, granted);
        }
    }

    /// How many allocations a user may have, as the configuration says now.
    pub fn user_limit(&self) -> u32 {
        self.user_limit.load(Ordering::Relaxed)
    }

    /// The configuration says another number from now on.
    pub(crate) fn set_user_limit(&self, limit: u32) {
        self.user_limit.store(limit, Ordering::Relaxed);
    }

    /// How many allocations `user` has here, with those that are being asked about.
    pub fn allocations_of(&self, user: &UserId) -> u32 {
        self.ledger.allocations_of(user)
    }

    /// Users with more or fewer allocations than when this was asked before, as [`Ledger::changed_users`].
    pub fn changed_users(&self, most: usize) -> Vec<(UserId, u32)> {
        self.ledger.changed_users(most)
    }

    /// Ends the allocations that are meant; how many there were.
    pub async fn end(&self, which: Arc<Which>) -> u64 {
        let told = self.workers.upgrade().map(|workers| workers.end(&which));
        all(told).await.into_iter().sum()
    }

    /// How many workers there are: they number their allocations' places each for itself.
    pub fn workers(&self) -> usize {
        self.workers.upgrade().map_or(0, |workers| workers.count())
    }

    /// What has changed since this was asked last, about so many allocations at most.
    pub async fn changes(&self, most: usize) -> Vec<Changed> {
        let told = self.workers.upgrade().map(|workers| {
            let of_each = most.div_ceil(workers.count().max(1));
            workers.changes(of_each)
        });
        all(told).await.into_iter().flatten().collect()
    }

    /// From now on all allocations have changed: others have lost what they knew of them.
    pub fn note_all_changed(&self) {
        if let Some(workers) = self.workers.upgrade() {
            workers.note_all_changed();
        }
    }

    /// What a worker's allocations have relayed, from this place on and so many at most.
    pub async fn metered(&self, worker: usize, from: usize, most: usize) -> Vec<Metered> {
        let told = self.workers.upgrade().map(|workers| workers.metered(worker, from, most));
        all(told).await.into_iter().flatten().collect()
    }

    /// What its workers tell of allocations that have ended. Given once; what nobody takes is lost.
    pub fn take_ended(&self) -> Option<Receiver<Ended>> {
        lock(&self.ended).take()
    }

    /// Whether it went on with the calls of the relay before it by records of its own, or was not to go on with them.
    /// If not, others may know of such calls.
    pub const fn found_records(&self) -> bool {
        self.found_records
    }

    /// Goes on with allocations that this node had, while it serves; with how many it could.
    pub async fn restore(&self, survivors: Vec<Survivor>) -> usize {
        let told = self.workers.upgrade().map(|workers| workers.restore(survivors));
        all(told).await.into_iter().map(|restored| restored.allocations).sum()
    }
}

/// What all workers tell that do so in time. Nobody holds the workers meanwhile.
async fn all<T>(told: Option<Receiver<T>>) -> Vec<T> {
    let mut all = Vec::new();
    if let Some(mut told) = told {
        let gather = async {
            while let Some(one) = told.recv().await {
                all.push(one);
            }
        };
        // A worker that is as late as that ends the process.
        let _ = timeout(PATIENCE, gather).await;
    }
    all
}

fn direct_addresses(config: &Config, workers: &Workers) -> Vec<(Transport, SocketAddr)> {
    let mut direct: Vec<(Transport, SocketAddr)> = Vec::new();
    for (listener, bound) in config.listeners.iter().zip(workers.bound()) {
        if listener.first_contact {
            continue;
        }
        let Some(address) = reached_by(config, listener, bound.address) else { continue };
        let with_tls = listener.transport == Transport::Tcp && listener.identity.is_some();
        let spoken = [Some(listener.transport), with_tls.then_some(Transport::Tls)];
        for transport in spoken.into_iter().flatten() {
            let is_it = |(known, other): &(Transport, SocketAddr)| {
                *known == transport && other.is_ipv4() == address.is_ipv4()
            };
            if !direct.iter().any(is_it) {
                direct.push((transport, address));
            }
        }
    }
    direct
}

/// What clients reach a listener by: behind 1:1 NAT, or on all addresses, as the relayed addresses are.
fn reached_by(config: &Config, listener: &Listener, bound: SocketAddr) -> Option<SocketAddr> {
    if let Some(advertised) = listener.advertised {
        return Some(advertised);
    }
    let relay = if bound.is_ipv4() { config.relay.addresses.v4 } else { config.relay.addresses.v6 };
    let is_relay = |ip: IpAddr| ip.is_unspecified() || relay.is_some_and(|relay| relay.bind == ip);
    let ip = if is_relay(bound.ip()) { relay?.advertised } else { bound.ip() };
    Some(SocketAddr::new(ip, bound.port()))
}

/// What was relayed lately.
#[derive(Debug, Default)]
struct Meter {
    looked: Option<(Instant, Traffic)>,
    /// In bits and in packets.
    rate: (u64, u64),
}

impl Meter {
    /// Bits and packets a second until now, or until the last time that was long enough ago.
    fn look(&mut self, now: Instant, relayed: Traffic) -> (u64, u64) {
        let Some((looked, before)) = self.looked else {
            self.looked = Some((now, relayed));
            return self.rate;
        };
        let passed = now.duration_since(looked);
        if passed >= MEASURED {
            let packets = relayed.packets.saturating_sub(before.packets);
            let bytes = relayed.bytes.saturating_sub(before.bytes) + packets * HEADERS;
            let a_second = |count: u64| (count as f64 / passed.as_secs_f64()) as u64;
            self.rate = (a_second(bytes * 8), a_second(packets));
            self.looked = Some((now, relayed));
        }
        self.rate
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No step that others see half done can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_since_the_last_look() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let relayed = |packets| Traffic { packets, bytes: packets * 100 };
        assert_eq!(meter.look(start, relayed(1000)), (0, 0), "of what was before nothing is known");
        assert_eq!(meter.look(start + Duration::from_secs(2), relayed(1200)), (100 * 128 * 8, 100));
        let soon = start + Duration::from_millis(2100);
        assert_eq!(meter.look(soon, relayed(9000)), (100 * 128 * 8, 100), "too soon to tell");
        assert_eq!(meter.look(start + Duration::from_secs(12), relayed(1200)), (0, 0));
    }
}
