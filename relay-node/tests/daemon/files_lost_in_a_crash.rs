//! A relay that crashes while its files are broken or gone goes on with the last good configuration, says so, and
//! takes the files again when they are good. Who starts a relay anew is told what is wrong with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use tempfile::TempDir;
use turn::credentials::Secret;
use turn_client::Credential;

use crate::support::{ALICE, Client, Daemon, Identity, TlsClient, datagram_socket, edgerelay, wait_until};

const SECRET: &str = "a secret of the tests";

/// A relay all of whose files can be lost, and which keeps its calls in a directory beside them.
struct Relay {
    daemon: Daemon,
    folder: TempDir,
    identity: Identity,
}

impl Relay {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::new();
        identity.write(folder.path());
        fs::write(folder.path().join("secret"), SECRET).unwrap();
        let [secret, state] = ["secret", "state"].map(|name| folder.path().join(name).display().to_string());
        let settings = format!(
            "recovery.directory = '{state}'\nreload_interval = '1h'\ndrain_deadline = '1h'\n{ALICE}\n\
             credentials.rest_secret_files = '{secret}'\nrelay.addresses = [{{ bind = '127.0.0.1' }}]\n\
             admin.address = '127.0.0.1:0'\nlisteners = [{{ transport = 'udp', address = '127.0.0.1:0' }}, {}]",
            Identity::listener("tls", folder.path())
        );
        fs::write(folder.path().join("edgerelay.toml"), settings).unwrap();
        let daemon = started(folder.path());
        daemon.line("ready");
        Self { daemon, folder, identity }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The relay crashes after `lose` has been at the files named; the next one says `why` it does not use these.
    fn crash_without(&self, names: &[&str], lose: impl Fn(&Path), why: &str) {
        let good: Vec<_> =
            names.iter().map(|name| (self.file(name), fs::read(self.file(name)).unwrap())).collect();
        good.iter().for_each(|(path, _)| lose(path));
        self.daemon.crash(Signal::KILL);
        let said = self.daemon.line("the last good configuration stays in force");
        assert!(said["problem"].as_str().unwrap().contains(why), "{said}");
        assert_eq!(self.daemon.metric("edgerelay_configuration_valid", &[]), 0);
        self.assert_serves();

        good.iter().for_each(|(path, content)| fs::write(path, content).unwrap());
        self.daemon.signal(Signal::HUP);
        wait_until("the files count again", || self.daemon.metric("edgerelay_configuration_valid", &[]) == 1);
        self.assert_serves();
    }

    /// TLS with the same certificate, and users of both kinds.
    fn assert_serves(&self) {
        let udp = self.daemon.address("udp");
        TlsClient::tls(self.daemon.address("tls"), &self.identity, &[]).unwrap().allocate();
        Client::udp(udp).allocate();
        let expiry = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
        let name = format!("{}:bob", expiry.as_secs());
        let password = Secret::new(SECRET.as_bytes()).unwrap().password(name.as_bytes());
        let wire = datagram_socket("127.0.0.1:0");
        wire.connect(udp).unwrap();
        Client::of(Credential::new(&name, &password), wire).allocate();
    }
}

/// A relay by the configuration in `folder`.
fn started(folder: &Path) -> Daemon {
    let path = folder.join("edgerelay.toml").display().to_string();
    let mut command = edgerelay(&["serve", "--log-format", "json", "--workers", "1", "--config", &path]);
    Daemon::start(&mut command, tempfile::tempdir().unwrap())
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

fn garble(path: &Path) {
    fs::write(path, b"realm = \xff\n[[[").unwrap();
}

#[test]
fn without_its_configuration_file_it_goes_on() {
    Relay::start().crash_without(&["edgerelay.toml"], remove, "--config");
}

#[test]
fn with_a_garbled_configuration_file_it_goes_on() {
    Relay::start().crash_without(&["edgerelay.toml"], garble, "--config");
}

#[test]
fn without_certificate_and_key_it_goes_on() {
    Relay::start().crash_without(&["tls.crt", "tls.key"], remove, "listeners[1].certificate");
}

#[test]
fn without_its_secret_it_goes_on() {
    Relay::start().crash_without(&["secret"], remove, "credentials.rest_secret_files[0]");
}

#[test]
fn without_any_file_it_goes_on() {
    let all = ["edgerelay.toml", "secret", "tls.crt", "tls.key"];
    Relay::start().crash_without(&all, remove, "--config");
}

#[test]
fn what_was_taken_while_it_ran_is_what_it_goes_on_with() {
    let relay = Relay::start();
    let path = relay.file("edgerelay.toml");
    let renewed = Identity::new();
    renewed.write(relay.folder.path());
    let text = fs::read_to_string(&path).unwrap().replace("wonderland", "another password");
    fs::write(&path, text).unwrap();
    relay.daemon.signal(Signal::HUP);
    wait_until("the change is in force", || {
        relay.daemon.metric("edgerelay_configuration_reloads_total", &["result=\"applied\""]) == 1
    });
    for name in ["edgerelay.toml", "tls.crt", "tls.key"] {
        remove(&relay.file(name));
    }
    relay.daemon.crash(Signal::KILL);
    assert_eq!(Client::udp(relay.daemon.address("udp")).try_allocate(), Err(401), "the old password");
    assert!(TlsClient::tls(relay.daemon.address("tls"), &renewed, &[]).is_ok());
}

#[test]
fn after_the_keepers_death_too_where_the_directory_can_be_told() {
    let mut relay = Relay::start();
    let path = relay.file("edgerelay.toml");
    relay.daemon.kill_all();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n[[[")).unwrap();
    relay.daemon = started(relay.folder.path());
    relay.daemon.line("ready");
    let said = relay.daemon.line("the last good configuration stays in force");
    assert!(said["problem"].as_str().unwrap().contains("this is not TOML"), "{said}");
    relay.assert_serves();
}

#[test]
fn who_starts_it_after_a_meant_end_is_told_what_is_wrong() {
    let mut relay = Relay::start();
    relay.daemon.signal(Signal::TERM);
    assert_eq!(relay.daemon.wait().code(), Some(0));
    remove(&relay.file("secret"));
    let mut anew = started(relay.folder.path());
    assert_eq!(anew.wait().code(), Some(2));
    assert!(anew.log().join("\n").contains("credentials.rest_secret_files[0]"));
}
