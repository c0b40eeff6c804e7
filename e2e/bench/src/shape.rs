//! What traffic a measurement is made with.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// Which way packets are relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Client to peer.
    Up,
    /// Peer to client.
    Down,
    /// Half of the packets each way.
    Both,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Both];

    /// How a table calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Up => "client → peer",
            Self::Down => "peer → client",
            Self::Both => "both",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Both => "both",
        }
    }
}

/// One shape of traffic, written `up-160-100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Which way.
    pub direction: Direction,
    /// Bytes of application data in each packet.
    pub payload: usize,
    /// Allocations that take turns.
    pub allocations: u32,
}

/// The least payload: a packet carries its tag and the time it left.
pub const LEAST_PAYLOAD: usize = 16;
/// The largest payload that fits 1,500 bytes of Ethernet with a ChannelData header.
pub const LARGEST_PAYLOAD: usize = 1468;
/// The most allocations: each takes one file descriptor of the server.
pub const MOST_ALLOCATIONS: u32 = 8_000;

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

/// Why a text is no shape.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a shape is DIRECTION-BYTES-ALLOCATIONS such as up-160-100: up, down or both, {LEAST_PAYLOAD} to \
     {LARGEST_PAYLOAD} bytes, 1 to {MOST_ALLOCATIONS} allocations"
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
        let fits = (LEAST_PAYLOAD..=LARGEST_PAYLOAD).contains(&payload)
            && (1..=MOST_ALLOCATIONS).contains(&allocations)
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
        for text in ["", "up", "up-160", "up-160-1-1", "left-160-1", "up-15-1", "up-1469-1", "up-160-0"] {
            assert_eq!(text.parse::<Shape>(), Err(NoShape), "{text}");
        }
    }
}
