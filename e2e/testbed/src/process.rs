//! A program with its output kept, killed when its value goes or when this process ends in any way.

use std::borrow::BorrowMut;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::waiting::eventually;
use crate::{family, memory};

/// A command whose program the kernel kills when the thread that started it ends, and so when this
/// process ends in any way (`setpriv` of Debian's util-linux; PR_SET_PDEATHSIG).
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A running program, the leader of a process group of its own.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Stream,
    stderr: Stream,
}

/// What a program has written to one of its streams, and the thread that reads on.
#[derive(Debug)]
struct Stream {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Process {
    /// Starts a command made by [`command`] with its input and output in our hands.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, mut command: impl BorrowMut<Command>) -> Self {
        let mut child = command
            .borrow_mut()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = Stream::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Stream::of(child.stderr.take().expect("stderr is piped"));
        let stdin = child.stdin.take();
        Self { name: name.to_owned(), child, stdin, stdout, stderr }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written to standard output so far.
    pub fn printed(&self) -> String {
        self.stdout.so_far()
    }

    /// All that it has written to standard error so far.
    pub fn logged(&self) -> String {
        self.stderr.so_far()
    }

    /// All that it has written so far, first what it printed, then what it logged.
    pub fn output(&self) -> String {
        self.printed() + &self.logged()
    }

    /// Writes a line to its input.
    pub fn write_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("input is open until the program has ended");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("{} no longer reads: {error}", self.name));
    }

    /// Waits until it has written a line that starts with `prefix`; returns the rest of that line.
    ///
    /// # Panics
    /// When it has not done so by the deadline or has ended without, with what it wrote.
    pub fn line(&mut self, prefix: &str, deadline: Duration) -> String {
        let what = format!("{} to write {prefix:?}", self.name);
        eventually(deadline, &what, || {
            // Asked first: once both have ended, there is no more to come.
            let silent = self.stdout.has_ended() && self.stderr.has_ended();
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

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child that nobody has waited for");
    }

    /// The process of it that does its work now: see [`family::youngest`].
    ///
    /// # Panics
    /// When it has ended.
    pub fn youngest(&self) -> procfs::process::Process {
        family::youngest(self.id()).expect("the program runs")
    }

    /// Kills all its processes, the one that was started first.
    pub fn kill_all(&self) {
        for member in family::members(self.id()) {
            // The first one's end may be that of the others too.
            let _ = Pid::from_raw(member.pid).map(|pid| kill_process(pid, Signal::KILL));
        }
    }

    /// Bytes of physical memory that all its processes occupy; what they share counts once.
    ///
    /// # Panics
    /// When it has ended.
    pub fn resident_bytes(&self) -> u64 {
        memory::of(&family::members(self.id())).expect("the program runs")
    }

    /// What `/proc` tells of it, e.g. its threads or the devices of its network namespace.
    ///
    /// # Panics
    /// When it has ended.
    pub fn procfs(&self) -> procfs::process::Process {
        procfs::process::Process::new(self.id().cast_signed()).expect("the program runs")
    }

    /// Waits for its end, and for the end of what it writes.
    ///
    /// # Panics
    /// When it still runs at the deadline.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        eventually(deadline, &what, || {
            let status = self.child.try_wait().expect("the child is ours")?;
            (self.stdout.has_ended() && self.stderr.has_ended()).then_some(status)
        })
    }

    /// Closes its input and waits for its end; returns the exit status and everything it wrote.
    ///
    /// # Panics
    /// As [`Process::wait`].
    pub fn finish(mut self, deadline: Duration) -> (ExitStatus, String) {
        self.stdin = None;
        (self.wait(deadline), self.output())
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

impl Stream {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                sink.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        self.text.lock().expect("no reader panics").clone()
    }

    fn has_ended(&self) -> bool {
        self.reader.is_finished()
    }
}
