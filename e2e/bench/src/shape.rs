//! What traffic a measurement is made with.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de};

/// Which way packets are relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Client to peer.
    Up,
    /// Peer to client.
    Down,
    /// Half of the packets each way.
    Both,
    /// From the client of one allocation to the client of another one, through both of their relayed
    /// addresses: a call of two clients that may use nothing but the relay.
    Pair,
}

impl Direction {
    /// Those between clients and a peer.
    pub const WITH_PEER: [Self; 3] = [Self::Up, Self::Down, Self::Both];
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Up, Self::Down, Self::Both, Self::Pair];

    /// How a table calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Up => "client → peer",
            Self::Down => "peer → client",
            Self::Both => "both",
            Self::Pair => "client → relay → relay → client",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Both => "both",
            Self::Pair => "pair",
        }
    }
}

/// How packets leave, at the same rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pacing {
    /// One after the other, in even intervals.
    Smooth,
    /// All that are due in 200 µs at once.
    Bursts,
}

impl Pacing {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Smooth, Self::Bursts];

    /// The time between two departures; zero for each packet when it is due.
    pub fn interval(self) -> Duration {
        match self {
            Self::Smooth => Duration::ZERO,
            Self::Bursts => Duration::from_micros(200),
        }
    }
}

impl fmt::Display for Pacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smooth => "smooth",
            Self::Bursts => "bursts",
        })
    }
}

/// One shape of traffic, written `up-160-100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Which way.
    pub direction: Direction,
    /// Bytes of application data in each packet.
    pub payload: usize,
    /// Allocations that take turns; pairs of them with [`Direction::Pair`].
    pub allocations: u32,
}

/// The least payload: a packet carries its tag and the time it left.
pub const LEAST_PAYLOAD: usize = 16;
/// The largest payload that fits 1,500 bytes of Ethernet with a ChannelData header.
pub const LARGEST_PAYLOAD: usize = 1468;
/// The most allocations: each takes one file descriptor of the server.
pub const MOST_ALLOCATIONS: u32 = 10_000;

impl Shape {
    /// Every combination of these directions, payloads and numbers of allocations.
    pub fn combinations(directions: &[Direction], payloads: &[usize], allocations: &[u32]) -> Vec<Self> {
        let mut shapes = Vec::new();
        for &payload in payloads {
            for &allocations in allocations {
                shapes.extend(directions.iter().map(|&direction| Self { direction, payload, allocations }));
            }
        }
        shapes
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.direction.word(), self.payload, self.allocations)
    }
}

impl Serialize for Shape {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Why a text is no shape.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a shape is DIRECTION-BYTES-ALLOCATIONS such as up-160-100: up, down, both or pair, {LEAST_PAYLOAD} to \
     {LARGEST_PAYLOAD} bytes, 1 to {MOST_ALLOCATIONS} allocations or half as many pairs"
)]
pub struct NoShape;

impl FromStr for Shape {
    type Err = NoShape;

    fn from_str(text: &str) -> Result<Self, NoShape> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(NoShape);
        let word = next()?;
        let direction =
            Direction::ALL.into_iter().find(|direction| direction.word() == word).ok_or(NoShape)?;
        let payload = next()?.parse().map_err(|_| NoShape)?;
        let allocations = next()?.parse().map_err(|_| NoShape)?;
        let most = if direction == Direction::Pair { MOST_ALLOCATIONS / 2 } else { MOST_ALLOCATIONS };
        let fits = (LEAST_PAYLOAD..=LARGEST_PAYLOAD).contains(&payload)
            && (1..=most).contains(&allocations)
            && parts.next().is_none();
        if fits { Ok(Self { direction, payload, allocations }) } else { Err(NoShape) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_reads_back_what_it_writes() {
        for shape in Shape::combinations(&Direction::ALL, &[160, 1200], &[1, 1000]) {
            assert_eq!(shape.to_string().parse(), Ok(shape));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_no_shape() {
        let sizes = ["up-15-1", "up-1469-1", "up-160-0", "up-160-10001", "pair-160-5001"];
        for text in ["", "up", "up-160", "up-160-1-1", "left-160-1"].into_iter().chain(sizes) {
            assert_eq!(text.parse::<Shape>(), Err(NoShape), "{text}");
        }
    }
}
