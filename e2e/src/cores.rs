//! Which processor core is whose: the relay has one of its own, who attacks it has the others.

use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The core of [`Relay::as_shipped`](crate::relay::Relay::as_shipped).
pub const RELAYS: usize = 0;

/// Nine times the share of a thread that asks for nothing (setpriority(2)).
const FIRST: i32 = -10;
/// Before nearly everything else.
pub(crate) const BEFORE_ALL: i32 = -20;

/// Keeps this thread, and those that it starts, off the relay's core: who attacks has a machine of its own.
pub fn leave_the_relays() {
    let mut cores = sched_getaffinity(None).expect("a thread may ask");
    if cores.count() > 1 {
        cores.unset(RELAYS);
        sched_setaffinity(None, &cores).expect("these were allowed");
    }
}

/// Lets this thread run before others: who takes times is not to be late itself.
pub fn go_first() {
    setpriority_process(None, BEFORE_ALL).expect("root may");
}

/// Lets this thread have most of the relay's core, for as long as it has something to do: the relay gets a tenth of
/// that core, however busy the machine is.
pub fn crowd_the_relays() {
    let mut cores = CpuSet::new();
    cores.set(RELAYS);
    sched_setaffinity(None, &cores).expect("the relay has it too");
    setpriority_process(None, FIRST).expect("root may");
}
