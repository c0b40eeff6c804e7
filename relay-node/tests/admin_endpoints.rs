//! What probes and scrapers see.

mod support;

use support::{ALICE, Daemon, UDP};

#[test]
fn a_relay_that_serves_is_alive_and_ready() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    assert_eq!(relay.get("/live"), (200, "alive\n".to_owned()));
    assert_eq!(relay.get("/ready"), (200, "{\"state\":\"ready\"}".to_owned()));
    assert_eq!(relay.get("/elsewhere").0, 404);
}

#[test]
fn metrics_are_in_the_prometheus_format() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let (code, text) = relay.get("/metrics");
    assert_eq!(code, 200);
    for name in [
        "turn_relayed_packets_total",
        "turn_relayed_bytes_total",
        "turn_dropped_packets_total",
        "turn_answers_total",
        "turn_allocations",
        "edgerelay_connections",
        "edgerelay_configuration_valid",
    ] {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} in\n{text}");
    }
    assert!(text.contains("service_name=\"edgerelay\""), "{text}");
}

#[test]
fn a_taken_admin_address_ends_the_start() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let taken = relay.admin().to_string();
    let config = relay.file("edgerelay.toml");
    let output = support::run(&["serve", "--config", config.to_str().unwrap(), "--admin", &taken]);
    assert_eq!(output.status.code(), Some(1));
    let said = support::text(&output.stderr);
    assert!(said.contains(&taken) && said.contains("--admin"), "{said}");
}
