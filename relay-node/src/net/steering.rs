//! Which worker a UDP client belongs to, computed alike by the kernel and here.
//!
//! A classic BPF program on the listener's reuseport group reads a datagram's source address and
//! port and names the socket, and thereby the worker, that gets it. [`Steering::owner`] computes the
//! same, so that a worker sees at once that a datagram is another's.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::option;

/// A rule that gives each client to one of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steering {
    key: u32,
    workers: u32,
}

const MULTIPLIER: u32 = 0x9E37_79B1;
const SHIFT: u32 = 15;

impl Steering {
    /// Clients spread over `workers` (at least one) by a hash under `key`, a secret, so that nobody
    /// can choose addresses of one worker only.
    pub fn new(key: u32, workers: usize) -> Self {
        Self { key, workers: u32::try_from(workers).unwrap_or(u32::MAX).max(1) }
    }

    /// The same rule for another number of workers.
    pub fn among(self, workers: usize) -> Self {
        Self::new(self.key, workers)
    }

    /// The secret.
    pub const fn key(self) -> u32 {
        self.key
    }

    /// The worker that `client` belongs to.
    pub fn owner(self, client: SocketAddr) -> usize {
        if self.workers == 1 {
            return 0;
        }
        let hash = match client {
            SocketAddr::V4(v4) => mix(self.key, v4.ip().to_bits()),
            SocketAddr::V6(v6) => {
                let bits = v6.ip().to_bits();
                [96, 64, 32, 0].into_iter().fold(self.key, |hash, shift| mix(hash, (bits >> shift) as u32))
            }
        };
        (mix(hash, u32::from(client.port())) % self.workers) as usize
    }

    /// Makes the kernel follow the rule for the listener at `address`, whose group `socket` belongs
    /// to. The group's sockets must have been bound in the order of their workers.
    pub fn attach(self, socket: impl AsFd, address: SocketAddr) -> io::Result<()> {
        option::set_reuseport_program(socket, &self.program(address.is_ipv4()))
    }

    fn program(self, ipv4: bool) -> Vec<libc::sock_filter> {
        // The packet starts at the UDP payload here; headers are reached from the network header.
        let network = libc::SKF_NET_OFF as u32;
        let mut program =
            vec![instruction(libc::BPF_LD | libc::BPF_IMM, self.key), instruction(libc::BPF_ST, 0)];
        if ipv4 {
            program.push(instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, network + 12));
            program.extend(mix_program());
            // X = length of the IPv4 header; the UDP header and its source port follow.
            program.push(instruction(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, network));
            program.push(instruction(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, network));
        } else {
            for offset in [8, 12, 16, 20] {
                program.push(instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, network + offset));
                program.extend(mix_program());
            }
            // Extension headers would lie in between: then the hash is wrong, and the datagram is
            // handed over.
            program.push(instruction(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, network + 40));
        }
        program.extend(mix_program());
        program.push(instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, self.workers));
        program.push(instruction(libc::BPF_RET | BPF_A, 0));
        program
    }
}

/// libc has no name for it.
const BPF_A: u32 = 0x10;

fn mix(hash: u32, word: u32) -> u32 {
    let product = (hash ^ word).wrapping_mul(MULTIPLIER);
    product ^ product >> SHIFT
}

/// [`mix`] with the hash in `M[0]` and the word in A; leaves the new hash in both.
fn mix_program() -> [libc::sock_filter; 7] {
    [
        instruction(libc::BPF_LDX | libc::BPF_MEM, 0),
        instruction(libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X, 0),
        instruction(libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K, MULTIPLIER),
        instruction(libc::BPF_MISC | libc::BPF_TAX, 0),
        instruction(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, SHIFT),
        instruction(libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X, 0),
        instruction(libc::BPF_ST, 0),
    ]
}

fn instruction(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::udp;
    use std::net::UdpSocket;

    /// Binds a group, sends from many ports, and sees that each datagram came where `owner` says.
    fn assert_kernel_agrees(ip: &str) {
        const WORKERS: usize = 3;
        let steering = Steering::new(0x1234_5678, WORKERS);
        let mut address: SocketAddr = format!("{ip}:0").parse().unwrap();
        let mut group: Vec<UdpSocket> = Vec::new();
        for _ in 0..WORKERS {
            let socket = udp::listener(address).unwrap();
            address = socket.local_addr().unwrap();
            group.push(socket);
        }
        steering.attach(&group[0], address).unwrap();
        let mut seen = [0; WORKERS];
        for _ in 0..60 {
            let client = UdpSocket::bind((address.ip(), 0)).unwrap();
            client.send_to(b"x", address).unwrap();
            // Loopback delivers before `send_to` returns.
            let owner = steering.owner(client.local_addr().unwrap());
            let (_, from) = group[owner].recv_from(&mut [0; 8]).unwrap();
            assert_eq!(from, client.local_addr().unwrap());
            seen[owner] += 1;
        }
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }

    #[test]
    fn the_kernel_computes_the_same_owner_for_ipv4() {
        assert_kernel_agrees("127.0.0.1");
    }

    #[test]
    fn the_kernel_computes_the_same_owner_for_ipv6() {
        assert_kernel_agrees("[::1]");
    }
}
