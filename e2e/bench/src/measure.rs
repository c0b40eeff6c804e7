//! What is measured of a running server.

use std::{io, time::Duration};

use procfs::ProcError;
use testbed::NamespaceError;

use crate::{
    load::{self, DialogueError, Offer, Outcome, Session, SocketsError},
    server::{Server, ServerError},
    shape::{Pacing, Shape},
    site::Site,
    usage::{CpuClocks, CpuTime},
};

/// For how long the cost of a packet is taken, again and again in turn with the other servers.
pub const COST_WINDOW: Duration = Duration::from_millis(300);
/// For how long it is first sent, so that caches hold what they hold in a server that is not disturbed.
pub const WARM_UP: Duration = Duration::from_millis(60);
/// For how long a server has to keep up with a rate that its packets are to be costed at.
pub const TRIAL_WINDOW: Duration = Duration::from_millis(300);
/// For how long latencies are taken.
pub const LATENCY_WINDOW: Duration = Duration::from_secs(1);
/// For how long a rate has to be free of loss: longer than any queue on the way lasts.
pub const CAPACITY_WINDOW: Duration = Duration::from_secs(5);
/// The share of lost packets that still counts as none.
pub const TOLERATED_LOSS: f64 = 0.001;
/// No server is so slow.
const LEAST_RATE: f64 = 1_000.0;

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The server's network.
    #[error(transparent)]
    Lab(#[from] NamespaceError),
    /// The load's ends of it.
    #[error(transparent)]
    Sockets(#[from] SocketsError),
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Its answers.
    #[error(transparent)]
    Dialogue(#[from] DialogueError),
    /// A figure of a server that relays nothing would be none.
    #[error("none of {0} packets arrived ({1})")]
    NothingArrived(u64, Shape),
    /// Nor is the figure of one that changes packets, or gives them to somebody else.
    #[error("{0} packets arrived changed or where they do not belong ({1})")]
    WrongPackets(u64, Shape),
    /// There is no rate that lasts.
    #[error("loses packets even at {0:.0} a second ({1}); is the machine busy with something else?")]
    NeverLossless(f64, Shape),
    /// Sending packets.
    #[error("the measurement failed: {0}")]
    Io(#[from] io::Error),
    /// Reading clocks.
    #[error("the clocks cannot be read: {0}")]
    Clocks(#[from] ProcError),
}

/// Traffic at a rate.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Which.
    pub shape: Shape,
    /// Packets in each second.
    pub rate: f64,
    /// How they leave.
    pub pacing: Pacing,
}

/// What packets have cost in one window.
#[derive(Clone, Debug)]
pub struct PacketCost {
    /// Time of the server process, and of its core.
    pub spent: CpuTime,
    /// What became of the packets.
    pub outcome: Outcome,
}

impl PacketCost {
    /// Microseconds of the server process for each packet.
    pub fn process_microseconds(&self) -> f64 {
        self.spent.process.as_secs_f64() * 1e6 / self.outcome.received as f64
    }
}

/// The most that a server does.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Packets or cycles in each second.
    pub rate: f64,
    /// Whether the load could not send more: the server might do better.
    pub load_bound: bool,
}

/// Time from end to end in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// Half of the packets were faster.
    pub p50: f64,
    /// One in a hundred was slower.
    pub p99: f64,
    /// The share of the packets that were lost.
    pub loss: f64,
}

/// A running server, and the sessions that traffic goes through.
pub struct Service<'a> {
    /// Where it runs.
    pub site: &'a Site,
    /// The server.
    pub server: Server,
    /// The sessions.
    pub sessions: Vec<Session>,
}

