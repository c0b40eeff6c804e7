//! What became of many calls: packets lost, gaps, and what clients had to ask for.

use std::fmt;
use std::time::{Duration, Instant};

use super::caller::{Caller, Kind, Requests};
use super::flow::Flow;
use crate::network::Family;

/// What was sent so long before an event may have been under way then.
const UNDER_WAY: Duration = Duration::from_millis(200);

/// How the calls went.
#[derive(Clone, Debug)]
pub struct Report {
    begun: Instant,
    stall: Duration,
    calls: Vec<(Kind, Flow, Flow)>,
    requests: Vec<Requests>,
}

/// What one event has done to the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impact {
    /// When it was, since the calls began.
    pub at: Duration,
    /// Packets lost that were under way then, or left before the next one.
    pub lost: usize,
    /// The longest that any direction of any call was silent between it and the next one.
    pub gap: Duration,
}

impl Report {
    pub(super) fn of(begun: Instant, stall: Duration, callers: &[Caller]) -> Self {
        let calls = callers.iter().map(|caller| (caller.kind(), caller.up.clone(), caller.down.clone()));
        let requests = callers.iter().map(|caller| caller.requests().clone());
        Self { begun, stall, calls: calls.collect(), requests: requests.collect() }
    }

    /// Packets sent.
    pub fn sent(&self) -> usize {
        self.flows().map(Flow::sent).sum()
    }

    /// Packets that did not arrive.
    pub fn lost(&self) -> usize {
        self.flows().map(|flow| flow.lost().len()).sum()
    }

    /// Packets that were lost though they left before or after a time.
    pub fn lost_outside(&self, begin: Instant, end: Instant) -> usize {
        let [begin, end] = [begin, end].map(|moment| moment.duration_since(self.begun));
        self.flows().flat_map(Flow::lost).filter(|lost| !(begin..=end).contains(lost)).count()
    }

    /// The longest that any direction of any call was silent.
    pub fn largest_gap(&self) -> Duration {
        self.largest_gaps().pop().unwrap_or_default()
    }

    /// Transactions that clients made beside those that were due.
    pub fn unplanned(&self) -> u32 {
        self.requests.iter().map(|requests| requests.unplanned).sum()
    }

    /// Requests that clients had to send again.
    pub fn repeated(&self) -> u32 {
        self.requests.iter().map(|requests| requests.repeated).sum()
    }

    /// Whatever went wrong with a client's requests.
    pub fn failures(&self) -> Vec<&str> {
        self.requests.iter().flat_map(|requests| &requests.failed).map(String::as_str).collect()
    }

    /// Times that a client's socket told an ICMP error, by whether it is connected.
    pub fn unreachable(&self, connected: bool) -> u32 {
        let both = self.calls.iter().zip(&self.requests);
        both.filter(|((kind, ..), _)| kind.connected == connected)
            .map(|(_, requests)| requests.unreachable)
            .sum()
    }

    /// What each of some events, in their order, has done.
    pub fn impacts(&self, events: &[Instant]) -> Vec<Impact> {
        let begun = self.begun;
        let mut impacts: Vec<Impact> = events
            .iter()
            .map(|event| Impact { at: event.duration_since(begun), ..Impact::default() })
            .collect();
        for flow in self.flows() {
            for lost in flow.lost() {
                let begun = impacts.partition_point(|impact| impact.at < lost + UNDER_WAY);
                let impact = impacts.get_mut(begun.saturating_sub(1));
                impact.into_iter().for_each(|impact| impact.lost += 1);
            }
            for (end, gap) in flow.gaps() {
                let before = impacts.partition_point(|impact| impact.at < end);
                let Some(impact) = before.checked_sub(1).and_then(|place| impacts.get_mut(place)) else {
                    continue;
                };
                impact.gap = impact.gap.max(gap);
            }
        }
        impacts
    }

    fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.calls.iter().flat_map(|(_, up, down)| [up, down])
    }

    /// The largest gap of each direction of each call, the least first.
    fn largest_gaps(&self) -> Vec<Duration> {
        let gaps = self.flows().map(|flow| flow.gaps().map(|(_, gap)| gap).max().unwrap_or_default());
        let mut gaps: Vec<_> = gaps.collect();
        gaps.sort_unstable();
        gaps
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, requests, stall, .. } = self;
        let duplicated: usize = self.flows().map(Flow::duplicated).sum();
        let reordered: usize = self.flows().map(Flow::reordered).sum();
        writeln!(
            f,
            "{} calls: {} of {} packets lost, {duplicated} duplicated, {reordered} reordered",
            calls.len(),
            self.lost(),
            self.sent(),
        )?;
        for channel in [true, false] {
            for family in [Family::V4, Family::V6] {
                let such = calls.iter().filter(|(kind, ..)| (kind.channel, kind.family) == (channel, family));
                let [up, down] = such.fold([0, 0], |[up, down], (_, to_peer, to_client)| {
                    [up + to_peer.lost().len(), down + to_client.lost().len()]
                });
                let way = if channel { "channels" } else { "indications" };
                writeln!(f, "  {way} over {family:?}: {up} lost to the peer, {down} to the client")?;
            }
        }
        writeln!(f, "  largest gap of each call and direction: {}", Distribution(self.largest_gaps()))?;
        writeln!(f, "  the load itself was late by {:.1} ms at most", milliseconds(*stall))?;
        let planned: u32 = requests.iter().map(|requests| requests.planned).sum();
        writeln!(
            f,
            "  {planned} requests were due, {} sent again, {} transactions beside; ICMP errors: {} at connected \
             sockets, {} at others",
            self.repeated(),
            self.unplanned(),
            self.unreachable(true),
            self.unreachable(false),
        )?;
        self.failures().iter().take(10).try_for_each(|failure| writeln!(f, "  {failure}"))
    }
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, lost, gap } = self;
        write!(f, "{:6.2} s: {lost:4} packets lost, gap {:6.1} ms", at.as_secs_f64(), milliseconds(*gap))
    }
}

/// Times in ascending order.
struct Distribution(Vec<Duration>);

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share: f64| {
            let place = (self.0.len().saturating_sub(1) as f64 * share).round() as usize;
            self.0.get(place).copied().map_or(0.0, milliseconds)
        };
        write!(f, "min {:.1}, median {:.1}, p90 {:.1}, max {:.1} ms", at(0.0), at(0.5), at(0.9), at(1.0))
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
