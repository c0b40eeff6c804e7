//! A network namespace that goes when its value goes.

use std::fs;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const PREFIX: &str = "edgerelay";
const NETNS: &str = "/run/netns";

/// A named network namespace with its loopback up; dropping it kills what runs inside and removes it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace whose name carries this process's id, so that runs side by side never meet.
    pub fn new(role: &str) -> Self {
        static SWEEP: Once = Once::new();
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        SWEEP.call_once(sweep_stale);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{serial}-{role}", std::process::id());
        ip(&["netns", "add", &name]);
        let namespace = Self { name };
        namespace.configure("link set lo up\n");
        namespace
    }

    /// The name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs lines of `ip -batch` inside.
    pub fn configure(&self, batch: &str) {
        let mut child = Command::new("ip")
            .args(["-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("iproute2 is installed by e2e/test");
        child.stdin.take().expect("stdin is piped").write_all(batch.as_bytes()).expect("ip reads its batch");
        let status = child.wait().expect("ip was started");
        assert!(status.success(), "ip in {} refused a line of:\n{batch}(namespaces need root)", self.name);
    }

    /// Sets a network sysctl inside, e.g. `ipv4/ip_forward`.
    pub fn sysctl(&self, key: &str, value: &str) {
        self.enter(|| fs::write(format!("/proc/sys/net/{key}"), value))
            .unwrap_or_else(|error| panic!("cannot set {key} in {}: {error}", self.name));
    }

    /// Runs `work` on a thread inside the namespace. Sockets made there stay in it wherever they go.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("{NETNS}/{}", self.name);
        let handle = fs::File::open(&path).expect("the namespace exists while its value does");
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("entering a namespace needs root");
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that will run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes namespaces of test processes that no longer live, with what still runs in them.
fn sweep_stale() {
    let Ok(entries) = fs::read_dir(NETNS) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1));
        let stale = owner.is_some_and(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(true));
        if stale {
            remove(&name);
        }
    }
}

fn remove(name: &str) {
    let pids = Command::new("ip").args(["netns", "pids", name]).output();
    let pids = pids.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    for pid in pids.lines().filter_map(|line| line.trim().parse().ok()).filter_map(Pid::from_raw) {
        // It may have ended by itself in between.
        let _ = kill_process(pid, Signal::KILL);
    }
    // Another process's sweep may have been faster.
    let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is installed by e2e/test");
    let reason = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {} failed (namespaces need root): {reason}", arguments.join(" "));
}
