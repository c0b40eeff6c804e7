//! Which measurements are made in which order.
//!
//! All servers that relay some traffic run side by side, each in a network of its own, and take turns
//! with the load in short windows; another one begins each time. So what else the machine does meets all
//! of them alike, and the figures that are compared are seconds apart. Each run
//! starts new servers for each kind of traffic.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    time::Duration,
};

use crate::{
    cli::{Cli, Figure},
    load::Outcome,
    measure::{COST_WINDOW, Latency, Load, MeasureError, Pace, PacketCost, Service},
    rate,
    report::{Quantity, Report, Sample, Subject},
    server::Contender,
    shape::{Direction, Pacing, Shape},
    site::{Memory, Site},
};

/// Windows of each server, traffic and pacing in a run.
pub const ROUNDS: u32 = 4;
/// Allocations of the shapes that capacity and latency are taken with, and the pairs of relay-only calls.
const USUAL: u32 = 100;
/// The rate that profiles are taken at.
const PROFILE_RATE: f64 = 50_000.0;

/// What is measured.
pub struct Campaign {
    figures: Vec<Figure>,
    costs: Vec<Shape>,
    capacities: Vec<Shape>,
    /// How often servers are started anew and all figures are taken.
    pub runs: u32,
}

impl Campaign {
    /// What the command line asks for.
    pub fn new(cli: &Cli) -> Self {
        let up_and_down = [Direction::Up, Direction::Down];
        let (mut costs, capacities) = match (cli.shapes.as_slice(), cli.quick) {
            ([], true) => (
                Shape::combinations(&up_and_down, &[160], &[USUAL]),
                Shape::combinations(&[Direction::Both], &[160], &[USUAL]),
            ),
            ([], false) => (
                [
                    Shape::combinations(&Direction::WITH_PEER, &[160, 1200], &[1, USUAL, 1_000]),
                    Shape::combinations(&up_and_down, &[160], &[10_000]),
                ]
                .concat(),
                [
                    Shape::combinations(&up_and_down, &[160], &[USUAL]),
                    Shape::combinations(&[Direction::Both], &[1200], &[USUAL]),
                ]
                .concat(),
            ),
            (shapes, _) => (shapes.to_vec(), shapes.to_vec()),
        };
        if cli.shapes.is_empty() {
            costs.extend(Shape::combinations(&[Direction::Pair], &[160], &[USUAL]));
        }
        let runs = if cli.quick { 1 } else { cli.runs };
        Self { figures: cli.figures.clone(), costs, capacities, runs }
    }

    /// Makes all measurements and adds their figures to `report`, and what could not be measured.
    pub fn run(&self, sites: &[Site], report: &mut Report) {
        let mut known = Known::default();
        for run in 1..=self.runs {
            let mut sites: Vec<&Site> = sites.iter().collect();
            let begins = (run as usize - 1) % sites.len().max(1);
            sites.rotate_left(begins);
            let mut run = Run { sites, number: run, known: &mut known, report };
            if self.asks_for(Figure::Cpu) {
                self.costs.iter().for_each(|shape| run.costs(*shape));
            }
            if self.asks_for(Figure::Capacity) || self.asks_for(Figure::Latency) {
                self.capacities
                    .iter()
                    .for_each(|shape| run.capacities(*shape, self.asks_for(Figure::Latency)));
            }
            if self.asks_for(Figure::Cycles) {
                run.cycles();
            }
            if self.asks_for(Figure::Memory) {
                run.memory();
            }
        }
    }

    /// Where each server's time goes with each shape of traffic, in Markdown.
    pub fn profiles(&self, sites: &[Site]) -> Result<String, MeasureError> {
        let mut text = String::new();
        for shape in &self.costs {
            for site in sites.iter().filter(|site| site.contender.carries(shape.direction)) {
                let (shares, cost) = site.profile(*shape, PROFILE_RATE)?;
                text.push_str(&shares.markdown(&format!("{}, {shape}", site.contender), cost));
            }
        }
        Ok(text)
    }

    fn asks_for(&self, figure: Figure) -> bool {
        self.figures.contains(&figure)
    }
}

/// The receive buffers that each server's sockets have, as a part of a sentence. Why they are unknown is
/// told when the server is measured.
pub fn receive_buffers(sites: &[Site]) -> String {
    let of = |site: &Site| match site.receive_buffers() {
        Ok(Some((least, largest))) if least == largest => least.to_string(),
        Ok(Some((least, largest))) => format!("{least} to {largest}"),
        Ok(None) | Err(_) => "unknown".to_owned(),
    };
    let parts: Vec<String> = sites.iter().map(|site| format!("{} {}", site.contender, of(site))).collect();
    parts.join(", ")
}

