//! The measurements: each starts a server of its own, measures one thing, and stops it.

use std::{io, time::Duration};

use crate::{
    lab::{Lab, RELAY, RELAY_PORTS, client_address},
    load::{
        self, Cycles, Depth, DialogueError, Framing, Offer, Outcome, Session, Sockets, is_answering,
        open_sessions,
    },
    profile::{Profile, Shares},
    server::{Contender, Server, ServerError, Stage},
    shape::{Direction, Shape},
    statistics::percentile,
    usage::{CpuClocks, resident_bytes},
};

/// Where and for how long measurements are made.
pub struct Bench {
    /// The network.
    pub lab: Lab,
    /// The load's ends in it.
    pub sockets: Sockets,
    /// What servers are started with.
    pub stage: Stage,
    /// How long each measurement lasts.
    pub duration: Duration,
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
    /// Reading clocks or sending packets.
    #[error("the measurement failed: {0}")]
    Io(#[from] io::Error),
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
/// The rate at which the cost of a packet is measured: less than any of the servers can do.
pub const MODERATE_RATE: f64 = 100_000.0;
/// How often the packets of [`MODERATE_RATE`] leave, all that are due at once.
pub const MODERATE_INTERVAL: Duration = Duration::from_micros(200);
/// Allocations that memory is measured with.
pub const IDLE_ALLOCATIONS: u32 = 4_000;

const WARM_UP: Duration = Duration::from_millis(300);

impl Bench {
    /// The cost of a packet at [`MODERATE_RATE`].
    pub fn packet_cost(&self, contender: Contender, shape: Shape) -> Result<PacketCost, MeasureError> {
        let (server, sessions) = self.serve(contender, shape.allocations)?;
        self.cost_of(&server, &sessions, shape)
    }

    /// Where a server's time goes at [`MODERATE_RATE`], and the cost of a packet while it is watched.
    pub fn profile(&self, contender: Contender, shape: Shape) -> Result<(Shares, PacketCost), MeasureError> {
        let (server, sessions) = self.serve(contender, shape.allocations)?;
        let profile = Profile::start(server.id())?;
        let cost = self.cost_of(&server, &sessions, shape)?;
        Ok((profile.finish()?, cost))
    }

    fn cost_of(
        &self,
        server: &Server,
        sessions: &[Session],
        shape: Shape,
    ) -> Result<PacketCost, MeasureError> {
        let offer = Offer {
            direction: shape.direction,
            payload: shape.payload,
            rate: MODERATE_RATE,
            duration: WARM_UP,
            interval: MODERATE_INTERVAL,
        };
        load::run(&self.sockets, sessions, &offer)?;
        let before = CpuClocks::read(server.id(), self.stage.core)?;
        let outcome = load::run(&self.sockets, sessions, &Offer { duration: self.duration, ..offer })?;
        let spent = CpuClocks::read(server.id(), self.stage.core)?.since(&before);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / outcome.received.max(1) as f64;
        Ok(PacketCost { process: each(spent.process), core: each(spent.core), loss: outcome.loss() })
    }

    /// The highest rate without loss, to within three percent.
    pub fn capacity(&self, contender: Contender, shape: Shape) -> Result<Pace, MeasureError> {
        const START: f64 = 200_000.0;
        const LEAST: f64 = 1_000.0;
        const CLOSE: f64 = 1.03;
        let (_server, sessions) = self.serve(contender, shape.allocations)?;
        let (mut good, mut bad) = (LEAST, f64::INFINITY);
        let mut load_bound = false;
        let mut rate = START;
        while bad / good > CLOSE {
            // The second try is for what else the machine does.
            let mut outcome = self.smooth(&sessions, shape, rate, self.duration / 2)?;
            if outcome.loss() > TOLERATED_LOSS {
                outcome = self.smooth(&sessions, shape, rate, self.duration / 2)?;
            }
            let lossless = outcome.loss() <= TOLERATED_LOSS;
            if lossless && !outcome.is_short_of_load() {
                good = rate;
            } else {
                bad = rate;
                load_bound = lossless;
            }
            rate = match (good > LEAST, bad.is_finite()) {
                (true, true) => f64::midpoint(good, bad),
                (true, false) => good * 1.4,
                (false, _) => bad / 1.4,
            };
            if rate < LEAST {
                break;
            }
        }
        Ok(Pace { rate: good, load_bound })
    }

    /// Latency at a rate, packets sent one after the other.
    pub fn latency(&self, contender: Contender, shape: Shape, rate: f64) -> Result<Latency, MeasureError> {
        let (_server, sessions) = self.serve(contender, shape.allocations)?;
        self.smooth(&sessions, shape, rate, WARM_UP)?;
        let mut latencies = self.smooth(&sessions, shape, rate, self.duration)?.latencies;
        latencies.sort_unstable();
        let microseconds =
            |percent| percentile(&latencies, percent).map_or(f64::NAN, |ns| f64::from(ns) / 1e3);
        Ok(Latency { p50: microseconds(50.0), p99: microseconds(99.0) })
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
        let completed = cycles.run(self.duration).map_err(failed)?;
        let spent = CpuClocks::read(server.id(), self.stage.core)?.since(&before);
        let load_bound = spent.process < self.duration.mul_f64(BUSY);
        Ok(Pace { rate: completed as f64 / self.duration.as_secs_f64(), load_bound })
    }

    /// Bytes of resident memory that an idle allocation adds.
    pub fn memory(&self, contender: Contender) -> Result<f64, MeasureError> {
        let server = self.start(contender, 0)?;
        let before = resident_bytes(server.id())?;
        self.open(contender, IDLE_ALLOCATIONS, Depth::Allocation)?;
        let after = resident_bytes(server.id())?;
        Ok(after.saturating_sub(before) as f64 / f64::from(IDLE_ALLOCATIONS))
    }

    /// A server with so many sessions that data can go through.
    pub fn serve(&self, contender: Contender, count: u32) -> Result<(Server, Vec<Session>), MeasureError> {
        let server = self.start(contender, count)?;
        let sessions = if contender.speaks_turn() {
            self.open(contender, count, Depth::Channel)?
        } else {
            bare_sessions(count)
        };
        Ok((server, sessions))
    }

    fn start(&self, contender: Contender, sessions: u32) -> Result<Server, MeasureError> {
        let probe = || {
            if contender.speaks_turn() {
                is_answering(&self.sockets)
            } else {
                self.forwards(&bare_sessions(1))
            }
        };
        Ok(Server::start(contender, &self.stage, &self.lab, sessions, probe)?)
    }

    fn open(&self, contender: Contender, count: u32, depth: Depth) -> Result<Vec<Session>, MeasureError> {
        open_sessions(&self.sockets, 0, count, depth)
            .map_err(|error| MeasureError::Dialogue(contender, error))
    }

    /// Whether a packet gets through.
    fn forwards(&self, sessions: &[Session]) -> bool {
        let offer = Offer {
            direction: Direction::Up,
            payload: 160,
            rate: 100.0,
            duration: Duration::from_millis(10),
            interval: Duration::from_millis(10),
        };
        load::run(&self.sockets, sessions, &offer).is_ok_and(|outcome| outcome.received > 0)
    }

    fn smooth(
        &self,
        sessions: &[Session],
        shape: Shape,
        rate: f64,
        duration: Duration,
    ) -> io::Result<Outcome> {
        let Shape { direction, payload, .. } = shape;
        let offer = Offer { direction, payload, rate, duration, interval: Duration::ZERO };
        load::run(&self.sockets, sessions, &offer)
    }
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
