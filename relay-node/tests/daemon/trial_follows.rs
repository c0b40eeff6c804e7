//! `edgerelay try` at a listener of first contact: it goes where the relay sends it, and says so.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::support::{Node, NodePlan, text};
use testbed::Namespace;
use turn::{Alternate, Alternates, Entrance, Transport};

const CONTACTED: &str = "203.0.113.1:3479";
const SERVING: &str = "203.0.113.11:3478";

/// A machine with the addresses of two nodes. Clients are sent to none that is loopback.
fn machine() -> Namespace {
    let machine = Namespace::new().unwrap();
    let address = |listener: &str| format!("addr add {}/24 dev lo\n", listener.split_once(':').unwrap().0);
    machine.configure(&format!("{}{}", address(CONTACTED), address(SERVING))).unwrap();
    machine
}

fn node(machine: &Namespace, address: &str, entrance: Entrance) -> Node {
    let mut plan = NodePlan::new().listen(Transport::Udp, address).listen(Transport::Tcp, address);
    plan.listeners.iter_mut().for_each(|listener| listener.entrance = entrance);
    machine.enter(|| plan.start())
}

/// The node that is contacted, which knows the other one.
fn contacted(machine: &Namespace) -> Node {
    let contacted = node(machine, CONTACTED, Entrance::FirstContact);
    let serving: SocketAddr = SERVING.parse().unwrap();
    contacted.workers.set_alternates(&Arc::new(Alternates::new(vec![Alternate {
        addresses: [Transport::Udp, Transport::Tcp].map(|transport| (transport, serving)).to_vec(),
        domain: None,
        certificate_covers: Vec::<IpAddr>::new(),
        room: 100,
        chosen: Arc::new(AtomicU32::new(0)),
        own: false,
    }])));
    contacted
}

/// Tries the node that is contacted, over one transport.
fn try_over(machine: &Namespace, transport: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "wonderland").unwrap();
    let url = format!("turn:{CONTACTED}?transport={transport}");
    let mut command = machine.command(env!("CARGO_BIN_EXE_edgerelay"));
    command.args(["try", "--packets", "20", "--rate", "1000", "--url", &url, "--username", "alice"]);
    command.args(["--peer-address", "127.0.0.1", "--credential-file"]).arg(&password).output().unwrap()
}

#[test]
fn it_is_served_by_the_node_that_it_is_sent_to() {
    let machine = machine();
    let (_contacted, _serving) = (contacted(&machine), node(&machine, SERVING, Entrance::Direct));
    for transport in ["udp", "tcp"] {
        let output = try_over(&machine, transport);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let told = text(&output.stdout);
        assert!(told.contains(&format!("sent to {SERVING}")), "{told}");
        assert!(told.contains("0.00%"), "{told}");
    }
}

#[test]
fn it_says_where_it_was_sent_if_nobody_is_there() {
    let machine = machine();
    let _contacted = contacted(&machine);
    let output = try_over(&machine, "tcp");
    assert!(!output.status.success());
    let told = text(&output.stderr);
    assert!(told.contains(&format!("the relay sent it to {SERVING}, and there: no connection")), "{told}");
}

#[test]
fn it_is_served_in_place_where_there_is_no_other_node() {
    let machine = machine();
    let _contacted = node(&machine, CONTACTED, Entrance::FirstContact);
    let output = try_over(&machine, "udp");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains("sent to"));
}
