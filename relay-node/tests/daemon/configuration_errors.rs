//! A configuration that cannot be used is refused with one sentence for each thing that is wrong:
//! the setting, its value and the fix. No sentence and no `Debug` repeats a secret.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};

use edgerelay::config::{Config, Host, Layers, LocalPorts, Problem, Problems, value_of};

const SECRET: &str = "correct horse battery staple";

fn host() -> Host {
    Host {
        default_v4: Some([127, 0, 0, 1].into()),
        default_v6: None,
        has_v6: false,
        addresses: vec![[127, 0, 0, 1].into()],
        cores: 2,
        local_ports: LocalPorts::default(),
    }
}

/// Layers that are good but for `settings`.
fn layers(settings: &[(&str, &str)]) -> Layers {
    let mut layers = Layers::default();
    layers.set("credentials.rest_secrets", value_of(SECRET), "test");
    for (path, value) in settings {
        layers.set(path, value_of(value), "test");
    }
    layers
}

fn check(settings: &[(&str, &str)]) -> Result<Config, Problems> {
    check_on(host(), settings)
}

fn check_on(host: Host, settings: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::load(layers(settings), host).map(|(config, _)| config)
}

fn problems(settings: &[(&str, &str)]) -> Vec<Problem> {
    check(settings).unwrap_err().as_slice().to_vec()
}

/// One wrong setting gives one problem, with this field, value and (part of) fix.
#[track_caller]
fn refused(settings: &[(&str, &str)], field: &str, value: Option<&str>, fix: &str) {
    let problems = problems(settings);
    let [problem] = problems.as_slice() else { panic!("one problem is expected: {problems:#?}") };
    assert_eq!(problem.field, field);
    assert_eq!(problem.value.as_deref(), value);
    assert!(problem.fix.contains(fix), "{problem}");
}

fn udp(address: &str) -> String {
    format!("{{transport = 'udp', address = '{address}'}}")
}

#[test]
fn good_settings_are_taken() {
    let config = check(&[("relay.ports", "40000-40009"), ("peers.allow", "10.0.0.0/8")]).unwrap();
    assert_eq!(config.relay.ports, 40000..=40009);
    assert_eq!(config.peers.allow[0].to_string(), "10.0.0.0/8");
    assert_eq!(config.workers.count, 2, "one for each core");
}

#[test]
fn realm() {
    refused(&[("realm", "\"\"")], "realm", Some(""), "example.org");
    let long = "r".repeat(128);
    refused(&[("realm", &long)], "realm", Some(&long), "example.org");
    refused(&[("realm", "\"a\\u0007b\"")], "realm", Some("a\u{7}b"), "example.org");
    let shown = check(&[("realm", "\"a\\u0007b\"")]).unwrap_err().to_string();
    assert!(shown.contains(r"a\u{7}b"), "control characters are escaped: {shown}");
}

#[test]
fn software() {
    let long = "s".repeat(128);
    refused(&[("software", &long)], "software", Some(&long), "127 characters");
}

#[test]
fn relay_ports() {
    refused(&[("relay.ports", "60000-50000")], "relay.ports", Some("60000-50000"), "\"50000-60000\"");
    refused(&[("relay.ports", "many")], "relay.ports", Some("many"), "\"50000-59999\"");
    refused(&[("relay.ports", "0-9")], "relay.ports", Some("0-9"), "1024");
}

#[test]
fn relay_ports_that_hold_a_listener() {
    let listener = format!("[{}]", udp("127.0.0.1:3478"));
    let settings = [("listeners", listener.as_str()), ("relay.ports", "3000-4000")];
    refused(&settings, "relay.ports", Some("3000-4000"), "Move the listener or the range");
}

#[test]
fn relay_addresses() {
    let field = "relay.addresses[0].bind";
    let with = |address: &str| format!("[{{bind = '{address}'}}]");
    refused(&[("relay.addresses", &with("here"))], field, Some("here"), "203.0.113.7");
    refused(&[("relay.addresses", &with("0.0.0.0"))], field, Some("0.0.0.0"), "the address of this machine");
    refused(&[("relay.addresses", &with("::', advertised = '2001:db8::1"))], field, Some("::"), "advertised");
    refused(
        &[("relay.addresses", "[{bind = '127.0.0.1', advertised = '0.0.0.0'}]")],
        "relay.addresses[0].advertised",
        Some("0.0.0.0"),
        "that peers reach",
    );
    refused(&[("relay.addresses", &with("203.0.113.7"))], field, Some("203.0.113.7"), "one of its own");
    refused(
        &[("relay.addresses", "[{bind = '127.0.0.1'}, {bind = '127.0.0.2'}]")],
        "relay.addresses[1].bind",
        Some("127.0.0.2"),
        "one address for each",
    );
    refused(
        &[("relay.addresses", "[{bind = '127.0.0.1', advertised = '2001:db8::1'}]")],
        "relay.addresses[0].advertised",
        Some("2001:db8::1"),
        "same family",
    );
}

