//! The figures of all runs, and the tables made of them.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    server::Contender,
    shape::Shape,
    statistics::{median, range},
};

/// What a figure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
                "CPU µs for each relayed packet, server process with the softirqs that ran in its place \
                 (the headline; less is better)"
            }
            Self::CoreTime => {
                "CPU µs for each relayed packet, all that the server's core did (less is better)"
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

    fn format(self, value: f64) -> String {
        match self {
            Self::ProcessTime | Self::CoreTime => format!("{value:.2}"),
            Self::Capacity | Self::Cycles | Self::Memory => with_thousands(value),
            _ => format!("{value:.0}"),
        }
    }
}

/// One figure of one run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// The run, from 1 on.
    pub run: u32,
    /// What it says.
    pub quantity: Quantity,
    /// Of which server.
    pub contender: Contender,
    /// With which traffic, if with any.
    pub shape: Option<Shape>,
    /// The figure.
    pub value: f64,
    /// Why the figure is not quite what it should be.
    pub caveat: Option<Caveat>,
}

/// What makes a figure doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Caveat {
    /// The load could not do more; the server could.
    LoadBound,
    /// Packets were lost where none should be.
    Loss,
}

/// All figures.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The machine and the versions.
    pub machine: String,
    /// The command that made them.
    pub command: String,
    /// The figures.
    pub samples: Vec<Sample>,
}

impl Report {
    /// The figures that `contender` reached, one for each run.
    pub fn values(&self, quantity: Quantity, contender: Contender, shape: Option<Shape>) -> Vec<f64> {
        self.select(quantity, contender, shape).map(|sample| sample.value).collect()
    }

    /// The report in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n`{}`\n", self.machine, self.command);
        for quantity in Quantity::ALL {
            text.push_str(&self.table(quantity).unwrap_or_default());
        }
        text
    }

    /// The table of one quantity; `None` if there is no figure.
    fn table(&self, quantity: Quantity) -> Option<String> {
        let mut shapes: Vec<_> = self
            .samples
            .iter()
            .filter(|sample| sample.quantity == quantity)
            .map(|sample| sample.shape)
            .collect();
        shapes.dedup();
        shapes.sort_by_key(|shape| shape.map(|shape| (shape.payload, shape.direction, shape.allocations)));
        shapes.dedup();
        shapes.first()?;
        let contenders: Vec<_> = Contender::ALL
            .into_iter()
            .filter(|contender| {
                self.samples
                    .iter()
                    .any(|sample| (sample.quantity, sample.contender) == (quantity, *contender))
            })
            .collect();
        let rivals: Vec<_> = match contenders.split_first() {
            Some((Contender::Edgerelay, rivals)) => rivals.to_vec(),
            _ => Vec::new(),
        };

        let mut header = vec!["traffic".to_owned()];
        header.extend(contenders.iter().map(Contender::to_string));
        header.extend(rivals.iter().map(|rival| format!("EdgeRelay : {rival}")));
        let mut text = format!("\n**{}**\n\n", quantity.title());
        write_row(&mut text, &header);
        let mut rule = vec!["---".to_owned()];
        rule.resize(header.len(), "---:".to_owned());
        write_row(&mut text, &rule);
        for shape in shapes {
            let mut row = vec![shape.map_or_else(|| "–".to_owned(), describe)];
            row.extend(contenders.iter().map(|contender| self.cell(quantity, *contender, shape)));
            row.extend(rivals.iter().map(|rival| self.ratio(quantity, *rival, shape)));
            write_row(&mut text, &row);
        }
        Some(text)
    }

    /// The median with, where there are several runs, the range; marked where it is doubtful.
    fn cell(&self, quantity: Quantity, contender: Contender, shape: Option<Shape>) -> String {
        let values = self.values(quantity, contender, shape);
        let (Some(middle), Some((least, greatest))) = (median(&values), range(&values)) else {
            return "–".to_owned();
        };
        let has =
            |caveat| self.select(quantity, contender, shape).any(|sample| sample.caveat == Some(caveat));
        let at_least = if has(Caveat::LoadBound) { "≥ " } else { "" };
        let lossy = if has(Caveat::Loss) { " (loss)" } else { "" };
        let middle = quantity.format(middle);
        if values.len() == 1 {
            return format!("{at_least}{middle}{lossy}");
        }
        format!("{at_least}{middle} ({}–{}){lossy}", quantity.format(least), quantity.format(greatest))
    }

    /// EdgeRelay's median over a rival's.
    fn ratio(&self, quantity: Quantity, rival: Contender, shape: Option<Shape>) -> String {
        let of = |contender| median(&self.values(quantity, contender, shape));
        match (of(Contender::Edgerelay), of(rival)) {
            (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.2}", ours / theirs),
            _ => "–".to_owned(),
        }
    }

    fn select(
        &self,
        quantity: Quantity,
        contender: Contender,
        shape: Option<Shape>,
    ) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| {
            (sample.quantity, sample.contender, sample.shape) == (quantity, contender, shape)
        })
    }
}

fn describe(shape: Shape) -> String {
    let plural = if shape.allocations == 1 { "" } else { "s" };
    format!(
        "{} B, {}, {} allocation{plural}",
        with_thousands(shape.payload as f64),
        shape.direction.title(),
        with_thousands(f64::from(shape.allocations)),
    )
}

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
        let sample = |&(run, contender, value)| Sample {
            run,
            quantity: Quantity::ProcessTime,
            contender,
            shape: Some("up-1200-1000".parse().unwrap()),
            value,
            caveat: None,
        };
        Report { samples: samples.iter().map(sample).collect(), ..Report::default() }
    }

    fn last_line(report: &Report) -> String {
        report.markdown().lines().last().unwrap().to_owned()
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
        assert_eq!(
            last_line(&report),
            "| 1,200 B, client → peer, 1,000 allocations | 3.00 (2.00–9.00) | 4.00 | 2.50 | 0.75 | 1.20 |"
        );
    }

    #[test]
    fn without_ours_there_are_no_ratios() {
        let report = report(&[(1, Contender::Coturn, 4.0), (1, Contender::Floor, 2.5)]);
        assert_eq!(last_line(&report), "| 1,200 B, client → peer, 1,000 allocations | 4.00 | 2.50 |");
    }

    #[test]
    fn a_doubtful_figure_is_marked() {
        let mut report = report(&[(1, Contender::Floor, 2.5)]);
        report.samples[0].caveat = Some(Caveat::LoadBound);
        assert!(last_line(&report).ends_with("| ≥ 2.50 |"), "{}", last_line(&report));
        report.samples[0].caveat = Some(Caveat::Loss);
        assert!(last_line(&report).ends_with("| 2.50 (loss) |"), "{}", last_line(&report));
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(with_thousands(0.4), "0");
        assert_eq!(with_thousands(999.0), "999");
        assert_eq!(with_thousands(1000.0), "1,000");
        assert_eq!(with_thousands(1234567.8), "1,234,568");
    }
}
