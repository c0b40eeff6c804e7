//! The benchmark as a person runs it. Needs root, like everything that makes namespaces, and coturn.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use edgerelay_bench::{machine::build_relay, rate::LADDER};
use procfs::process::{ProcState, Process, all_processes};
use testbed::{eventually, eventually_true};

const DEADLINE: Duration = Duration::from_secs(30);

/// One run at a time: all of them take the same two cores.
fn alone() -> MutexGuard<'static, ()> {
    static CORES: Mutex<()> = Mutex::new(());
    CORES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run with few packets that takes `edgerelay` for the relay.
fn bench(edgerelay: &Path, servers: &str, figures: &str, shapes: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgerelay-bench"));
    command.args(["--quick", "--servers", servers, "--figures", figures, "--shapes", shapes]);
    command.arg("--edgerelay").arg(edgerelay);
    command
}

/// The relay, as the other tests of this checkout have it.
fn relay() -> PathBuf {
    env::var_os("RELAY_UNDER_TEST").map_or_else(|| build_relay(false).unwrap(), PathBuf::from)
}

/// The cells behind the first one, of each row that starts so.
fn rows(output: &Output, start: &str) -> Vec<Vec<String>> {
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cells = |line: &str| {
        let cells = line.split('|').map(str::trim).filter(|cell| !cell.is_empty());
        cells.skip(1).map(str::to_owned).collect()
    };
    table.lines().filter(|line| line.starts_with(start)).map(cells).collect()
}

/// The median that a cell begins with.
fn figure(cell: &str) -> f64 {
    let number = cell.trim_start_matches("≥ ").split(' ').next().unwrap();
    number.replace(',', "").parse().unwrap()
}

/// The server that a running benchmark has started.
fn server_of(bench: &Child) -> Option<Process> {
    let processes = all_processes().unwrap().filter_map(Result::ok);
    let mut stats = processes.filter_map(|process| Some((process.stat().ok()?, process)));
    let parent = bench.id().cast_signed();
    stats.find_map(|(stat, process)| {
        (stat.ppid == parent && stat.comm.starts_with("turnserver")).then_some(process)
    })
}

/// Whether a process has ended, even if nobody has asked how.
fn is_gone(process: &Process) -> bool {
    process.stat().map_or(true, |stat| matches!(stat.state(), Ok(ProcState::Zombie | ProcState::Dead)))
}

#[test]
fn packets_pass_every_server_and_the_table_tells_their_cost() {
    let _cores = alone();
    let servers = "edgerelay,coturn,floor,plain";
    let output = bench(&relay(), servers, "cpu,memory", "both-160-2").output().unwrap();
    for pacing in ["smooth", "bursts"] {
        let rows = rows(&output, &format!("| 160 B, both, 2 allocations, {pacing} |"));
        assert_eq!(rows.len(), 2, "the process, and all of the core");
        for row in rows {
            assert_eq!(row.len(), 1 + 4 + 3, "the rate, four servers, three ratios: {row:?}");
            assert!(LADDER.contains(&figure(&row[0])), "{row:?}");
            // No packet costs less than its system calls, or longer than the core has at the least rate.
            assert!(row[1..].iter().all(|cell| (0.05..200.0).contains(&figure(cell))), "{row:?}");
        }
    }
    // The keeper's own memory follows.
    let memory = rows(&output, "| – |").swap_remove(0);
    let sizes = memory[..2].iter().map(|cell| figure(cell));
    assert!(sizes.into_iter().all(|bytes| (100.0..1e6).contains(&bytes)), "EdgeRelay and coturn: {memory:?}");
}

#[test]
fn what_a_keeper_costs_is_told_beside_a_relay_without_one() {
    let _cores = alone();
    let servers = "edgerelay,edgerelay-without-keeper";
    let output = bench(&relay(), servers, "cycles,memory", "up-160-1").output().unwrap();
    let [cycles, memory, keepers] = rows(&output, "| – |").try_into().unwrap();
    for row in [&cycles, &memory] {
        assert_eq!(row.len(), 2 + 1, "with and without, and a ratio: {row:?}");
        assert!(row.iter().all(|cell| figure(cell) > 0.0), "{row:?}");
    }
    assert!(figure(&memory[0]) < 2_300.0, "an allocation with its records takes {} bytes", memory[0]);
    assert_eq!(keepers.len(), 1, "who has no keeper has no memory of one: {keepers:?}");
    assert!((1e4..1e8).contains(&figure(&keepers[0])), "{keepers:?}");
}

#[test]
fn pairs_of_clients_reach_each_other_through_both_of_their_relayed_addresses() {
    let _cores = alone();
    let output = bench(&relay(), "edgerelay,coturn,floor", "cpu", "pair-160-2").output().unwrap();
    let rows = rows(&output, "| 160 B, client → relay → relay → client, 2 pairs, smooth |");
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.len() == 1 + 2 + 1), "a forwarder has no pairs: {rows:?}");
}

#[test]
fn ten_thousand_allocations_are_no_more_than_every_server_can_have() {
    let _cores = alone();
    let output = bench(&relay(), "edgerelay,coturn,floor,plain", "cpu", "up-160-10000").output().unwrap();
    let rows = rows(&output, "| 160 B, client → peer, 10,000 allocations, smooth |");
    assert!(rows.iter().all(|row| row.len() == 1 + 4 + 3 && !row.contains(&"–".to_owned())), "{rows:?}");
}

#[test]
fn a_server_that_is_dead_has_no_figures_and_the_others_have() {
    let _cores = alone();
    let output = bench(Path::new("/bin/true"), "edgerelay,plain", "cpu", "up-160-1").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("**Not measured**: run 1, EdgeRelay: EdgeRelay ended by itself"), "{said}");
    assert!(said.contains("| traffic | packets/s | plain forwarder |"), "{said}");
}

#[test]
fn a_killed_run_leaves_no_server_behind() {
    let _cores = alone();
    let mut run = bench(Path::new("/bin/true"), "coturn", "capacity", "both-160-2")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = eventually(DEADLINE, "a server to be started", || server_of(&run));
    run.kill().unwrap();
    run.wait().unwrap();
    eventually_true(DEADLINE, "the server to be killed", || is_gone(&server));
}
