//! A file gives way to the environment, and that to flags; and how values are written in each.

use std::fs;

use clap::Parser;
use edgerelay::cli::{Cli, Command};
use edgerelay::config::{Config, Host, LocalPorts};

fn host() -> Host {
    Host {
        default_v4: Some([127, 0, 0, 1].into()),
        default_v6: None,
        has_v6: false,
        addresses: Vec::new(),
        cores: 1,
        local_ports: LocalPorts::default(),
    }
}

/// What a file, variables and flags make together.
fn config(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edgerelay.toml");
    fs::write(&path, format!("credentials.rest_secrets = ['0123456789abcdef']\n{file}")).unwrap();
    let arguments = ["edgerelay", "serve", "--config", path.to_str().unwrap()];
    let cli = Cli::try_parse_from(arguments.iter().chain(flags)).unwrap();
    let Command::Serve(arguments) = cli.command else { panic!("serve was asked for") };
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Config::load(arguments.layers(variables).unwrap(), host()).unwrap().0
}

#[test]
fn later_layers_win() {
    let file = "realm = 'file'";
    let variable = [("EDGERELAY_REALM", "variable")];
    assert_eq!(config("", &[], &[]).realm.as_str(), "edgerelay");
    assert_eq!(config(file, &[], &[]).realm.as_str(), "file");
    assert_eq!(config(file, &variable, &[]).realm.as_str(), "variable");
    assert_eq!(config(file, &variable, &["--realm", "flag"]).realm.as_str(), "flag");
    assert_eq!(config(file, &variable, &["--set", "realm=set"]).realm.as_str(), "set");
}

#[test]
fn layers_are_merged_setting_by_setting() {
    let config = config(
        "[limits.user]\nallocations = 1\nchannels = 2",
        &[("EDGERELAY_LIMITS__USER__CHANNELS", "3")],
        &["--set", "limits.user.permissions=4"],
    );
    let user = config.limits.user;
    assert_eq!((user.allocations, user.channels, user.permissions), (1, 3, 4));
}

#[test]
fn variables_hold_texts_lists_and_tables() {
    let config = config(
        "",
        &[
            ("EDGERELAY_PEERS__ALLOW", "10.0.0.0/8"),
            ("EDGERELAY_PEERS__DENY", "['10.1.0.0/16', '10.2.0.0/16']"),
            ("EDGERELAY_LISTENERS", "[{transport = 'udp', address = '127.0.0.1:0'}]"),
            ("EDGERELAY_WORKERS__PIN", "false"),
        ],
        &[],
    );
    assert_eq!((config.peers.allow.len(), config.peers.deny.len()), (1, 2));
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:0");
    assert!(!config.workers.pin);
}

#[test]
fn variables_of_kubernetes_services_are_no_settings_and_are_told() {
    let variables = [
        ("EDGERELAY_PORT", "tcp://10.0.0.1:3478"),
        ("EDGERELAY_PORT_3478_UDP_ADDR", "10.0.0.1"),
        ("EDGERELAY_SERVICE_HOST", "10.0.0.1"),
        ("EDGERELAY_REALM_PORT", "tcp://10.0.0.2:80"),
        ("EDGERELAY_RELAY_PORTS_SERVICE_PORT", "80"),
        ("EDGERELAY_CONFIG", "/etc/edgerelay.toml"),
    ];
    let config = config("", &variables, &[]);
    assert_eq!(config.realm.as_str(), "edgerelay");
    let warnings = config.warnings.join("\n");
    for (name, _) in &variables[..5] {
        assert!(warnings.contains(name), "{name} in {warnings}");
    }
}

#[test]
fn mistyped_settings_are_told_with_the_nearest() {
    for (name, value, nearest) in [
        ("EDGERELAY_RELM", "example.org", "EDGERELAY_REALM"),
        ("EDGERELAY_RELAY_PORTS", "50000-50009", "EDGERELAY_RELAY__PORTS"),
        ("EDGERELAY_PORT", "3478", "EDGERELAY_RELAY__PORTS"),
        ("EDGERELAY_ADMIN_ADDRESS", "127.0.0.1:9090", "EDGERELAY_ADMIN__ADDRESS"),
        ("EDGERELAY_LIMITS__USER__ALOCATIONS", "5", "EDGERELAY_LIMITS__USER__ALLOCATIONS"),
    ] {
        let mut layers = edgerelay::config::Layers::default();
        layers.environment([(name.into(), value.into())].into_iter()).unwrap();
        let told = Config::load(layers, host()).unwrap_err().to_string();
        assert!(told.contains(&format!("(from {name})")), "{told}");
        assert!(told.contains(&format!("there is no such setting. The nearest one is {nearest}.")), "{told}");
    }
}

