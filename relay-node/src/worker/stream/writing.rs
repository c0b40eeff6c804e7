//! From packets to what a connection's client reads.

use turn::{FiveTuple, Now};

use crate::net::poll::Poller;
use crate::worker::counters::SocketStats;

use super::connection::Flushed;
use super::{Cause, Kind, Streams};

/// Bytes written to all connections in a round, give or take one connection's.
const WRITTEN_PER_ROUND: usize = 256 * 1024;
/// What a connection counts for that is flushed, whatever it takes.
const FLUSH_COST: usize = 1024;

impl Streams {
    /// Queues `packet` for the client of the connection at `index`.
    pub(in crate::worker) fn send(
        &mut self,
        index: usize,
        five_tuple: &FiveTuple,
        packet: &[u8],
        kind: Kind,
        stats: &mut SocketStats,
    ) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.five_tuple() != *five_tuple {
            return;
        }
        if connection.outgoing.push(packet, kind, &mut self.buffers) {
            connection.place.note_activity();
            self.queued.add(index);
        } else if kind == Kind::Data {
            stats.stream_packets_dropped += 1;
        } else {
            self.doom(index, Cause::Stuck);
        }
    }

    /// The client sends no more: what waits for it still leaves, then the connection is closed.
    pub(in crate::worker) fn finish(&mut self, index: usize, now: Now) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.is_ending = true;
        let due = now.monotonic.after(self.limits.frame_deadline);
        self.deadlines.set(&mut connection.deadline, index, connection.serial, due);
        self.queued.add(index);
    }

    /// There is room to write again.
    pub(in crate::worker) fn has_room(&mut self, index: usize) {
        self.queued.add(index);
    }

    /// Writes what is queued, as much as a round has; the rest is for the next one.
    pub(in crate::worker) fn flush(&mut self, poller: &Poller, stats: &mut SocketStats) {
        self.write_queued(poller);
        stats.stream_bytes_waiting = self.buffers.used() as u64;
    }

    fn write_queued(&mut self, poller: &Poller) {
        let mut left = WRITTEN_PER_ROUND;
        for _ in 0..self.queued.len() {
            if left == 0 {
                return;
            }
            let Some(index) = self.queued.next() else { return };
            let Some(connection) = self.connections.get_mut(index) else { continue };
            let (flushed, written) = connection.flush(&mut self.buffers);
            left = left.saturating_sub(written.max(FLUSH_COST));
            connection.awaits_room = flushed == Flushed::Blocked;
            let ended = connection.is_ending && flushed == Flushed::All;
            if ended || flushed == Flushed::Lost {
                self.doom(index, Cause::Gone);
                continue;
            }
            if flushed == Flushed::Part {
                self.queued.add(index);
            }
            self.update_interest(index, poller);
        }
    }
}
