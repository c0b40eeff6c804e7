//! A program that is more than one process: one that was started, and what it has made of itself since.
//!
//! A relay is its keeper, which was started, and the process that serves, a child of the keeper. Without a
//! keeper the one that was started serves.

use procfs::process::{ProcState, Process};

/// The processes of the program that was started as `pid`: that one first, the youngest last. None if it has ended.
pub fn members(pid: u32) -> Vec<Process> {
    let Some(first) = living(pid) else { return Vec::new() };
    let younger: Vec<Process> = children(&first).into_iter().flat_map(members).collect();
    [first].into_iter().chain(younger).collect()
}

/// The process of the program that does its work now: the last one that was made and has made none itself.
pub fn youngest(pid: u32) -> Option<Process> {
    members(pid).pop()
}

fn living(pid: u32) -> Option<Process> {
    let process = Process::new(pid.cast_signed()).ok()?;
    let state = process.stat().ok()?.state().ok()?;
    (!matches!(state, ProcState::Zombie | ProcState::Dead)).then_some(process)
}

/// In the order in which they came to be. Who ends meanwhile may hide another one.
fn children(process: &Process) -> Vec<u32> {
    let Ok(tasks) = process.tasks() else { return Vec::new() };
    tasks.filter_map(|task| task.ok()?.children().ok()).flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::{eventually, eventually_true, process};

    const SOON: std::time::Duration = std::time::Duration::from_secs(10);

    #[test]
    fn a_program_of_one_process_is_its_own_youngest() {
        let mut cat = process::command("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        eventually_true(SOON, "cat to be there", || members(cat.id()).len() == 1);
        assert_eq!(youngest(cat.id()).unwrap().pid, cat.id().cast_signed());
        cat.kill().unwrap();
        eventually_true(SOON, "cat to be a zombie", || youngest(cat.id()).is_none());
        cat.wait().unwrap();
    }

    #[test]
    fn who_was_made_last_is_the_youngest() {
        let script = "sleep 60 & echo $!; sh -c 'sleep 60 & wait' & wait";
        let mut shell = process::command("sh").args(["-c", script]).stdout(Stdio::null()).spawn().unwrap();
        let members = eventually(SOON, "four processes", || {
            Some(members(shell.id())).filter(|members| {
                members.len() == 4 && members.iter().skip(3).all(|last| last.stat().unwrap().comm == "sleep")
            })
        });
        let youngest = members.last().unwrap().stat().unwrap();
        assert_eq!(youngest.ppid, members[2].pid, "a grandchild");
        assert_eq!(members[2].stat().unwrap().ppid, shell.id().cast_signed());
        // What they started goes with them.
        for member in members {
            let pid = rustix::process::Pid::from_raw(member.pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
    }
}
