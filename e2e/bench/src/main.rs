//! The command; see the library.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use clap::Parser as _;

use edgerelay_bench::{
    campaign::{Campaign, ROUNDS, receive_buffers},
    cli::{Cli, Role},
    forwarder, load, machine,
    measure::{CAPACITY_WINDOW, COST_WINDOW, LATENCY_WINDOW, TRIAL_WINDOW},
    plain,
    published::{Readme, publish},
    rate::LADDER,
    redis,
    report::{Detail, Report},
    server::{Contender, Stage, pin_to},
    site::{CYCLES_WINDOW, IDLE_ALLOCATIONS, Site},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.role {
        Some(Role::Forward { plain: false, sessions }) => forwarder::run(sessions).map_err(Into::into),
        Some(Role::Forward { plain: true, sessions }) => plain::run(sessions).map_err(Into::into),
        Some(Role::Table) => Readme::read().and_then(|readme| readme.write()).map_err(Into::into),
        Some(Role::Redis { allocations, of_each_node }) => tell_of_redis(allocations, of_each_node),
        // The defaults are what is published.
        Some(Role::Publish) | None => bench(&cli),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere else to tell it.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tell_of_redis(allocations: u32, of_each_node: u32) -> Result<(), Box<dyn Error>> {
    let figures = redis::measure(allocations, of_each_node)?;
    Ok(write!(io::stdout(), "{figures}")?)
}

fn bench(cli: &Cli) -> Result<(), Box<dyn Error>> {
    // First of all: the run itself may change what the checkout is.
    let machine = machine::describe();
    // Forwarders open a socket for each session, and inherit this.
    testbed::descriptors::raise_limit();
    let edgerelay = match &cli.edgerelay {
        Some(path) => path.clone(),
        None => machine::build_relay(true)?,
    };
    let turn_rs = match cli.servers.contains(&Contender::TurnRs) {
        true => machine::install_turn_rs()?,
        false => PathBuf::new(),
    };
    let (begun, clock) = (SystemTime::now(), Instant::now());
    pin_to(cli.load_core)?;
    let stage = Stage { core: cli.server_core, edgerelay, turn_rs };
    let contenders = Contender::ALL.into_iter().filter(|contender| cli.servers.contains(contender));
    let sites: Vec<Site> =
        contenders.map(|contender| Site::new(contender, stage.clone())).collect::<Result<_, _>>()?;
    let campaign = Campaign::new(cli);
    if cli.profile {
        write!(io::stdout(), "{}", campaign.profiles(&sites)?)?;
        return Ok(());
    }
    let conditions = conditions(campaign.runs, &receive_buffers(&sites));
    let mut report = Report { machine, command: machine::command_line(), conditions, ..Report::default() };
    campaign.run(&sites, &mut report);
    report.time = format!(
        "Begun at {}, took {}.",
        humantime::format_rfc3339_seconds(begun),
        humantime::format_duration(Duration::from_secs(clock.elapsed().as_secs()))
    );
    write!(io::stdout(), "{}", report.markdown(Detail::All))?;
    if let Some(path) = &cli.json {
        fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    if matches!(cli.role, Some(Role::Publish)) {
        publish(&report)?;
    }
    match report.failures.len() {
        0 => Ok(()),
        failures => Err(format!("{failures} measurements failed, see above").into()),
    }
}

/// How the figures are taken.
fn conditions(runs: u32, receive_buffers: &str) -> Vec<String> {
    let [most, .., least] = LADDER;
    vec![
        format!(
            "One core for the server whose turn it is, one for the load. All servers of a row run at once and \
             take turns, another one begins each time; {runs} runs, each with new servers for each kind of traffic. EdgeRelay runs with \
             its defaults (log level, listeners) but for limits above the load."
        ),
        "Figures are medians. A ratio is the median of the ratios of figures that were taken beside each \
         other, with its quartiles."
            .to_owned(),
        format!(
            "CPU: {ROUNDS} windows of {COST_WINDOW:?} in each run, smooth and in bursts of 200 µs, at the \
             rate of a fixed ladder ({most} to {least}) that is one step below the highest at which every server \
             of the row lost at most 0.1 % in {TRIAL_WINDOW:?}. Who lost more when it was measured is marked, and \
             so is the row."
        ),
        format!(
            "Latency: {LATENCY_WINDOW:?}; cycles: {CYCLES_WINDOW:?}; rates that are to be free of loss: \
             {CAPACITY_WINDOW:?} with at most 0.1 % lost and no queue of more than 20 ms at the end."
        ),
        format!(
            "Memory: {IDLE_ALLOCATIONS} allocations; of all processes of a server, what they share counted once."
        ),
        format!(
            "Receive buffers in bytes, as the kernel counts: load {}, {receive_buffers}.",
            2 * load::BUFFER
        ),
    ]
}
