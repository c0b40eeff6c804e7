//! The figures of all runs, and the tables made of them.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::{
    measure::TOLERATED_LOSS,
    server::Contender,
    shape::{Direction, Pacing, Shape},
    statistics::Quartiles,
};

/// What a figure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Microseconds of the server process for each packet.
    ProcessTime,
    /// Microseconds for which the server's core was not idle, for each packet.
    CoreTime,
    /// Packets in each second.
    Capacity,
    /// Median time from end to end at half of coturn's capacity, in microseconds.
    LatencyP50,
    /// The same, of all but one in a hundred.
    LatencyP99,
    /// Median time from end to end at half of the server's own capacity, in microseconds.
    OwnLatencyP50,
    /// The same, of all but one in a hundred.
    OwnLatencyP99,
    /// Allocate-to-Refresh(0) cycles in each second.
    Cycles,
    /// Bytes of resident memory for each idle allocation.
    Memory,
    /// Bytes of resident memory that a keeper has for itself.
    KeepersMemory,
}

impl Quantity {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 10] = [
        Self::ProcessTime,
        Self::CoreTime,
        Self::Capacity,
        Self::LatencyP50,
        Self::LatencyP99,
        Self::OwnLatencyP50,
        Self::OwnLatencyP99,
        Self::Cycles,
        Self::Memory,
        Self::KeepersMemory,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::ProcessTime => {
                "CPU µs for each packet from end to end, server process with the softirqs that ran in its \
                 place (the headline; less is better)"
            }
            Self::CoreTime => {
                "CPU µs for each packet from end to end, all that the server's core did (less is better)"
            }
            Self::Capacity => "Loss-free packets per second, at most 0.1 % lost (more is better)",
            Self::LatencyP50 => "Latency p50 in µs at half of coturn's loss-free rate (less is better)",
            Self::LatencyP99 => "Latency p99 in µs at half of coturn's loss-free rate (less is better)",
            Self::OwnLatencyP50 => "Latency p50 in µs at half of each one's own loss-free rate",
            Self::OwnLatencyP99 => "Latency p99 in µs at half of each one's own loss-free rate",
            Self::Cycles => "Allocate-to-Refresh(0) cycles per second (more is better)",
            Self::Memory => "Resident bytes for each idle allocation (less is better)",
            Self::KeepersMemory => "Resident bytes of the keeper beside the relay's",
        }
    }

    /// Whether it is taken at one rate for all servers.
    fn has_common_rate(self) -> bool {
        matches!(self, Self::ProcessTime | Self::CoreTime)
    }

    /// Whether README tells it.
    fn is_for_readme(self) -> bool {
        !matches!(self, Self::CoreTime | Self::OwnLatencyP50 | Self::OwnLatencyP99)
    }

    fn format(self, value: f64) -> String {
        match self {
            Self::ProcessTime | Self::CoreTime => format!("{value:.2}"),
            Self::Capacity | Self::Cycles | Self::Memory | Self::KeepersMemory => with_thousands(value),
            _ => format!("{value:.0}"),
        }
    }
}

/// What a figure is about: a row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What it says.
    pub quantity: Quantity,
    /// With which traffic, if with any.
    pub shape: Option<Shape>,
    /// How that was paced.
    pub pacing: Option<Pacing>,
}

impl Subject {
    /// The traffic, for a person.
    pub fn traffic(&self) -> Option<String> {
        let Shape { direction, payload, allocations } = self.shape?;
        let what = if direction == Direction::Pair { "pair" } else { "allocation" };
        let plural = if allocations == 1 { "" } else { "s" };
        let pacing = self.pacing.map_or_else(String::new, |pacing| format!(", {pacing}"));
        Some(format!(
            "{} B, {}, {} {what}{plural}{pacing}",
            with_thousands(payload as f64),
            direction.title(),
            with_thousands(f64::from(allocations)),
        ))
    }
}

/// The figures of one server in one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// The run, from 1 on.
    pub run: u32,
    /// What they are about.
    #[serde(flatten)]
    pub subject: Subject,
    /// Of which server.
    pub contender: Contender,
    /// Packets sent in each second, where that was chosen.
    pub rate: Option<f64>,
    /// The figures, one for each time that it was the server's turn.
    pub values: Vec<f64>,
    /// The share of the packets that were lost meanwhile.
    pub loss: f64,
    /// The load could not send more, or not all that it was to.
    pub load_bound: bool,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, subject, contender, rate, values, loss, load_bound } = self;
        write!(f, "run {run}, {:?}", subject.quantity)?;
        if let Some(traffic) = subject.traffic() {
            write!(f, ", {traffic}")?;
        }
        if let Some(rate) = rate {
            write!(f, ", {rate:.0}/s")?;
        }
        write!(f, ", {contender}:")?;
        values.iter().try_for_each(|value| write!(f, " {value:.2}"))?;
        if *loss > 0.0 {
            write!(f, ", {:.3} % lost", loss * 100.0)?;
        }
        f.write_str(if *load_bound { ", the load was the limit" } else { "" })
    }
}

