//! A peer on this machine that sends back what it gets.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How soon the end is noticed when nothing comes.
const ROUND: Duration = Duration::from_millis(50);
/// More than any packet of a trial.
const LONGEST: usize = 2048;

/// The peer, for as long as this lives.
pub(super) struct Echo {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Starts a peer on a free port of `address`.
    pub(super) fn start(address: IpAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((address, 0))?;
        socket.set_read_timeout(Some(ROUND))?;
        let address = socket.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = thread::Builder::new().name("echo".into()).spawn(move || run(&socket, &end))?;
        Ok(Self { address, ended, thread: Some(thread) })
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and nothing in it panics.
            let _ = thread.join();
        }
    }
}

fn run(socket: &UdpSocket, ended: &AtomicBool) {
    let mut packet = [0; LONGEST];
    while !ended.load(Ordering::Relaxed) {
        // A timeout, or an ICMP error for a packet before: neither ends it. What cannot be sent is lost.
        if let Ok((length, source)) = socket.recv_from(&mut packet)
            && let Some(packet) = packet.get(..length)
        {
            let _ = socket.send_to(packet, source);
        }
    }
}
