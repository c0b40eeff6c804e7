//! What a worker has counted, for others to read while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use turn::{DropReason, OUTCOMES, Redirection, RequestKind, Stats, Traffic};

macro_rules! socket_stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a worker counts of its sockets.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct SocketStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        const SOCKETS: usize = [$(stringify!($name)),*].len();

        impl SocketStats {
            const fn to_array(self) -> [u64; SOCKETS] {
                [$(self.$name),*]
            }

            const fn from_array([$($name),*]: [u64; SOCKETS]) -> Self {
                Self { $($name),* }
            }
        }
    };
}

socket_stats! {
    /// System calls that received datagrams.
    receive_calls,
    /// Datagrams taken from sockets, of clients and of peers.
    datagrams_received,
    /// System calls that sent datagrams.
    send_calls,
    /// Datagrams that the kernel took.
    datagrams_sent,
    /// Datagrams dropped since a socket's buffer was full.
    datagrams_blocked,
    /// Datagrams that the kernel refused: no route, too long.
    datagrams_refused,
    /// Datagrams handed to the worker that their client, or their relayed address, belongs to.
    datagrams_handed_over,
    /// Datagrams dropped since their client's worker's mailbox was full.
    handovers_dropped,
    /// ICMP errors for datagrams to peers.
    icmp_errors,
    /// Relay sockets that are open.
    relays_open,
    /// Connections that are open.
    connections_open,
    /// Connections accepted since the start.
    connections_accepted,
    /// Connections closed at once, for a limit.
    connections_refused,
    /// Connections closed since another source had fewer and no place was left.
    connections_displaced,
    /// Connections closed since only listed proxies may connect there.
    connections_untrusted,
    /// Connections closed for what came on them: bad PROXY headers, TLS handshakes, frames.
    connections_invalid,
    /// Connections closed for what did not come in time.
    connections_late,
    /// Connections closed since an answer did not fit behind what they had not read.
    connections_stuck,
    /// Connections closed since the start of a long frame did not fit beside what all connections hold.
    connections_crowded,
    /// Times that a listener was left alone for a while, since the system could not give what waited.
    accepts_paused,
    /// Memory that holds frames that have begun and what waits for clients that read too slowly, in bytes.
    stream_bytes_waiting,
    /// Packets for clients dropped since the client reads too slowly.
    stream_packets_dropped,
    /// Events dropped since nobody took them in time.
    events_dropped,
    /// Changes that could not be written down, so that they would not outlive the process.
    records_unwritten,
    /// Allocations that the fleet granted.
    quotas_granted,
    /// Allocations that the fleet refused.
    quotas_refused,
    /// Allocations of which the fleet did not say anything in time.
    quotas_unanswered,
    /// Allocations of which the fleet was not asked, since too many questions waited.
    quotas_not_asked,
}

const ANSWERS: usize = OUTCOMES * RequestKind::ALL.len();
/// Numbers in a [`Stats`] beside its arrays.
const PLAIN: usize = 11;
/// Numbers in a [`Stats`].
const CORE: usize = PLAIN + DropReason::ALL.len() + ANSWERS + Redirection::ALL.len();
const CELLS: usize = CORE + SOCKETS + 1;

/// One worker's numbers. Only that worker writes them, at the end of each round, by its [`Publisher`].
pub struct Counters {
    cells: CachePadded<[AtomicU64; CELLS]>,
}

impl Default for Counters {
    fn default() -> Self {
        Self { cells: CachePadded::new([const { AtomicU64::new(0) }; CELLS]) }
    }
}

impl Counters {
    /// What the core has counted.
    pub fn turn(&self) -> Stats {
        let mut numbers = self.numbers();
        let mut next = || numbers.next().unwrap_or_default();
        Stats {
            to_peers: Traffic { packets: next(), bytes: next() },
            to_clients: Traffic { packets: next(), bytes: next() },
            unauthenticated_answer_bytes: next(),
            allocations_created: next(),
            allocations_restored: next(),
            allocations_released: next(),
            allocations_closed: next(),
            permissions: next(),
            channels: next(),
            dropped: std::array::from_fn(|_| next()),
            answers: std::array::from_fn(|_| std::array::from_fn(|_| next())),
            redirections: std::array::from_fn(|_| next()),
        }
    }

