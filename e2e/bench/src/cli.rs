//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{server::Contender, shape::Shape};

/// Measures EdgeRelay, Debian's coturn, turn-rs and two bare forwarders side by side.
///
/// Needs root, two cores, and Debian's coturn, iproute2 and util-linux (and linux-perf for
/// --profile); turn-rs is installed by cargo into a cache outside the checkout. All traffic stays in
/// network namespaces that go with this program.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// A minute or two instead of half an hour: one run, fewer shapes.
    #[arg(long)]
    pub quick: bool,
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "edgerelay,coturn,turn-rs,floor,plain")]
    pub servers: Vec<Contender>,
    /// Which figures to take.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "cpu,capacity,latency,cycles,memory")]
    pub figures: Vec<Figure>,
    /// Traffic as DIRECTION-BYTES-ALLOCATIONS, such as up-160-100,both-1200-1,pair-160-100.
    #[arg(long, value_delimiter = ',')]
    pub shapes: Vec<Shape>,
    /// How often servers are started anew and all figures are taken; medians are told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Write every single figure there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Tell where the servers' time goes instead of measuring it.
    #[arg(long)]
    pub profile: bool,
    /// Use this relay binary and build none.
    #[arg(long, value_name = "FILE")]
    pub edgerelay: Option<PathBuf>,
    /// The core that the server runs on.
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// The core that clients and peer run on.
    #[arg(long, default_value_t = 1)]
    pub load_core: usize,
    /// What else this program does.
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// A figure, or two that are measured at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Figure {
    /// CPU time for each packet.
    Cpu,
    /// Loss-free packets per second.
    Capacity,
    /// Latency at half load; measures the capacity too.
    Latency,
    /// Allocate-to-Refresh(0) cycles per second.
    Cycles,
    /// Memory for each idle allocation.
    Memory,
}

/// What this program does instead of measuring.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Role {
    /// Is a bare forwarder: the program runs itself so.
    #[command(hide = true)]
    Forward {
        /// Without the relay's I/O code.
        #[arg(long)]
        plain: bool,
        /// How many sessions its table has.
        sessions: u32,
    },
    /// Takes all figures, keeps them in e2e/bench/results/published.json and makes README's tables of
    /// them.
    Publish,
    /// Tells what a fleet's allocations take in Redis: starts a redis-server and writes so many there, as
    /// nodes do.
    Redis {
        /// How many allocations.
        #[arg(default_value_t = 1_000_000)]
        allocations: u32,
        /// How many of them are on one node.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
        of_each_node: u32,
    },
    /// Makes README's tables of the run that is kept in e2e/bench/results/published.json.
    Table,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let cli = Cli::parse_from(["bench", "--servers", "coturn,floor", "--shapes", "up-160-1,down-160-1"]);
        assert_eq!(cli.servers, [Contender::Coturn, Contender::Floor]);
        assert_eq!(cli.shapes.len(), 2);
    }
}
