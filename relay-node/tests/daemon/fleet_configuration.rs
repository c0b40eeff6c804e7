//! The fleet's settings: what is refused, with which fix, and that no secret is shown.

use std::fs;
use std::path::Path;

use edgerelay::config::{Config, Host, Layers, LocalPorts, Offer, Problem, Problems, RedisMode, value_of};
use tempfile::TempDir;

const FLEET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

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

/// A fleet's settings that are good but for `settings`; no credentials beside them.
fn check(settings: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::load(layers(settings), host()).map(|(config, _)| config)
}

fn layers(settings: &[(&str, &str)]) -> Layers {
    let mut layers = Layers::default();
    layers.set("cluster.fleet", value_of("edge"), "test");
    layers.set("cluster.fleet_key", value_of(FLEET_KEY), "test");
    layers.set("cluster.node", value_of("one"), "test");
    layers.set("cluster.redis.urls", value_of("redis://127.0.0.1:6379"), "test");
    for (path, value) in settings {
        layers.set(path, value_of(value), "test");
    }
    layers
}

#[track_caller]
fn refused(settings: &[(&str, &str)], field: &str, value: Option<&str>, fix: &str) -> Problem {
    let problems = check(settings).unwrap_err();
    let [problem] = problems.as_slice() else { panic!("one problem is expected: {problems}") };
    assert_eq!(problem.field, field);
    assert_eq!(problem.value.as_deref(), value);
    assert!(problem.fix.contains(fix), "{problem}");
    problem.clone()
}