/// All figures, and what they were taken under.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The machine and the versions.
    pub machine: String,
    /// The command that made them.
    pub command: String,
    /// When it began, and how long it took.
    pub time: String,
    /// How the figures were taken, a sentence each.
    pub conditions: Vec<String>,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
    /// The figures.
    pub samples: Vec<Sample>,
}

/// How much of the figures a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every quantity, medians with their quartiles.
    All,
    /// What README tells: medians, and the quartiles of ratios.
    Medians,
}

impl Report {
    /// The report in Markdown.
    pub fn markdown(&self, detail: Detail) -> String {
        let mut text = format!("{}. {}\n\n`{}`\n", self.machine, self.time, self.command);
        if !self.conditions.is_empty() {
            text.push('\n');
        }
        for condition in &self.conditions {
            text.push_str(&format!("- {condition}\n"));
        }
        for failure in &self.failures {
            text.push_str(&format!("- **Not measured**: {failure}\n"));
        }
        for quantity in Quantity::ALL {
            if detail == Detail::All || quantity.is_for_readme() {
                text.push_str(&self.table(quantity, detail).unwrap_or_default());
            }
        }
        text
    }

    /// The table of one quantity; `None` if there is no figure.
    fn table(&self, quantity: Quantity, detail: Detail) -> Option<String> {
        let samples = || self.samples.iter().filter(|sample| sample.subject.quantity == quantity);
        let mut rows: Vec<Subject> = samples().map(|sample| sample.subject).collect();
        rows.sort_by_key(|row| {
            (row.shape.map(|shape| (shape.payload, shape.direction, shape.allocations)), row.pacing)
        });
        rows.dedup();
        rows.first()?;
        let contenders: Vec<_> = Contender::ALL
            .into_iter()
            .filter(|contender| samples().any(|sample| sample.contender == *contender))
            .collect();
        let rivals: Vec<_> = match contenders.split_first() {
            Some((Contender::Edgerelay, rivals)) => rivals.to_vec(),
            _ => Vec::new(),
        };

        let mut header = vec!["traffic".to_owned()];
        header.extend(quantity.has_common_rate().then(|| "packets/s".to_owned()));
        header.extend(contenders.iter().map(Contender::to_string));
        header.extend(rivals.iter().map(|rival| format!("to {rival}")));
        let mut text = format!("\n**{}**\n\n", quantity.title());
        write_row(&mut text, &header);
        let mut rule = vec!["---".to_owned()];
        rule.resize(header.len(), "---:".to_owned());
        write_row(&mut text, &rule);
        for row in rows {
            let mut cells = vec![row.traffic().unwrap_or_else(|| NONE.to_owned())];
            cells.extend(quantity.has_common_rate().then(|| self.rate(row)));
            cells.extend(contenders.iter().map(|contender| self.cell(row, *contender, detail)));
            cells.extend(rivals.iter().map(|rival| self.ratio(row, *rival)));
            write_row(&mut text, &cells);
        }
        Some(text)
    }

    /// The rate of a row; marked where a server lost packets at it.
    fn rate(&self, row: Subject) -> String {
        let mut samples = self.samples.iter().filter(|sample| sample.subject == row);
        let rate =
            samples.next().and_then(|sample| sample.rate).map_or_else(|| NONE.to_owned(), with_thousands);
        let lossy = Contender::ALL.into_iter().any(|contender| self.loss(row, contender) > TOLERATED_LOSS);
        if lossy { format!("{rate} (**loss**)") } else { rate }
    }

    /// The median; marked where it is doubtful.
    fn cell(&self, row: Subject, contender: Contender, detail: Detail) -> String {
        let values = self.select(row, contender).flat_map(|sample| &sample.values).copied().collect();
        let Some(figure) = Quartiles::of(values) else { return NONE.to_owned() };
        let format = |value| row.quantity.format(value);
        let mut cell = format(figure.median);
        if detail == Detail::All && figure.lower < figure.upper {
            cell.push_str(&format!(" ({}–{})", format(figure.lower), format(figure.upper)));
        }
        let loss = self.loss(row, contender);
        if loss > TOLERATED_LOSS {
            cell.push_str(&format!(" ({:.1} % lost)", loss * 100.0));
        }
        let load_bound = self.select(row, contender).any(|sample| sample.load_bound);
        match (load_bound, row.quantity.has_common_rate()) {
            (true, true) => cell.push_str(" (at less than this rate)"),
            (true, false) => cell.insert_str(0, "≥ "),
            (false, _) => {}
        }
        cell
    }

