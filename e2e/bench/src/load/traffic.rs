//! Data at a given rate, tagged and timed, and what became of it.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Framing, Session, Sockets};
use crate::{
    datagrams::{BATCH, DATAGRAM, ReceiveBatch, SendBatch},
    lab::SERVER,
    shape::{Direction, LEAST_PAYLOAD},
};

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// Which way.
    pub direction: Direction,
    /// Bytes in each packet.
    pub payload: usize,
    /// Packets in each second, both ways together.
    pub rate: f64,
    /// For how long.
    pub duration: Duration,
    /// Packets leave together at each multiple of this time, as the packets of a video frame or of
    /// an audio tick do; zero for one after the other.
    pub interval: Duration,
}

/// What became of an [`Offer`].
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Packets that were to be sent.
    pub planned: u64,
    /// Packets that the load's core found the time to send.
    pub sent: u64,
    /// Packets that arrived at the other end.
    pub received: u64,
    /// The time each of them took in nanoseconds, in order of arrival.
    pub latencies: Vec<u32>,
}

impl Outcome {
    /// The share of the sent packets that did not arrive.
    pub fn loss(&self) -> f64 {
        if self.sent == 0 { 1.0 } else { 1.0 - self.received as f64 / self.sent as f64 }
    }

    /// Whether the load itself could not send what was planned.
    pub fn is_short_of_load(&self) -> bool {
        (self.sent as f64) < 0.98 * self.planned as f64
    }
}

/// How long the last packets may be on their way.
const DRAIN: Duration = Duration::from_millis(200);
/// Bytes of ChannelData's header.
const HEADER: usize = stun::CHANNEL_HEADER_LEN;

/// Sends an offer through the sessions in turn, and waits for the last packets.
pub fn run(sockets: &Sockets, sessions: &[Session], offer: &Offer) -> io::Result<Outcome> {
    Traffic::new(sockets, sessions, offer).run()
}

struct Traffic<'a> {
    sockets: &'a Sockets,
    sessions: &'a [Session],
    offer: &'a Offer,
    begun: Instant,
    // Distinguishes the packets of this run from late ones of another.
    tag: u64,
    up: SendBatch,
    down: SendBatch,
    inbox: ReceiveBatch,
    outcome: Outcome,
}

impl<'a> Traffic<'a> {
    fn new(sockets: &'a Sockets, sessions: &'a [Session], offer: &'a Offer) -> Self {
        let planned = (offer.rate * offer.duration.as_secs_f64()) as u64;
        let latencies = Vec::with_capacity(planned as usize);
        Self {
            sockets,
            sessions,
            offer,
            begun: Instant::now(),
            tag: next_tag(),
            up: SendBatch::default(),
            down: SendBatch::default(),
            inbox: ReceiveBatch::default(),
            outcome: Outcome { planned, latencies, ..Outcome::default() },
        }
    }

    fn run(mut self) -> io::Result<Outcome> {
        let mut attempted = 0;
        self.begun = Instant::now();
        loop {
            let elapsed = self.begun.elapsed();
            if elapsed < self.offer.duration {
                let due = self.due(elapsed).saturating_sub(attempted).min(BATCH as u64);
                attempted += due;
                self.send(attempted - due, due)?;
            } else if self.outcome.received >= self.outcome.sent || elapsed > self.offer.duration + DRAIN {
                return Ok(self.outcome);
            }
            if self.offer.direction != Direction::Down {
                self.receive(Direction::Up)?;
            }
            if self.offer.direction != Direction::Up {
                self.receive(Direction::Down)?;
            }
        }
    }

    /// How many packets are to have left by now.
    fn due(&self, elapsed: Duration) -> u64 {
        let interval = self.offer.interval.as_secs_f64();
        let elapsed = elapsed.as_secs_f64();
        let released =
            if interval == 0.0 { elapsed } else { ((elapsed / interval).floor() + 1.0) * interval };
        ((self.offer.rate * released) as u64).min(self.outcome.planned)
    }

