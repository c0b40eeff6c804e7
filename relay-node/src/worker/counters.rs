//! What a worker has counted, for others to read while it runs.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use turn::{ANSWER_CODES, DropReason, RequestKind, Stats, Traffic};

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
    /// Datagrams handed to the worker that their client belongs to.
    datagrams_handed_over,
    /// Datagrams dropped since that worker's mailbox was full.
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
    /// Times that a listener was left alone for a while, since the system could not give what waited.
    accepts_paused,
    /// Memory that holds what waits for clients that read too slowly, in bytes.
    stream_bytes_waiting,
    /// Packets for clients dropped since the client reads too slowly.
    stream_packets_dropped,
    /// Events dropped since nobody took them in time.
    events_dropped,
}

const ANSWERS: usize = ANSWER_CODES.len() * RequestKind::ALL.len();
/// Numbers in a [`Stats`] beside its arrays.
const PLAIN: usize = 9;
const CELLS: usize = PLAIN + DropReason::ALL.len() + ANSWERS + SOCKETS + 1;

/// One worker's numbers. Only that worker writes them, at the end of each round.
pub struct Counters {
    cells: CachePadded<[AtomicU64; CELLS]>,
}

impl Default for Counters {
    fn default() -> Self {
        Self { cells: CachePadded::new([const { AtomicU64::new(0) }; CELLS]) }
    }
}

impl Counters {
    /// Makes a worker's numbers visible.
    pub(super) fn publish(&self, stats: &Stats, sockets: &SocketStats, allocations: usize) {
        let Stats {
            to_peers,
            to_clients,
            dropped,
            answers,
            unauthenticated_answer_bytes,
            allocations_created,
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
            *allocations_closed,
            *permissions,
            *channels,
        ];
        let numbers = plain
            .into_iter()
            .chain(*dropped)
            .chain(answers.as_flattened().iter().copied())
            .chain(sockets.to_array())
            .chain([allocations as u64]);
        for (cell, number) in self.cells.iter().zip(numbers) {
            cell.store(number, Ordering::Relaxed);
        }
    }

    /// What the core has counted.
    pub fn turn(&self) -> Stats {
        let mut numbers = self.numbers();
        let mut next = || numbers.next().unwrap_or_default();
        Stats {
            to_peers: Traffic { packets: next(), bytes: next() },
            to_clients: Traffic { packets: next(), bytes: next() },
            unauthenticated_answer_bytes: next(),
            allocations_created: next(),
            allocations_closed: next(),
            permissions: next(),
            channels: next(),
            dropped: std::array::from_fn(|_| next()),
            answers: std::array::from_fn(|_| std::array::from_fn(|_| next())),
        }
    }

    /// What the sockets have counted.
    pub fn sockets(&self) -> SocketStats {
        let mut numbers = self.numbers().skip(PLAIN + DropReason::ALL.len() + ANSWERS);
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
            unauthenticated_answer_bytes: next(),
            allocations_created: next(),
            allocations_closed: next(),
            permissions: next(),
            channels: next(),
        };
        let sockets = SocketStats::from_array(std::array::from_fn(|_| next()));
        let counters = Counters::default();
        counters.publish(&stats, &sockets, 7_000);
        assert_eq!(counters.turn(), stats);
        assert_eq!(counters.sockets(), sockets);
        assert_eq!(counters.allocations(), 7_000);
    }
}
