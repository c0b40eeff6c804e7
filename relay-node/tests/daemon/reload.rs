//! Changed files are taken without a restart, and calls go on; what cannot be used changes nothing.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use crate::support::{
    ALICE, Client, Daemon, Identity, Packet, TlsClient, UDP, edgerelay, peer, receive, wait_until,
};
use rustix::process::Signal;

fn call(relay: SocketAddr, peer: SocketAddr) -> Client<UdpSocket> {
    let mut alice = Client::udp(relay);
    alice.allocate();
    alice.bind(0x4000, peer);
    alice
}

fn assert_served(alice: &mut Client<UdpSocket>, peer: &UdpSocket) {
    alice.send_channel(0x4000, b"there");
    let (_, relayed) = receive(peer);
    peer.send_to(b"back", relayed).unwrap();
    assert_eq!(alice.receive(), Packet::Channel { number: 0x4000, payload: b"back".to_vec() });
}

fn reloads(relay: &Daemon, result: &str) -> u64 {
    relay.metric("edgerelay_configuration_reloads_total", &[&format!("result=\"{result}\"")])
}

#[test]
fn users_come_and_go_while_calls_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users");
    fs::write(&users, "alice:wonderland\n").unwrap();
    let settings =
        format!("reload_interval = '1h'\n{UDP}\ncredentials.users_file = '{}'", users.to_str().unwrap());
    let relay = Daemon::serve_with(directory, &settings);
    let peer = peer();
    let mut alice = call(relay.address("udp"), peer.local_addr().unwrap());

    fs::write(&users, "carol:wonderland\n").unwrap();
    relay.signal(Signal::HUP);
    wait_until("the change is in force", || reloads(&relay, "applied") == 1);
    wait_until("alice is unknown", || Client::udp(relay.address("udp")).try_allocate() == Err(401));
    assert_served(&mut alice, &peer);

    // No user at all and a line that is none: the last good file stays in force.
    fs::write(&users, "carol\n").unwrap();
    relay.signal(Signal::HUP);
    wait_until("the fault is counted", || reloads(&relay, "failed") == 1);
    assert_eq!(relay.metric("edgerelay_configuration_valid", &[]), 0);
    let said = relay.line("the last good configuration stays in force");
    assert!(said["problem"].as_str().unwrap().contains("users_file, line 1"), "{said}");
    assert_served(&mut alice, &peer);

    fs::write(&users, "carol:wonderland\nalice:wonderland\n").unwrap();
    relay.signal(Signal::HUP);
    wait_until("the fix is in force", || reloads(&relay, "applied") == 2);
    assert_eq!(relay.metric("edgerelay_configuration_valid", &[]), 1);
    wait_until("alice is known", || Client::udp(relay.address("udp")).try_allocate().is_ok());
    assert_served(&mut alice, &peer);
}

#[test]
fn files_are_looked_at_without_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users");
    fs::write(&users, "carol:wonderland\n").unwrap();
    let settings =
        format!("reload_interval = '1s'\n{UDP}\ncredentials.users_file = '{}'", users.to_str().unwrap());
    let relay = Daemon::serve_with(directory, &settings);
    assert_eq!(Client::udp(relay.address("udp")).try_allocate(), Err(401));
    fs::write(&users, "alice:wonderland\n").unwrap();
    wait_until("alice is known", || Client::udp(relay.address("udp")).try_allocate().is_ok());
}

#[test]
fn what_needs_a_restart_is_told() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let path = relay.file("edgerelay.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("bind = \"127.0.0.1\"", "bind = \"127.0.0.3\"");
    fs::write(&path, format!("{text}\nrelay.ports = '40000-40009'\nlimits.user.allocations = 1")).unwrap();
    relay.signal(Signal::HUP);
    assert_eq!(relay.line("these changes need a restart")["settings"], "relay.addresses, relay.ports");
    let mut alice = Client::udp(relay.address("udp"));
    wait_until("the limit is in force, which needs none", || reloads(&relay, "applied") == 1);
    let relayed = alice.allocate();
    assert!((50_000..=59_999).contains(&relayed.port()), "{relayed}");
    assert_eq!(relayed.ip(), Ipv4Addr::LOCALHOST);
    wait_until("a second allocation is refused", || {
        Client::udp(relay.address("udp")).try_allocate() == Err(486)
    });
}

#[test]
fn a_crash_is_no_restart_for_what_needs_one() {
    let relay = Daemon::serve(&format!("reload_interval = '1h'\n{ALICE}\n{UDP}"));
    let peer = peer();
    let mut alice = call(relay.address("udp"), peer.local_addr().unwrap());
    let path = relay.file("edgerelay.toml");
    let text = fs::read_to_string(&path).unwrap();
    // Somebody else has that port, and no call has one of those.
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = format!("address = '{}'", other.local_addr().unwrap());
    let text = text.replace("address = '127.0.0.1:0'", &taken);
    fs::write(&path, format!("{text}\nrelay.ports = '20000-20009'\nlimits.user.allocations = 1")).unwrap();
    relay.crash(Signal::KILL);
    assert_eq!(relay.line("these changes need a restart")["settings"], "listeners, relay.ports");
    assert_served(&mut alice, &peer);
    wait_until("the limit is in force, which needs none", || {
        Client::udp(relay.address("udp")).try_allocate() == Err(486)
    });
    relay.crash(Signal::KILL);
    assert_served(&mut alice, &peer);
}

