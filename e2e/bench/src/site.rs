//! A place for each server: a network of its own with the load's ends in it, so that all servers can
//! run side by side while they take turns with the load.

use std::time::Duration;

use crate::{
    lab::{Lab, RELAY, RELAY_PORTS, client_address},
    load::{
        self, Cycles, Framing, Offer, Session, Sockets, is_answering, open_allocations, open_channels,
        open_pairs,
    },
    measure::{Load, MeasureError, Pace, Service, WARM_UP},
    profile::{Profile, Shares},
    server::{Contender, Server, Stage},
    shape::{Direction, LEAST_PAYLOAD, Pacing, Shape},
    usage::CpuClocks,
};

/// Allocations that memory is measured with.
pub const IDLE_ALLOCATIONS: u32 = 4_000;
/// For how long cycles are counted.
pub const CYCLES_WINDOW: Duration = Duration::from_secs(1);

/// Where one server is measured.
pub struct Site {
    /// Which one.
    pub contender: Contender,
    /// Its network.
    pub lab: Lab,
    /// The load's ends in it.
    pub sockets: Sockets,
    /// What it is started with.
    pub stage: Stage,
}

/// The memory of a server, all its processes together.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes that an idle allocation adds.
    pub each: f64,
    /// Bytes that the keeper has for itself, where there is one.
    pub keepers: Option<u64>,
}

impl Site {
    /// Makes its network.
    pub fn new(contender: Contender, stage: Stage) -> Result<Self, MeasureError> {
        let lab = Lab::new()?;
        Ok(Self { contender, sockets: Sockets::open(&lab)?, lab, stage })
    }

    /// The server with the sessions that traffic goes through.
    pub fn serve(&self, shape: Shape) -> Result<Service<'_>, MeasureError> {
        let Shape { direction, allocations, .. } = shape;
        let server = self.start(allocations)?;
        let sessions = match (self.contender.speaks_turn(), direction) {
            (false, _) => Ok(bare_sessions(allocations)),
            (true, Direction::Pair) => open_pairs(&self.sockets, allocations),
            (true, _) => open_channels(&self.sockets, allocations),
        };
        Ok(Service { site: self, server, sessions: sessions? })
    }

    /// Where the server's time goes at a rate, and the microseconds that a packet costs meanwhile.
    pub fn profile(&self, shape: Shape, rate: f64) -> Result<(Shares, f64), MeasureError> {
        const WINDOW: Duration = Duration::from_secs(1);
        let service = self.serve(shape)?;
        let profile = Profile::start(service.server.serving())?;
        let cost = service.packet_cost(&Load { shape, rate, pacing: Pacing::Bursts }, WINDOW)?;
        Ok((profile.finish()?, cost.process_microseconds()))
    }

    /// The receive buffers of the server's sockets: the least and the largest.
    pub fn receive_buffers(&self) -> Result<Option<(u64, u64)>, MeasureError> {
        let direction =
            if self.contender.carries(Direction::Both) { Direction::Both } else { Direction::Pair };
        let service = self.serve(Shape { direction, payload: LEAST_PAYLOAD, allocations: 1 })?;
        Ok(service.server.receive_buffers(&self.lab)?)
    }

    /// Allocate-to-Refresh(0) cycles in each second.
    pub fn cycles(&self) -> Result<Pace, MeasureError> {
        /// A server that computes for a smaller share of the time waits for its clients.
        const BUSY: f64 = 0.9;
        let server = self.start(0)?;
        let mut cycles = Cycles::new(&self.sockets, 0);
        cycles.run(WARM_UP)?;
        let before = CpuClocks::read(server.id(), self.stage.core)?;
        let completed = cycles.run(CYCLES_WINDOW)?;
        let spent = CpuClocks::read(server.id(), self.stage.core)?.since(&before);
        let load_bound = spent.process < CYCLES_WINDOW.mul_f64(BUSY);
        Ok(Pace { rate: completed as f64 / CYCLES_WINDOW.as_secs_f64(), load_bound })
    }

    /// What memory idle allocations take.
    pub fn memory(&self) -> Result<Memory, MeasureError> {
        let server = self.start(0)?;
        let before = server.resident_bytes();
        open_allocations(&self.sockets, IDLE_ALLOCATIONS)?;
        let after = server.resident_bytes();
        let each = after.saturating_sub(before) as f64 / f64::from(IDLE_ALLOCATIONS);
        Ok(Memory { each, keepers: server.keepers_bytes()? })
    }

    fn start(&self, sessions: u32) -> Result<Server, MeasureError> {
        let turn = self.contender.speaks_turn();
        let probe = || if turn { is_answering(&self.sockets) } else { self.forwards() };
        Ok(Server::start(self.contender, &self.stage, &self.lab, sessions, probe)?)
    }

    /// Whether a forwarder lets a packet through.
    fn forwards(&self) -> bool {
        let moment = Duration::from_millis(10);
        let offer =
            Offer { direction: Direction::Up, payload: 160, rate: 100.0, duration: moment, interval: moment };
        load::run(&self.sockets, &bare_sessions(1), &offer).is_ok_and(|outcome| outcome.received > 0)
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
