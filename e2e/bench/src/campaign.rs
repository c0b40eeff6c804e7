//! Which measurements are made in which order: servers take turns within each figure, so that what
//! else the machine does meets all of them alike.

use std::io::{self, Write as _};

use crate::{
    cli::{Cli, Figure},
    measure::{Bench, MeasureError, TOLERATED_LOSS},
    report::{Caveat, Quantity, Report, Sample},
    server::Contender,
    shape::{Direction, Shape},
};

/// What is measured.
pub struct Campaign {
    servers: Vec<Contender>,
    figures: Vec<Figure>,
    costs: Vec<Shape>,
    capacities: Vec<Shape>,
    runs: u32,
}

impl Campaign {
    /// What the command line asks for.
    pub fn new(cli: &Cli) -> Self {
        let (costs, capacities) = match (cli.shapes.as_slice(), cli.quick) {
            ([], true) => (
                Shape::combinations(&[Direction::Up, Direction::Down], &[160, 1200], &[100]),
                Shape::combinations(&[Direction::Both], &[160], &[100]),
            ),
            ([], false) => (
                Shape::combinations(&Direction::ALL, &[160, 1200], &[1, 100, 1000]),
                [
                    Shape::combinations(&Direction::ALL, &[160], &[100]),
                    Shape::combinations(&[Direction::Both], &[1200], &[100]),
                ]
                .concat(),
            ),
            (shapes, _) => (shapes.to_vec(), shapes.to_vec()),
        };
        let servers = Contender::ALL.into_iter().filter(|server| cli.servers.contains(server)).collect();
        let runs = if cli.quick { 1 } else { cli.runs };
        Self { servers, figures: cli.figures.clone(), costs, capacities, runs }
    }

    /// Makes all measurements and adds their figures to `report`.
    pub fn run(&self, bench: &Bench, report: &mut Report) -> Result<(), MeasureError> {
        for run in 1..=self.runs {
            let mut round = Round { bench, servers: &self.servers, run, report };
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
            for contender in &self.servers {
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
        for &contender in self.servers {
            let cost = self.bench.packet_cost(contender, shape)?;
            let caveat = (cost.loss > TOLERATED_LOSS).then_some(Caveat::Loss);
            self.add(Quantity::ProcessTime, contender, Some(shape), cost.process, caveat);
            self.add(Quantity::CoreTime, contender, Some(shape), cost.core, caveat);
        }
        Ok(())
    }

    fn capacities(&mut self, shape: Shape) -> Result<(), MeasureError> {
        for &contender in self.servers {
            let capacity = self.bench.capacity(contender, shape)?;
            let caveat = capacity.load_bound.then_some(Caveat::LoadBound);
            self.add(Quantity::Capacity, contender, Some(shape), capacity.rate, caveat);
        }
        Ok(())
    }

    /// Latencies at half of coturn's capacity of this run, and at half of each one's own.
    fn latencies(&mut self, shape: Shape) -> Result<(), MeasureError> {
        let capacity = |report: &Report, contender, run| {
            report
                .samples
                .iter()
                .find(|sample| {
                    (sample.quantity, sample.contender, sample.shape, sample.run)
                        == (Quantity::Capacity, contender, Some(shape), run)
                })
                .map(|sample| sample.value / 2.0)
        };
        let common = capacity(self.report, Contender::Coturn, self.run);
        for &contender in self.servers {
            let own = capacity(self.report, contender, self.run);
            let loads = [
                (common, Quantity::LatencyP50, Quantity::LatencyP99),
                (own, Quantity::OwnLatencyP50, Quantity::OwnLatencyP99),
            ];
            for (rate, p50, p99) in loads {
                let Some(rate) = rate else { continue };
                let latency = self.bench.latency(contender, shape, rate)?;
                self.add(p50, contender, Some(shape), latency.p50, None);
                self.add(p99, contender, Some(shape), latency.p99, None);
            }
        }
        Ok(())
    }

    fn cycles(&mut self) -> Result<(), MeasureError> {
        for contender in self.relays() {
            let pace = self.bench.cycles(contender)?;
            let caveat = pace.load_bound.then_some(Caveat::LoadBound);
            self.add(Quantity::Cycles, contender, None, pace.rate, caveat);
        }
        Ok(())
    }

    fn memory(&mut self) -> Result<(), MeasureError> {
        for contender in self.relays() {
            let bytes = self.bench.memory(contender)?;
            self.add(Quantity::Memory, contender, None, bytes, None);
        }
        Ok(())
    }

    /// Those that speak TURN.
    fn relays(&self) -> impl Iterator<Item = Contender> + use<'a> {
        self.servers.iter().copied().filter(|server| server.speaks_turn())
    }

    fn add(
        &mut self,
        quantity: Quantity,
        contender: Contender,
        shape: Option<Shape>,
        value: f64,
        caveat: Option<Caveat>,
    ) {
        let sample = Sample { run: self.run, quantity, contender, shape, value, caveat };
        let traffic = shape.map(|shape| shape.to_string()).unwrap_or_default();
        // Progress for a person; nothing depends on it.
        let _ = writeln!(
            io::stderr(),
            "run {} {quantity:?} {traffic} {contender}: {value:.2} {caveat:?}",
            self.run
        );
        self.report.samples.push(sample);
    }
}
