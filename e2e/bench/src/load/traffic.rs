//! Data at a given rate, tagged and timed, and what became of it.

use std::{
    io,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

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
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Packets that were to be sent.
    pub planned: u64,
    /// Packets that the load's core found the time to send.
    pub sent: u64,
    /// Packets that arrived at the other end.
    pub received: u64,
    /// Packets that arrived changed, or where they did not belong.
    pub wrong: u64,
    /// Packets that had not arrived when the last one left.
    pub under_way: u64,
    /// The nanoseconds that each of those that arrived took.
    pub latencies: Histogram<u64>,
}

impl Outcome {
    /// Nothing sent yet of so many packets.
    pub fn of(planned: u64) -> Self {
        // With bounds: one that grows does not do so for what is recorded saturating.
        let Ok(latencies) = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, DIGITS) else {
            unreachable!("these bounds and digits are within what a histogram takes")
        };
        Self { planned, sent: 0, received: 0, wrong: 0, under_way: 0, latencies }
    }

    /// The share of the sent packets that did not arrive.
    pub fn loss(&self) -> f64 {
        if self.sent == 0 { 1.0 } else { 1.0 - self.received as f64 / self.sent as f64 }
    }

    /// Whether the server was behind at the end: a queue that grows lasts for a while without loss.
    pub fn is_behind(&self, rate: f64) -> bool {
        self.under_way as f64 > rate * KEEPING_UP.as_secs_f64()
    }

    /// Whether the load itself could not send what was planned.
    pub fn is_short_of_load(&self) -> bool {
        (self.sent as f64) < 0.98 * self.planned as f64
    }
}

/// A server keeps up if it is behind by no more than the packets of this time.
const KEEPING_UP: Duration = Duration::from_millis(20);
/// How long the last packets may be on their way.
const DRAIN: Duration = Duration::from_millis(200);
/// How long the first one may be on its way: a server that was not let run in the meantime is not dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of ChannelData's header.
const HEADER: usize = stun::CHANNEL_HEADER_LEN;
/// The longest time that a packet can take here; longer than all that is waited for.
const LONGEST: Duration = Duration::from_secs(60);
/// Significant digits of latencies.
const DIGITS: u8 = 3;
/// What a payload holds behind its stamp.
const FILLING: u8 = 0x5A;
const FILLED: [u8; DATAGRAM] = [FILLING; DATAGRAM];

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
    tag: u32,
    up: SendBatch,
    down: SendBatch,
    inbox: ReceiveBatch,
    outcome: Outcome,
}

impl<'a> Traffic<'a> {
    fn new(sockets: &'a Sockets, sessions: &'a [Session], offer: &'a Offer) -> Self {
        let planned = (offer.rate * offer.duration.as_secs_f64()) as u64;
        Self {
            sockets,
            sessions,
            offer,
            begun: Instant::now(),
            tag: next_tag(),
            up: SendBatch::filled_with(FILLING),
            down: SendBatch::filled_with(FILLING),
            inbox: ReceiveBatch::default(),
            outcome: Outcome::of(planned),
        }
    }

    fn run(mut self) -> io::Result<Outcome> {
        let (mut attempted, mut ended) = (0, false);
        self.begun = Instant::now();
        loop {
            let elapsed = self.begun.elapsed();
            if elapsed < self.offer.duration {
                let due = self.due(elapsed).saturating_sub(attempted).min(BATCH as u64);
                attempted += due;
                self.send(attempted - due, due)?;
            } else {
                if !ended {
                    ended = true;
                    self.outcome.under_way = self.outcome.sent.saturating_sub(self.outcome.received);
                }
                let patience = if self.outcome.received == 0 { PATIENCE } else { DRAIN };
                let all = self.outcome.received >= self.outcome.sent;
                if all || elapsed > self.offer.duration + patience {
                    return Ok(self.outcome);
                }
            }
            match self.offer.direction {
                Direction::Up => self.receive_at_peer()?,
                Direction::Down | Direction::Pair => self.receive_at_clients()?,
                Direction::Both => {
                    self.receive_at_peer()?;
                    self.receive_at_clients()?;
                }
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
        let time = self.begun.elapsed().as_nanos() as u64;
        for number in first..first + count {
            let (up, turn) = match self.offer.direction {
                Direction::Both => (number % 2 == 0, number / 2),
                direction => (direction != Direction::Down, number),
            };
            let index = (turn % self.sessions.len().max(1) as u64) as usize;
            let Some(session) = self.sessions.get(index) else { return Ok(()) };
            let stamp = Stamp { tag: self.tag, session: index as u32, time };
            let payload = self.offer.payload;
            if up {
                self.up.push(SERVER, Some(session.client), |buffer| {
                    write_framed(buffer, session.framing, stamp, payload)
                });
            } else {
                self.down.push(session.relayed, None, |buffer| {
                    stamp.write(buffer);
                    payload
                });
            }
        }
        let sent = self.up.send(self.sockets.clients())? + self.down.send(self.sockets.peer())?;
        self.outcome.sent += sent as u64;
        Ok(())
    }

    /// Takes one batch of what the clients sent to the peer.
    fn receive_at_peer(&mut self) -> io::Result<()> {
        self.inbox.receive(self.sockets.peer())?;
        let now = self.begun.elapsed();
        for packet in self.inbox.iter() {
            let belongs = |session: u32| {
                self.sessions.get(session as usize).is_some_and(|session| session.relayed == packet.from)
            };
            let arrived = read(packet.bytes, self.tag, self.offer.payload, belongs);
            count(&mut self.outcome, arrived, now);
        }
        Ok(())
    }

    /// Takes one batch of what the peer, or the other client of a pair, sent to the clients.
    fn receive_at_clients(&mut self) -> io::Result<()> {
        self.inbox.receive(self.sockets.clients())?;
        let now = self.begun.elapsed();
        let paired = u32::from(self.offer.direction == Direction::Pair);
        for packet in self.inbox.iter() {
            let header = match self.sessions.first().map(|session| session.framing) {
                Some(Framing::Channel(_)) => HEADER,
                _ => 0,
            };
            let belongs = |session: u32| {
                let to = self.sessions.get((session ^ paired) as usize).map(|session| session.client);
                to.is_some() && to == packet.to
            };
            let payload = packet.bytes.get(header..).unwrap_or_default();
            let arrived = read(payload, self.tag, self.offer.payload, belongs);
            count(&mut self.outcome, arrived, now);
        }
        Ok(())
    }
}

fn count(outcome: &mut Outcome, arrived: Arrived, now: Duration) {
    match arrived {
        Arrived::Right { left } => {
            outcome.received += 1;
            outcome.latencies.saturating_record((now.as_nanos() as u64).saturating_sub(left));
        }
        Arrived::Wrong => outcome.wrong += 1,
        Arrived::Foreign => {}
    }
}

fn next_tag() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static TAG: AtomicU32 = AtomicU32::new(0x4564_6765);
    TAG.fetch_add(1, Ordering::Relaxed)
}

/// What a payload starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    tag: u32,
    session: u32,
    time: u64,
}