#[test]
fn no_family_to_relay_with() {
    let host = Host { default_v4: None, ..host() };
    let problems = check_on(host, &[]).unwrap_err();
    let [problem] = problems.as_slice() else { panic!("{problems}") };
    assert_eq!(problem.field, "relay.addresses");
    assert!(problem.fix.contains("--relay-address"), "{problem}");
}

#[test]
fn listeners() {
    let listener = |text: &str| format!("[{text}]");
    let with = |transport: &str, rest: &str| {
        listener(&format!("{{transport = '{transport}', address = '127.0.0.1:3478'{rest}}}"))
    };
    refused(&[("listeners", &with("sctp", ""))], "listeners[0].transport", Some("sctp"), "udp, tcp or tls");
    refused(
        &[("listeners", &listener(&udp("localhost")))],
        "listeners[0].address",
        Some("localhost"),
        "0.0.0.0:3478",
    );
    refused(
        &[("listeners", &with("udp", ", proxy_protocol = '10.0.0.0/8'"))],
        "listeners[0].proxy_protocol",
        Some("10.0.0.0/8"),
        "tcp or tls",
    );
    refused(
        &[("listeners", &with("udp", ", first_contact = true"))],
        "listeners[0].first_contact",
        Some("true"),
        "add [cluster]",
    );
    refused(
        &[("listeners", &with("tcp", ", proxy_protocol = true"))],
        "listeners[0].proxy_protocol",
        Some("true"),
        "networks that your proxies connect from",
    );
    refused(
        &[("listeners", &with("tcp", ", proxy_protocol = ['10.0.0.1/8']"))],
        "listeners[0].proxy_protocol",
        Some("10.0.0.1/8"),
        "\"10.0.0.0/8\"",
    );
    refused(
        &[("listeners", &with("udp", ", advertised = '[2001:db8::1]:3478'"))],
        "listeners[0].advertised",
        Some("[2001:db8::1]:3478"),
        "same family",
    );
    let twice = format!("[{0}, {0}]", udp("127.0.0.1:3478"));
    refused(&[("listeners", &twice)], "listeners[1].address", Some("127.0.0.1:3478"), "another port");
}

#[test]
fn certificates() {
    let tls = |rest: &str| format!("[{{transport = 'tls', address = '127.0.0.1:5349'{rest}}}]");
    let found = problems(&[("listeners", &tls(""))]);
    assert_eq!(found.len(), 2, "certificate and key: {found:?}");
    let directory = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["relay.test".to_owned()]).unwrap();
    let write = |name: &str, text: String| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = write("tls.crt", pair.cert.pem());
    let key = write("tls.key", pair.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["relay.test".to_owned()]).unwrap();
    let other_key = write("other.key", other.signing_key.serialize_pem());
    let pair = |certificate: &str, key: &str| tls(&format!(", certificate = '{certificate}', key = '{key}'"));
    assert!(check(&[("listeners", &pair(&certificate, &key))]).is_ok());
    let bad = [
        ("/nowhere/tls.crt", key.as_str(), "certificate"),
        (certificate.as_str(), "/nowhere/tls.key", "key"),
        (&key, &key, "certificate"),
        (&certificate, &certificate, "key"),
        (&certificate, &other_key, "certificate"),
    ];
    for (certificate, key, wrong) in bad {
        let value = if wrong == "key" { key } else { certificate };
        let field = format!("listeners[0].{wrong}");
        refused(&[("listeners", &pair(certificate, key))], &field, Some(value), "PEM files");
    }
    refused(
        &[("listeners", "[{transport = 'tcp', address = '127.0.0.1:1', key = '/k'}]")],
        "listeners[0].certificate",
        None,
        "PEM file",
    );
    refused(
        &[("listeners", "[{transport = 'udp', address = '127.0.0.1:1', key = '/k'}]")],
        "listeners[0].key",
        Some("/k"),
        "transport = \"tls\"",
    );
}

#[test]
fn peers() {
    refused(&[("peers.allow", "10.0.0.1/8")], "peers.allow[0]", Some("10.0.0.1/8"), "\"10.0.0.0/8\"");
    refused(&[("peers.deny", "everybody")], "peers.deny[0]", Some("everybody"), "CIDR");
}

