use super::*;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::net::udp;

struct Bench {
    memory: PacketMemory,
    batch: SendBatch,
    sockets: [UdpSocket; 2],
}

impl Bench {
    fn new() -> Self {
        let relay = || udp::relay("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { memory: PacketMemory::new(1), batch: SendBatch::new(16, true), sockets: [relay(), relay()] }
    }

    fn push(&mut self, socket: u32, to: SocketAddr, payload: &[u8]) -> bool {
        let packet = self.memory.write(payload).unwrap();
        self.batch.push(Datagram { socket, to, from: None, packet, dont_fragment: false })
    }

    fn flush(&mut self) -> Sent {
        let sockets = &self.sockets;
        self.batch.flush(&self.memory, |number| sockets.get(number as usize).map(AsFd::as_fd))
    }
}

fn receiver() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn received(socket: &UdpSocket, count: usize) -> Vec<(String, SocketAddr)> {
    let mut buffer = [0; 2048];
    (0..count)
        .map(|_| {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            (String::from_utf8(buffer[..length].to_vec()).unwrap(), from)
        })
        .collect()
}

#[test]
fn datagrams_leave_by_socket_each_in_its_order() {
    let mut bench = Bench::new();
    let (receiver, to) = receiver();
    for (number, text) in ["one", "two", "three", "four"].into_iter().enumerate() {
        assert!(bench.push(number as u32 % 2, to, text.as_bytes()));
    }
    assert_eq!(bench.flush(), Sent { sent: 4, calls: 2, ..Sent::default() });
    let [first, second] = bench.sockets.each_ref().map(|socket| socket.local_addr().unwrap());
    let expected = [("one", first), ("three", first), ("two", second), ("four", second)];
    assert_eq!(received(&receiver, 4), expected.map(|(text, from)| (text.to_owned(), from)));
    assert!(bench.batch.is_empty());
}

#[test]
fn runs_of_one_size_to_one_address_leave_as_one_buffer() {
    let mut bench = Bench::new();
    let ((receiver, to), (other_receiver, other)) = (receiver(), receiver());
    for text in ["same", "size", "last", "end", "next"] {
        bench.push(0, to, text.as_bytes());
    }
    bench.push(0, other, b"else");
    bench.push(0, to, b"");
    bench.push(0, to, b"");
    assert_eq!(bench.flush(), Sent { sent: 8, calls: 1, ..Sent::default() });
    // A shorter one ends a run, another address too, and empty ones are no run.
    assert_eq!(bench.batch.carried, [4, 1, 1, 1, 1]);
    let texts: Vec<String> = received(&receiver, 7).into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["same", "size", "last", "end", "next", "", ""]);
    assert_eq!(received(&other_receiver, 1)[0].0, "else");
}

#[test]
fn a_run_that_the_kernel_refuses_to_cut_leaves_one_by_one_from_the_same_address() {
    let mut bench = Bench::new();
    let wildcard = udp::listener("0.0.0.0:0".parse().unwrap()).unwrap();
    let (receiver, to) = receiver();
    let from: IpAddr = "127.0.0.9".parse().unwrap();
    for text in ["one", "two", "end"] {
        let packet = bench.memory.write(text.as_bytes()).unwrap();
        bench.batch.push(Datagram { socket: 0, to, from: Some(from), packet, dont_fragment: false });
    }
    bench.batch.prepare(&bench.memory, 0, 3, true);
    assert_eq!(bench.batch.carried, [3]);
    let mut sent = Sent::default();
    bench.batch.send_one_by_one(wildcard.as_fd(), 0, &mut sent);
    assert_eq!(sent, Sent { sent: 3, calls: 3, ..Sent::default() });
    let expected = SocketAddr::new(from, wildcard.local_addr().unwrap().port());
    let texts = ["one", "two", "end"].map(|text| (text.to_owned(), expected));
    assert_eq!(received(&receiver, 3), texts);
}

#[test]
fn a_refused_datagram_costs_no_other() {
    let mut bench = Bench::new();
    let (receiver, to) = receiver();
    bench.push(0, to, b"before");
    bench.push(0, "[::1]:9".parse().unwrap(), b"of another family");
    bench.push(0, to, b"behind");
    bench.push(7, to, b"from no socket");
    let sent = bench.flush();
    assert_eq!((sent.sent, sent.refused), (2, 2));
    let texts: Vec<String> = received(&receiver, 2).into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["before", "behind"]);
}

#[test]
fn a_waiting_icmp_error_costs_no_datagram() {
    let mut bench = Bench::new();
    let (receiver, to) = receiver();
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Alone, and at the head of several.
    for texts in [&["alone"][..], &["first", "second!"]] {
        bench.sockets[0].send_to(b"anybody?", closed).unwrap();
        for text in texts {
            bench.push(0, to, text.as_bytes());
        }
        let sent = bench.flush();
        assert_eq!((sent.sent, sent.refused), (texts.len() as u64, 0));
        assert_eq!(sent.calls, 2, "the error was waiting");
        let seen: Vec<String> = received(&receiver, texts.len()).into_iter().map(|(text, _)| text).collect();
        assert_eq!(seen, texts);
    }
}

#[test]
fn dont_fragment_is_set_for_one_datagram_only() {
    let mut bench = Bench::new();
    let (receiver, to) = receiver();
    bench.push(0, to, b"before");
    let packet = bench.memory.write(b"whole").unwrap();
    bench.batch.push(Datagram { socket: 0, to, from: None, packet, dont_fragment: true });
    bench.push(0, to, b"behind");
    assert_eq!(bench.flush().sent, 3);
    assert_eq!(received(&receiver, 3).len(), 3);
    let setting = rustix::net::sockopt::ip_mtu_discover(&bench.sockets[0]).unwrap();
    assert_eq!(setting, rustix::net::sockopt::Ipv4PathMtuDiscovery::DONT);
}

#[test]
fn a_full_batch_takes_no_more() {
    let mut bench = Bench::new();
    let (_receiver, to) = receiver();
    for _ in 0..16 {
        assert!(bench.push(0, to, b"x"));
    }
    assert!(bench.batch.is_full() && !bench.push(0, to, b"one too many"));
}
