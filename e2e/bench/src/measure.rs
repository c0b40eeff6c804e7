//! The measurements: each starts a server of its own, measures one thing, and stops it.

use std::{io, time::Duration};

use procfs::ProcError;

use crate::{
    lab::{Lab, RELAY, RELAY_PORTS, client_address},
    load::{
        self, Cycles, DialogueError, Framing, Offer, Outcome, Session, Sockets, is_answering,
        open_allocations, open_channels, open_pairs,
    },
    profile::{Profile, Shares},
    server::{Contender, Server, ServerError, Stage},
    shape::{Direction, Pacing, Shape},
    usage::CpuClocks,
};

/// Where and for how long measurements are made.
pub struct Bench {
    /// The network.
    pub lab: Lab,
    /// The load's ends in it.
    pub sockets: Sockets,
    /// What servers are started with.
    pub stage: Stage,
    /// For how long each figure is taken.
    pub windows: Windows,
}

/// For how long each figure is taken.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// The cost of a packet, latency, and cycles.
    pub figure: Duration,
    /// A rate that is to be free of loss: longer than any queue on the way lasts.
    pub capacity: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Self { figure: Duration::from_secs(1), capacity: Duration::from_secs(5) }
    }
}

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Its answers.
    #[error("{0}: {1}")]
    Dialogue(Contender, #[source] DialogueError),
    /// A figure of a server that relays nothing would be none.
    #[error("{0}: none of {1} packets arrived ({2})")]
    NothingArrived(Contender, u64, Shape),
    /// Nor is the figure of one that changes packets, or gives them to somebody else.
    #[error("{0}: {1} packets arrived changed or where they do not belong ({2})")]
    WrongPackets(Contender, u64, Shape),
    /// There is no rate that lasts.
    #[error("{0} loses packets even at {1:.0} a second ({2}); is the machine busy with something else?")]
    NeverLossless(Contender, f64, Shape),
    /// Sending packets.
    #[error("the measurement failed: {0}")]
    Io(#[from] io::Error),
    /// Reading clocks.
    #[error("the clocks cannot be read: {0}")]
    Clocks(#[from] ProcError),
}

/// What a relayed packet costs.
#[derive(Clone, Copy, Debug)]
pub struct PacketCost {
    /// Microseconds of the server process.
    pub process: f64,
    /// Microseconds for which the server's core was not idle.
    pub core: f64,
    /// The share of the packets that were lost.
    pub loss: f64,
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
}

/// The share of lost packets that still counts as none.
pub const TOLERATED_LOSS: f64 = 0.001;
/// The rate at which the cost of a packet is measured. Who loses packets at it is marked.
pub const MODERATE_RATE: f64 = 50_000.0;
/// No server is so slow.
const LEAST_RATE: f64 = 1_000.0;
/// Allocations that memory is measured with.
pub const IDLE_ALLOCATIONS: u32 = 4_000;

const WARM_UP: Duration = Duration::from_millis(300);

impl Bench {
    /// The cost of a packet at [`MODERATE_RATE`], for each pacing.
    pub fn packet_costs(
        &self,
        contender: Contender,
        shape: Shape,
    ) -> Result<[(Pacing, PacketCost); 2], MeasureError> {
        let service = self.serve(contender, shape)?;
        let [smooth, bursts] = Pacing::ALL;
        Ok([(smooth, self.cost_of(&service, smooth)?), (bursts, self.cost_of(&service, bursts)?)])
    }

    /// Where a server's time goes at [`MODERATE_RATE`], and the cost of a packet while it is watched.
    pub fn profile(&self, contender: Contender, shape: Shape) -> Result<(Shares, PacketCost), MeasureError> {
        let service = self.serve(contender, shape)?;
        let profile = Profile::start(service.server.id())?;
        let cost = self.cost_of(&service, Pacing::Bursts)?;
        Ok((profile.finish()?, cost))
    }

    /// The receive buffers of a server's sockets: the least and the largest.
    pub fn receive_buffers(&self, contender: Contender) -> Result<Option<(u64, u64)>, MeasureError> {
        let direction = if contender.carries(Direction::Both) { Direction::Both } else { Direction::Pair };
        let service = self.serve(contender, Shape { direction, payload: 160, allocations: 1 })?;
        Ok(service.server.receive_buffers(&self.lab)?)
    }

    fn cost_of(&self, service: &Service, pacing: Pacing) -> Result<PacketCost, MeasureError> {
        let offer = |duration| self.offer(service, MODERATE_RATE, pacing, duration);
        let clocks = || CpuClocks::read(service.server.id(), self.stage.core);
        offer(WARM_UP)?;
        let before = clocks()?;
        let outcome = offer(self.windows.figure)?;
        let spent = clocks()?.since(&before);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / outcome.received as f64;
        Ok(PacketCost { process: each(spent.process), core: each(spent.core), loss: outcome.loss() })
    }

    /// The highest rate without loss, to within three percent.
    ///
    /// Short windows find about where it is, as far as queues allow; long ones then go down from there
    /// until nothing is lost, or up until something is.
    pub fn capacity(&self, contender: Contender, shape: Shape) -> Result<Pace, MeasureError> {
        const STEP: f64 = 1.03;
        let service = self.serve(contender, shape)?;
        let estimate = self.estimate(&service)?;
        let (mut rate, mut best, mut was_lossy) = (estimate, None, false);
        while rate > estimate / 2.0 {
            let outcome = self.offer(&service, rate, Pacing::Smooth, self.windows.capacity)?;
            let lossless = outcome.loss() <= TOLERATED_LOSS;
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
        Err(MeasureError::NeverLossless(contender, rate, shape))
    }

    /// About the highest rate without loss, by halving.
    fn estimate(&self, service: &Service) -> Result<f64, MeasureError> {
        const START: f64 = 200_000.0;
        const FACTOR: f64 = 1.4;
        const CLOSE: f64 = 1.05;
        const WINDOW: Duration = Duration::from_millis(500);
        let (mut good, mut bad) = (LEAST_RATE, f64::INFINITY);
        let mut rate = START;
        while bad / good > CLOSE && rate >= LEAST_RATE {
            let outcome = self.offer(service, rate, Pacing::Smooth, WINDOW)?;
            if outcome.loss() <= TOLERATED_LOSS && !outcome.is_short_of_load() {
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

    /// Latency at a rate, packets sent one after the other.
    pub fn latency(&self, contender: Contender, shape: Shape, rate: f64) -> Result<Latency, MeasureError> {
        let service = self.serve(contender, shape)?;
        self.offer(&service, rate, Pacing::Smooth, WARM_UP)?;
        let latencies = self.offer(&service, rate, Pacing::Smooth, self.windows.figure)?.latencies;
        let microseconds = |share| latencies.value_at_quantile(share) as f64 / 1e3;
        Ok(Latency { p50: microseconds(0.5), p99: microseconds(0.99) })
    }

    /// Allocate-to-Refresh(0) cycles in each second.
    pub fn cycles(&self, contender: Contender) -> Result<Pace, MeasureError> {
        /// A server that computes for a smaller share of the time waits for its clients.
        const BUSY: f64 = 0.9;
        let server = self.start(contender, 0)?;
        let failed = |error| MeasureError::Dialogue(contender, error);
        let mut cycles = Cycles::new(&self.sockets, 0);
        cycles.run(WARM_UP).map_err(failed)?;
        let before = CpuClocks::read(server.id(), self.stage.core)?;
        let completed = cycles.run(self.windows.figure).map_err(failed)?;
        let spent = CpuClocks::read(server.id(), self.stage.core)?.since(&before);
        let load_bound = spent.process < self.windows.figure.mul_f64(BUSY);
        Ok(Pace { rate: completed as f64 / self.windows.figure.as_secs_f64(), load_bound })
    }

    /// Bytes of resident memory that an idle allocation adds.
    pub fn memory(&self, contender: Contender) -> Result<f64, MeasureError> {
        let server = self.start(contender, 0)?;
        let before = server.resident_bytes();
        open_allocations(&self.sockets, IDLE_ALLOCATIONS)
            .map_err(|error| MeasureError::Dialogue(contender, error))?;
        let after = server.resident_bytes();
        Ok(after.saturating_sub(before) as f64 / f64::from(IDLE_ALLOCATIONS))
    }

    /// A server with the sessions that data of this shape goes through.
    fn serve(&self, contender: Contender, shape: Shape) -> Result<Service, MeasureError> {
        let server = self.start(contender, shape.allocations)?;
        let sessions = match (contender.speaks_turn(), shape.direction) {
            (false, _) => Ok(bare_sessions(shape.allocations)),
            (true, Direction::Pair) => open_pairs(&self.sockets, shape.allocations),
            (true, _) => open_channels(&self.sockets, shape.allocations),
        };
        let sessions = sessions.map_err(|error| MeasureError::Dialogue(contender, error))?;
        Ok(Service { server, sessions, shape })
    }

    fn start(&self, contender: Contender, sessions: u32) -> Result<Server, MeasureError> {
        let probe = || if contender.speaks_turn() { is_answering(&self.sockets) } else { self.forwards() };
        Ok(Server::start(contender, &self.stage, &self.lab, sessions, probe)?)
    }

    /// Whether a forwarder lets a packet through.
    fn forwards(&self) -> bool {
        let moment = Duration::from_millis(10);
        let offer =
            Offer { direction: Direction::Up, payload: 160, rate: 100.0, duration: moment, interval: moment };
        load::run(&self.sockets, &bare_sessions(1), &offer).is_ok_and(|outcome| outcome.received > 0)
    }

    /// Sends packets at a rate; what became of them, if that says anything.
    fn offer(
        &self,
        service: &Service,
        rate: f64,
        pacing: Pacing,
        duration: Duration,
    ) -> Result<Outcome, MeasureError> {
        let Service { server, sessions, shape } = service;
        let Shape { direction, payload, .. } = *shape;
        let offer = Offer { direction, payload, rate, duration, interval: pacing.interval() };
        let outcome = load::run(&self.sockets, sessions, &offer)?;
        checked(server.contender(), *shape, outcome)
    }
}

/// A running server, and the sessions that traffic of one shape goes through.
struct Service {
    server: Server,
    sessions: Vec<Session>,
    shape: Shape,
}

/// An outcome that figures can be taken of.
fn checked(contender: Contender, shape: Shape, outcome: Outcome) -> Result<Outcome, MeasureError> {
    if outcome.wrong > 0 {
        return Err(MeasureError::WrongPackets(contender, outcome.wrong, shape));
    }
    if outcome.received == 0 {
        return Err(MeasureError::NothingArrived(contender, outcome.sent, shape));
    }
    Ok(outcome)
}

/// The sessions of the forwarder's table.
fn bare_sessions(count: u32) -> Vec<Session> {
    (0..count)
        .zip(RELAY_PORTS)
        .map(|(number, port)| Session {
            client: client_address(number),
            relayed: std::net::SocketAddrV4::new(RELAY, port),
            framing: Framing::Bare,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(received: u64, wrong: u64) -> Result<Outcome, MeasureError> {
        let outcome = Outcome { sent: 100, received, wrong, ..Outcome::of(100) };
        checked(Contender::Coturn, "up-160-1".parse().unwrap(), outcome)
    }

    #[test]
    fn a_server_that_relays_nothing_or_something_else_has_no_figures() {
        assert!(outcome(1, 0).is_ok());
        assert!(matches!(outcome(0, 0), Err(MeasureError::NothingArrived(_, 100, _))));
        assert!(matches!(outcome(99, 1), Err(MeasureError::WrongPackets(_, 1, _))));
    }
}