#[test]
fn limits() {
    for field in [
        "limits.user.allocations",
        "limits.user.permissions",
        "limits.user.channels",
        "limits.user.bits_per_second",
        "limits.total.allocations",
        "limits.answers.per_source_bytes_per_second",
        "limits.answers.total_bytes_per_second",
        "limits.streams.connections",
        "limits.streams.connections_per_source",
    ] {
        refused(&[(field, "0")], field, Some("0"), "at least 1");
    }
    let field = "limits.streams.write_buffer";
    refused(&[(field, "1000")], field, Some("1000"), "at least 65552");
    let field = "limits.streams.buffers";
    refused(&[(field, "1000")], field, Some("1000"), "at least 262144");
}

#[test]
fn variables_that_are_no_text() {
    let variables = [
        ("EDGERELAY_REALM", "caf\u{e9}".as_bytes()),
        ("EDGERELAY_SOFTWARE", b"caf\xe9".as_slice()),
        ("EDGERELAY_CREDENTIALS__REST_SECRETS", b"0123456789abcdef\xff"),
        ("EDGERELAY_CONFIG", b"/etc/caf\xe9.toml"),
        ("OTHERS", b"\xff"),
    ];
    let mut variables: Vec<(OsString, OsString)> =
        variables.map(|(name, value)| (name.into(), OsStr::from_bytes(value).into())).into();
    variables.push((OsStr::from_bytes(b"EDGERELAY_\xff").into(), "1".into()));
    let problems = layers(&[]).environment(variables.into_iter()).unwrap_err();
    let told: Vec<_> = problems.as_slice().iter().map(ToString::to_string).collect();
    let fix = "is not UTF-8. Write it in UTF-8, or remove the variable.";
    assert_eq!(
        told,
        [
            format!("EDGERELAY_SOFTWARE: the value of this variable {fix}"),
            format!("EDGERELAY_CREDENTIALS__REST_SECRETS: the value of this variable {fix}"),
            format!("EDGERELAY_\u{fffd}: the name of this variable {fix}"),
        ]
    );
}

#[test]
fn durations() {
    for field in ["drain_deadline", "reload_interval", "nonce.lifetime", "lifetimes.max"] {
        refused(&[(field, "soon")], field, Some("soon"), "\"10m\"");
    }
    refused(&[("lifetimes.default", "2h")], "lifetimes.default", Some("2h"), "at most as long");
    refused(&[("reload_interval", "1ms")], "reload_interval", Some("1ms"), "1s");
}

