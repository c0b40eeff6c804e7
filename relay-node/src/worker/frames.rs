//! A worker's part in its clients' streams: from bytes to packets.

use std::ops::Range;

use stun::stream::{Frame, next_frame};
use turn::{Client, HEADROOM, Now, Span, TAILROOM};

use crate::net::poll::Ready;

use super::run::Worker;
use super::stream::{self, Cause, End};

/// Bytes that a read needs room for, with those that the core wants around a packet.
pub(super) const SCRATCH: usize = HEADROOM + stream::SCRATCH + TAILROOM;

/// What a round takes from connections, in bytes on the wire. After it the datagrams have their turn.
const ROUND: usize = 64 * 1024;
/// What a connection counts for that is read, whatever came: the calls cost as much.
const READ_COST: usize = 1024;
/// What a packet counts for at least: a small one costs as much as a large one.
const FRAME_COST: usize = 256;

impl Worker {
    /// Notes what epoll tells of a connection.
    pub(super) fn note_connection(&mut self, connection: usize, ready: Ready) {
        if ready.write {
            self.streams.has_room(connection);
        }
        if ready.read {
            self.streams.note_ready(connection);
        }
    }

    /// Reads from connections as much as a round may take, from each at most once and who has waited
    /// longest first. The others stay where they are for the next round.
    pub(super) fn take_from_connections(&mut self, now: Now) {
        let mut left = ROUND;
        while left > 0
            && let Some(connection) = self.streams.next_ready()
        {
            left = left.saturating_sub(self.take_from_connection(connection, now));
        }
    }

    /// Reads from a connection and takes the packets that came; what that counts for.
    fn take_from_connection(&mut self, connection: usize, now: Now) -> usize {
        // Taken out for the time, since packets in it go through the whole worker.
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut cost = READ_COST;
        let room = scratch.get_mut(HEADROOM..HEADROOM + stream::SCRATCH).unwrap_or_default();
        if let Some((client, received)) = self.streams.read(connection, room, &self.poller) {
            let filled = HEADROOM..HEADROOM + received.filled;
            let (frames, valid) = self.take_frames(&client, connection, &mut scratch, filled, now);
            cost = cost.max(received.wire).max(frames * FRAME_COST);
            match received.end {
                _ if !valid => self.streams.doom(connection, Cause::Invalid),
                Some(End::Invalid) => self.streams.doom(connection, Cause::Invalid),
                Some(End::Lost) => self.streams.doom(connection, Cause::Gone),
                Some(End::Closed) => {
                    // It could never refresh its allocation.
                    self.turn.client_gone(now, &client.five_tuple);
                    self.follow_outputs(now);
                    self.streams.finish(connection, now);
                }
                None => {}
            }
        }
        self.scratch = scratch;
        cost
    }

    /// Takes the frames that `filled` of `buffer` holds and keeps what is left; how many there were, and
    /// whether all of it is well formed.
    fn take_frames(
        &mut self,
        client: &Client,
        connection: usize,
        buffer: &mut [u8],
        filled: Range<usize>,
        now: Now,
    ) -> (usize, bool) {
        let Range { mut start, end } = filled;
        let mut frames = 0;
        loop {
            let rest = buffer.get(start..end).unwrap_or_default();
            match next_frame(rest) {
                Frame::Complete { len, message } => {
                    // What the core writes around a payload is in frames that are done and in the padding
                    // of this one.
                    self.take_packet(client, buffer, Span { start, end: start + message }, now);
                    start += len;
                    frames += 1;
                }
                Frame::Incomplete => {
                    let proven = self.turn.has_allocation(&client.five_tuple);
                    self.streams.keep(connection, rest, frames, proven, now);
                    return (frames, true);
                }
                Frame::Invalid => return (frames, false),
            }
        }
    }

    /// Closes connections whose deadline is over.
    pub(super) fn expire_connections(&mut self, now: Now) {
        if self.streams.next_deadline().is_some_and(|due| due <= now.monotonic) {
            let turn = &self.turn;
            self.streams.expire(now, |five_tuple| turn.has_allocation(five_tuple));
        }
    }

    /// Closes connections that cannot live on, and their allocations.
    pub(super) fn close_connections(&mut self, now: Now) {
        while let Some(five_tuple) = self.streams.close_doomed(&mut self.stats) {
            self.turn.client_gone(now, &five_tuple);
            self.follow_outputs(now);
        }
    }
}
