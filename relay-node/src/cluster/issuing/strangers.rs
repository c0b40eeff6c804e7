//! What is written down of who may not ask: every one while they are few, and how many while they are not.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that are written in a period.
const MOST: u32 = 20;
const PERIOD: Duration = Duration::from_secs(1);

/// Who was turned away lately.
#[derive(Default)]
pub struct Strangers(Mutex<Lately>);

#[derive(Default)]
struct Lately {
    began: Option<Instant>,
    lines: u32,
    untold: u64,
}

impl Strangers {
    /// Notes one at `from`, who came by `door`.
    pub fn note(&self, from: SocketAddr, door: &'static str) {
        if let Some(untold) = self.line(Instant::now()) {
            tracing::warn!(%from, door, untold_before = untold, "a caller was refused: it is not known who asks");
        }
    }

    /// Whether a line is to be written now, and how many were not since the last one.
    fn line(&self, now: Instant) -> Option<u64> {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lately.began.is_none_or(|began| now.duration_since(began) >= PERIOD) {
            lately.began = Some(now);
            lately.lines = 0;
        }
        if lately.lines == MOST {
            lately.untold += 1;
            return None;
        }
        lately.lines += 1;
        Some(std::mem::take(&mut lately.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_counted_and_not_written() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        let lines = (0..1000).filter_map(|_| strangers.line(start));
        assert_eq!(lines.count(), MOST as usize);
        assert_eq!(strangers.line(start + PERIOD), Some(1000 - u64::from(MOST)));
        assert_eq!(strangers.line(start + PERIOD), Some(0));
    }
}