#[test]
fn recovery() {
    let field = "recovery.directory";
    refused(&[(field, "state")], field, Some("state"), "\"/run/edgerelay\"");
    let long = format!("/run/{}", "d".repeat(92));
    refused(&[(field, &long)], field, Some(&long), "at most 96 bytes");
    refused(&[("recovery.take_over", "always")], "recovery.take_over", Some("always"), "ask or never");
    refused(&[("recovery.instance", "'a\tb'")], "recovery.instance", Some("a\tb"), "control characters");
    let parent = tempfile::tempdir().unwrap();
    let of = |name: &str| parent.path().join(name).to_str().unwrap().to_owned();
    assert!(check(&[(field, &of("new"))]).is_ok(), "it is made at the start");
    fs::write(of("file"), "").unwrap();
    refused(&[(field, &of("file"))], field, Some(&of("file")), "another place");
    fs::create_dir(of("open")).unwrap();
    for mode in [0o707, 0o770, 0o701] {
        fs::set_permissions(of("open"), fs::Permissions::from_mode(mode)).unwrap();
        refused(&[(field, &of("open"))], field, Some(&of("open")), "chmod 700");
    }
    fs::set_permissions(of("open"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(check(&[(field, &of("open"))]).is_ok());
    let foreign = if rustix::process::geteuid().is_root() {
        chown(of("open"), Some(1), None).unwrap();
        of("open")
    } else {
        "/".to_owned()
    };
    refused(&[(field, &foreign)], field, Some(&foreign), "Run `chown ");
}

#[test]
fn relay_ports_that_the_system_gives_to_others() {
    let warnings = |settings: &[(&str, &str)], reserved| {
        let local_ports = LocalPorts { range: Some(32_768..=60_999), reserved };
        check_on(Host { local_ports, ..host() }, settings).unwrap().warnings
    };
    let kept = ("recovery.directory", "/run/edgerelay-of-no-test");
    let told = warnings(&[kept], vec![8080..=8080]);
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert!(told.ends_with("Run `sysctl -w net.ipv4.ip_local_reserved_ports=8080,50000-59999`"), "{told}");
    assert!(warnings(&[kept], vec![50_000..=59_999]).is_empty(), "they are reserved");
    assert!(warnings(&[kept, ("relay.ports", "20000-29999")], vec![]).is_empty(), "they are others");
    assert!(warnings(&[], vec![]).is_empty(), "no port is bound again without a directory");
}

#[test]
fn the_rest() {
    refused(&[("workers.count", "0")], "workers.count", Some("0"), "one for each core");
    refused(&[("admin.address", ":9090")], "admin.address", Some(":9090"), "address as");
    let endpoint = "telemetry.otlp_endpoint";
    refused(&[(endpoint, "collector:4317")], endpoint, Some("collector:4317"), "http://");
    refused(&[("telemetry.log_level", "loud")], "telemetry.log_level", Some("loud"), "error, warn");
    refused(&[("telemetry.log_format", "xml")], "telemetry.log_format", Some("xml"), "text or json");
}

#[test]
fn wrong_type() {
    let found = problems(&[("admin.address", "9090")]);
    assert_eq!(found[0].field, "admin.address (from test)", "where it came from is told");
    assert!(found[0].fault.contains("`9090`") && found[0].fault.contains("string"), "{}", found[0]);
}

#[test]
fn unknown_setting() {
    let found = problems(&[("relay.prots", "1-2")]);
    assert_eq!(found.len(), 1);
    assert!(found[0].field.starts_with("relay.prots"), "{}", found[0]);
    assert!(found[0].fix.contains("relay.ports"), "the nearest one is named: {}", found[0]);
    let found = problems(&[("listeners", "[{transport = 'udp', adress = '127.0.0.1:0'}]")]);
    assert!(found[0].fault.contains("`address`"), "the known ones are named: {}", found[0]);
}

#[test]
fn credentials() {
    let none = Config::load(Layers::default(), host()).unwrap_err();
    assert_eq!(none.as_slice()[0].field, "credentials");
    assert!(none.to_string().contains("--secret-file"), "{none}");
    refused(&[("credentials.rest_secrets", "short")], "credentials.rest_secrets[0]", None, "openssl rand");
    let many = format!("[{}]", vec!["'a secret of sixteen'"; 17].join(", "));
    refused(&[("credentials.rest_secrets", &many)], "credentials.rest_secrets", Some("17"), "at most 16");
    refused(&[("nonce.keys", "short")], "nonce.keys[0]", None, "openssl rand");
    refused(
        &[("credentials.rest_secret_files", "/nowhere/secret")],
        "credentials.rest_secret_files[0]",
        Some("/nowhere/secret"),
        "exists",
    );
}

#[test]
fn users_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users");
    fs::write(&path, "# who\nalice:wonder:land\nbob\ncarol:\nalice:again\n").unwrap();
    let found = problems(&[("credentials.users_file", path.to_str().unwrap())]);
    let places: Vec<_> = found.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(
        places,
        [
            "credentials.users_file, line 3",
            "credentials.users_file, line 4",
            "credentials.users_file, line 5"
        ]
    );
    fs::write(&path, "alice:wonder:land\n").unwrap();
    let config = check(&[("credentials.users_file", path.to_str().unwrap())]).unwrap();
    assert_eq!(config.credentials.users["alice"].expose(), "wonder:land", "a password may hold colons");
}

#[test]
fn every_problem_is_told_at_once() {
    let found = problems(&[
        ("realm", "\"\""),
        ("relay.ports", "9-1"),
        ("peers.deny", "x"),
        ("limits.user.channels", "0"),
        ("admin.address", "x"),
    ]);
    let fields: Vec<_> = found.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["realm", "relay.ports", "peers.deny[0]", "limits.user.channels", "admin.address"]);
}

#[test]
fn secrets_are_never_shown() {
    let users = "{alice = 'the password of alice'}";
    let config = check(&[("credentials.users", users), ("nonce.keys", "a key that is long enough")]).unwrap();
    let shown = format!("{config:?} {config:#?}");
    for secret in [SECRET, "the password of alice", "a key that is long enough"] {
        assert!(!shown.contains(secret));
    }
    // Wrong types, whose messages quote the value elsewhere.
    for (path, value) in [
        ("credentials.users", "'hunter2 hunter2'"),
        ("credentials.rest_secrets", "{a = 'hunter2 hunter2'}"),
        ("nonce.keys", "{a = 'hunter2 hunter2'}"),
        ("credentials.hunter2", "'hunter2 hunter2'"),
    ] {
        let shown = format!("{0} {0:?}", check(&[(path, value)]).unwrap_err());
        assert!(!shown.contains("hunter2 hunter2"), "{shown}");
    }
    // A file that is not TOML, at the line of a secret.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edgerelay.toml");
    fs::write(&path, "realm = 'x'\n[credentials]\nrest_secrets = ['hunter2 hunter2'\nx").unwrap();
    let Err(problems) = Layers::from_file(&path) else { panic!("this is not TOML") };
    let shown = format!("{problems} {problems:?}");
    assert!(shown.contains("line ") && !shown.contains("hunter2"), "{shown}");
}