impl Stamp {
    fn write(self, buffer: &mut [u8]) {
        if let Some(start) = buffer.first_chunk_mut::<LEAST_PAYLOAD>() {
            let both = u64::from(self.tag) << 32 | u64::from(self.session);
            *start = (u128::from(both) << 64 | u128::from(self.time)).to_be_bytes();
        }
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let start = u128::from_be_bytes(*payload.first_chunk::<LEAST_PAYLOAD>()?);
        let both = (start >> 64) as u64;
        Some(Self { tag: (both >> 32) as u32, session: both as u32, time: start as u64 })
    }
}

/// What a packet is that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrived {
    /// As it was sent, `left` nanoseconds after the beginning, and where it belongs.
    Right { left: u64 },
    /// Changed, or elsewhere.
    Wrong,
    /// Nothing of this run.
    Foreign,
}

/// What `payload` is, of a run with this tag and size; `belongs` says whether a session's packets
/// belong where it arrived.
fn read(payload: &[u8], tag: u32, size: usize, belongs: impl FnOnce(u32) -> bool) -> Arrived {
    let Some(stamp) = Stamp::read(payload).filter(|stamp| stamp.tag == tag) else { return Arrived::Foreign };
    let filling = payload.get(LEAST_PAYLOAD..).unwrap_or_default();
    let whole = payload.len() == size && FILLED.get(..filling.len()) == Some(filling);
    if whole && belongs(stamp.session) { Arrived::Right { left: stamp.time } } else { Arrived::Wrong }
}

/// Writes a packet of a client; its length.
fn write_framed(buffer: &mut [u8; DATAGRAM], framing: Framing, stamp: Stamp, payload: usize) -> usize {
    let Framing::Channel(channel) = framing else {
        stamp.write(buffer);
        return payload;
    };
    let Some((header, body)) = buffer.split_first_chunk_mut::<HEADER>() else { return 0 };
    stun::write_channel_header(header, channel, payload as u16);
    stamp.write(body);
    HEADER + payload
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { tag: 3, session: 7, time: u64::MAX };

    fn payload(size: usize) -> Vec<u8> {
        let mut payload = vec![FILLING; size];
        STAMP.write(&mut payload);
        payload
    }

    #[test]
    fn a_packet_arrives_whole_and_where_it_belongs() {
        let right = read(&payload(160), 3, 160, |session| session == 7);
        assert_eq!(right, Arrived::Right { left: u64::MAX });
        assert_eq!(read(&payload(160), 3, 160, |_| false), Arrived::Wrong, "at another client");
        assert_eq!(read(&payload(159), 3, 160, |_| true), Arrived::Wrong, "cut off");
        let mut changed = payload(160);
        changed[100] ^= 1;
        assert_eq!(read(&changed, 3, 160, |_| true), Arrived::Wrong, "changed");
        assert_eq!(read(&payload(160), 4, 160, |_| true), Arrived::Foreign, "of another run");
        assert_eq!(read(&[], 3, 160, |_| true), Arrived::Foreign);
    }

    #[test]
    fn loss_is_what_was_sent_and_did_not_arrive() {
        let outcome = Outcome { sent: 100, received: 97, ..Outcome::of(100) };
        assert!((outcome.loss() - 0.03).abs() < 1e-9);
        assert!(!outcome.is_short_of_load());
        assert!(Outcome { sent: 90, ..outcome }.is_short_of_load());
        assert_eq!(Outcome::of(100).loss(), 1.0);
    }

    #[test]
    fn a_latency_is_the_time_since_the_packet_left() {
        let mut outcome = Outcome::of(1);
        count(&mut outcome, Arrived::Right { left: 1_000_000 }, Duration::from_micros(3_500));
        let half = outcome.latencies.value_at_quantile(0.5) as f64;
        assert!((half - 2_500_000.0).abs() < 0.001 * half, "{half} ns");
    }

    #[test]
    fn a_queue_of_more_than_a_moment_is_no_keeping_up() {
        let outcome = Outcome { sent: 10_000, received: 10_000, under_way: 1_001, ..Outcome::of(10_000) };
        assert!(outcome.is_behind(50_000.0));
        assert!(!Outcome { under_way: 1_000, ..outcome }.is_behind(50_000.0));
    }
}
