//! What a configuration was made of makes the same one again when its files, its environment and its machine's
//! addresses are gone, and shows its secrets to nobody.

use std::fs;
use std::path::Path;

use clap::Parser;
use edgerelay::cli::{Cli, Command};
use edgerelay::config::{Config, Host, Kept, Layers, LocalPorts, value_of};
use edgerelay::tls::Certificates;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::support::Identity;

const SECRETS: [&str; 5] = [
    "wonderland it is",
    "a secret of a file",
    "a secret of the environment",
    "a key of nonces!",
    "PRIVATE KEY",
];

fn host() -> Host {
    let loopback = [127, 0, 0, 1].into();
    Host {
        default_v4: Some(loopback),
        default_v6: None,
        has_v6: false,
        addresses: vec![loopback, [10, 1, 2, 3].into()],
        cores: 3,
        local_ports: LocalPorts { range: Some(32_768..=60_999), reserved: vec![1..=2] },
    }
}

/// A configuration of a file that names each other kind of file, a variable and flags.
fn load(folder: &Path) -> (Config, Kept) {
    let file = |name: &str| folder.join(name).display().to_string();
    let identity = Identity::new();
    // Those who pass certificates on may write into them what they like.
    let chain = [b"# caf\xe9\n", identity.certificate.as_bytes()].concat();
    fs::write(file("tls.crt"), chain).unwrap();
    fs::write(file("tls.key"), &identity.key).unwrap();
    fs::write(file("users"), format!("alice:{}\n", SECRETS[0])).unwrap();
    fs::write(file("secret"), format!("{}\n", SECRETS[1])).unwrap();
    fs::write(file("keys"), format!("{}\n", SECRETS[3])).unwrap();
    let settings = format!(
        "listeners = [{}]\ncredentials.users_file = '{}'\nnonce.keys_file = '{}'\ncredentials.users = {{ bob = '{}' \
         }}\nrecovery.directory = '{}'",
        Identity::listener("tls", folder),
        file("users"),
        file("keys"),
        SECRETS[0],
        file("state"),
    );
    fs::write(file("edgerelay.toml"), settings).unwrap();
    let (config, secret) = (file("edgerelay.toml"), file("secret"));
    let cli = ["edgerelay", "serve", "--config", &config, "--secret-file", &secret, "--ports", "50000-50009"];
    let Command::Serve(arguments) = Cli::try_parse_from(cli).unwrap().command else { panic!("serve") };
    let variables = [
        ("EDGERELAY_CREDENTIALS__REST_SECRETS", SECRETS[2]),
        // It is no setting, and warned of.
        ("EDGERELAY_PORT", "tcp://10.0.0.1:3478"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    Config::load(arguments.layers(variables.into_iter()).unwrap(), host()).unwrap()
}

#[test]
fn it_makes_the_same_configuration_without_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let (config, kept) = load(folder.path());
    assert_eq!(config.warnings.len(), 7, "they are kept too: {:?}", config.warnings);
    let bytes = kept.to_bytes().unwrap();
    folder.close().unwrap();

    let kept = Kept::from_bytes(&bytes).unwrap();
    assert_eq!(kept.load().unwrap(), config);
    let identity = config.listeners[0].identity.clone().unwrap();
    Certificates::from_files(identity.certificate, identity.key, kept.files()).unwrap();
    let other = kept.files().read(Path::new("/proc/self/cmdline")).map(drop);
    assert!(other.is_err(), "only what was read then is there");
}

#[test]
fn files_that_changed_since_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let (config, kept) = load(folder.path());
    for name in ["edgerelay.toml", "tls.crt", "tls.key", "users", "secret", "keys"] {
        fs::write(folder.path().join(name), "garbage").unwrap();
    }
    assert_eq!(kept.load().unwrap(), config, "what was checked is what is used");
    assert_eq!(Kept::from_bytes(&kept.to_bytes().unwrap()).unwrap().load().unwrap(), config);
}

#[test]
fn it_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (_, kept) = load(folder.path());
    let shown = format!("{kept:?} {kept:#?}");
    let bytes = String::from_utf8(kept.to_bytes().unwrap()).unwrap();
    for secret in SECRETS {
        assert!(bytes.contains(secret) && !shown.contains(secret), "{shown}");
    }
}

#[test]
fn what_another_program_wrote_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = load(folder.path()).1.to_bytes().unwrap();
    for length in (0..bytes.len()).step_by(97) {
        assert!(Kept::from_bytes(&bytes[..length]).is_err());
    }
    let mut other: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    other["layers"]["table"]["of_a_later_version"] = true.into();
    let kept = Kept::from_bytes(&serde_json::to_vec(&other).unwrap()).unwrap();
    assert!(kept.load().unwrap_err().to_string().contains("of_a_later_version"));
}

fn name() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("a name", |name| {
        (1..=100).contains(&name.len()) && !name.chars().any(char::is_control) && !name.contains('.')
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_settings_come_back(
        realm in "[a-zA-Z0-9 .:ä-ü]{1,40}",
        users in prop::collection::btree_map(name(), "\\PC{1,40}", 1..8),
        secrets in prop::collection::vec("[ -~]{16,40}", 1..4),
        ports in (1024_u16..30_000, 0_u16..30_000),
        numbers in any::<(u16, bool)>(),
    ) {
        let table = users.iter().map(|(name, word)| (name.clone(), value(word))).collect();
        let mut layers = Layers::default();
        for (path, value) in [
            ("realm", value(&realm)),
            ("credentials.users", toml::Value::Table(table)),
            ("credentials.rest_secrets", secrets.iter().map(|secret| value(secret)).collect::<Vec<_>>().into()),
            ("relay.ports", value(&format!("{}-{}", ports.0, ports.0 + ports.1))),
            ("listeners", value_of("[{ transport = 'tcp', address = '127.0.0.1:0' }]")),
            ("limits.user.allocations", toml::Value::Integer((u32::from(numbers.0) + 1).into())),
            ("workers.pin", toml::Value::Boolean(numbers.1)),
        ] {
            layers.set(path, value, "test");
        }
        let (config, kept) = Config::load(layers, host()).unwrap();
        let bytes = kept.to_bytes().unwrap();
        prop_assert_eq!(Kept::from_bytes(&bytes).unwrap().load().unwrap(), config);
    }
}

fn value(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}
