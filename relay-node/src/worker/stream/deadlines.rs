//! When to look after which connection.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use turn::Monotonic;

/// Alarms, the earliest first. An alarm that is no longer wanted is let ring and ignored: moving a
/// deadline later, as every packet does, costs nothing.
#[derive(Default)]
pub(super) struct Deadlines {
    alarms: BinaryHeap<Reverse<(Monotonic, usize, u64)>>,
}

/// One connection's deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    due: Monotonic,
    // The earliest alarm that is set for it.
    alarm: Option<Monotonic>,
}

impl Deadline {
    /// Not yet set.
    pub(super) const NEVER: Self = Self { due: Monotonic::from_nanos(u64::MAX), alarm: None };
}

impl Deadlines {
    /// Moves the deadline of the connection at `index`, the `serial`th of this worker, to `due`.
    pub(super) fn set(&mut self, deadline: &mut Deadline, index: usize, serial: u64, due: Monotonic) {
        deadline.due = due;
        if deadline.alarm.is_none_or(|alarm| due < alarm) {
            deadline.alarm = Some(due);
            self.alarms.push(Reverse((due, index, serial)));
        }
    }

    /// When the next alarm rings.
    pub(super) fn next(&self) -> Option<Monotonic> {
        self.alarms.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Takes an alarm that rings by `now`: the connection's index and serial, and when it was for.
    pub(super) fn pop(&mut self, now: Monotonic) -> Option<(usize, u64, Monotonic)> {
        let Reverse((at, index, serial)) = *self.alarms.peek()?;
        if at > now {
            return None;
        }
        self.alarms.pop();
        Some((index, serial, at))
    }

    /// Whether an alarm `at` means that `deadline` is over. If it was moved later, sets a new one.
    pub(super) fn is_over(
        &mut self,
        deadline: &mut Deadline,
        index: usize,
        serial: u64,
        at: Monotonic,
        now: Monotonic,
    ) -> bool {
        if deadline.alarm != Some(at) {
            return false;
        }
        deadline.alarm = None;
        if deadline.due <= now {
            return true;
        }
        let due = deadline.due;
        self.set(deadline, index, serial, due);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Monotonic {
        Monotonic::from_nanos(nanos)
    }

    #[test]
    fn a_deadline_moved_later_rings_later() {
        let mut deadlines = Deadlines::default();
        let mut deadline = Deadline::NEVER;
        deadlines.set(&mut deadline, 1, 7, at(10));
        deadlines.set(&mut deadline, 1, 7, at(20));
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop(at(9)), None);
        assert_eq!(deadlines.pop(at(10)), Some((1, 7, at(10))));
        assert!(!deadlines.is_over(&mut deadline, 1, 7, at(10), at(10)));
        assert_eq!(deadlines.pop(at(20)), Some((1, 7, at(20))));
        assert!(deadlines.is_over(&mut deadline, 1, 7, at(20), at(20)));
    }

    #[test]
    fn a_deadline_moved_earlier_rings_earlier_and_once() {
        let mut deadlines = Deadlines::default();
        let mut deadline = Deadline::NEVER;
        deadlines.set(&mut deadline, 1, 7, at(20));
        deadlines.set(&mut deadline, 1, 7, at(10));
        deadlines.set(&mut deadline, 1, 7, at(30));
        assert_eq!(deadlines.pop(at(25)), Some((1, 7, at(10))));
        assert!(!deadlines.is_over(&mut deadline, 1, 7, at(10), at(25)));
        assert_eq!(deadlines.pop(at(25)), Some((1, 7, at(20))));
        assert!(!deadlines.is_over(&mut deadline, 1, 7, at(20), at(25)), "an old alarm");
        assert_eq!(deadlines.next(), Some(at(30)));
    }
}
