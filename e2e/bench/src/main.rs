//! The command; see the library.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use clap::Parser as _;

use edgerelay_bench::{
    campaign::Campaign,
    cli::{Cli, Role},
    forwarder,
    lab::Lab,
    load::Sockets,
    machine,
    measure::Bench,
    report::Report,
    server::{Stage, pin_to},
};

/// How long each measurement lasts.
const DURATION: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.role {
        Some(Role::Forward { sessions }) => forwarder::run(sessions).map_err(Into::into),
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
        None => machine::build_relay()?,
    };
    let stage = Stage { core: cli.server_core, edgerelay };
    let lab = Lab::new()?;
    let sockets = Sockets::open(&lab)?;
    let machine = machine::describe();
    pin_to(cli.load_core)?;
    let bench = Bench { lab, sockets, stage, duration: DURATION };
    let campaign = Campaign::new(cli);
    if cli.profile {
        write!(io::stdout(), "{}", campaign.profiles(&bench)?)?;
        return Ok(());
    }
    let mut report = Report { machine, command: machine::command_line(), samples: Vec::new() };
    campaign.run(&bench, &mut report)?;
    write!(io::stdout(), "{}", report.markdown())?;
    if let Some(path) = &cli.json {
        fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}
