//! `edgerelay dev` and `edgerelay try`: a relay to try things out with, and a round trip through it.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{Daemon, UDP, edgerelay, text, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// `edgerelay dev` on free ports, with its state in a directory of its own.
fn dev() -> Daemon {
    let directory = tempfile::tempdir().unwrap();
    let mut command = edgerelay(&["dev", "--port", "0", "--tls-port", "0", "--admin", "127.0.0.1:0"]);
    command.env("XDG_RUNTIME_DIR", directory.path());
    let relay = Daemon::start(&mut command, directory);
    wait_until("the relay leaves its state", || state_file(relay.directory()).exists());
    relay
}

fn state_file(runtime: &Path) -> PathBuf {
    runtime.join("edgerelay/dev.json")
}

fn try_it(runtime: &Path, rest: &[&str]) -> Output {
    let arguments = [&["try", "--packets", "50", "--rate", "1000"], rest].concat();
    edgerelay(&arguments).env("XDG_RUNTIME_DIR", runtime).output().unwrap()
}

#[test]
fn packets_go_round_over_every_transport() {
    let relay = dev();
    let output = try_it(relay.directory(), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows: Vec<Vec<&str>> =
        text(&output.stdout).lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
    let transports: Vec<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(transports, ["udp", "tcp", "tls"]);
    for row in rows {
        assert_eq!(row[2], "50", "packets: {row:?}");
        let [p50, p90, p99, max] = [5, 6, 7, 8].map(|column| row[column].parse::<f64>().unwrap());
        assert!(0.0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= max, "{row:?}");
    }
}

#[test]
fn dev_prints_ice_servers_and_leaves_nothing_behind() {
    let mut relay = dev();
    let mode = fs::metadata(state_file(relay.directory())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the state holds a secret");
    wait_until("loopback is told of, and the next step", || {
        let log = relay.log().join("\n");
        log.contains("Peers on loopback are allowed") && log.contains("edgerelay try")
    });
    let secret: Value = serde_json::from_slice(&fs::read(state_file(relay.directory())).unwrap()).unwrap();
    assert!(!relay.log().join("\n").contains(secret["secret"].as_str().unwrap()));

    relay.signal(Signal::INT);
    assert_eq!(relay.wait().code(), Some(0));
    let printed: Value = serde_json::from_str(&relay.printed()).unwrap();
    let server = &printed["iceServers"][0];
    assert_eq!(server["urls"].as_array().unwrap().len(), 3);
    assert!(server["username"].as_str().unwrap().ends_with(":dev"));
    assert!(!server["credential"].as_str().unwrap().is_empty());
    let left: Vec<_> = fs::read_dir(relay.directory().join("edgerelay")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_busy_port_is_named_with_the_flag_that_changes_it() {
    let udp = udp_outside_of_relay_ports();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let start = |port: u16, tls_port: u16| {
        let (port, tls_port) = (port.to_string(), tls_port.to_string());
        let arguments = ["dev", "--port", &port, "--tls-port", &tls_port, "--admin", "127.0.0.1:0"];
        edgerelay(&arguments).env("XDG_RUNTIME_DIR", directory.path()).output().unwrap()
    };
    for (output, port, flag) in [
        (start(udp.local_addr().unwrap().port(), 0), udp.local_addr().unwrap().port(), "--port"),
        (start(0, tcp.local_addr().unwrap().port()), tcp.local_addr().unwrap().port(), "--tls-port"),
    ] {
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains(&format!(" port {port} ")) && said.contains(flag), "{said}");
    }
}

/// A port of the relay range would be refused for another reason.
fn udp_outside_of_relay_ports() -> UdpSocket {
    let mut others = Vec::new();
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        if !(50_000..=59_999).contains(&socket.local_addr().unwrap().port()) {
            return socket;
        }
        others.push(socket);
    }
}

#[test]
fn without_a_relay_it_is_told_how_to_get_one() {
    let directory = tempfile::tempdir().unwrap();
    let output = try_it(directory.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("`edgerelay dev`"), "{}", text(&output.stderr));
}

#[test]
fn a_relay_by_url_with_the_secret_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "0123456789abcdef\n").unwrap();
    let path = secret.to_str().unwrap().to_owned();
    let relay = Daemon::serve_with(directory, &format!("{UDP}\ncredentials.rest_secret_files = '{path}'"));
    let url = format!("turn:{}", relay.address("udp"));
    let output = try_it(relay.directory(), &["--url", &url, "--secret-file", &path]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    fs::write(&secret, "another secret than the relay's").unwrap();
    let output = try_it(relay.directory(), &["--url", &url, "--secret-file", &path]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("Allocate was refused with 401") && said.contains("check the user name"), "{said}");
    assert!(!said.contains("another secret"));
}

#[test]
fn a_relay_on_ipv6_that_flags_configure() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "0123456789abcdef\n").unwrap();
    let path = secret.to_str().unwrap().to_owned();
    let flags = ["--listen=tcp://[::1]:0", "--relay-address=::1", "--allow-peer=::1", "--admin=[::1]:0"];
    let serve = ["serve", "--log-format=json", "--secret-file", &path];
    let relay = Daemon::start(&mut edgerelay(&[&serve[..], &flags].concat()), directory);
    relay.line("ready");
    let url = format!("turn:{}?transport=tcp", relay.address("tcp"));
    let output = try_it(relay.directory(), &["--url", &url, "--secret-file", &path]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_refused_peer_is_told_with_the_mend() {
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    fs::write(&password, "wonderland\n").unwrap();
    let path = password.to_str().unwrap().to_owned();
    let relay = Daemon::serve_with(
        directory,
        &format!("{UDP}\n{}\npeers.deny = '127.0.0.0/8'", crate::support::ALICE),
    );
    let url = format!("turn:{}", relay.address("udp"));
    let output =
        try_it(relay.directory(), &["--url", &url, "--username", "alice", "--credential-file", &path]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("CreatePermission was refused with 403") && said.contains("--allow-peer"),
        "{said}"
    );
}

#[test]
fn a_relay_that_is_not_there_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "0123456789abcdef").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("turn:{closed}?transport=tcp");
    let output = try_it(directory.path(), &["--url", &url, "--secret-file", secret.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("check that the relay runs"), "{}", text(&output.stderr));
}
