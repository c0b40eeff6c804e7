//! Headless Chromium.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use testbed::Process;

use crate::network::Party;

/// A browser with a profile of its own, in a party's namespace, that trusts the test authority.
#[derive(Debug)]
pub struct Browser {
    _process: Process,
    _home: TempDir,
}

impl Browser {
    /// Opens a page.
    pub fn open(party: &Party, url: &str, authority: &Path) -> Self {
        let home = TempDir::with_prefix("edgerelay-browser-").expect("a temporary folder");
        trust(home.path(), authority);
        let mut command = party.namespace.command("chromium");
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-quic",
            ])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args([
                "--disable-sync",
                "--disable-background-timer-throttling",
                "--disable-renderer-backgrounding",
            ])
            .args(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"])
            .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
            .arg(url)
            .env("HOME", home.path())
            .env_remove("DBUS_SESSION_BUS_ADDRESS");
        Self { _process: Process::start("chromium", command), _home: home }
    }
}

/// Puts the authority where Chromium looks for a user's own: the NSS database of the home folder.
fn trust(home: &Path, authority: &Path) {
    let database = home.join(".pki/nssdb");
    std::fs::create_dir_all(&database).expect("the folder is ours");
    let database = format!("sql:{}", database.display());
    certutil(Command::new("certutil").args(["-N", "-d", &database, "--empty-password"]));
    certutil(
        Command::new("certutil")
            .args(["-A", "-d", &database, "-n", "EdgeRelay test authority", "-t", "C,,", "-i"])
            .arg(authority),
    );
}

fn certutil(command: &mut Command) {
    let output = command.output().expect("libnss3-tools is installed by e2e/test");
    assert!(output.status.success(), "certutil: {}", String::from_utf8_lossy(&output.stderr));
}
