//! The benchmark as a person runs it. Needs root, like everything that makes namespaces, and coturn.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, test_kill_process};
use testbed::{eventually, eventually_true};

const DEADLINE: Duration = Duration::from_secs(30);

/// One short measurement of the servers that need no build of the relay.
fn bench(figures: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgerelay-bench"));
    command.args(["--quick", "--servers", "coturn,floor", "--figures", figures, "--shapes", "both-160-2"]);
    command.args(["--edgerelay", "/bin/true"]);
    command
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
fn packets_pass_both_servers_and_the_table_tells_their_cost() {
    let output = bench("cpu,memory").output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let row = table.lines().find(|line| line.starts_with("| 160 B, both, 2 allocations |")).unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
    for cell in &cells[1..] {
        let cost: f64 = cell.trim_end_matches(" (loss)").parse().unwrap();
        assert!(cost > 0.0, "{table}");
    }
    assert_eq!(cells.len(), 3, "coturn and the floor: {row}");
    assert!(table.contains("Resident bytes for each idle allocation"), "{table}");
}

#[test]
fn a_killed_run_leaves_no_server_behind() {
    let mut run = bench("capacity").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
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