    /// Sends packets number `first` to `first + count`.
    fn send(&mut self, first: u64, count: u64) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let stamp = self.begun.elapsed().as_nanos() as u64;
        for number in first..first + count {
            let (direction, turn) = match self.offer.direction {
                Direction::Both if number % 2 == 0 => (Direction::Up, number / 2),
                Direction::Both => (Direction::Down, number / 2),
                direction => (direction, number),
            };
            let index = (turn % self.sessions.len().max(1) as u64) as usize;
            let Some(session) = self.sessions.get(index) else { return Ok(()) };
            let (tag, payload) = (self.tag, self.offer.payload);
            if direction == Direction::Up {
                self.up.push(SERVER, Some(session.client), |buffer| {
                    write_framed(buffer, session.framing, tag, stamp, payload)
                });
            } else {
                self.down.push(session.relayed, None, |buffer| {
                    write_payload(buffer, tag, stamp);
                    payload
                });
            }
        }
        let sent = self.up.send(self.sockets.clients())? + self.down.send(self.sockets.peer())?;
        self.outcome.sent += sent as u64;
        Ok(())
    }

    /// Takes one batch from the end that `direction` leads to.
    fn receive(&mut self, direction: Direction) -> io::Result<()> {
        let arrival = if direction == Direction::Up { self.sockets.peer() } else { self.sockets.clients() };
        if self.inbox.receive(arrival)? == 0 {
            return Ok(());
        }
        let now = self.begun.elapsed().as_nanos() as u64;
        for datagram in self.inbox.iter() {
            let framing = self.sessions.first().map(|session| session.framing);
            let header =
                if direction == Direction::Down && framing != Some(Framing::Bare) { HEADER } else { 0 };
            let payload = datagram.bytes.get(header..).unwrap_or_default();
            if let Some((tag, stamp)) = read_payload(payload)
                && tag == self.tag
                && payload.len() >= self.offer.payload
            {
                self.outcome.received += 1;
                self.outcome.latencies.push(u32::try_from(now.saturating_sub(stamp)).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }
}

fn next_tag() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static TAG: AtomicU64 = AtomicU64::new(0x0045_6467_6552_656c);
    TAG.fetch_add(1, Ordering::Relaxed)
}

/// Writes a packet of a client; its length.
fn write_framed(
    buffer: &mut [u8; DATAGRAM],
    framing: Framing,
    tag: u64,
    stamp: u64,
    payload: usize,
) -> usize {
    let Framing::Channel(channel) = framing else {
        write_payload(buffer, tag, stamp);
        return payload;
    };
    let Some((header, body)) = buffer.split_first_chunk_mut::<HEADER>() else { return 0 };
    stun::write_channel_header(header, channel, payload as u16);
    write_payload(body, tag, stamp);
    HEADER + payload
}

fn write_payload(buffer: &mut [u8], tag: u64, stamp: u64) {
    if let Some(start) = buffer.first_chunk_mut::<LEAST_PAYLOAD>() {
        *start = (u128::from(tag) << 64 | u128::from(stamp)).to_be_bytes();
    }
}

fn read_payload(payload: &[u8]) -> Option<(u64, u64)> {
    let start = u128::from_be_bytes(*payload.first_chunk::<LEAST_PAYLOAD>()?);
    Some(((start >> 64) as u64, start as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_its_tag_and_stamp() {
        let mut buffer = [0; 20];
        write_payload(&mut buffer, 3, u64::MAX);
        assert_eq!(read_payload(&buffer), Some((3, u64::MAX)));
        assert_eq!(read_payload(&buffer[..15]), None);
    }

    #[test]
    fn loss_is_what_was_sent_and_did_not_arrive() {
        let outcome = Outcome { planned: 100, sent: 100, received: 97, latencies: Vec::new() };
        assert!((outcome.loss() - 0.03).abs() < 1e-9);
        assert!(!outcome.is_short_of_load());
        assert!(Outcome { sent: 90, ..outcome }.is_short_of_load());
        assert_eq!(Outcome::default().loss(), 1.0);
    }
}