#[test]
fn flags_make_listeners_and_relay_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["relay.test".to_owned()]).unwrap();
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    fs::write(&certificate, pair.cert.pem()).unwrap();
    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let config = config(
        "[[listeners]]\ntransport = 'tcp'\naddress = '0.0.0.0:1'",
        &[],
        &[
            "--listen=udp://127.0.0.1:3478",
            "--listen=tls://[::1]:5349",
            "--certificate",
            certificate.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
            "--relay-address=127.0.0.1/203.0.113.7",
        ],
    );
    let addresses: Vec<_> = config.listeners.iter().map(|listener| listener.address.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:3478", "[::1]:5349"], "those of the file are replaced");
    assert!(config.listeners[1].identity.is_some());
    let relay = config.relay.addresses.v4.unwrap();
    assert_eq!(
        (relay.bind.to_string(), relay.advertised.to_string()),
        ("127.0.0.1".into(), "203.0.113.7".into())
    );
}

#[test]
fn secrets_are_no_arguments() {
    for setting in [
        "credentials.rest_secrets=hunter2 hunter2",
        "credentials.users.alice=hunter2 hunter2",
        "credentials={rest_secrets='hunter2 hunter2'}",
        "nonce.keys=['hunter2 hunter2']",
        "nonce={keys=['hunter2 hunter2']}",
        "hunter2 hunter2",
    ] {
        let cli = Cli::try_parse_from(["edgerelay", "serve", "--set", setting]).unwrap();
        let Command::Serve(arguments) = cli.command else { panic!("serve was asked for") };
        let Err(problems) = arguments.layers(std::iter::empty()) else { panic!("{setting} was taken") };
        assert_eq!(problems.as_slice().len(), 1);
        assert!(!format!("{problems} {problems:?}").contains("hunter2"), "{problems}");
    }
}

#[test]
fn files_of_secrets_are_arguments() {
    let cli = Cli::try_parse_from(["edgerelay", "serve", "--set", "nonce.keys_file=/keys"]).unwrap();
    let Command::Serve(arguments) = cli.command else { panic!("serve was asked for") };
    assert!(arguments.layers(std::iter::empty()).is_ok());
}

#[test]
fn where_calls_are_kept_can_be_told_of_settings_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edgerelay.toml");
    let told = |file: &str, variables: &[(&str, &str)], flags: &[&str]| {
        fs::write(&path, file).unwrap();
        let arguments = ["edgerelay", "serve", "--config", path.to_str().unwrap()];
        let cli = Cli::try_parse_from(arguments.iter().chain(flags)).unwrap();
        let Command::Serve(arguments) = cli.command else { panic!("serve was asked for") };
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        arguments.recovery_directory(variables).map(|path| path.to_str().unwrap().to_owned())
    };
    let good = "recovery.directory = '/file'\n";
    for broken in ["realm = 'a", "realm = 1", "a = b = c", "[[", "none = 1", "\u{0}"] {
        let file = format!("{good}{broken}");
        assert_eq!(told(&file, &[], &[]).as_deref(), Some("/file"), "{broken}");
    }
    let section = "realm = a b\n[recovery]\ntake_over = ?\ndirectory = '/file'\n[limits";
    assert_eq!(told(section, &[], &[]).as_deref(), Some("/file"));
    let variable = [("EDGERELAY_RECOVERY__DIRECTORY", "/variable"), ("EDGERELAY_\u{e9}", "x")];
    assert_eq!(told(good, &variable, &[]).as_deref(), Some("/variable"));
    assert_eq!(told(good, &variable, &["--recovery-directory=/flag", "--set=x"]).as_deref(), Some("/flag"));
    for (file, none) in
        [("", "nothing"), ("recovery = 1", "no table"), ("recovery.directory = 'here'", "relative")]
    {
        assert_eq!(told(file, &[], &[]), None, "{none}");
    }
}
