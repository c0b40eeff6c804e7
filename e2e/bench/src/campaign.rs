//! Which measurements are made in which order: servers take turns within each figure, and another one
//! begins in each run, so that what else the machine does meets all of them alike.

use std::io::{self, Write as _};

use crate::{
    cli::{Cli, Figure},
    measure::{Bench, MeasureError, TOLERATED_LOSS},
    report::{Caveat, Quantity, Report, Sample, Subject},
    server::Contender,
    shape::{Direction, Pacing, Shape},
};

/// What is measured.
pub struct Campaign {
    servers: Vec<Contender>,
    figures: Vec<Figure>,
    costs: Vec<Shape>,
    capacities: Vec<Shape>,
    runs: u32,
}

/// Allocations of the shapes that capacity and latency are taken with, and the pairs of relay-only calls.
const USUAL: u32 = 100;

impl Campaign {
    /// What the command line asks for.
    pub fn new(cli: &Cli) -> Self {
        let (mut costs, capacities) = match (cli.shapes.as_slice(), cli.quick) {
            ([], true) => (
                Shape::combinations(&[Direction::Up, Direction::Down], &[160], &[USUAL]),
                Shape::combinations(&[Direction::Both], &[160], &[USUAL]),
            ),
            ([], false) => (
                Shape::combinations(&Direction::WITH_PEER, &[160, 1200], &[1, USUAL, 1000]),
                [
                    Shape::combinations(&Direction::WITH_PEER, &[160], &[USUAL]),
                    Shape::combinations(&[Direction::Both], &[1200], &[USUAL]),
                ]
                .concat(),
            ),
            (shapes, _) => (shapes.to_vec(), shapes.to_vec()),
        };
        if cli.shapes.is_empty() {
            costs.extend(Shape::combinations(&[Direction::Pair], &[160], &[USUAL]));
        }
        let servers = Contender::ALL.into_iter().filter(|server| cli.servers.contains(server)).collect();
        let runs = if cli.quick { 1 } else { cli.runs };
        Self { servers, figures: cli.figures.clone(), costs, capacities, runs }
    }

    /// The receive buffers that each server's sockets have, as a sentence.
    pub fn receive_buffers(&self, bench: &Bench) -> Result<String, MeasureError> {
        let mut parts = Vec::new();
        for &contender in &self.servers {
            if let Some((least, largest)) = bench.receive_buffers(contender)? {
                let range = if least == largest { String::new() } else { format!(" to {largest}") };
                parts.push(format!("{contender} {least}{range}"));
            }
        }
        Ok(parts.join(", "))
    }

    /// Makes all measurements and adds their figures to `report`.
    pub fn run(&self, bench: &Bench, report: &mut Report) -> Result<(), MeasureError> {
        for run in 1..=self.runs {
            let servers = in_turn(&self.servers, run);
            let mut round = Round { bench, servers: &servers, run, report };
            if self.asks_for(Figure::Cpu) {
                self.costs.iter().try_for_each(|shape| round.costs(*shape))?;
            }
            if self.asks_for(Figure::Capacity) || self.asks_for(Figure::Latency) {
                for shape in &self.capacities {
                    round.capacities(*shape)?;
                    if self.asks_for(Figure::Latency) {
                        round.latencies(*shape)?;
                    }
                }
            }
            if self.asks_for(Figure::Cycles) {
                round.cycles()?;
            }
            if self.asks_for(Figure::Memory) {
                round.memory()?;
            }
        }
        Ok(())
    }

    /// Where each server's time goes with each shape of traffic, in Markdown.
    pub fn profiles(&self, bench: &Bench) -> Result<String, MeasureError> {
        let mut text = String::new();
        for shape in &self.costs {
            for contender in self.servers.iter().filter(|server| server.carries(shape.direction)) {
                let (shares, cost) = bench.profile(*contender, *shape)?;
                text.push_str(&shares.markdown(&format!("{contender}, {shape}"), cost.process));
            }
        }
        Ok(text)
    }

    fn asks_for(&self, figure: Figure) -> bool {
        self.figures.contains(&figure)
    }
}

/// One of the runs.
struct Round<'a> {
    bench: &'a Bench,
    servers: &'a [Contender],
    run: u32,
    report: &'a mut Report,
}

