//! The first process: what it passes on, what it ends with, what it holds, and what it leaves to nobody.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use testbed::{family, process};

use crate::support::{ALICE, Client, Daemon, UDP, edgerelay, peer, run, text, wait_until};

fn served() -> Daemon {
    Daemon::serve(&format!("{ALICE}\n{UDP}"))
}

/// The line of the last crash.
fn last_crash(relay: &Daemon) -> String {
    relay.log().into_iter().rfind(|line| line.contains("edgerelay::keeper")).unwrap_or_default()
}

#[test]
fn without_it_the_relay_ends_too() {
    let mut relay = served();
    let child = relay.relay();
    relay.signal(Signal::KILL);
    relay.wait();
    wait_until("the relay to end", || test_kill_process(child).is_err());
}

#[test]
fn it_ends_with_what_the_relay_ends_with() {
    let mut relay = served();
    relay.signal(Signal::TERM);
    assert_eq!(relay.wait().code(), Some(0));

    let taken = served();
    let listener = format!("udp://{}", taken.address("udp"));
    let arguments = MINIMAL.replace("udp://127.0.0.1:0", &listener);
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    let output = minimal(edgerelay(&arguments)).output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(
        (output.status.code(), told.matches("another program has port").count()),
        (Some(1), 1),
        "{told}"
    );
    assert_eq!(run(&["serve", "--set", "relay.ports=nonsense"]).status.code(), Some(2));
}

#[test]
fn it_passes_the_operators_signals_on() {
    let relay = served();
    Client::udp(relay.address("udp")).allocate();
    wait_until("the allocation is seen", || relay.metric("turn_allocations", &[]) == 1);
    relay.signal(Signal::TERM);
    relay.line("draining: no new allocations");
    relay.signal(Signal::USR1);
    relay.line("the drain is taken back: new allocations are served again");
    fs::write(relay.file("edgerelay.toml"), "realm = 7").unwrap();
    relay.signal(Signal::HUP);
    relay.line("the last good configuration stays in force");
}

#[test]
fn a_relay_that_drained_drains_on_after_a_crash() {
    let mut relay = served();
    let mut alice = Client::udp(relay.address("udp"));
    alice.allocate();
    wait_until("the allocation is seen", || relay.metric("turn_allocations", &[]) == 1);
    relay.signal(Signal::TERM);
    wait_until("the drain is on", || relay.metric("edgerelay_draining", &[]) == 1);
    relay.crash(Signal::KILL);
    wait_until("the drain is on again", || relay.metric("edgerelay_draining", &[]) == 1);
    assert_eq!(alice.refresh(0), 0);
    assert_eq!(relay.wait().code(), Some(0));
}

#[test]
fn a_terminal_tells_it_alone() {
    // Ctrl-C goes to all of a process group: a second one would end the drain.
    let relay = served();
    Client::udp(relay.address("udp")).allocate();
    wait_until("the allocation is seen", || relay.metric("turn_allocations", &[]) == 1);
    let group = |pid: Pid| rustix::process::getpgid(Some(pid)).unwrap();
    assert_ne!(group(relay.relay()), group(relay.first()));
}

#[test]
fn a_relay_that_crashes_again_and_again_goes_on_without_what_may_be_why() {
    let relay = served();
    let mut calls: Vec<_> = (0..3).map(|_| Client::udp(relay.address("udp"))).collect();
    for alice in &mut calls {
        alice.allocate();
    }
    // The oldest one is what is touched last: by its client now, and then each time that all are restored.
    calls[0].refresh(600);
    for without in ["its calls go on", "its calls go on", "without the calls that it touched last"] {
        relay.crash(Signal::ABORT);
        assert!(last_crash(&relay).contains(without), "{}", last_crash(&relay));
    }
    assert_eq!(relay.metric("turn_allocations", &[]), 2);
    assert_eq!(relay.metric("edgerelay_records_left_out_total", &[]), 1);
    for without in ["touched last", "touched last", "without any of its calls"] {
        relay.crash(Signal::ABORT);
        assert!(last_crash(&relay).contains(without), "{}", last_crash(&relay));
    }
    assert_eq!(relay.metric("turn_allocations", &[]), 0);
    assert_eq!(relay.metric("edgerelay_restarts_total", &["reason=\"aborted\""]), 6);
    // A new call is welcome.
    let mut bob = Client::udp(relay.address("udp"));
    bob.allocate();
    bob.bind(0x4000, peer().local_addr().unwrap());
}

