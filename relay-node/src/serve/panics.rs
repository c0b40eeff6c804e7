//! What becomes of a panic where a relay can go on in another process.

use std::panic;
use std::thread;

/// From now on a panic on any thread ends the process, once it has been logged: nothing of what its worker held
/// can be trusted, and the next relay goes on with the calls of all.
pub(super) fn end_the_process() {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        tracing::error!(
            thread = thread.name().unwrap_or("without a name"),
            place = info.location().map(ToString::to_string),
            panic = info.payload_as_str().unwrap_or("of another kind"),
            "a panic: this is a fault of the program, report it"
        );
        std::process::abort();
    }));
}
