//! The packets of one direction of a call: when each left, and what became of it.

use std::time::Duration;

use super::INTERVAL;

/// One direction of one call. All times are since the calls began.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// When each packet left, by its number.
    sent: Vec<Duration>,
    /// What arrived, in that order: when, and its number.
    arrived: Vec<(Duration, u32)>,
}

impl Flow {
    /// The number of the next packet, which leaves now.
    pub fn send(&mut self, now: Duration) -> u32 {
        self.sent.push(now);
        self.sent.len() as u32 - 1
    }

    /// A packet has arrived; whether it is one that was sent.
    pub fn arrive(&mut self, now: Duration, number: u32) -> bool {
        let known = (number as usize) < self.sent.len();
        if known {
            self.arrived.push((now, number));
        }
        known
    }

    /// How many packets were sent.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// How many have arrived, each counted once.
    pub fn received(&self) -> usize {
        self.sent() - self.lost().len()
    }

    /// Whether everything that was sent has arrived; cheap, and wrong where something came twice.
    pub(super) fn seems_whole(&self) -> bool {
        self.arrived.len() >= self.sent.len()
    }

    /// When each packet left that has not arrived.
    pub fn lost(&self) -> Vec<Duration> {
        let mut arrived = vec![false; self.sent.len()];
        self.arrived.iter().for_each(|(_, number)| arrived[*number as usize] = true);
        self.sent.iter().zip(arrived).filter(|(_, arrived)| !arrived).map(|(sent, _)| *sent).collect()
    }

    /// How many arrived that had arrived before.
    pub fn duplicated(&self) -> usize {
        self.arrived.len() - self.received()
    }

    /// How many arrived behind one that was sent later.
    pub fn reordered(&self) -> usize {
        let mut last = 0;
        let behind = self.arrived.iter().filter(|(_, number)| {
            last = last.max(*number);
            *number < last
        });
        behind.count()
    }

    /// The times from one arrival to the next: the end of each, and how long it was, less what the second packet left
    /// too late after the first.
    pub fn gaps(&self) -> impl Iterator<Item = (Duration, Duration)> {
        let sent = |number: u32| self.sent[number as usize];
        self.arrived.windows(2).map(move |pair| {
            let [(before, first), (after, second)] = [pair[0], pair[1]];
            let due = INTERVAL * second.saturating_sub(first);
            let late = sent(second).saturating_sub(sent(first)).saturating_sub(due);
            (after, (after - before).saturating_sub(late))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn flow(arrivals: &[(u64, u32)]) -> Flow {
        let mut flow = Flow::default();
        for number in 0..4 {
            assert_eq!(flow.send(ms(20 * u64::from(number))), number);
        }
        arrivals.iter().for_each(|(time, number)| assert!(flow.arrive(ms(*time), *number)));
        flow
    }

    #[test]
    fn a_packet_that_never_arrives_is_lost() {
        let flow = flow(&[(1, 0), (41, 2), (61, 3)]);
        assert_eq!((flow.lost(), flow.received()), (vec![ms(20)], 3));
        assert_eq!((flow.duplicated(), flow.reordered()), (0, 0));
        assert_eq!(flow.gaps().map(|(_, gap)| gap).collect::<Vec<_>>(), [ms(40), ms(20)]);
    }

    #[test]
    fn a_gap_is_what_the_relay_makes_and_not_who_sends() {
        let gaps = |flow: &Flow| flow.gaps().map(|(_, gap)| gap).collect::<Vec<_>>();
        assert_eq!(gaps(&flow(&[(1, 0), (101, 1), (102, 2), (103, 3)])), [ms(100), ms(1), ms(1)]);
        let mut flow = Flow::default();
        for (sent, arrived) in [(0, 1), (120, 121)] {
            let number = flow.send(ms(sent));
            flow.arrive(ms(arrived), number);
        }
        assert_eq!(gaps(&flow), [ms(20)]);
    }

    #[test]
    fn what_comes_twice_or_late_is_counted_as_such() {
        let flow = flow(&[(1, 0), (41, 2), (42, 1), (43, 1), (61, 3)]);
        assert_eq!((flow.lost().len(), flow.duplicated(), flow.reordered()), (0, 1, 2));
    }

    #[test]
    fn what_was_never_sent_is_none_of_it() {
        let mut flow = flow(&[]);
        assert!(!flow.arrive(ms(1), 4));
        assert_eq!(flow.lost().len(), 4);
    }
}
