//! Signals that wait until the keeper asks for them, so that it needs no handler, which a child would inherit.
#![allow(unsafe_code, reason = "signal masks, and waiting for what they hold back")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

use rustix::process::Signal;

/// What the relay's operator tells it.
pub(super) const COMMANDS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1];
/// Tells the first process to replace its relay.
pub(super) const REPLACE: Signal = Signal::USR2;

/// The signals that the keeper waits for.
pub(super) struct Signals(libc::sigset_t);

impl Signals {
    /// Holds them back from now on, here and in every child.
    pub(super) fn hold_back() -> io::Result<Self> {
        let set = set(COMMANDS.into_iter().chain([REPLACE, Signal::CHILD]));
        change_mask(libc::SIG_BLOCK, &set)?;
        Ok(Self(set))
    }

    /// The next one; none if `patience` is over before.
    pub(super) fn wait(&self, patience: Option<Duration>) -> Option<Signal> {
        let patience = patience.map(|patience| libc::timespec {
            tv_sec: patience.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        });
        let timeout = patience.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: all pointers are valid for the call, or null where that is allowed.
        let signal = unsafe { libc::sigtimedwait(&raw const self.0, ptr::null_mut(), timeout) };
        // What interrupts it (EINTR) is no signal of ours: whoever asked looks around and asks again.
        Signal::from_named_raw(signal)
    }
}

/// Lets the operator's signals come to this process, which has handlers for them now. What is for the keeper
/// alone stays held back.
pub(crate) fn let_commands_through() -> io::Result<()> {
    change_mask(libc::SIG_UNBLOCK, &set(COMMANDS))
}

fn set(signals: impl IntoIterator<Item = Signal>) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset writes the whole set, which every later call then finds initialised; it fails for no
    // valid pointer, and sigaddset for no signal that exists.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
        }
        set.assume_init()
    }
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised, and the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, set, ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
