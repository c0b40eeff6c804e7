//! What a server process and its core have spent.

use std::{
    fs, io,
    time::{Duration, Instant},
};

/// The clocks of a process and of a core at one moment.
#[derive(Clone, Copy, Debug)]
pub struct CpuClocks {
    process: Duration,
    core_idle: Duration,
    taken: Instant,
}

/// CPU time between two moments.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    /// What the process ran, in user space and in the kernel, with the interrupts that ran in its
    /// place (the kernel's network softirqs among them, unless it accounts them apart).
    pub process: Duration,
    /// What its core was not idle, whoever used it.
    pub core: Duration,
}

impl CpuClocks {
    /// Reads the clocks of all threads of process `pid`, and of core `core`.
    pub fn read(pid: u32, core: usize) -> io::Result<Self> {
        let mut process = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let schedstat = match fs::read_to_string(thread?.path().join("schedstat")) {
                // The thread has ended since the list was made.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                schedstat => schedstat?,
            };
            process += Duration::from_nanos(number(schedstat.split(' ').next())?);
        }
        let core_idle = idle_time(&fs::read_to_string("/proc/stat")?, core)?;
        Ok(Self { process, core_idle, taken: Instant::now() })
    }

    /// The time spent since `earlier`.
    pub fn since(&self, earlier: &Self) -> CpuTime {
        let elapsed = self.taken.duration_since(earlier.taken);
        CpuTime {
            process: self.process.saturating_sub(earlier.process),
            core: elapsed.saturating_sub(self.core_idle.saturating_sub(earlier.core_idle)),
        }
    }
}

/// Bytes of physical memory that process `pid` occupies.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kilobytes: u64 = number(line.map(|line| line.trim().trim_end_matches(" kB")))?;
    Ok(kilobytes * 1024)
}

/// The idle time (idle and iowait) of a core out of `/proc/stat`.
fn idle_time(stat: &str, core: usize) -> io::Result<Duration> {
    let name = format!("cpu{core} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name));
    let mut fields = line.ok_or(io::ErrorKind::InvalidData)?.split(' ').skip(3);
    let ticks = number(fields.next())? + number(fields.next())?;
    Ok(Duration::from_secs(ticks) / rustix::param::clock_ticks_per_second() as u32)
}

fn number(field: Option<&str>) -> io::Result<u64> {
    field.and_then(|text| text.trim().parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_the_fourth_and_fifth_field_of_the_cores_line() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 100 23 6 7 8 9 0\ncpu1 1 2 3 400 5 6 7 8 9 0\n";
        let tick = Duration::from_secs(1) / rustix::param::clock_ticks_per_second() as u32;
        assert_eq!(idle_time(stat, 0).unwrap(), tick * 123);
        assert_eq!(idle_time(stat, 1).unwrap(), tick * 405);
        assert!(idle_time(stat, 2).is_err());
    }

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
        assert!(resident_bytes(pid).unwrap() > 100_000);
    }
}
