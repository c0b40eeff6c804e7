#![allow(unsafe_code, reason = "a thread's own network namespace is not in rustix's safe part")]

use super::*;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::net::udp;

struct Bench {
    memory: PacketMemory,
    batch: SendBatch,
    sockets: [UdpSocket; 2],
}

impl Bench {
    fn new() -> Self {
        Self::of("127.0.0.1:0")
    }

    /// Sends from `address`.
    fn of(address: &str) -> Self {
        let relay = || udp::relay(address.parse().unwrap()).unwrap();
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
    receiver_at("127.0.0.1:0")
}

fn receiver_at(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
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
    // An allocator may give more than it was asked for.
    bench.batch.queue.reserve(100);
    for _ in 0..16 {
        assert!(bench.push(0, to, b"x"));
    }
    assert!(bench.batch.is_full() && !bench.push(0, to, b"one too many"));
}

/// Runs `test` in a network namespace of its own that these `ip` and `tc` commands have set up.
fn in_namespace(commands: &[&str], test: impl FnOnce() + Send) {
    assert!(rustix::process::geteuid().is_root(), "this test makes a network namespace: run it as root");
    let scene = || {
        // SAFETY: a network namespace shares no memory; sockets that others have stay where they are.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.unwrap();
        for command in commands {
            let (program, arguments) = command.split_once(' ').unwrap();
            let status = Command::new(program).args(arguments.split(' ')).status().unwrap();
            assert!(status.success(), "{command}");
        }
        test();
    };
    // The namespace ends with its only thread.
    thread::scope(|scope| scope.spawn(scene).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn texts(socket: &UdpSocket, count: usize) -> Vec<String> {
    received(socket, count).into_iter().map(|(text, _)| text).collect()
}

#[test]
fn a_full_device_costs_no_datagram_that_leaves_by_another() {
    let device = [
        "ip link set lo up",
        "ip link add full type veth peer name other",
        "ip address add 192.0.2.1/24 dev full",
        "ip link set full up",
        "ip link set other up",
        "ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev full",
        // Room for a few datagrams, and an age until there is more.
        "tc qdisc add dev full root tbf rate 8bit burst 1500 limit 3000",
    ];
    in_namespace(&device, || {
        let mut bench = Bench::of("192.0.2.1:0");
        let (receiver, to) = receiver_at("192.0.2.1:0");
        for number in 0..6 {
            bench.push(0, "192.0.2.2:9".parse().unwrap(), &vec![0; 1000 + number]);
        }
        for text in ["one", "three", "a tenth"] {
            bench.push(0, to, text.as_bytes());
        }
        let sent = bench.flush();
        assert_eq!(texts(&receiver, 3), ["one", "three", "a tenth"]);
        assert!(sent.blocked > 0, "{sent:?}");
        assert_eq!((sent.sent + sent.blocked, sent.refused), (9, 0));
    });
}

#[test]
fn a_datagram_that_is_too_long_costs_no_other_and_is_reported_once() {
    in_namespace(&["ip link set lo up mtu 1500"], || {
        let mut bench = Bench::new();
        let (receiver, to) = receiver();
        bench.push(0, to, b"before");
        let packet = bench.memory.write(&[0; 3000]).unwrap();
        bench.batch.push(Datagram { socket: 0, to, from: None, packet, dont_fragment: true });
        bench.push(0, to, b"behind");
        let sent = bench.flush();
        assert_eq!((sent.sent, sent.refused), (2, 1));
        assert_eq!(texts(&receiver, 2), ["before", "behind"]);
        let report = crate::net::icmp::next_error(&bench.sockets[0]).unwrap().unwrap();
        assert_eq!((report.peer.ip(), report.mtu), (to.ip(), 1500));
        assert_eq!(crate::net::icmp::next_error(&bench.sockets[0]), None);
    });
}

#[test]
fn a_run_too_long_for_the_path_leaves_in_fragments_and_the_next_is_cut_again() {
    in_namespace(&["ip link set lo up mtu 1500"], || {
        let mut bench = Bench::new();
        let (receiver, to) = receiver();
        for size in [1900, 1900, 1900, 3, 3] {
            bench.push(0, to, &vec![b'x'; size]);
        }
        let sent = bench.flush();
        assert_eq!((sent.sent, sent.refused), (5, 0));
        let sizes: Vec<usize> = texts(&receiver, 5).iter().map(String::len).collect();
        assert_eq!(sizes, [1900, 1900, 1900, 3, 3]);
        assert_eq!(bench.batch.run_sizes(to), [2]);
    });
}

#[test]
fn a_destination_without_segmentation_costs_no_other_its_own() {
    // UDP-Lite is what this kernel never cuts; a device without checksum offload was that before 6.11.
    let socket = || {
        let socket = socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::DGRAM,
            Some(libc::IPPROTO_UDPLITE.into()),
        );
        let socket = UdpSocket::from(socket.unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    };
    let (lite, receiver) = (socket(), socket());
    socket2::SockRef::from(&receiver).bind(&"127.0.0.5:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let to = receiver.local_addr().unwrap();
    let mut bench = Bench::new();
    for text in ["one", "two", "end", "!"] {
        bench.push(0, to, text.as_bytes());
    }
    let sent = bench.batch.flush(&bench.memory, |_| Some(lite.as_fd()));
    assert_eq!((sent.sent, sent.refused), (4, 0));
    assert_eq!(texts(&receiver, 4), ["one", "two", "end", "!"]);
    // From now on at once one by one there, and elsewhere cut as before.
    assert_eq!(bench.batch.run_sizes(to), [1, 1]);
    assert_eq!(bench.batch.run_sizes("127.0.0.6:9".parse().unwrap()), [2]);
}

impl SendBatch {
    /// How two datagrams of one size to `to` would leave.
    fn run_sizes(&mut self, to: SocketAddr) -> Vec<u32> {
        let mut memory = PacketMemory::new(1);
        for _ in 0..2 {
            let packet = memory.write(b"same").unwrap();
            self.push(Datagram { socket: 0, to, from: None, packet, dont_fragment: false });
        }
        self.prepare(&memory, 0, 2, true);
        self.queue.clear();
        self.order.clear();
        self.carried.clone()
    }
}