    /// What the sockets have counted.
    pub fn sockets(&self) -> SocketStats {
        let mut numbers = self.numbers().skip(CORE);
        SocketStats::from_array(std::array::from_fn(|_| numbers.next().unwrap_or_default()))
    }

    /// Allocations that live.
    pub fn allocations(&self) -> u64 {
        self.numbers().last().unwrap_or_default()
    }

    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.cells.iter().map(|cell| cell.load(Ordering::Relaxed))
    }
}

/// The worker's side of its [`Counters`].
pub(super) struct Publisher {
    counters: Arc<Counters>,
    /// What stands there: most numbers are the same after a round.
    written: Box<[u64; CELLS]>,
}

impl Publisher {
    /// Who writes to `counters`, which nobody has written to yet.
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { counters, written: Box::new([0; CELLS]) }
    }

    /// Makes a worker's numbers visible.
    pub(super) fn publish(&mut self, stats: &Stats, sockets: &SocketStats, allocations: usize) {
        let Stats {
            to_peers,
            to_clients,
            dropped,
            answers,
            redirections,
            unauthenticated_answer_bytes,
            allocations_created,
            allocations_restored,
            allocations_released,
            allocations_closed,
            permissions,
            channels,
        } = stats;
        let plain: [u64; PLAIN] = [
            to_peers.packets,
            to_peers.bytes,
            to_clients.packets,
            to_clients.bytes,
            *unauthenticated_answer_bytes,
            *allocations_created,
            *allocations_restored,
            *allocations_released,
            *allocations_closed,
            *permissions,
            *channels,
        ];
        let parts = [
            &plain,
            dropped.as_slice(),
            answers.as_flattened(),
            redirections,
            &sockets.to_array(),
            &[allocations as u64],
        ];
        let mut start = 0;
        for numbers in parts {
            self.publish_part(start, numbers);
            start += numbers.len();
        }
    }

    /// Writes those of `numbers`, which stand from `start` on, that have changed.
    fn publish_part(&mut self, start: usize, numbers: &[u64]) {
        let Some(written) = self.written.get_mut(start..start + numbers.len()) else { return };
        // Faster than to look at each: a whole part, such as the answers, is mostly as it was.
        if written == numbers {
            return;
        }
        let cells = self.counters.cells.iter().skip(start);
        for ((cell, written), number) in cells.zip(written).zip(numbers) {
            if written != number {
                *written = *number;
                cell.store(*number, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read() {
        let mut number = 0;
        let mut next = || {
            number += 1;
            number
        };
        let stats = Stats {
            to_peers: Traffic { packets: next(), bytes: next() },
            to_clients: Traffic { packets: next(), bytes: next() },
            dropped: std::array::from_fn(|_| next()),
            answers: std::array::from_fn(|_| std::array::from_fn(|_| next())),
            redirections: std::array::from_fn(|_| next()),
            unauthenticated_answer_bytes: next(),
            allocations_created: next(),
            allocations_restored: next(),
            allocations_released: next(),
            allocations_closed: next(),
            permissions: next(),
            channels: next(),
        };
        let sockets = SocketStats::from_array(std::array::from_fn(|_| next()));
        let counters = Arc::new(Counters::default());
        Publisher::new(Arc::clone(&counters)).publish(&stats, &sockets, 7_000);
        assert_eq!(counters.turn(), stats);
        assert_eq!(counters.sockets(), sockets);
        assert_eq!(counters.allocations(), 7_000);
    }

    #[test]
    fn only_what_has_changed_is_written() {
        let counters = Arc::new(Counters::default());
        let mut publisher = Publisher::new(Arc::clone(&counters));
        let (mut stats, sockets) = (Stats::default(), SocketStats::default());
        stats.dropped = std::array::from_fn(|number| number as u64);
        publisher.publish(&stats, &sockets, 1);
        // A mark that lasts as long as nobody writes there.
        counters.cells.iter().for_each(|cell| cell.store(u64::MAX, Ordering::Relaxed));
        stats.dropped[3] += 1;
        publisher.publish(&stats, &sockets, 1);
        let written: Vec<u64> = counters.numbers().filter(|number| *number != u64::MAX).collect();
        assert_eq!(written, [4]);
    }
}
