//! The `edgerelay` command.

use std::env::vars_os;
use std::fmt::Display;
use std::process::ExitCode;

use clap::Parser;
use edgerelay::cli::{Cli, Command, ConfigArgs, CredentialArgs};
use edgerelay::config::{Config, Host, Kept, Offer, Problems};
use edgerelay::ice_servers::{IceServers, IceServersError};
use edgerelay::serve::{self, ServeError};
use edgerelay::{dev, fleet, reload, trial};

/// The configuration has to be fixed first; also what clap ends with for wrong flags.
const UNUSABLE: u8 = 2;
/// Something else is in the way.
const FAILED: u8 = 1;
/// Something was done or told, and not all of it.
const INCOMPLETE: u8 = 3;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(arguments) => {
            let directory = || arguments.recovery_directory(vars_os());
            serve::run(&|| load(&arguments), &directory, &served).into()
        }
        Command::Dev(arguments) => match dev::run(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(FAILED, &error).into(),
        },
        Command::Try(arguments) => match trial::run(&arguments) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => fail(FAILED, &error).into(),
        },
        Command::Reload(arguments) => match reload::run(arguments.directory(vars_os())) {
            Ok(()) => print(&"the relay has handed over to itself"),
            Err(error) => fail(FAILED, &error).into(),
        },
        Command::Check(arguments) => match load(&arguments) {
            Ok((config, _)) => print(&config),
            Err(problems) => fail(UNUSABLE, &problems).into(),
        },
        Command::Credential(arguments) => match credential(arguments) {
            Ok(servers) => print(&servers),
            Err(error) => fail(UNUSABLE, &error).into(),
        },
        Command::Fleet(command) => match fleet::run(command) {
            Ok(fleet::Answer { text, incomplete }) => {
                let printed = print(&text);
                incomplete.map_or(printed, |why| fail(INCOMPLETE, &format!("incomplete: {why}")).into())
            }
            Err(error) => fail(if error.is_usage() { UNUSABLE } else { FAILED }, &error).into(),
        },
    }
}

/// What a relay ends with.
fn served(end: Result<(), ServeError>) -> u8 {
    match end {
        Ok(()) => 0,
        Err(error @ (ServeError::Configuration(_) | ServeError::Settings(_))) => fail(UNUSABLE, &error),
        Err(error) => fail(FAILED, &error),
    }
}

/// The configuration as files, environment and flags say now, on this machine as it is now.
fn load(arguments: &ConfigArgs) -> Result<(Config, Kept), Problems> {
    Config::load(arguments.layers(vars_os())?, Host::detect()?)
}

fn credential(arguments: CredentialArgs) -> Result<IceServers, IceServersError> {
    let offer = Offer::check(&arguments.layers(vars_os())?)?;
    IceServers::of_offer(&offer, arguments.url, &arguments.user, arguments.ttl)
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn print(answer: &impl Display) -> ExitCode {
    println!("{answer}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "why a command failed; logs may not have begun")]
fn fail(code: u8, error: &impl Display) -> u8 {
    eprintln!("edgerelay: {error}");
    code
}