#[test]
fn own_addresses_that_cannot_be_listed_leave_the_former_ones_in_force() {
    // There is no file to read, so that listing them is the first thing for which something is opened.
    let mut command = edgerelay(&["serve", "--log-format", "json", "--workers", "1"]);
    command.args(["--listen", "udp://127.0.0.1:0", "--relay-address", "127.0.0.1", "--admin", "127.0.0.1:0"]);
    command.env("EDGERELAY_CREDENTIALS__REST_SECRETS", "['0123456789abcdef']");
    let relay = Daemon::start(&mut command, tempfile::tempdir().unwrap());
    relay.line("ready");
    let allowed = relay.deny_files();
    relay.signal(Signal::HUP);
    let said = relay.line("the last good configuration stays in force");
    assert!(
        said["problem"].as_str().unwrap().contains("own addresses, which are no peers, cannot be listed")
    );

    relay.allow_files(allowed);
    assert_eq!((reloads(&relay, "failed"), reloads(&relay, "applied")), (1, 0));
    assert_eq!(relay.metric("edgerelay_configuration_valid", &[]), 0);
    relay.signal(Signal::HUP);
    wait_until("they are listed again", || relay.metric("edgerelay_configuration_valid", &[]) == 1);
    assert_eq!(reloads(&relay, "applied"), 0, "and are what they were");
}

/// A relay with a UDP and a TLS listener.
struct Tls {
    relay: Daemon,
    /// At its start.
    identity: Identity,
}

impl Tls {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::new();
        identity.write(directory.path());
        let tls = Identity::listener("tls", directory.path());
        let settings = format!(
            "reload_interval = '1h'\n{ALICE}\n\
             listeners = [{{ transport = 'udp', address = '127.0.0.1:0' }}, {tls}]"
        );
        Self { relay: Daemon::serve_with(directory, &settings), identity }
    }

    /// Puts a new certificate where the old one is.
    fn renew(&self) -> Identity {
        let identity = Identity::new();
        identity.write(self.relay.directory());
        identity
    }

    /// Replaces a part of the configuration.
    fn edit(&self, from: &str, to: &str) {
        let path = self.relay.file("edgerelay.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
    }

    /// Whether a client that trusts just this one gets through.
    fn shows(&self, identity: &Identity) -> bool {
        TlsClient::tls(self.relay.address("tls"), identity, &[]).is_ok()
    }

    fn knows_alice(&self) -> bool {
        Client::udp(self.relay.address("udp")).try_allocate().is_ok()
    }
}

#[test]
fn new_connections_get_the_new_certificate() {
    let tls = Tls::start();
    assert!(tls.shows(&tls.identity) && !tls.shows(&Identity::new()));
    let new = tls.renew();
    tls.relay.signal(Signal::HUP);
    wait_until("the new one is shown", || tls.shows(&new));
    assert!(!tls.shows(&tls.identity));
}

#[test]
fn a_certificate_that_cannot_be_read_keeps_the_old_settings_too() {
    let tls = Tls::start();
    tls.edit("wonderland", "another password");
    fs::write(tls.relay.file("tls.crt"), "nothing").unwrap();
    tls.relay.signal(Signal::HUP);
    wait_until("the fault is counted", || reloads(&tls.relay, "failed") == 1);
    assert!(tls.shows(&tls.identity) && tls.knows_alice());
}

#[test]
fn settings_that_cannot_be_used_keep_the_old_certificate_too() {
    let tls = Tls::start();
    tls.edit("realm = \"example.org\"", "realm = \"\"");
    let new = tls.renew();
    tls.relay.signal(Signal::HUP);
    wait_until("the fault is counted", || reloads(&tls.relay, "failed") == 1);
    assert!(tls.shows(&tls.identity) && tls.knows_alice());
    tls.edit("realm = \"\"", "realm = \"example.org\"");
    tls.relay.signal(Signal::HUP);
    wait_until("the new one is shown", || tls.shows(&new));
}

#[test]
fn a_listener_that_waits_for_a_restart_keeps_its_certificate_and_no_other_change() {
    let tls = Tls::start();
    for name in ["tls.crt", "tls.key"] {
        fs::rename(tls.relay.file(name), tls.relay.file(&format!("moved-{name}"))).unwrap();
        tls.edit(&format!("/{name}'"), &format!("/moved-{name}'"));
    }
    tls.edit("alice = 'wonderland'", "alice = 'wonderland', bob = 'builder'");
    tls.relay.signal(Signal::HUP);
    assert_eq!(tls.relay.line("these changes need a restart")["settings"], "listeners");
    wait_until("the other change is in force", || reloads(&tls.relay, "applied") == 1);
    assert_eq!(reloads(&tls.relay, "failed"), 0);
    assert!(tls.shows(&tls.identity));
}
