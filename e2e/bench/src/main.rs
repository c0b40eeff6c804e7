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
    campaign::Campaign,
    cli::{Cli, Role},
    forwarder,
    lab::Lab,
    load::{self, Sockets},
    machine,
    measure::{Bench, MODERATE_RATE, Windows},
    plain,
    published::Readme,
    report::{Detail, Report},
    server::{Contender, Stage, pin_to},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.role {
        Some(Role::Forward { plain: false, sessions }) => forwarder::run(sessions).map_err(Into::into),
        Some(Role::Forward { plain: true, sessions }) => plain::run(sessions).map_err(Into::into),
        Some(Role::Table) => Readme::read().and_then(|readme| readme.write()).map_err(Into::into),
        None => bench(&cli),
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

fn bench(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let edgerelay = match &cli.edgerelay {
        Some(path) => path.clone(),
        None => machine::build_relay(true)?,
    };
    let turn_rs = match cli.servers.contains(&Contender::TurnRs) {
        true => machine::install_turn_rs()?,
        false => PathBuf::new(),
    };
    let (begun, clock) = (SystemTime::now(), Instant::now());
    let stage = Stage { core: cli.server_core, edgerelay, turn_rs };
    let lab = Lab::new()?;
    let sockets = Sockets::open(&lab)?;
    let machine = machine::describe();
    pin_to(cli.load_core)?;
    let bench = Bench { lab, sockets, stage, windows: Windows::default() };
    let campaign = Campaign::new(cli);
    if cli.profile {
        write!(io::stdout(), "{}", campaign.profiles(&bench)?)?;
        return Ok(());
    }
    let conditions = conditions(&bench.windows, &campaign.receive_buffers(&bench)?);
    let mut report = Report { machine, command: machine::command_line(), conditions, ..Report::default() };
    campaign.run(&bench, &mut report)?;
    report.time = format!(
        "Begun at {}, took {}.",
        humantime::format_rfc3339_seconds(begun),
        humantime::format_duration(Duration::from_secs(clock.elapsed().as_secs()))
    );
    write!(io::stdout(), "{}", report.markdown(Detail::All))?;
    if let Some(path) = &cli.json {
        fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

/// How the figures are taken.
fn conditions(windows: &Windows, receive_buffers: &str) -> Vec<String> {
    vec![
        "One core for the server, one for the load; servers take turns, another one begins in each run; \
         EdgeRelay runs with its defaults (log level, listeners) but for limits above the load."
            .to_owned(),
        format!(
            "Windows: {:?} for CPU (at {MODERATE_RATE:.0} packets a second, smooth and in bursts of 200 µs), \
             latency and cycles; {:?} for a rate that is to be free of loss (at most 0.1 % lost).",
            windows.figure, windows.capacity
        ),
        format!(
            "Receive buffers in bytes, as the kernel counts: load {}, {receive_buffers}.",
            2 * load::BUFFER
        ),
    ]
}