/// What the first run finds and the others go on with.
#[derive(Default)]
struct Known {
    rates: BTreeMap<Shape, f64>,
    capacities: BTreeMap<(Shape, Contender), f64>,
}

/// One of the runs.
struct Run<'a> {
    sites: Vec<&'a Site>,
    number: u32,
    known: &'a mut Known,
    report: &'a mut Report,
}

impl<'a> Run<'a> {
    fn costs(&mut self, shape: Shape) {
        let mut services = self.serve(shape);
        let rate = self.rate(&mut services, shape);
        for pacing in Pacing::ALL {
            let load = Load { shape, rate, pacing };
            let mut costs: BTreeMap<Contender, Vec<PacketCost>> = BTreeMap::new();
            for _ in 0..ROUNDS {
                let begins = 1.min(services.len());
                services.rotate_left(begins);
                for (contender, cost) in
                    self.each(&mut services, |service| service.packet_cost(&load, COST_WINDOW))
                {
                    costs.entry(contender).or_default().push(cost);
                }
            }
            // Who failed meanwhile is told so and has no figure.
            costs.retain(|_, costs| costs.len() == ROUNDS as usize);
            costs.into_iter().for_each(|(contender, costs)| self.add_costs(contender, &load, &costs));
        }
    }

    fn add_costs(&mut self, contender: Contender, load: &Load, costs: &[PacketCost]) {
        let count = |outcome: Outcome, cost: &PacketCost| Outcome {
            planned: outcome.planned + cost.outcome.planned,
            sent: outcome.sent + cost.outcome.sent,
            received: outcome.received + cost.outcome.received,
            ..outcome
        };
        let total = costs.iter().fold(Outcome::of(0), count);
        let core: Duration = costs.iter().map(|cost| cost.spent.core).sum();
        let sample = |quantity, values| Sample {
            rate: Some(load.rate),
            loss: total.loss(),
            load_bound: total.is_short_of_load(),
            ..self.sample(contender, quantity, Some((load.shape, load.pacing)), values)
        };
        let each = costs.iter().map(PacketCost::process_microseconds).collect();
        let process = sample(Quantity::ProcessTime, each);
        // The kernel counts a core's idle time in hundredths of a second: too coarse for one window.
        let core = sample(Quantity::CoreTime, vec![core.as_secs_f64() * 1e6 / total.received as f64]);
        self.add(process);
        self.add(core);
    }

    /// The rate that all servers keep up with, found in the first run.
    fn rate(&mut self, services: &mut Vec<Service<'a>>, shape: Shape) -> f64 {
        if let Some(rate) = self.known.rates.get(&shape) {
            return *rate;
        }
        let rate = loop {
            let keeps_up = |place: usize, rate| {
                let Some(service) = services.get(place) else { return Ok(true) };
                for pacing in Pacing::ALL {
                    let load = Load { shape, rate, pacing };
                    if !service.keeps_up_with(&load).map_err(|error| (place, error))? {
                        return Ok(false);
                    }
                }
                Ok(true)
            };
            match rate::comfortable(services.len(), keeps_up) {
                Ok(rate) => break rate,
                Err((place, error)) => {
                    let service = services.remove(place);
                    self.fail(service.site.contender, &error);
                }
            }
        };
        progress(&format!("{shape}: {rate} packets a second"));
        self.known.rates.insert(shape, rate);
        rate
    }

    /// Loss-free rates, and latencies at half of coturn's of this run and at half of each one's own.
    fn capacities(&mut self, shape: Shape, with_latency: bool) {
        let mut services = self.serve(shape);
        let known = self.known.capacities.clone();
        let paces = self.each(&mut services, |service| {
            service.capacity(shape, known.get(&(shape, service.site.contender)).copied())
        });
        drop(services);
        for (contender, Pace { rate, load_bound }) in paces {
            self.known.capacities.insert((shape, contender), rate);
            let sample = self.sample(contender, Quantity::Capacity, smooth(shape), vec![rate]);
            self.add(Sample { load_bound, ..sample });
        }
        if !with_latency {
            return;
        }
        let mut services = self.serve(shape);
        let known = self.known.capacities.clone();
        let half = |contender| known.get(&(shape, contender)).map(|rate| rate / 2.0);
        let common = [Quantity::LatencyP50, Quantity::LatencyP99];
        let own = [Quantity::OwnLatencyP50, Quantity::OwnLatencyP99];
        self.latencies(&mut services, shape, common, |_| half(Contender::Coturn));
        self.latencies(&mut services, shape, own, half);
    }