impl<'a> Round<'a> {
    fn costs(&mut self, shape: Shape) -> Result<(), MeasureError> {
        for contender in self.carriers(shape) {
            for (pacing, cost) in self.bench.packet_costs(contender, shape)? {
                let caveat = (cost.loss > TOLERATED_LOSS).then_some(Caveat::Loss);
                let of = |quantity| Subject { quantity, shape: Some(shape), pacing: Some(pacing) };
                self.add(of(Quantity::ProcessTime), contender, cost.process, caveat);
                self.add(of(Quantity::CoreTime), contender, cost.core, caveat);
            }
        }
        Ok(())
    }

    fn capacities(&mut self, shape: Shape) -> Result<(), MeasureError> {
        for contender in self.carriers(shape) {
            let capacity = self.bench.capacity(contender, shape)?;
            let caveat = capacity.load_bound.then_some(Caveat::LoadBound);
            self.add(smooth(Quantity::Capacity, shape), contender, capacity.rate, caveat);
        }
        Ok(())
    }

    /// Latencies at half of coturn's capacity of this run, and at half of each one's own.
    fn latencies(&mut self, shape: Shape) -> Result<(), MeasureError> {
        let half = |report: &Report, contender, run| {
            let subject = smooth(Quantity::Capacity, shape);
            let mut samples = report.samples.iter();
            let sample = samples
                .find(|sample| (sample.subject, sample.contender, sample.run) == (subject, contender, run));
            sample.map(|sample| sample.value / 2.0)
        };
        let common = half(self.report, Contender::Coturn, self.run);
        for contender in self.carriers(shape) {
            let own = half(self.report, contender, self.run);
            let loads = [
                (common, Quantity::LatencyP50, Quantity::LatencyP99),
                (own, Quantity::OwnLatencyP50, Quantity::OwnLatencyP99),
            ];
            for (rate, p50, p99) in loads {
                let Some(rate) = rate else { continue };
                let latency = self.bench.latency(contender, shape, rate)?;
                self.add(smooth(p50, shape), contender, latency.p50, None);
                self.add(smooth(p99, shape), contender, latency.p99, None);
            }
        }
        Ok(())
    }

    fn cycles(&mut self) -> Result<(), MeasureError> {
        for contender in self.relays() {
            let pace = self.bench.cycles(contender)?;
            let caveat = pace.load_bound.then_some(Caveat::LoadBound);
            self.add(idle(Quantity::Cycles), contender, pace.rate, caveat);
        }
        Ok(())
    }

    fn memory(&mut self) -> Result<(), MeasureError> {
        for contender in self.relays() {
            let bytes = self.bench.memory(contender)?;
            self.add(idle(Quantity::Memory), contender, bytes, None);
        }
        Ok(())
    }

    /// Those that relay such traffic.
    fn carriers(&self, shape: Shape) -> impl Iterator<Item = Contender> + use<'a> {
        self.servers.iter().copied().filter(move |server| server.carries(shape.direction))
    }

    /// Those that serve anybody as a TURN server does.
    fn relays(&self) -> impl Iterator<Item = Contender> + use<'a> {
        let turn = |server: &Contender| server.speaks_turn() && server.carries(Direction::Both);
        self.servers.iter().copied().filter(turn)
    }

    fn add(&mut self, subject: Subject, contender: Contender, value: f64, caveat: Option<Caveat>) {
        // Progress for a person; nothing depends on it.
        let _ = writeln!(
            io::stderr(),
            "run {} {:?}{} {contender}: {value:.2} {}",
            self.run,
            subject.quantity,
            subject.traffic().map_or_else(String::new, |traffic| format!(", {traffic},")),
            caveat.map_or_else(String::new, |caveat| format!("({caveat:?})")),
        );
        self.report.samples.push(Sample { run: self.run, subject, contender, value, caveat });
    }
}

fn smooth(quantity: Quantity, shape: Shape) -> Subject {
    Subject { quantity, shape: Some(shape), pacing: Some(Pacing::Smooth) }
}

/// A figure without traffic.
fn idle(quantity: Quantity) -> Subject {
    Subject { quantity, shape: None, pacing: None }
}

/// The servers in the order of a run, the first of which is another one in the next.
fn in_turn(servers: &[Contender], run: u32) -> Vec<Contender> {
    let mut servers = servers.to_vec();
    let places = (run as usize - 1) % servers.len().max(1);
    servers.rotate_left(places);
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_begins_in_each_run() {
        let servers = [Contender::Edgerelay, Contender::Coturn, Contender::Plain];
        let first = |run| in_turn(&servers, run)[0];
        assert_eq!([1, 2, 3, 4].map(first), [servers[0], servers[1], servers[2], servers[0]]);
        assert_eq!(in_turn(&[], 1), []);
    }
}
