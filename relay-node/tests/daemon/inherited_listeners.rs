//! Listeners are handed on while datagrams and connections come, also to another number of workers: nothing
//! is lost, and the kernel gives each datagram to its owner again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use edgerelay::net::{tcp::Acceptor, udp};
use edgerelay::worker::StartError;
use stun::TransactionId;
use turn::Transport;

use crate::support::{Dynasty, Node, NodePlan, PATIENCE, binding, datagram_socket, receive};

const CLIENTS: u8 = 40;
const NUMBERS: [(usize, usize); 8] = [(1, 2), (1, 4), (2, 3), (2, 2), (4, 2), (3, 1), (4, 3), (1, 1)];

/// Clients that ask for their address and count their requests.
struct Askers {
    sockets: Vec<UdpSocket>,
    asked: u8,
}

impl Askers {
    fn of(node: &Node) -> Self {
        let socket = |_| {
            let socket = datagram_socket(if node.address().is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
            socket.connect(node.address()).unwrap();
            socket
        };
        Self { sockets: (0..CLIENTS).map(socket).collect(), asked: 0 }
    }

    fn ask(&mut self) {
        self.asked += 1;
        for socket in &self.sockets {
            socket.send(&binding(TransactionId::new([self.asked; 12]))).unwrap();
        }
    }

    /// Every request has been answered.
    fn assert_answered(&mut self) {
        for socket in &self.sockets {
            let mut answers: Vec<u8> = (0..self.asked).map(|_| receive(socket).0[8]).collect();
            answers.sort_unstable();
            assert_eq!(answers, (1..=self.asked).collect::<Vec<_>>());
        }
        self.asked = 0;
    }
}

/// How many datagrams the kernel gave to another worker than their owner until now.
fn handed_over(node: &Node) -> u64 {
    node.workers.freeze().unwrap();
    let count = node.count(|sockets| sockets.datagrams_handed_over);
    node.workers.thaw();
    count
}

#[test]
fn no_datagram_is_lost_and_each_comes_to_its_owner() {
    for listener in ["127.0.0.1:0", "0.0.0.0:0"] {
        for (before, after) in NUMBERS {
            let mut dynasty = Dynasty::new();
            let plan = |workers| NodePlan::new().listen(Transport::Udp, listener).workers(workers);
            let node = dynasty.records(plan(before)).start();
            let mut askers = Askers::of(&node);
            let heir = dynasty.heir(&node, plan(after));
            askers.ask();
            let prepared = heir.prepare().unwrap();
            askers.ask();
            let heir = Node { workers: prepared.start().unwrap() };
            askers.ask();
            askers.assert_answered();
            node.workers.release();
            let handed_over_before = handed_over(&heir);
            askers.ask();
            askers.assert_answered();
            assert_eq!(handed_over(&heir), handed_over_before, "{before} to {after} workers");
            assert_eq!(heir.workers.listener_descriptors()[0].sockets.len(), after);
        }
    }
}

#[test]
fn a_relay_that_does_not_come_to_serve_costs_nothing() {
    for (before, after) in NUMBERS {
        let mut dynasty = Dynasty::new();
        let node = dynasty.records(NodePlan::udp().workers(before)).start();
        let mut askers = Askers::of(&node);
        askers.ask();
        askers.assert_answered();
        let steered = handed_over(&node);
        let prepared = dynasty.heir(&node, NodePlan::udp().workers(after)).prepare().unwrap();
        askers.ask();
        drop(prepared);
        askers.ask();
        node.workers.thaw();
        askers.ask();
        askers.assert_answered();
        assert_eq!(handed_over(&node), steered, "{before} workers, not {after}");
    }
}

/// Whether whoever accepted the connection answers on it.
fn is_served(mut connection: TcpStream) -> bool {
    let request = binding(TransactionId::new([1; 12]));
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(&request).unwrap();
    connection.read_exact(&mut [0; 20]).is_ok()
}

#[test]
fn no_connection_is_refused_or_forgotten() {
    for (before, after) in NUMBERS {
        let mut dynasty = Dynasty::new();
        let node = dynasty.records(NodePlan::tcp().workers(before)).start();
        let connect = || (0..CLIENTS).map(|_| TcpStream::connect(node.address()).unwrap());
        let heir = dynasty.heir(&node, NodePlan::tcp().workers(after));
        let mut connections: Vec<_> = connect().collect();
        let prepared = heir.prepare().unwrap();
        connections.extend(connect());
        let heir = Node { workers: prepared.start().unwrap() };
        connections.extend(connect());
        node.workers.release();
        connections.extend(connect());
        assert!(connections.into_iter().all(is_served), "{before} to {after} workers");
        assert_eq!(heir.workers.listener_descriptors()[0].sockets.len(), before.max(after));
    }
}

#[test]
fn a_connection_during_a_start_that_fails_is_served_by_who_goes_on() {
    for (before, after) in NUMBERS {
        let mut dynasty = Dynasty::new();
        let node = dynasty.records(NodePlan::tcp().workers(before)).start();
        let prepared = dynasty.heir(&node, NodePlan::tcp().workers(after)).prepare().unwrap();
        let connections: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(node.address()).unwrap()).collect();
        drop(prepared);
        node.workers.thaw();
        assert!(connections.into_iter().all(is_served), "{before} workers, not {after}");
    }
}

/// What `from` has becomes what `to` wants, on the same port.
fn rebind(from: &str, to: &str) -> Result<Node, StartError> {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(NodePlan::new().listen(Transport::Udp, from)).start();
    let to = SocketAddr::new(to.parse().unwrap(), node.address().port());
    dynasty.heir(&node, NodePlan::new().listen(Transport::Udp, &to.to_string())).try_start()
}

#[test]
fn a_listener_that_the_plan_does_not_name_is_in_nobodys_way() {
    for (from, to) in [("0.0.0.0:0", "127.0.0.1"), ("127.0.0.1:0", "0.0.0.0"), ("[::]:0", "::1")] {
        let heir = rebind(from, to).unwrap();
        let mut askers = Askers::of(&heir);
        askers.ask();
        askers.assert_answered();
    }
}

#[test]
fn a_strangers_socket_is_seen_beside_our_own() {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(NodePlan::new().listen(Transport::Udp, "127.0.0.1:0")).start();
    let everywhere: SocketAddr = ([0, 0, 0, 0], node.address().port()).into();
    let plan = || NodePlan::new().listen(Transport::Udp, &everywhere.to_string());
    let _stranger = udp::listener(everywhere).unwrap();
    let refused = dynasty.heir(&node, plan()).try_start();
    assert!(matches!(refused, Err(StartError::Listener { address, .. }) if address == everywhere));
}

#[test]
fn what_is_no_listener_is_not_taken_for_one() {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(NodePlan::tcp()).start();
    let mut plan = dynasty.heir(&node, NodePlan::tcp());
    // Bound, but deaf.
    let deaf = Acceptor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let copy = deaf.socket().try_clone().unwrap();
    plan.inheritance.listeners[0].address = deaf.local_address().unwrap();
    plan.inheritance.listeners[0].sockets = vec![copy.into()];
    let heir = plan.start();
    assert!(is_served(TcpStream::connect(heir.address()).unwrap()));
    assert_ne!(heir.address(), deaf.local_address().unwrap());
}
