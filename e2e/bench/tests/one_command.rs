//! The benchmark as a person runs it. Needs root, like everything that makes namespaces, and coturn.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use edgerelay_bench::machine::build_relay;
use rustix::process::{Pid, test_kill_process};
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

/// The figures of each row that starts so.
fn rows(output: &Output, start: &str) -> Vec<Vec<f64>> {
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures = |line: &str| -> Vec<f64> {
        let cells = line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).skip(1);
        cells.map(|cell| cell.trim_end_matches(" (loss)").replace(',', "").parse().unwrap()).collect()
    };
    table.lines().filter(|line| line.starts_with(start)).map(figures).collect()
}

/// The server that a running benchmark has started.
fn server_of(bench: &Child) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", bench.id())).ok()?;
    let mut children = children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
    children.find(|pid| {
        let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_pid())).unwrap_or_default();
        name.starts_with("turnserver")
    })
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
            assert_eq!(row.len(), 4 + 3, "four servers, three ratios: {row:?}");
            // No packet costs less than its system calls, or longer than the core has at this rate.
            assert!(row.iter().all(|figure| (0.05..200.0).contains(figure)), "{row:?}");
        }
    }
    let [memory] = rows(&output, "| – |").try_into().unwrap();
    assert!(memory[..2].iter().all(|bytes| (100.0..1e6).contains(bytes)), "EdgeRelay and coturn: {memory:?}");
}

#[test]
fn pairs_of_clients_reach_each_other_through_both_of_their_relayed_addresses() {
    let _cores = alone();
    let output = bench(&relay(), "edgerelay,coturn,floor", "cpu", "pair-160-2").output().unwrap();
    let rows = rows(&output, "| 160 B, client → relay → relay → client, 2 pairs, smooth |");
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.len() == 2 + 1), "a forwarder has no pairs: {rows:?}");
}

#[test]
fn a_server_that_is_dead_has_no_figures() {
    let _cores = alone();
    let output = bench(Path::new("/bin/true"), "edgerelay", "cpu", "up-160-1").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("EdgeRelay ended by itself"), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
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
    eventually_true(DEADLINE, "the server to be killed", || is_gone(server));
}

/// Whether a process has ended, even if nobody has asked how.
fn is_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().starts_with('Z'));
    test_kill_process(pid).is_err() || state == Some(true)
}
