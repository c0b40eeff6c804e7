//! Rates of any number of sources in memory of a fixed size.

use crate::rate::Rate;
use crate::time::Monotonic;

/// Cells in each row. A power of two, so that a part of the hash is an index.
const CELLS: usize = 1 << 15;

/// A rate for everything that has a hash, in 512 KiB.
///
/// Each has a cell in either of two rows and shares it with others. What counts is the less used of the
/// two, so nobody gets more than its limit. Somebody gets less only where both cells are shared with others
/// that are at their limits: with 1,000 such that is one in about a thousand.
#[derive(Debug)]
pub(super) struct Sketch {
    rows: [Box<[Rate]>; 2],
}

impl Default for Sketch {
    fn default() -> Self {
        let row = || (0..CELLS).map(|_| Rate::default()).collect();
        Self { rows: [row(), row()] }
    }
}

impl Sketch {
    /// How many nanoseconds a rate is ahead of the clock.
    pub(super) fn ahead(&self, now: Monotonic, hash: u64) -> u64 {
        self.cells(hash).map(|cell| cell.ahead(now)).min().unwrap_or_default()
    }

    /// Takes what costs `cost` nanoseconds.
    pub(super) fn charge(&self, now: Monotonic, hash: u64, cost: u64) {
        let ahead = self.ahead(now, hash).saturating_add(cost);
        self.cells(hash).for_each(|cell| cell.raise(now, ahead));
    }

    fn cells(&self, hash: u64) -> impl Iterator<Item = &Rate> {
        let hash = hash as usize;
        self.rows.iter().zip([hash, hash / CELLS]).filter_map(|(row, place)| row.get(place % CELLS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Monotonic = Monotonic::from_nanos(5_000_000_000);

    /// Hashes of different things, as a good hash would give them.
    fn hash(n: u64) -> u64 {
        ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(n)
    }

    #[test]
    fn counts_each_by_itself() {
        let sketch = Sketch::default();
        sketch.charge(NOW, hash(1), 700);
        sketch.charge(NOW, hash(1), 50);
        assert_eq!((sketch.ahead(NOW, hash(1)), sketch.ahead(NOW, hash(2))), (750, 0));
        assert_eq!(sketch.ahead(Monotonic::from_nanos(NOW.as_nanos() + 740), hash(1)), 10);
    }

    #[test]
    fn those_at_their_limit_hardly_touch_others() {
        let sketch = Sketch::default();
        (0..1_000).for_each(|n| sketch.charge(NOW, hash(n), 1));
        let touched = (1_000..11_000).filter(|n| sketch.ahead(NOW, hash(*n)) > 0).count();
        assert!(touched < 50, "{touched} of 10,000");
    }
}