/// The PEM files of a node, and of the authority, which is itself.
fn certificates(folder: &Path) -> (String, String) {
    let pair = rcgen::generate_simple_self_signed(["relay.edge.edgerelay".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    (file("crt", pair.cert.pem()), file("key", pair.signing_key.serialize_pem()))
}

#[test]
fn a_fleet_needs_no_credentials_of_the_relays_own() {
    let config = check(&[]).unwrap();
    assert!(config.credentials.rest_secrets.is_empty());
    let cluster = config.cluster.unwrap();
    assert_eq!((cluster.fleet.as_str(), cluster.node.as_str()), ("edge", "one"));
    assert_eq!((cluster.capacity, cluster.redis.mode), (10_000, RedisMode::Single));
}

#[test]
fn without_a_name_there_is_no_fleet_and_its_other_settings_are_a_mistake() {
    let mut layers = Layers::default();
    layers.set("credentials.rest_secrets", value_of("a secret of the relay"), "test");
    assert_eq!(Config::load(layers.clone(), host()).unwrap().0.cluster, None);
    layers.set("cluster.redis.urls", value_of("redis://127.0.0.1:6379"), "test");
    let problems = Config::load(layers, host()).unwrap_err();
    assert!(problems.to_string().contains("cluster.fleet: "), "{problems}");
}

#[test]
fn names_that_are_none() {
    refused(&[("cluster.fleet", "Edge:1")], "cluster.fleet", Some("Edge:1"), "lower-case");
    refused(&[("cluster.node", "a node")], "cluster.node", Some("a node"), "letters, digits");
    refused(&[("cluster.capacity", "0")], "cluster.capacity", Some("0"), "at least 1");
}

#[test]
fn a_fleet_key_that_could_be_guessed_or_is_not_there() {
    refused(&[("cluster.fleet_key", "too short")], "cluster.fleet_key", None, "openssl rand");
    refused(&[("cluster.fleet_key_file", "/x")], "cluster.fleet_key", None, "Remove it");
}

#[test]
fn a_fleet_key_file_of_random_bytes_or_of_text_with_a_line_end() {
    let folder = TempDir::new().unwrap();
    let key_of = |content: &[u8]| {
        let path = folder.path().join("key");
        fs::write(&path, content).unwrap();
        let mut layers = Layers::default();
        layers.set("cluster.fleet", value_of("edge"), "test");
        layers.set("cluster.node", value_of("one"), "test");
        layers.set("cluster.fleet_key_file", value_of(&path.display().to_string()), "test");
        layers.set("cluster.redis.urls", value_of("redis://127.0.0.1:6379"), "test");
        Config::load(layers, host()).unwrap().0.cluster.unwrap().fleet_key.expose().to_owned()
    };
    assert_eq!(key_of(format!("{FLEET_KEY}\n").as_bytes()), FLEET_KEY);
    assert_eq!(key_of(&[0xff; 32]), "ff".repeat(32));
}

#[test]
fn redis_that_cannot_be_reached_by_what_is_written() {
    let urls = "cluster.redis.urls[0]";
    refused(&[("cluster.redis.urls", "http://10.0.0.1")], urls, Some("http://10.0.0.1"), "rediss://");
    refused(&[("cluster.redis.urls", "redis://h/3")], urls, Some("redis://h/3"), "without a path");
    refused(&[("cluster.redis.urls", "[]")], "cluster.redis.urls", None, "rediss://");
    refused(&[("cluster.redis.mode", "sentry")], "cluster.redis.mode", Some("sentry"), "single, sentinel");
    refused(&[("cluster.redis.mode", "sentinel")], "cluster.redis.primary", None, "sentinel monitor");
    let mixed = "['redis://a:1', 'rediss://b:1']";
    refused(&[("cluster.redis.urls", mixed)], "cluster.redis.urls[1]", Some("rediss://b:1"), "all of them");
    let tls = [("cluster.redis.urls", "rediss://a:1"), ("cluster.redis.ca_file", "/none")];
    refused(&tls, "cluster.redis.ca_file", Some("/none"), "exists");
}

#[test]
fn a_password_in_a_url_is_refused_and_not_shown() {
    let problem = refused(
        &[("cluster.redis.urls", "redis://me:hush-hush@10.0.0.1")],
        "cluster.redis.urls[0]",
        None,
        "password_file",
    );
    assert!(!problem.to_string().contains("hush"), "{problem}");
}

#[test]
fn what_is_for_the_inside_is_not_bound_to_public_addresses() {
    let folder = TempDir::new().unwrap();
    let (certificate, key) = certificates(folder.path());
    let grpc = |address: &'static str| {
        vec![
            ("cluster.grpc.address", address),
            ("cluster.grpc.certificate", certificate.as_str()),
            ("cluster.grpc.key", key.as_str()),
            ("cluster.grpc.ca_file", certificate.as_str()),
            ("cluster.grpc.advertised", "10.0.0.5:7443"),
        ]
    };
    for address in ["10.0.0.5:7443", "127.0.0.1:7443", "100.64.0.1:7443", "[fd00::1]:7443"] {
        let cluster = check(&grpc(address)).unwrap().cluster.unwrap();
        assert_eq!(cluster.grpc.unwrap().address.to_string(), address);
    }
    for address in ["0.0.0.0:7443", "203.0.113.7:7443", "[::]:7443", "[2001:db8::1]:7443"] {
        let fix = "cluster.allow_public_addresses";
        refused(&grpc(address), "cluster.grpc.address", Some(address), fix);
        let mut settings = grpc(address);
        settings.push(("cluster.allow_public_addresses", "true"));
        check(&settings).unwrap();
    }
}

#[test]
fn grpc_without_certificates_and_https_without_callers() {
    let problems = check(&[("cluster.grpc.address", "10.0.0.5:7443")]).unwrap_err().to_string();
    assert!(problems.contains("cluster.grpc.certificate: ") && problems.contains("cluster.grpc.ca_file: "));
    let folder = TempDir::new().unwrap();
    let (certificate, key) = certificates(folder.path());
    let https = [
        ("cluster.https.address", "10.0.0.5:8443"),
        ("cluster.https.certificate", certificate.as_str()),
        ("cluster.https.key", key.as_str()),
    ];
    refused(&https, "cluster.https.tokens_file", None, "bearer tokens");
    let short = [https.as_slice(), &[("cluster.https.tokens", "short-one")]].concat();
    let problem = refused(&short, "cluster.https.tokens[0]", None, "openssl rand");
    assert!(!problem.to_string().contains("short-one"));
}

#[test]
fn secrets_that_would_be_too_many_or_too_old() {
    refused(&[("cluster.issuing.rotation", "9h")], "cluster.issuing.rotation", Some("9h"), "8h");
    refused(&[("cluster.issuing.rotation", "1h")], "cluster.issuing.rotation", Some("1h"), "max_ttl");
    refused(&[("cluster.issuing.ttl", "25h")], "cluster.issuing.ttl", Some("25h"), "24h");
    refused(&[("cluster.issuing.urls", "http://x")], "cluster.issuing.urls[0]", Some("http://x"), "turns:");
}

#[test]
fn debug_and_check_show_no_secret_of_the_fleet() {
    let config = check(&[
        ("cluster.redis.password", "the-password"),
        ("cluster.redis.sentinel_password", "the-other-password"),
        ("cluster.redis.username", "me"),
    ]);
    let config = config.unwrap();
    let shown = format!("{config:?}{config}");
    assert!(shown.contains("fleet        edge, as one"), "{config}");
    for secret in [FLEET_KEY, "the-password", "the-other-password"] {
        assert!(!shown.contains(secret));
    }
}

#[test]
fn a_running_relay_keeps_its_fleet() {
    let started = check(&[]).unwrap();
    let (taken, waiting) = check(&[("cluster.zone", "b")]).unwrap().taken_while_running(&started);
    assert_eq!((taken.cluster, waiting), (started.cluster, vec!["cluster"]));
}

/// UDP listeners on these ports, each perhaps of first contact.
fn listeners(of: &[(u16, bool)]) -> String {
    let listener = |(port, first_contact): &(u16, bool)| {
        format!("{{ transport = 'udp', address = '127.0.0.1:{port}', first_contact = {first_contact} }}")
    };
    format!("[{}]", of.iter().map(listener).collect::<Vec<_>>().join(", "))
}

#[test]
fn a_first_contact_listener_stands_beside_one_that_clients_are_sent_to() {
    let both = listeners(&[(3478, false), (3479, true)]);
    let config = check(&[("listeners", &both)]).unwrap();
    assert_eq!(config.listeners.iter().map(|it| it.first_contact).collect::<Vec<_>>(), [false, true]);
    assert!(config.to_string().contains("udp 127.0.0.1:3479, for first contact"), "{config}");
    let alone = listeners(&[(3479, true)]);
    refused(&[("listeners", &alone)], "listeners[0].first_contact", Some("true"), "without first_contact");
}

#[test]
fn credentials_are_for_the_listeners_that_are_reached_directly() {
    let both = listeners(&[(3479, true), (3478, false)]);
    let secret = ("credentials.rest_secrets", "a secret of this relay's own");
    let offer = Offer::check(&layers(&[("listeners", &both), secret])).unwrap();
    assert_eq!(offer.listeners.iter().map(|(_, address)| address.port()).collect::<Vec<_>>(), [3478]);
}

#[test]
fn who_is_sent_to_another_node_is_known_all_or_never() {
    let redirect = |text: &str| check(&[("cluster.redirect", text)]).unwrap().cluster.unwrap().redirect;
    assert_eq!(check(&[]).unwrap().cluster.unwrap().redirect, turn::Redirect::Known);
    assert_eq!(redirect("all"), turn::Redirect::All);
    assert_eq!(redirect("never"), turn::Redirect::Never);
    refused(&[("cluster.redirect", "often")], "cluster.redirect", Some("often"), "known, all or never");
}
