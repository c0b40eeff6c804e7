//! A relay from start to end: workers, admin server, telemetry, reloads and drain.
//!
//! Everything here runs on one control thread; packets are the workers' alone.

mod control;
mod drain;
mod fleet;
pub mod handover;
mod idle;
mod notify;
mod panics;
mod past;
mod reload;
mod settings;
mod signals;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use thiserror::Error;
use tokio::net::TcpListener;
use turn::{Entrance, Ledger};

use crate::admin::{self, AdminError, Health};
use crate::cluster::node::NodePlan;
use crate::config::{Config, Kept, Problems, Recovery};
use crate::keeper::{self, Birth};
use crate::recovery::configuration::{self, Start};
use crate::recovery::keys::Keys;
use crate::recovery::listeners::AdminListener;
use crate::recovery::ports;
use crate::recovery::state::State;
use crate::recovery::{Vault, VaultError};
use crate::telemetry::{self, Telemetry, TelemetryError};
use crate::tls::Certificates;
use crate::worker::{self, BoundListener, StartError, Workers};

pub use reload::Reloads;
pub use settings::SettingsError;

use control::{Control, End, Succession};
use drain::Drain;
use fleet::{Ears, Fleet};
use handover::arrival::ArrivalError;
use handover::line::Line;
use handover::message::Near;
use handover::neighbours::Neighbour;
use handover::predecessors::Predecessors;
use handover::retirement::Retirement;
use handover::taking::TakeError;
use past::{Past, Place};
use reload::Reloader;
use settings::NonceKey;
use signals::Signals;

