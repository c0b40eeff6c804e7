//! What a node tells its fleet of itself: where clients reach it directly, whom its certificate is for, and its load.

use std::net::IpAddr;
use std::sync::Arc;

use edgerelay::admin::Health;
use edgerelay::cluster::node::{Node, NodePlan as OfFleet, TlsNames};
use edgerelay::config::{Config, Host, Layers, LocalPorts, value_of};
use edgerelay::tls::Certificates;
use edgerelay::worker::Workers;
use tokio::sync::mpsc;
use turn::{Ledger, RelayAddresses, Transport};

use crate::support::{NodePlan, wait_until};

/// One UDP listener for first contact, and direct ones on all addresses, advertised as they say, and with TLS beside TCP.
const LISTENERS: &str = "[
    { transport = 'udp', address = '127.0.0.1:3478', first_contact = true },
    { transport = 'udp', address = '0.0.0.0:3479' },
    { transport = 'udp', address = '127.0.0.1:3480' },
    { transport = 'tcp', address = '127.0.0.1:3481', advertised = '203.0.113.7:443', certificate = 'CRT', key = 'KEY' },
]";

fn config(certificate: &str, key: &str) -> Config {
    let mut layers = Layers::default();
    let listeners = LISTENERS.replace("CRT", certificate).replace("KEY", key);
    for (path, value) in [
        ("cluster.fleet", "edge"),
        ("cluster.fleet_key", "0123456789abcdef0123456789abcdef0123456789abcdef"),
        ("cluster.node", "one"),
        ("cluster.capacity", "500"),
        ("cluster.redis.urls", "redis://127.0.0.1:6379"),
        ("relay.addresses", "[{ bind = '127.0.0.1', advertised = '203.0.113.7' }]"),
        ("listeners", &listeners),
    ] {
        layers.set(path, value_of(value), "test");
    }
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let host = Host {
        default_v4: Some(loopback),
        default_v6: None,
        has_v6: false,
        addresses: vec![loopback],
        cores: 1,
        local_ports: LocalPorts::default(),
    };
    Config::load(layers, host).unwrap().0
}

fn node(workers: &Arc<Workers>, config: &Config, certificates: Certificates) -> Node {
    let (_, questions) = mpsc::channel(1);
    let (_, ended) = mpsc::channel(1);
    Node::new(OfFleet {
        workers,
        ledger: Arc::new(Ledger::new(RelayAddresses::default(), 50_000..=50_001)),
        health: Arc::new(Health::new(workers)),
        config,
        certificates: Some(certificates),
        found_records: false,
        questions,
        ended,
    })
}

#[test]
fn it_tells_of_listeners_that_are_reached_directly_and_of_whom_the_certificate_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["*.example.org", "turn.example.org", "203.0.113.7"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (certificate, key) = (folder.path().join("crt"), folder.path().join("key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let config = config(certificate.to_str().unwrap(), key.to_str().unwrap());
    let certificates =
        Certificates::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes())
            .unwrap();

    let mut plan = NodePlan::new();
    for (transport, bind) in [
        (Transport::Udp, "127.0.0.1:0"),
        (Transport::Udp, "0.0.0.0:0"),
        (Transport::Udp, "127.0.0.1:0"),
        (Transport::Tcp, "127.0.0.1:0"),
    ] {
        plan = plan.listen(transport, bind);
    }
    let workers = Arc::new(plan.start().workers);
    let node = node(&workers, &config, certificates);
    let port = workers.bound()[1].address.port();
    let told = node.direct_addresses().iter().map(|(transport, at)| (transport.name(), at.to_string()));
    let advertised = "203.0.113.7:443".to_owned();
    assert_eq!(
        told.collect::<Vec<_>>(),
        [("udp", format!("203.0.113.7:{port}")), ("tcp", advertised.clone()), ("tls", advertised)],
        "one for each transport and family, by what clients elsewhere know it by"
    );
    let covers = vec!["203.0.113.7".parse().unwrap()];
    assert_eq!(node.tls(), Some(TlsNames { domain: Some("turn.example.org".to_owned()), covers }));
    let load = node.load();
    assert_eq!((load.allocations, load.capacity, load.draining), (0, 500, false));

    drop(workers);
    wait_until("its end is no trouble", || node.workers() == 0);
}
