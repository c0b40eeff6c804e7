//! README's commands work as they stand there, in an empty folder.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use testbed::{Namespace, process};

use crate::support::{Daemon, edgerelay, text};

const README: &str = include_str!("../../../README.md");
/// What stands for the relay's public address.
const PUBLIC: &str = "203.0.113.7";

/// The commands of all shell blocks, each on one line.
fn commands() -> Vec<String> {
    let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = |block: &str| block.replace("\\\n", " ").lines().map(tidy).collect::<Vec<_>>();
    blocks.flat_map(lines).filter(|line| !line.is_empty()).collect()
}

fn tidy(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs a command in `folder`, where `edgerelay` is the built program.
fn shell(folder: &Path, command: &str) -> Output {
    succeed(command, line(process::command("sh"), folder, command))
}

/// The shell `sh` with a command to run in `folder`, where `edgerelay` is the built program.
fn line(mut sh: Command, folder: &Path, command: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_edgerelay")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    for (name, _) in edgerelay(&[]).get_envs() {
        sh.env_remove(name);
    }
    sh.args(["-ec", command]).current_dir(folder).env("PATH", path).stdin(Stdio::null());
    sh
}

/// Runs it to its end, which is to be a good one.
fn succeed(what: &str, mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{what}: {}{}", text(&output.stdout), text(&output.stderr));
    output
}

/// A relay with the secret and the certificate of `folder`, on free ports of loopback.
fn relay(folder: &Path) -> Daemon {
    let file = |name: &str| folder.join(name).display().to_string();
    let (certificate, key, secret) = (file("tls.crt"), file("tls.key"), file("secret"));
    Daemon::serve(&format!(
        "credentials.rest_secret_files = '{secret}'\nlisteners = [{{ transport = 'udp', address = \
         '127.0.0.1:0' }}, {{ transport = 'tls', address = '127.0.0.1:0', certificate = '{certificate}', key \
         = '{key}' }}]"
    ))
}

#[test]
fn every_command_works_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let mut elsewhere = Vec::new();
    for command in commands() {
        if command.starts_with("sudo ") || command.starts_with("cargo ") {
            elsewhere.push(command);
        } else if command.starts_with("edgerelay serve ") {
            let checked = shell(folder.path(), &command.replace("edgerelay serve", "edgerelay check"));
            assert!(!text(&checked.stdout).contains("warning"), "{}", text(&checked.stdout));
        } else if command.starts_with("edgerelay try ") {
            let relay = relay(folder.path());
            let at = |transport| -> SocketAddr { relay.address(transport) };
            let here = command
                .replace(&format!("{PUBLIC}:3478"), &at("udp").to_string())
                .replace(&format!("{PUBLIC}:5349"), &at("tls").to_string());
            let tried = shell(folder.path(), &format!("{here} --peer-address 127.0.0.2 --packets 20"));
            assert_eq!(text(&tried.stdout).lines().count(), 3, "{}", text(&tried.stdout));
        } else {
            shell(folder.path(), &command.replace(&format!("IP:{PUBLIC}"), "IP:127.0.0.1"));
        }
    }
    for secret in ["secret", "tls.key"] {
        let mode = fs::metadata(folder.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{secret} is private");
    }
    // What a test of one layer cannot run: builds, the whole of the tests, and changes of the machine.
    let programs: Vec<_> = elsewhere.iter().map(|command| command.split(' ').nth(1).unwrap()).collect();
    assert_eq!(programs, ["apt-get", "run", "install", "e2e/test", "run", "run", "nft", "nft"]);
}

#[test]
fn the_ports_for_a_firewall_are_those_that_are_used() {
    let told = edgerelay(&["check", "--relay-address", "127.0.0.1"])
        .env("EDGERELAY_CREDENTIALS__REST_SECRETS", "a secret of the tests")
        .output()
        .unwrap();
    let told = text(&told.stdout);
    assert!(told.contains("udp 0.0.0.0:3478") && told.contains("ports 50000-59999"), "{told}");
    let rules: Vec<_> = commands().into_iter().filter(|command| command.contains("nft")).collect();
    assert!(rules[0].contains("udp dport '{ 3478, 50000-59999 }'"), "{}", rules[0]);
    assert!(rules[1].contains("tcp dport '{ 3478, 5349 }'"), "{}", rules[1]);
}

#[test]
fn the_firewall_rules_let_another_machine_in() {
    let (relay, client) = two_machines();
    // Debian's own rules, and the line that turns away what no rule before it lets in.
    for rules in ["-f /etc/nftables.conf", "add rule inet filter input meta iifname eth0 reject"] {
        nft(&relay, &format!("nft {rules}"));
    }
    let folder = tempfile::tempdir().unwrap();
    let (files, rest): (Vec<_>, Vec<_>) = commands().into_iter().partition(|line| line.starts_with("(umask"));
    for command in &files {
        shell(folder.path(), command);
    }
    let named = |part: &str| rest.iter().find(|command| command.contains(part)).unwrap();
    let serve =
        format!("exec {} --log-format json", named("edgerelay serve --secret-file secret --certificate"));
    let mut serve = line(relay.command("sh"), folder.path(), &serve);
    let daemon = Daemon::start(&mut serve, folder);
    daemon.line("ready");

    let command = format!("{} --packets 20", named("edgerelay try"));
    let again = || line(client.command("sh"), daemon.directory(), &command);
    let refused = again().output().unwrap();
    assert!(!refused.status.success(), "the firewall lets everybody in: {}", text(&refused.stdout));
    for rule in rest.iter().filter(|command| command.contains("nft")) {
        nft(&relay, rule);
    }
    let tried = succeed(&command, again());
    assert_eq!(text(&tried.stdout).lines().count(), 3, "{}", text(&tried.stdout));
}

/// A public server, and another machine.
fn two_machines() -> (Namespace, Namespace) {
    let (relay, client) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let cable = format!("link add eth0 type veth peer name eth0 netns {}\n", relay.path());
    client.configure(&format!("{cable}addr add 203.0.113.1/24 dev eth0\nlink set eth0 up\n")).unwrap();
    let address = format!("addr add {PUBLIC}/24 dev eth0\nlink set eth0 up\n");
    relay.configure(&format!("{address}route add default via 203.0.113.1\n")).unwrap();
    (relay, client)
}

/// Runs a line of `nft` on a machine, as root as this test is.
fn nft(machine: &Namespace, rule: &str) {
    let mut shell = machine.command("sh");
    shell.args(["-ec", rule.trim_start_matches("sudo ")]);
    succeed(&format!("{rule} (needs Debian's nftables)"), shell);
}