/// Why a relay did not start, or did not go on.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// Something in it cannot be used that only shows when it is put to use.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A listener or a worker.
    #[error(transparent)]
    Workers(#[from] StartError),
    /// The admin server.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Metrics or traces.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// What every process needs.
    #[error("the control thread cannot be set up: {0}; it needs open files and randomness")]
    Control(#[source] io::Error),
    /// The place of what outlives the relay.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What is in that place.
    #[error("what outlives the relay cannot be kept: {0}; it needs memory, or room in recovery.directory")]
    Kept(#[source] io::Error),
    /// The process that starts the relay.
    #[error("there can be no keeper: {0}; allow another process, or set recovery.keeper = false")]
    Keeper(#[source] io::Error),
    /// Telling about the start.
    #[error("the start cannot be announced: {0}; check standard output and the place of the state file")]
    Announcement(#[source] io::Error),
    /// Another relay serves.
    #[error(transparent)]
    Arrival(#[from] ArrivalError),
    /// One worker's clients are not served any more.
    #[error("worker {0} ended that should not have; its log line says why. Start the relay again")]
    WorkerEnded(usize),
    /// The same.
    #[error("worker {0} does not finish its round: report this fault of the program. Start the relay again")]
    WorkerStalled(usize),
}

impl From<TakeError> for ServeError {
    fn from(error: TakeError) -> Self {
        Self::Arrival(error.into())
    }
}

/// What a relay that has just started is.
#[derive(Debug)]
pub struct Started<'a> {
    /// What it was started with.
    pub config: &'a Config,
    /// Its listeners, in the order of the configuration.
    pub listeners: &'a [BoundListener],
    /// Its admin server's address.
    pub admin: SocketAddr,
}

/// Makes the configuration, at each start and whenever it may have changed.
pub type Load<'a> = dyn Fn() -> Result<(Config, Kept), Problems> + 'a;

/// Runs a relay until it is told to end, under a keeper if the configuration says so; the code to end with,
/// which `end` makes of how that went. Nobody else may run in this process.
///
/// Where no configuration can be made, `directory` tells where the last good one would be.
pub fn run(
    load: &Load<'_>,
    directory: &dyn Fn() -> Option<PathBuf>,
    end: &dyn Fn(Result<(), ServeError>) -> u8,
) -> u8 {
    run_kept(load, directory, end).unwrap_or_else(|error| end(Err(error)))
}

/// Runs a relay until it is told to end, with which all its calls end. `announce` is called once, when packets
/// are served.
///
/// # Errors
/// When the relay cannot be started, or cannot go on.
pub fn run_alone(
    load: &Load<'_>,
    announce: &dyn Fn(&Started<'_>) -> io::Result<()>,
) -> Result<(), ServeError> {
    relay(load, Start::anew(load()?), None, announce)
}

fn run_kept(
    load: &Load<'_>,
    directory: &dyn Fn() -> Option<PathBuf>,
    end: &dyn Fn(Result<(), ServeError>) -> u8,
) -> Result<u8, ServeError> {
    // There are keys in memory from here on: a core dump is a file of them.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| ServeError::Control(error.into()))?;
    let start = Start::first(load(), directory)?;
    let silent = |_: &Started<'_>| Ok(());
    let Some(vault) = vault(&start.config.recovery)? else {
        return Ok(end(relay(load, start, None, &silent)));
    };
    let state = Arc::new(State::open(&vault).map_err(ServeError::Kept)?);
    let before = state.generation();
    let relay = |birth: Birth, start: Option<Start>| {
        let past = Past::take_over(&vault, Arc::clone(&state), birth).map_err(ServeError::Kept)?;
        let start = match start {
            Some(start) => start,
            // The one that serves goes on with what is in force: no need for another one that does.
            None if past.is_heir() => Start::anew(load().inspect_err(|problems| past.decline(problems))?),
            // What is kept may be another relay's, which this one was to follow.
            None if state.generation() == before => Start::first(load(), directory)?,
            None => Start::after_crash(&vault, state.generation(), load)?,
        };
        relay(load, start, Some(past), &silent)
    };
    if !start.config.recovery.keeper {
        return Ok(end(relay(Birth::without_keeper(), Some(start))));
    }
    let log = telemetry::log(&start.config.telemetry);
    keeper::run(&vault, &state, &log, start, |birth, start| end(relay(birth, start)))
        .map_err(ServeError::Keeper)
}

/// Where things are kept that outlive the relay, if anybody could go on with them.
fn vault(recovery: &Recovery) -> Result<Option<Vault>, VaultError> {
    match &recovery.directory {
        Some(directory) => Vault::in_directory(directory).map(Some),
        None => Ok(recovery.keeper.then(Vault::in_memory)),
    }
}

/// One relay's life.
fn relay(
    load: &Load<'_>,
    start: Start,
    past: Option<Past<'_>>,
    announce: &dyn Fn(&Started<'_>) -> io::Result<()>,
) -> Result<(), ServeError> {
    telemetry::start_log(&start.config.telemetry);
    if past.is_some() {
        panics::end_the_process();
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Control)?;
    runtime.block_on(serve(load, start, past, announce))
}

async fn serve(
    load: &Load<'_>,
    start: Start,
    mut past: Option<Past<'_>>,
    announce: &dyn Fn(&Started<'_>) -> io::Result<()>,
) -> Result<(), ServeError> {
    let mut signals = Signals::install().map_err(ServeError::Control)?;
    keeper::let_commands_through().map_err(ServeError::Control)?;
    if let Some(past) = &mut past {
        match past.look_around(&start.config.recovery).await? {
            Place::Free => {}
            Place::Taken => {
                tracing::info!("another relay has taken over: this one ends");
                return Ok(());
            }
            Place::Superseded => return idle::wait(&start.config, &mut signals).await,
        }
    }
    let begun = begin(&start, &mut past).await;
    let relay = match (begun, &mut past) {
        (Err(error), Some(past)) => {
            past.give_up(&error).await;
            return Err(error);
        }
        (begun, _) => begun?,
    };
    let Running { workers, older, certificates, nonce_key, telemetry, admin, ledger, own, fleet } = relay;
    let (config, address) = (&start.config, admin.local_addr().map_err(ServeError::Control)?);
    let health = Arc::new(Health::new(&workers));
    let reloads = Arc::new(Reloads::default());
    telemetry.observe(&workers, &health, &reloads, past.as_ref().map(Past::state));
    let allocations = telemetry.allocations(&workers);
    let found_records = past.as_ref().is_some_and(Past::found_records);
    let place = past.as_ref().map(Past::place);
    let state_of_fleet = fleet.kept.fleet_state(config).map(Arc::new);
    let is_drained = fleet.kept.drained;
    let fleet = fleet.ears.map(|Ears { questions, ended }| {
        let plan = NodePlan {
            workers: &workers,
            ledger: Arc::clone(&ledger),
            health: Arc::clone(&health),
            config,
            certificates: fleet.certificates,
            found_records,
            questions,
            ended,
        };
        Fleet::new(plan, place.map(|(vault, _)| vault), fleet.kept)
    });
    let state = past.as_ref().map(Past::state);
    let mut succession = None;
    if let (Some(past), Some(own), Some(state)) = (&mut past, own, &state) {
        let mut predecessors =
            Predecessors::new(Arc::clone(&ledger), own.try_clone().map_err(ServeError::Control)?);
        predecessors.add(older);
        let descriptor = admin.as_raw_fd();
        past.served(&workers, AdminListener { bind: config.admin, address, descriptor });
        let admin = admin.as_fd().try_clone_to_owned().map_err(ServeError::Control)?;
        let (vault, giving) = (past.vault(), past.door());
        succession = Some(Succession { vault, state, ledger, own, nonce_key, admin, giving, predecessors });
    }
    let older = succession.as_ref().map(|it| it.predecessors.older()).unwrap_or_default();
    let answers = tokio::spawn(admin::serve(admin, Arc::clone(&health), telemetry.registry(), older));

    log_start(config, &workers, address);
    announce(&Started { config, listeners: workers.bound(), admin: address })
        .map_err(ServeError::Announcement)?;

    let is_former = start.is_former;
    let mut reloader = Reloader::new(load, start, place, (nonce_key, state_of_fleet), certificates, reloads);
    if is_former {
        reloader.reload(&workers);
    }
    notify::ready(reloader.status());
    let mut control = Control {
        workers: &workers,
        telemetry: &telemetry,
        allocations: &allocations,
        signals: &mut signals,
        reloader: &mut reloader,
        drain: Drain::new(&workers, &health),
        succession,
        fleet,
    };
    if is_drained {
        control.drain.begin_by_command(control.reloader.current().drain_deadline);
    }
    let end = match control.serve().await {
        Ok(End::HandedOver(line, told)) => {
            // The one that serves answers now, and is the fleet's.
            answers.abort();
            tokio::task::spawn_blocking({
                let fleet = control.fleet.take().map(Fleet::into_cluster);
                move || drop(fleet)
            });
            let retirement = past.as_mut().zip(control.succession.take()).map(|(past, succession)| {
                past.retire();
                let directory = past.vault().directory().map(Path::to_owned);
                Retirement::new(line, told, directory, succession.own)
            });
            match retirement {
                Some(retirement) => control.retire(retirement).await,
                None => Ok(()),
            }
        }
        Ok(End::Drained) => {
            control.end_older().await;
            control.leave_fleet();
            Ok(())
        }
        Err(error) => Err(error),
    };
    match (&end, &past) {
        (Err(error), Some(_)) => {
            tracing::error!(%error, "the relay gives up, so that another process can go on with its calls");
            process::abort();
        }
        // To wait for its thread would be to wait for ever.
        (Err(error @ ServeError::WorkerStalled(_)), None) => {
            tracing::error!(%error, "the relay gives up");
            process::abort();
        }
        _ => {}
    }
    drop(control);
    // The last owner: health keeps a weak one. Dropping ends all allocations and joins the threads.
    drop(workers);
    past.inspect(Past::end);
    allocations.note();
    let last_export = tokio::task::spawn_blocking(move || telemetry.shutdown());
    if let Err(error) = last_export.await {
        tracing::warn!(%error, "the last export failed");
    }
    tracing::info!("ended");
    end
}

/// A relay whose workers have just been started.
struct Running {
    workers: Arc<Workers>,
    /// Those that served before it, with a line to each.
    older: Vec<(Neighbour, Line)>,
    certificates: Vec<Certificates>,
    nonce_key: NonceKey,
    telemetry: Telemetry,
    admin: TcpListener,
    ledger: Arc<Ledger>,
    /// Itself, as others of this node see it.
    own: Option<Neighbour>,
    fleet: OfFleet,
}

/// What a relay has for its fleet, if it is of one.
struct OfFleet {
    kept: fleet::Kept,
    /// None of a relay that is of no fleet.
    ears: Option<Ears>,
    /// What TLS clients are shown that come directly.
    certificates: Option<Certificates>,
}

/// Makes everything ready, and then starts the workers.
async fn begin(start: &Start, past: &mut Option<Past<'_>>) -> Result<Running, ServeError> {
    let config = &start.config;
    let nonce_key = match &past {
        Some(past) => past.nonce_key(),
        None => Keys::random().map_err(ServeError::Control)?.nonce,
    };
    let own = past
        .as_ref()
        .map(|past| Neighbour::new(Near::new(past.generation(), config.relay.addresses), ports::create()?));
    let own = own.transpose().map_err(ServeError::Kept)?;
    let kept = past.as_ref().map(Past::fleet).transpose().map_err(ServeError::Kept)?.unwrap_or_default();
    let settings = settings::settings(config, &nonce_key, kept.fleet_state(config).as_ref())?;
    let mut plan = settings::plan(config, &start.in_force, settings, own.as_ref().map(Neighbour::open))?;
    let certificates = plan.listeners.iter().filter_map(|listener| listener.tls.clone()).collect();
    let mut direct = plan.listeners.iter().filter(|listener| listener.entrance == Entrance::Direct);
    let of_direct = direct.find_map(|listener| listener.tls.clone());
    let (of_workers, ears) = config.cluster.as_ref().map(|_| fleet::channels()).unzip();
    plan.fleet = of_workers;
    let fleet = OfFleet { kept, ears, certificates: of_direct };
    let ledger = Arc::clone(&plan.ledger);
    let admin = admin::bind(config.admin, past.as_mut().and_then(|past| past.admin(config.admin)))?;
    // What can fail comes before: an end from here on would be the end of all calls.
    let telemetry = Telemetry::start(&config.telemetry)?;
    if let Some((vault, generation)) = past.as_ref().map(Past::place) {
        // The reloader tries again, and says what is in the way.
        let _ = configuration::keep(vault, generation, &start.in_force);
    }
    let (workers, older) = match past.as_mut().zip(own.as_ref()) {
        Some((past, own)) => past.go_on(plan, own, &config.recovery).await?,
        None => (worker::start(plan)?, Vec::new()),
    };
    let workers = Arc::new(workers);
    Ok(Running { workers, older, certificates, nonce_key, telemetry, admin, ledger, own, fleet })
}

fn log_start(config: &Config, workers: &Workers, admin: SocketAddr) {
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    warn_of_few_files(config);
    for address in [config.relay.addresses.v4, config.relay.addresses.v6].into_iter().flatten() {
        let ports = format!("{}-{}", config.relay.ports.start(), config.relay.ports.end());
        tracing::info!(bind = %address.bind, advertised = %address.advertised, ports, "relaying");
    }
    if !config.peers.allow.is_empty() {
        let ranges: Vec<_> = config.peers.allow.iter().map(ToString::to_string).collect();
        tracing::info!(ranges = ranges.join(", "), "peers allowed beside public addresses");
    }
    tracing::info!(address = %admin, "admin listening");
    for listener in workers.bound() {
        tracing::info!(transport = listener.transport.name(), address = %listener.address, "listening");
    }
    tracing::info!(workers = config.workers.count, realm = config.realm.as_str(), "ready");
}

/// An allocation takes an open file for each relayed address, a connection takes one.
fn warn_of_few_files(config: &Config) {
    let families =
        [config.relay.addresses.v4, config.relay.addresses.v6].into_iter().flatten().count() as u64;
    let wanted =
        u64::from(config.limits.total.allocations) * families + config.limits.streams.connections as u64;
    if let Some(allowed) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current
        && allowed < wanted
    {
        tracing::warn!(
            allowed,
            wanted,
            "fewer open files are allowed than the limits may take: raise the one or lower the others"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Host, Layers, LocalPorts, value_of};
    use std::net::IpAddr;

    fn config() -> Result<(Config, Kept), Problems> {
        let mut layers = Layers::default();
        for (path, value) in [
            ("credentials.rest_secrets", "a secret of the tests"),
            ("listeners", "[{ transport = 'udp', address = '127.0.0.1:0' }]"),
            ("workers.count", "1"),
        ] {
            layers.set(path, value_of(value), "test");
        }
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let host = Host {
            default_v4: Some(loopback),
            default_v6: None,
            has_v6: false,
            addresses: vec![loopback],
            cores: 1,
            local_ports: LocalPorts::default(),
        };
        Config::load(layers, host)
    }

    /// How a relay ends whose workers are spoilt; whether it was to drain; and its workers.
    async fn end_after(spoil: impl FnOnce(&Workers)) -> (Result<End, ServeError>, bool, Arc<Workers>) {
        let start = Start::anew(config().unwrap());
        let settings = settings::settings(&start.config, &[0; 32], None).unwrap();
        let plan = settings::plan(&start.config, &start.in_force, settings, None).unwrap();
        let workers = Arc::new(worker::start(plan).unwrap());
        let health = Arc::new(Health::new(&workers));
        let reloads = Arc::default();
        let telemetry = Telemetry::start(&start.config.telemetry).unwrap();
        let allocations = telemetry.allocations(&workers);
        let mut reloader = Reloader::new(&self::config, start, None, ([0; 32], None), Vec::new(), reloads);
        let mut signals = Signals::install().unwrap();
        spoil(&workers);
        let mut control = Control {
            workers: &workers,
            telemetry: &telemetry,
            allocations: &allocations,
            signals: &mut signals,
            reloader: &mut reloader,
            drain: Drain::new(&workers, &health),
            succession: None,
            fleet: None,
        };
        let end = control.serve().await;
        (end, health.is_draining(), workers)
    }

    /// One test: the signal is the process's.
    #[tokio::test]
    async fn a_relay_does_not_go_on_with_a_worker_that_hangs_nor_is_it_drained_with_one_that_ended() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let hang = move || {
            let _ = released.recv();
        };
        let (end, _, workers) = end_after(|workers| workers.misbehave(0, hang)).await;
        // Before its thread is waited for.
        drop(release);
        assert!(matches!(end, Err(ServeError::WorkerStalled(0))));
        drop(workers);

        let stop = |workers: &Workers| {
            workers.stop();
            while workers.alive() {
                std::thread::yield_now();
            }
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        };
        assert!(matches!(end_after(stop).await, (Err(ServeError::WorkerEnded(0)), true, _)));
    }
}
