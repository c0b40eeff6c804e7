//! Where a server's time goes, by what it was called from (`perf record -e cpu-clock`).

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// What a sample was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The kernel hands what was sent to the other end: over veth, up through IP and UDP, waking it.
    Delivery,
    /// The rest of the sending system calls.
    Sending,
    /// The receiving system calls.
    Receiving,
    /// Waiting for sockets to be ready.
    Waiting,
    /// The rest of the kernel: entry and exit of system calls, interrupts, scheduling.
    Kernel,
    /// The server's own code and its libraries.
    Program,
}

const PLACES: [(Place, &str); 6] = [
    (Place::Sending, "sending (sendmmsg: UDP, IP, route, veth)"),
    (Place::Delivery, "delivery to the other end (softirq)"),
    (Place::Receiving, "receiving (recvmmsg)"),
    (Place::Waiting, "waiting (epoll)"),
    (Place::Kernel, "rest of the kernel (system call entry, interrupts, scheduling)"),
    (Place::Program, "the server's own code"),
];

/// A running `perf record`.
pub struct Profile {
    perf: Child,
    data: File,
}

impl Profile {
    /// Samples the process `pid` from now on.
    pub fn start(pid: i32) -> io::Result<Self> {
        let data = tempfile::tempfile()?;
        let perf = testbed::process::command("perf")
            .args(["record", "--quiet", "-g", "-e", "cpu-clock"])
            .args(["-F", "2999", "-o", "-", "-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(data.try_clone()?)
            .stderr(Stdio::null())
            .spawn()?;
        let mut profile = Self { perf, data };
        profile.wait_for_header()?;
        Ok(profile)
    }

    /// perf writes a header once it is ready to sample.
    fn wait_for_header(&mut self) -> io::Result<()> {
        const PATIENCE: Duration = Duration::from_secs(20);
        const PAUSE: Duration = Duration::from_millis(10);
        let deadline = Instant::now() + PATIENCE;
        while self.data.metadata()?.len() == 0 {
            if self.perf.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(io::Error::other("perf does not record: install Debian's linux-perf"));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Ends the sampling; the share of each place, and the hottest functions of the program itself.
    pub fn finish(mut self) -> io::Result<Shares> {
        if let Some(pid) = Pid::from_raw(self.perf.id() as i32) {
            kill_process(pid, Signal::INT)?;
        }
        self.perf.wait()?;
        self.data.rewind()?;
        let mut script = Command::new("perf")
            .args(["script", "-i", "-", "-F", "ip,sym,dso"])
            .stdin(self.data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut text = String::new();
        if let Some(stdout) = &mut script.stdout {
            stdout.read_to_string(&mut text)?;
        }
        script.wait()?;
        Ok(Shares::of(&text))
    }
}

/// What a profile says.
#[derive(Debug, Default, PartialEq)]
pub struct Shares {
    samples: usize,
    places: Vec<(&'static str, f64)>,
    functions: Vec<(String, f64)>,
}

impl Shares {
    /// Counts the samples of `perf script`: blocks of lines, the innermost function first.
    fn of(script: &str) -> Self {
        const HOTTEST: usize = 12;
        let stacks: Vec<&str> = script.split("\n\n").filter(|block| !block.trim().is_empty()).collect();
        let share = |count: usize| count as f64 / stacks.len().max(1) as f64;
        let places = PLACES
            .iter()
            .map(|(place, name)| {
                (*name, share(stacks.iter().filter(|stack| place_of(stack) == *place).count()))
            })
            .collect();
        let mut own: Vec<&str> = stacks
            .iter()
            .filter(|stack| place_of(stack) == Place::Program)
            .filter_map(|stack| stack.lines().find_map(function))
            .collect();
        own.sort_unstable();
        let mut functions: Vec<_> = own
            .chunk_by(|a, b| a == b)
            .filter_map(|chunk| chunk.first().map(|name| ((*name).to_owned(), share(chunk.len()))))
            .collect();
        functions.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        functions.truncate(HOTTEST);
        Self { samples: stacks.len(), places, functions }
    }

    /// The shares in Markdown; `cost` is what a packet costs in microseconds.
    pub fn markdown(&self, title: &str, cost: f64) -> String {
        let mut text = format!(
            "\n**{title}** ({} samples)\n\n| where | share | µs |\n| --- | ---: | ---: |\n",
            self.samples
        );
        for (name, share) in &self.places {
            text.push_str(&format!("| {name} | {:.1} % | {:.2} |\n", share * 100.0, share * cost));
        }
        text.push_str("\nOwn code:\n");
        for (name, share) in &self.functions {
            text.push_str(&format!("- {:.1} % `{name}`\n", share * 100.0));
        }
        text
    }
}

fn place_of(stack: &str) -> Place {
    let calls = |names: &[&str]| stack.lines().filter_map(function).any(|called| names.contains(&called));
    if calls(&["handle_softirqs", "__do_softirq", "do_softirq"]) {
        Place::Delivery
    } else if calls(&["__sys_sendmmsg", "__sys_sendmsg", "__sys_sendto"]) {
        Place::Sending
    } else if calls(&["do_recvmmsg", "__sys_recvmsg", "__sys_recvfrom"]) {
        Place::Receiving
    } else if calls(&["do_epoll_wait", "do_epoll_pwait"]) {
        Place::Waiting
    } else if stack.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.contains("([kernel"))
    {
        Place::Kernel
    } else {
        Place::Program
    }
}

/// The function of a line `  ffffffff81 name (object)`.
fn function(line: &str) -> Option<&str> {
    let (_, rest) = line.trim().split_once(' ')?;
    Some(rest.rsplit_once(" (").map_or(rest, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
\tffffffff8 fib_lookup ([kernel.kallsyms])
\tffffffff7 __sys_sendmmsg ([kernel.kallsyms])
\t    55555 main (/edgerelay)

\tffffffff8 udp_queue_rcv ([kernel.kallsyms])
\tffffffff8 handle_softirqs ([kernel.kallsyms])
\tffffffff7 __sys_sendmmsg ([kernel.kallsyms])

\t    55555 turn::look up (/edgerelay)

\t    55555 turn::look up (/edgerelay)
";

    #[test]
    fn a_sample_counts_where_it_was_called_from() {
        let shares = Shares::of(SCRIPT);
        assert_eq!(shares.samples, 4);
        let of = |name: &str| shares.places.iter().find(|(place, _)| place.starts_with(name)).unwrap().1;
        assert_eq!(of("sending"), 0.25);
        assert_eq!(of("delivery"), 0.25);
        assert_eq!(of("the server's own"), 0.5);
        assert_eq!(shares.functions, [("turn::look up".to_owned(), 0.5)]);
    }

    #[test]
    fn a_share_of_the_cost_is_told_in_microseconds() {
        let text = Shares::of(SCRIPT).markdown("EdgeRelay", 3.0);
        assert!(text.contains("| the server's own code | 50.0 % | 1.50 |"), "{text}");
    }
}