    fn latencies(
        &mut self,
        services: &mut Vec<Service<'a>>,
        shape: Shape,
        [p50, p99]: [Quantity; 2],
        rate: impl Fn(Contender) -> Option<f64>,
    ) {
        let latencies = self.each(services, |service| {
            let Some(rate) = rate(service.site.contender) else { return Ok(None) };
            let load = Load { shape, rate, pacing: Pacing::Smooth };
            Ok(Some((rate, service.latency(&load)?)))
        });
        for (contender, latency) in latencies {
            let Some((rate, Latency { p50: half, p99: most, loss })) = latency else { continue };
            for (quantity, value) in [(p50, half), (p99, most)] {
                let sample = self.sample(contender, quantity, smooth(shape), vec![value]);
                self.add(Sample { rate: Some(rate), loss, ..sample });
            }
        }
    }

    fn cycles(&mut self) {
        for site in self.relays() {
            match site.cycles() {
                Ok(Pace { rate, load_bound }) => {
                    let sample = self.sample(site.contender, Quantity::Cycles, None, vec![rate]);
                    self.add(Sample { load_bound, ..sample });
                }
                Err(error) => self.fail(site.contender, &error),
            }
        }
    }

    fn memory(&mut self) {
        for site in self.relays() {
            match site.memory() {
                Ok(Memory { each, keepers }) => {
                    self.add(self.sample(site.contender, Quantity::Memory, None, vec![each]));
                    let keepers = keepers.map(|bytes| vec![bytes as f64]);
                    let sample = |values| self.sample(site.contender, Quantity::KeepersMemory, None, values);
                    keepers.map(sample).into_iter().for_each(|sample| self.add(sample));
                }
                Err(error) => self.fail(site.contender, &error),
            }
        }
    }

    /// Starts all servers that relay such traffic. Anew for each figure, since permissions last 300 s (RFC 8656
    /// section 9) and a rate may take long to find.
    fn serve(&mut self, shape: Shape) -> Vec<Service<'a>> {
        let carriers: Vec<_> =
            self.sites.iter().copied().filter(|site| site.contender.carries(shape.direction)).collect();
        let mut services = Vec::with_capacity(carriers.len());
        for site in carriers {
            match site.serve(shape) {
                Ok(service) => services.push(service),
                Err(error) => self.fail(site.contender, &error),
            }
        }
        services
    }

    /// Those that serve anybody as a TURN server does.
    fn relays(&self) -> Vec<&'a Site> {
        let turn = |site: &&Site| site.contender.speaks_turn() && site.contender.carries(Direction::Both);
        self.sites.iter().copied().filter(turn).collect()
    }

    /// Measures all services, one after the other; who fails takes part no more.
    fn each<T>(
        &mut self,
        services: &mut Vec<Service<'a>>,
        measure: impl Fn(&Service<'a>) -> Result<T, MeasureError>,
    ) -> Vec<(Contender, T)> {
        let mut taken = Vec::with_capacity(services.len());
        services.retain(|service| {
            let contender = service.site.contender;
            let figure = measure(service).map_err(|error| self.fail(contender, &error));
            let goes_on = figure.is_ok();
            taken.extend(figure.map(|figure| (contender, figure)));
            goes_on
        });
        taken
    }

    /// Figures without loss or rate.
    fn sample(
        &self,
        contender: Contender,
        quantity: Quantity,
        traffic: Option<(Shape, Pacing)>,
        values: Vec<f64>,
    ) -> Sample {
        let (shape, pacing) = traffic.unzip();
        let subject = Subject { quantity, shape, pacing };
        Sample { run: self.number, subject, contender, values, rate: None, loss: 0.0, load_bound: false }
    }

    fn add(&mut self, sample: Sample) {
        progress(&sample.to_string());
        self.report.samples.push(sample);
    }

    /// Keeps what went wrong: a figure that is missing is told.
    fn fail(&mut self, contender: Contender, error: &MeasureError) {
        let failure = format!("run {}, {contender}: {error}", self.number);
        progress(&failure);
        self.report.failures.push(failure);
    }
}

/// Tells a person how far it is; nothing depends on it.
fn progress(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn smooth(shape: Shape) -> Option<(Shape, Pacing)> {
    Some((shape, Pacing::Smooth))
}
