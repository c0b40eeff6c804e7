//! A program that runs inside a namespace, with its output kept, and is killed when its value goes.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::await_condition::{eventually, within};

/// A running program, the leader of a process group of its own.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a command with its input and output in our hands.
    pub fn start(name: &str, mut command: Command) -> Self {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let output = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(child.stdout.take().expect("stdout is piped"), &output),
            collect(child.stderr.take().expect("stderr is piped"), &output),
        ];
        let stdin = child.stdin.take();
        Self { name: name.to_owned(), child, stdin, output, readers }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written so far, to both streams.
    pub fn output(&self) -> String {
        self.output.lock().expect("no reader panics").clone()
    }

    /// Writes a line to its input.
    pub fn write_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("input is open until the program has ended");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("{} no longer reads: {error}", self.name));
    }

    /// Waits until it has written a line that starts with `prefix`; returns the rest of that line.
    pub fn line(&mut self, prefix: &str, deadline: Duration) -> String {
        let what = format!("{} to write {prefix:?}", self.name);
        eventually(deadline, &what, || {
            // Asked first: once they have finished, there is no more to come.
            let silent = self.readers.iter().all(JoinHandle::is_finished);
            let output = self.output();
            let lines = output.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let found = lines.filter_map(|line| line.strip_prefix(prefix)).next();
            assert!(found.is_some() || !silent, "{} ended before {what}:\n{output}", self.name);
            found.map(|rest| rest.trim_end().to_owned())
        })
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_none()
    }

    /// Waits for its end; returns the exit status and everything it wrote.
    ///
    /// # Panics
    /// When it still runs at the deadline, with what it wrote.
    pub fn finish(mut self, deadline: Duration) -> (ExitStatus, String) {
        self.stdin = None;
        let status = within(deadline, || self.child.try_wait().expect("the child is ours"));
        let Some(status) = status else {
            panic!("{} did not end within {deadline:?}", self.name);
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panics");
        }
        (status, self.output())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An ended one has given its id back.
        if matches!(self.child.try_wait(), Ok(None)) {
            // The group, for a browser has children.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
        if thread::panicking() {
            eprintln!("--- {} wrote:\n{}", self.name, self.output());
        }
    }
}

fn collect(stream: impl Read + Send + 'static, output: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            output.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}
