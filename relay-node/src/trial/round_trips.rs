//! Packets to the peer and back, each with the time that it took.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use stun::{CHANNEL_HEADER_LEN, ChannelData};
use turn_client::channel_data;

use super::error::TrialError;
use super::link::Link;
use super::session::CHANNEL;

/// How long the last packet may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// A packet's number, and when it left.
const HEADER: usize = 16;
/// Longer times, in nanoseconds, count as this.
const LONGEST: u64 = 60_000_000_000;
/// Significant digits of the times.
const DIGITS: u8 = 3;

/// What is sent.
pub(super) struct Load {
    pub(super) packets: u32,
    pub(super) per_second: u32,
    /// Bytes of application data, at least [`HEADER`].
    pub(super) size: usize,
}

/// What came back.
pub(super) struct RoundTrips {
    sent: u32,
    nanos: Histogram<u64>,
    took: Duration,
}

impl RoundTrips {
    pub(super) fn sent(&self) -> u32 {
        self.sent
    }

    pub(super) fn received(&self) -> u64 {
        self.nanos.len()
    }

    /// Packets that came back in a second.
    pub(super) fn rate(&self) -> f64 {
        self.received() as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// The share of packets that did not come back, from 0 to 1.
    pub(super) fn loss(&self) -> f64 {
        1.0 - self.received() as f64 / f64::from(self.sent.max(1))
    }

    /// The time that this share of packets took at most.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.nanos.value_at_quantile(share))
    }

    /// The time that the slowest packet took.
    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.nanos.max())
    }
}

/// Sends packets at an even pace, late ones at once, and takes what comes back meanwhile.
pub(super) fn run(link: &mut Link, load: &Load) -> Result<RoundTrips, TrialError> {
    let Ok(nanos) = Histogram::new_with_max(LONGEST, DIGITS) else {
        unreachable!("both are within what the histogram takes")
    };
    let start = Instant::now();
    let mut trips = RoundTrips { sent: 0, nanos, took: Duration::ZERO };
    let mut seen = vec![false; load.packets as usize];
    let mut packet = channel_data(CHANNEL.get(), &vec![0; load.size], link.path());
    let mut message = Vec::new();
    let interval = Duration::from_secs(1) / load.per_second;
    loop {
        let due = if trips.sent < load.packets {
            start + interval * trips.sent
        } else {
            start + interval * trips.sent + PATIENCE
        };
        if trips.received() >= u64::from(load.packets) {
            return Ok(trips);
        }
        if Instant::now() >= due {
            if trips.sent == load.packets {
                return Ok(trips);
            }
            stamp(&mut packet, trips.sent, start.elapsed());
            link.send(&packet)?;
            trips.sent += 1;
        } else if link.receive(&mut message, due)? {
            let now = start.elapsed();
            if let Some((number, left)) = read_stamp(&message)
                && let Some(seen) = seen.get_mut(number).filter(|seen| !**seen)
            {
                *seen = true;
                trips.took = now;
                let took = u64::try_from(now.saturating_sub(left).as_nanos()).unwrap_or(u64::MAX);
                trips.nanos.saturating_record(took);
            }
        }
    }
}

fn stamp(packet: &mut [u8], number: u32, now: Duration) {
    let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let stamp = [u64::from(number).to_be_bytes(), nanos.to_be_bytes()].concat();
    if let Some(place) = packet.get_mut(CHANNEL_HEADER_LEN..CHANNEL_HEADER_LEN + HEADER) {
        place.copy_from_slice(&stamp);
    }
}

/// The number of a packet that came back, and when it left.
fn read_stamp(message: &[u8]) -> Option<(usize, Duration)> {
    let data = ChannelData::parse(message).ok().filter(|data| data.channel == CHANNEL)?;
    let (number, rest) = data.payload.split_first_chunk()?;
    let nanos = rest.first_chunk()?;
    Some((
        usize::try_from(u64::from_be_bytes(*number)).ok()?,
        Duration::from_nanos(u64::from_be_bytes(*nanos)),
    ))
}