#[test]
fn it_waits_longer_and_longer_for_a_relay_that_does_not_come_up() {
    let relay = served();
    let begun = Instant::now();
    let mut crashes = 0;
    while begun.elapsed() < Duration::from_millis(1500) {
        // Whatever lives of it, as soon as it lives.
        for process in family::members(relay.first().as_raw_pid() as u32).into_iter().skip(1) {
            crashes += usize::from(kill_process(Pid::from_raw(process.pid).unwrap(), Signal::ABORT).is_ok());
        }
        std::thread::yield_now();
    }
    let told = relay.log().iter().filter(|line| line.contains("edgerelay::keeper")).count();
    // At once three times, then after 0.1, 0.2, 0.4 and 0.8 seconds.
    assert!(crashes > 3 && told <= 8, "{told} in one and a half seconds");
    wait_until("it serves", || {
        let last = relay.log().into_iter().next_back().unwrap_or_default();
        last.contains("\"ready\"")
    });
}

#[test]
fn as_a_containers_first_process_it_reaps_orphans() {
    // A namespace of processes, with the keeper as the first one.
    let mut unshare = process::command("unshare");
    unshare
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", EDGERELAY])
        .args(MINIMAL.split_whitespace());
    let relay = Daemon::start(&mut minimal(unshare), tempfile::tempdir().unwrap());
    relay.line("ready");
    let [_, keeper, child] = &family::members(relay.first().as_raw_pid() as u32)[..] else {
        panic!("unshare, keeper and relay")
    };
    // Its last words come when nobody waits for the orphans: five that end later than their parents.
    let orphans = "for orphan in 1 2 3 4 5; do (sleep 0.05 & echo $!); done";
    let mut enter = process::command("nsenter");
    enter.args(["--pid", "--mount", "--target", &keeper.pid.to_string(), "sh", "-c", orphans]);
    assert_eq!(text(&enter.output().unwrap().stdout).lines().count(), 5);
    let children = || keeper.tasks().unwrap().flat_map(|task| task.unwrap().children().unwrap());
    wait_until("the orphans to be gone", || children().eq([child.pid as u32]));
    relay.crash(Signal::KILL);
}

#[test]
fn neither_it_nor_the_relay_leaves_a_core_dump() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let cores = || {
        let names = fs::read_dir(&path).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("core")).collect::<Vec<_>>()
    };
    let shell = |program: &str| {
        let mut shell = process::command("sh");
        shell.args(["-c", &format!("ulimit -c unlimited; cd {}; exec {program}", path.display())]);
        shell
    };
    // So that it is known to be seen.
    shell("sh -c 'kill -SEGV $$'").status().unwrap();
    let [core] = &cores()[..] else { panic!("this machine puts core dumps elsewhere: kernel.core_pattern") };
    fs::remove_file(path.join(core)).unwrap();

    let mut relay = Daemon::start(&mut minimal(shell(&format!("{EDGERELAY} {MINIMAL}"))), directory);
    relay.line("ready");
    relay.crash(Signal::ABORT);
    relay.signal(Signal::ABORT);
    relay.wait();
    assert_eq!(cores(), <[&str; 0]>::default());
}

const EDGERELAY: &str = env!("CARGO_BIN_EXE_edgerelay");
const MINIMAL: &str = "serve --log-format json --listen udp://127.0.0.1:0 --admin 127.0.0.1:0 \
                       --relay-address 127.0.0.1 --ports 20000-20009";

/// A command that runs [`MINIMAL`] has its secret.
fn minimal(mut command: Command) -> Command {
    command.env("EDGERELAY_CREDENTIALS__REST_SECRETS", "a secret of the tests");
    command
}
