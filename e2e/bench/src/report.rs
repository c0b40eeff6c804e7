//! The figures of all runs, and the tables made of them.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{
    server::Contender,
    shape::{Direction, Pacing, Shape},
    statistics::{median, range},
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
}

impl Quantity {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::ProcessTime,
        Self::CoreTime,
        Self::Capacity,
        Self::LatencyP50,
        Self::LatencyP99,
        Self::OwnLatencyP50,
        Self::OwnLatencyP99,
        Self::Cycles,
        Self::Memory,
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
        }
    }

    /// Whether README tells it.
    fn is_for_readme(self) -> bool {
        !matches!(self, Self::CoreTime | Self::OwnLatencyP50 | Self::OwnLatencyP99)
    }

    fn format(self, value: f64) -> String {
        match self {
            Self::ProcessTime | Self::CoreTime => format!("{value:.2}"),
            Self::Capacity | Self::Cycles | Self::Memory => with_thousands(value),
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

/// One figure of one run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// The run, from 1 on.
    pub run: u32,
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// Of which server.
    pub contender: Contender,
    /// The figure.
    pub value: f64,
    /// Why the figure is not quite what it should be.
    pub caveat: Option<Caveat>,
}

/// What makes a figure doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caveat {
    /// The load could not do more; the server could.
    LoadBound,
    /// Packets were lost where none should be.
    Loss,
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
    /// The figures.
    pub samples: Vec<Sample>,
}

/// How much of the figures a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every quantity, medians with their ranges.
    All,
    /// What README tells: medians.
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
        header.extend(contenders.iter().map(Contender::to_string));
        header.extend(rivals.iter().map(|rival| format!("to {rival}")));
        let mut text = format!("\n**{}**\n\n", quantity.title());
        write_row(&mut text, &header);
        let mut rule = vec!["---".to_owned()];
        rule.resize(header.len(), "---:".to_owned());
        write_row(&mut text, &rule);
        for row in rows {
            let mut cells = vec![row.traffic().unwrap_or_else(|| NONE.to_owned())];
            cells.extend(contenders.iter().map(|contender| self.cell(row, *contender, detail)));
            cells.extend(rivals.iter().map(|rival| self.ratio(row, *rival)));
            write_row(&mut text, &cells);
        }
        Some(text)
    }

    /// The median with, where there are several runs, the range; marked where it is doubtful.
    fn cell(&self, row: Subject, contender: Contender, detail: Detail) -> String {
        let values = self.values(row, contender);
        let (Some(middle), Some((least, greatest))) = (median(&values), range(&values)) else {
            return NONE.to_owned();
        };
        let has = |caveat| self.select(row, contender).any(|sample| sample.caveat == Some(caveat));
        let at_least = if has(Caveat::LoadBound) { "≥ " } else { "" };
        let lossy = if has(Caveat::Loss) { " (loss)" } else { "" };
        let format = |value| row.quantity.format(value);
        let spread = if values.len() == 1 || detail == Detail::Medians {
            String::new()
        } else {
            format!(" ({}–{})", format(least), format(greatest))
        };
        format!("{at_least}{}{spread}{lossy}", format(middle))
    }

    /// EdgeRelay's median over a rival's.
    fn ratio(&self, row: Subject, rival: Contender) -> String {
        let of = |contender| median(&self.values(row, contender));
        match (of(Contender::Edgerelay), of(rival)) {
            (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.2}", ours / theirs),
            _ => NONE.to_owned(),
        }
    }

    /// The figures that `contender` reached, one for each run.
    fn values(&self, row: Subject, contender: Contender) -> Vec<f64> {
        self.select(row, contender).map(|sample| sample.value).collect()
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

    fn report(samples: &[(u32, Contender, f64)]) -> Report {
        let subject = Subject {
            quantity: Quantity::ProcessTime,
            shape: Some("up-1200-1000".parse().unwrap()),
            pacing: Some(Pacing::Smooth),
        };
        let sample = |&(run, contender, value)| Sample { run, subject, contender, value, caveat: None };
        Report { samples: samples.iter().map(sample).collect(), ..Report::default() }
    }

    fn last_line(report: &Report, detail: Detail) -> String {
        report.markdown(detail).lines().last().unwrap().to_owned()
    }

    #[test]
    fn ratios_are_of_medians() {
        let report = report(&[
            (1, Contender::Edgerelay, 2.0),
            (2, Contender::Edgerelay, 9.0),
            (3, Contender::Edgerelay, 3.0),
            (1, Contender::Coturn, 4.0),
            (1, Contender::Floor, 2.5),
        ]);
        let traffic = "1,200 B, client → peer, 1,000 allocations, smooth";
        assert_eq!(
            last_line(&report, Detail::All),
            format!("| {traffic} | 3.00 (2.00–9.00) | 4.00 | 2.50 | 0.75 | 1.20 |")
        );
        assert_eq!(
            last_line(&report, Detail::Medians),
            format!("| {traffic} | 3.00 | 4.00 | 2.50 | 0.75 | 1.20 |")
        );
    }

    #[test]
    fn without_ours_there_are_no_ratios() {
        let report = report(&[(1, Contender::Coturn, 4.0), (1, Contender::Floor, 2.5)]);
        assert!(last_line(&report, Detail::All).ends_with("smooth | 4.00 | 2.50 |"));
    }

    #[test]
    fn a_doubtful_figure_is_marked() {
        let mut report = report(&[(1, Contender::Floor, 2.5)]);
        report.samples[0].caveat = Some(Caveat::LoadBound);
        assert!(last_line(&report, Detail::All).ends_with("| ≥ 2.50 |"));
        report.samples[0].caveat = Some(Caveat::Loss);
        assert!(last_line(&report, Detail::Medians).ends_with("| 2.50 (loss) |"));
    }

    #[test]
    fn a_file_keeps_every_figure() {
        let report = report(&[(1, Contender::TurnRs, 2.5), (2, Contender::Edgerelay, 1.0 / 3.0)]);
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
