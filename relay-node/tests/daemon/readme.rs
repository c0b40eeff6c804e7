//! README's commands work as they stand there, in an empty folder.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use testbed::{Namespace, process};

use crate::support::{ALICE, Daemon, UDP, edgerelay, text};

const README: &str = include_str!("../../../README.md");
/// What stands for the relay's public address.
const PUBLIC: &str = "203.0.113.7";

/// What keeps other programs from relay ports.
const RESERVE: &str = "sysctl -w net.ipv4.ip_local_reserved_ports=50000-59999";

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

/// A relay that keeps its calls in a directory hands over to itself by this command.
fn reload(command: &str) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("state").display().to_string();
    let settings = format!("{ALICE}\n{UDP}\nrecovery.directory = '{directory}'");
    let relay = Daemon::serve(&settings);
    let done = shell(folder.path(), &command.replace("/run/edgerelay", &directory));
    assert_eq!(text(&done.stdout), "the relay has handed over to itself\n");
    relay.line("handed over: another relay serves from now on");
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
            let mut warnings = text(&checked.stdout).lines().filter(|line| line.starts_with("warning"));
            // Which ports the system gives away is its own affair, and README says what helps.
            assert!(warnings.all(|warning| warning.ends_with(&format!("Run `{RESERVE}`"))), "{checked:?}");
        } else if command.starts_with("edgerelay reload ") {
            reload(&command);
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
    assert_eq!(
        programs,
        ["apt-get", "run", "install", "run", "e2e/test", "run", "run", "nft", "nft", "sysctl"]
    );
}

#[test]
fn the_ports_for_a_firewall_are_those_that_are_used() {
    let told = edgerelay(&["check", "--relay-address", "127.0.0.1"])
        .env("EDGERELAY_CREDENTIALS__REST_SECRETS", "a secret of the tests")
        .output()
        .unwrap();
    let told = text(&told.stdout);
    assert!(told.contains("udp 0.0.0.0:3478") && told.contains("ports 50000-59999"), "{told}");
    assert!(commands().contains(&format!("sudo {RESERVE}")));
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

#[test]
fn systemd_understands_the_unit_and_the_relay_its_command() {
    let (_, unit) = README.split_once("```ini\n").unwrap();
    let (unit, _) = unit.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edgerelay@.service");
    let installed = "/usr/local/bin/edgerelay";
    fs::write(&path, unit.replace(installed, env!("CARGO_BIN_EXE_edgerelay"))).unwrap();
    let mut verify = process::command("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&path);
    let verified = succeed("systemd-analyze (needs Debian's systemd)", verify);
    // It ends well where a line is unknown, too.
    assert_eq!(text(&verified.stderr), "");

    let value =
        |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
    let (config, state) = (folder.path().join("edgerelay.toml"), folder.path().join("state"));
    fs::write(&config, format!("{ALICE}\nrelay.addresses = [{{ bind = '127.0.0.1' }}]")).unwrap();
    let command = value("ExecStart")
        .replace(&format!("{installed} serve"), "edgerelay check")
        .replace("/etc/edgerelay/edgerelay.toml", config.to_str().unwrap())
        .replace(&format!("/run/{}", value("RuntimeDirectory")), state.to_str().unwrap());
    let variable = value("Environment").replace("%n", "edgerelay@1.service");
    let checked = shell(folder.path(), &format!("{variable} {command}"));
    let told = text(&checked.stdout);
    assert!(
        told.contains(&format!(
            "recovery     by a keeper, in {}, as \"edgerelay@1.service\"",
            state.display()
        )),
        "{told}"
    );
    // A second relay of the unit tells of itself too, and not only its first process does.
    assert_eq!((value("Type"), value("NotifyAccess")), ("notify", "all"));
    let files: usize = value("LimitNOFILE").parse().unwrap();
    assert!(files >= 2 * 10_000 + 8_000, "enough for the default limits on allocations and connections");
}
