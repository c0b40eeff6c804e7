//! What a server and its core have spent.

use std::time::{Duration, Instant};

use procfs::{CurrentSI as _, KernelStats, ProcError, ProcResult};
use testbed::family;

/// The clocks of a server, which may be more than one process, and of a core at one moment.
#[derive(Clone, Copy, Debug)]
pub struct CpuClocks {
    process: Duration,
    core_unused: Duration,
    taken: Instant,
}

/// CPU time between two moments.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    /// What the server's processes ran, in user space and in the kernel, with the interrupts that ran in its
    /// place (the kernel's network softirqs among them, unless it accounts them apart).
    pub process: Duration,
    /// What its core was not idle, whoever used it; what the host took from the virtual machine is not
    /// counted (nor is it in `process`, where the kernel knows of it).
    pub core: Duration,
}

impl CpuClocks {
    /// Reads the clocks of all threads of the program that was started as `pid`, and of core `core`.
    pub fn read(pid: u32, core: usize) -> ProcResult<Self> {
        let mut process = Duration::ZERO;
        for member in family::members(pid) {
            for thread in member.tasks()? {
                match thread.and_then(|thread| thread.schedstat()) {
                    Ok(schedule) => process += Duration::from_nanos(schedule.sum_exec_runtime),
                    // The thread has ended since the list was made: no such file, or no such process.
                    Err(ProcError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let stat = KernelStats::current()?;
        let time = stat.cpu_time.get(core).ok_or(ProcError::NotFound(None))?;
        let core_unused = time.idle_duration()
            + time.iowait_duration().unwrap_or_default()
            + time.steal_duration().unwrap_or_default();
        Ok(Self { process, core_unused, taken: Instant::now() })
    }

    /// The time spent since `earlier`.
    pub fn since(&self, earlier: &Self) -> CpuTime {
        let elapsed = self.taken.duration_since(earlier.taken);
        CpuTime {
            process: self.process.saturating_sub(earlier.process),
            core: elapsed.saturating_sub(self.core_unused.saturating_sub(earlier.core_unused)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_computes_is_seen_to() {
        let pid = std::process::id();
        let before = CpuClocks::read(pid, 0).unwrap();
        let mut after = before;
        let begun = Instant::now();
        while after.since(&before).process < Duration::from_millis(5) {
            assert!(begun.elapsed() < Duration::from_secs(30), "5 ms of work never showed");
            after = CpuClocks::read(pid, 0).unwrap();
        }
    }

    #[test]
    fn threads_that_end_meanwhile_are_left_out() {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let short_lived = scope.spawn(|| {
                for _ in 0..2_000 {
                    std::thread::scope(|scope| drop(scope.spawn(|| {})));
                }
            });
            while !short_lived.is_finished() && begun.elapsed() < Duration::from_secs(30) {
                CpuClocks::read(std::process::id(), 0).unwrap();
            }
        });
    }
}
