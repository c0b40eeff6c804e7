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

#[cfg(test)]
mod tests {
    use std::env;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    /// Set where this test is the process that panics.
    const PANICS: &str = "TEST_OF_PANICS";

    #[test]
    fn a_panic_on_any_thread_is_logged_and_ends_the_process() {
        if env::var_os(PANICS).is_some() {
            tracing_subscriber::fmt().with_ansi(false).init();
            end_the_process();
            let worker = thread::Builder::new().name("worker-7".to_owned()).spawn(|| panic!("no such place"));
            let _ = worker.unwrap().join();
            return;
        }
        let mut again = Command::new(env::current_exe().unwrap());
        again.args(["--exact", "--nocapture"]).arg(thread::current().name().unwrap());
        let output = again.env(PANICS, "1").output().unwrap();
        let logged = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{logged}");
        for part in ["ERROR", "worker-7", "panics.rs", "no such place", "report it"] {
            assert!(logged.contains(part), "{part}: {logged}");
        }
    }
}