    /// EdgeRelay's figures over a rival's, each taken just before or after the other: the median and
    /// the quartiles.
    fn ratio(&self, row: Subject, rival: Contender) -> String {
        let ratios = self.select(row, Contender::Edgerelay).flat_map(|ours| {
            let theirs = self.select(row, rival).filter(|theirs| theirs.run == ours.run);
            theirs
                .flat_map(|theirs| ours.values.iter().zip(&theirs.values))
                .map(|(ours, theirs)| ours / theirs)
        });
        match Quartiles::of(ratios.filter(|ratio| ratio.is_finite()).collect()) {
            Some(Quartiles { lower, median, upper }) => format!("{median:.2} ({lower:.2}–{upper:.2})"),
            None => NONE.to_owned(),
        }
    }

    /// The share of packets that a server lost, in the mean of its runs.
    fn loss(&self, row: Subject, contender: Contender) -> f64 {
        let losses: Vec<f64> = self.select(row, contender).map(|sample| sample.loss).collect();
        losses.iter().sum::<f64>() / losses.len().max(1) as f64
    }

    fn select(&self, row: Subject, contender: Contender) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| (sample.subject, sample.contender) == (row, contender))
    }
}

/// What a cell says where nothing was measured.
const NONE: &str = "–";

/// A number without decimals, with a comma before each three digits.
fn with_thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn write_row(text: &mut String, cells: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(samples: &[(u32, Contender, &[f64])]) -> Report {
        let subject = Subject {
            quantity: Quantity::ProcessTime,
            shape: Some("up-1200-1000".parse().unwrap()),
            pacing: Some(Pacing::Smooth),
        };
        let sample = |&(run, contender, values): &(u32, Contender, &[f64])| Sample {
            run,
            subject,
            contender,
            rate: Some(50_000.0),
            values: values.to_vec(),
            loss: 0.0,
            load_bound: false,
        };
        Report { samples: samples.iter().map(sample).collect(), ..Report::default() }
    }

    fn last_line(report: &Report, detail: Detail) -> String {
        report.markdown(detail).lines().last().unwrap().to_owned()
    }

    const TRAFFIC: &str = "1,200 B, client → peer, 1,000 allocations, smooth | 50,000";

    #[test]
    fn ratios_are_of_figures_that_were_taken_beside_each_other() {
        let report = report(&[
            (1, Contender::Edgerelay, &[2.0, 3.0]),
            (1, Contender::Coturn, &[4.0, 4.0]),
            (2, Contender::Coturn, &[9.0, 10.0]),
            (2, Contender::Edgerelay, &[9.0, 5.0]),
            (1, Contender::Floor, &[2.5, 2.5]),
        ]);
        assert_eq!(
            last_line(&report, Detail::All),
            format!(
                "| {TRAFFIC} | 4.00 (2.75–6.00) | 6.50 (4.00–9.25) | 2.50 \
                 | 0.62 (0.50–0.81) | 1.00 (0.90–1.10) |"
            )
        );
        assert_eq!(
            last_line(&report, Detail::Medians),
            format!("| {TRAFFIC} | 4.00 | 6.50 | 2.50 | 0.62 (0.50–0.81) | 1.00 (0.90–1.10) |")
        );
    }

    #[test]
    fn without_ours_there_are_no_ratios() {
        let report = report(&[(1, Contender::Coturn, &[4.0]), (1, Contender::Floor, &[2.5])]);
        assert_eq!(last_line(&report, Detail::Medians), format!("| {TRAFFIC} | 4.00 | 2.50 |"));
    }

    #[test]
    fn loss_is_told_of_the_server_and_of_the_row() {
        let mut report = report(&[(1, Contender::Coturn, &[4.0]), (1, Contender::Floor, &[2.5])]);
        report.samples[1].loss = 0.015;
        assert_eq!(
            last_line(&report, Detail::Medians),
            format!("| {TRAFFIC} (**loss**) | 4.00 | 2.50 (1.5 % lost) |")
        );
    }

    #[test]
    fn a_limit_of_the_load_is_told() {
        let mut report = report(&[(1, Contender::Floor, &[2.5])]);
        report.samples[0].load_bound = true;
        assert!(last_line(&report, Detail::Medians).ends_with("| 2.50 (at less than this rate) |"));
        report.samples[0].subject.quantity = Quantity::Capacity;
        assert!(last_line(&report, Detail::Medians).ends_with("| ≥ 2 |"));
    }

    #[test]
    fn what_could_not_be_measured_is_told() {
        let report = Report { failures: vec!["coturn does not answer".to_owned()], ..Report::default() };
        assert!(report.markdown(Detail::Medians).contains("**Not measured**: coturn does not answer"));
    }

    #[test]
    fn a_file_keeps_every_figure() {
        let report = report(&[(1, Contender::TurnRs, &[2.5]), (2, Contender::Edgerelay, &[1.0 / 3.0])]);
        let read: Report = serde_json::from_slice(&serde_json::to_vec(&report).unwrap()).unwrap();
        assert_eq!(read.markdown(Detail::All), report.markdown(Detail::All));
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(with_thousands(0.4), "0");
        assert_eq!(with_thousands(999.0), "999");
        assert_eq!(with_thousands(1000.0), "1,000");
        assert_eq!(with_thousands(1234567.8), "1,234,568");
    }
}