impl Service<'_> {
    /// The cost of packets.
    pub fn packet_cost(&self, load: &Load, window: Duration) -> Result<PacketCost, MeasureError> {
        let clocks = || CpuClocks::read(self.server.id(), self.site.stage.core);
        self.offer(load, WARM_UP)?;
        let before = clocks()?;
        let outcome = self.offer(load, window)?;
        let spent = clocks()?.since(&before);
        Ok(PacketCost { spent, outcome })
    }

    /// Whether the server relays such traffic without loss and without a growing queue.
    pub fn keeps_up_with(&self, load: &Load) -> Result<bool, MeasureError> {
        let outcome = self.offer(load, TRIAL_WINDOW)?;
        Ok(is_kept_up_with(&outcome, load.rate) && !outcome.is_short_of_load())
    }

    /// The highest rate without loss, to within three percent.
    ///
    /// Where no rate is known to begin at, short windows find about where it is, as far as queues
    /// allow; long ones then go down from there until nothing is lost, or up until something is.
    pub fn capacity(&self, shape: Shape, known: Option<f64>) -> Result<Pace, MeasureError> {
        const STEP: f64 = 1.03;
        let estimate = known.map_or_else(|| self.estimate(shape), Ok)?;
        let (mut rate, mut best, mut was_lossy) = (estimate, None, false);
        while rate > estimate / 2.0 {
            let load = Load { shape, rate, pacing: Pacing::Smooth };
            let outcome = self.offer(&load, CAPACITY_WINDOW)?;
            let lossless = is_kept_up_with(&outcome, rate);
            if lossless && outcome.is_short_of_load() {
                return Ok(Pace { rate: best.unwrap_or(rate / STEP), load_bound: true });
            }
            match (lossless, best) {
                (true, _) if was_lossy => return Ok(Pace { rate, load_bound: false }),
                (false, Some(rate)) => return Ok(Pace { rate, load_bound: false }),
                (true, _) => {
                    best = Some(rate);
                    rate *= STEP;
                }
                (false, None) => {
                    was_lossy = true;
                    rate /= STEP;
                }
            }
        }
        Err(MeasureError::NeverLossless(rate, shape))
    }

    /// About the highest rate without loss, by halving.
    fn estimate(&self, shape: Shape) -> Result<f64, MeasureError> {
        const START: f64 = 100_000.0;
        const FACTOR: f64 = 1.4;
        const CLOSE: f64 = 1.05;
        let (mut good, mut bad) = (LEAST_RATE, f64::INFINITY);
        let mut rate = START;
        while bad / good > CLOSE && rate >= LEAST_RATE {
            if self.keeps_up_with(&Load { shape, rate, pacing: Pacing::Smooth })? {
                good = rate;
            } else {
                bad = rate;
            }
            rate = match (good > LEAST_RATE, bad.is_finite()) {
                (true, true) => f64::midpoint(good, bad),
                (true, false) => good * FACTOR,
                (false, _) => bad / FACTOR,
            };
        }
        Ok(good)
    }

    /// Latency of packets.
    pub fn latency(&self, load: &Load) -> Result<Latency, MeasureError> {
        self.offer(load, WARM_UP)?;
        let outcome = self.offer(load, LATENCY_WINDOW)?;
        let microseconds = |share| outcome.latencies.value_at_quantile(share) as f64 / 1e3;
        Ok(Latency { p50: microseconds(0.5), p99: microseconds(0.99), loss: outcome.loss() })
    }

    /// Sends packets at a rate; what became of them, if that says anything.
    fn offer(&self, load: &Load, duration: Duration) -> Result<Outcome, MeasureError> {
        let Load { shape, rate, pacing } = *load;
        let Shape { direction, payload, .. } = shape;
        let offer = Offer { direction, payload, rate, duration, interval: pacing.interval() };
        checked(shape, load::run(&self.site.sockets, &self.sessions, &offer)?)
    }
}

fn is_kept_up_with(outcome: &Outcome, rate: f64) -> bool {
    outcome.loss() <= TOLERATED_LOSS && !outcome.is_behind(rate)
}

/// An outcome that figures can be taken of.
fn checked(shape: Shape, outcome: Outcome) -> Result<Outcome, MeasureError> {
    if outcome.wrong > 0 {
        return Err(MeasureError::WrongPackets(outcome.wrong, shape));
    }
    if outcome.received == 0 {
        return Err(MeasureError::NothingArrived(outcome.sent, shape));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(received: u64, wrong: u64) -> Result<Outcome, MeasureError> {
        let outcome = Outcome { sent: 100, received, wrong, ..Outcome::of(100) };
        checked("up-160-1".parse().unwrap(), outcome)
    }

    #[test]
    fn a_server_that_relays_nothing_or_something_else_has_no_figures() {
        assert!(outcome(1, 0).is_ok());
        assert!(matches!(outcome(0, 0), Err(MeasureError::NothingArrived(100, _))));
        assert!(matches!(outcome(99, 1), Err(MeasureError::WrongPackets(1, _))));
    }
}
