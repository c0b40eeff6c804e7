//! What stops the workers from starting says where and what to do.

use std::net::{TcpListener, UdpSocket};

use crate::support::{Node, NodePlan};
use edgerelay::worker::StartError;
use turn::Transport;

fn refusal(plan: NodePlan) -> StartError {
    plan.try_start().map(|_: Node| ()).unwrap_err()
}

#[test]
fn a_taken_port_is_named() {
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    for (transport, address) in
        [(Transport::Udp, udp.local_addr().unwrap()), (Transport::Tcp, tcp.local_addr().unwrap())]
    {
        let error = refusal(NodePlan::new().listen(transport, &address.to_string()));
        assert!(matches!(error, StartError::Listener { address: named, .. } if named == address));
        let text = error.to_string();
        assert!(text.contains(&address.to_string()) && text.contains("choose another port"), "{text}");
    }
}

#[test]
fn another_relay_on_the_port_is_no_partner() {
    let first = NodePlan::udp().workers(2).start();
    let error = refusal(NodePlan::new().listen(Transport::Udp, &first.address().to_string()));
    assert!(matches!(error, StartError::Listener { .. }), "{error}");
}

#[test]
fn an_address_of_another_machine_is_named() {
    let text = refusal(NodePlan::new().listen(Transport::Udp, "192.0.2.7:3478")).to_string();
    assert!(text.contains("192.0.2.7 is no address of this machine"), "{text}");
}

#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    let error = refusal(NodePlan::new().listen(Transport::Tls, "127.0.0.1:0"));
    assert!(matches!(error, StartError::NoCertificate(_)), "{error}");
    let mut plan = NodePlan::udp();
    plan.listeners[0].proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let error = refusal(plan);
    assert!(matches!(error, StartError::ProxiedDatagrams(_)), "{error}");
}
