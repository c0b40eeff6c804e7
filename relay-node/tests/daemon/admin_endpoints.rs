//! What probes and scrapers see.

use std::sync::Arc;
use std::thread;

use crate::support::{ALICE, Daemon, NodePlan, UDP, get};
use edgerelay::admin::{self, Health};

#[test]
fn a_relay_that_serves_is_alive_and_ready() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    assert_eq!(relay.get("/live"), (200, "alive\n".to_owned()));
    assert_eq!(relay.get("/ready"), (200, "{\"state\":\"ready\"}".to_owned()));
    assert_eq!(relay.get("/elsewhere").0, 404);
}

#[test]
fn a_relay_without_workers_is_neither_alive_nor_ready() {
    let workers = Arc::new(NodePlan::udp().start().workers);
    let health = Arc::new(Health::new(&workers));
    let (sender, address) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = admin::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            admin::serve(listener, health, prometheus::Registry::new(), Arc::default()).await;
        });
    });
    let admin = address.recv().unwrap();
    assert_eq!((get(admin, "/live").0, get(admin, "/ready").0), (200, 200));
    drop(workers);
    assert_eq!(get(admin, "/live").0, 503);
    assert_eq!(get(admin, "/ready"), (503, "{\"state\":\"down\"}".to_owned()));
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
    let output = crate::support::run(&["serve", "--config", config.to_str().unwrap(), "--admin", &taken]);
    assert_eq!(output.status.code(), Some(1));
    let said = crate::support::text(&output.stderr);
    assert!(said.contains(&taken) && said.contains("--admin"), "{said}");
}
