//! Who has an address, where binding it cannot tell since we have it ourselves.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use rustix::fs::fstat;

/// What sockets are known by to the whole system.
pub type Inodes = HashSet<u64>;

/// What a socket is known by.
pub fn inode(socket: impl AsFd) -> io::Result<u64> {
    Ok(fstat(socket)?.st_ino)
}

/// Whether a socket that is not among `ours` stands in the way of a listener at `address`.
///
/// # Errors
/// When the system does not list its sockets (proc(5)).
pub fn is_taken_by_others(address: SocketAddr, is_stream: bool, ours: &Inodes) -> io::Result<bool> {
    let table = match (is_stream, address) {
        (false, SocketAddr::V4(_)) => "/proc/net/udp",
        (false, SocketAddr::V6(_)) => "/proc/net/udp6",
        (true, SocketAddr::V4(_)) => "/proc/net/tcp",
        (true, SocketAddr::V6(_)) => "/proc/net/tcp6",
    };
    for line in BufReader::new(File::open(table)?).lines().skip(1) {
        if let Some(row) = Row::read(&line?)
            && (!is_stream || row.state == LISTEN)
            && are_in_conflict(row.local, address)
            && !ours.contains(&row.inode)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether sockets at both get the same packets.
pub fn are_in_conflict(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    one.port() == other.port()
        && a.is_ipv4() == b.is_ipv4()
        && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// The state of a TCP socket that listens.
const LISTEN: &str = "0A";

struct Row<'a> {
    local: SocketAddr,
    state: &'a str,
    inode: u64,
}

impl<'a> Row<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (ip, port) = columns.next()?.split_once(':')?;
        let local = SocketAddr::new(read_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
        let state = columns.nth(1)?;
        Some(Self { local, state, inode: columns.nth(5)?.parse().ok()? })
    }
}

/// Words of 32 bits as they lie in memory.
fn read_ip(hex: &str) -> Option<IpAddr> {
    let word = |at| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => word(0).map(IpAddr::from),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            <[u8; 16]>::try_from(words.as_flattened()).ok().map(IpAddr::from)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tcp::Acceptor;
    use crate::net::udp;

    /// Whether others are seen beside `ours`, and without any of ours.
    fn seen(address: SocketAddr, is_stream: bool, ours: &Inodes) -> (bool, bool) {
        let taken = |ours| is_taken_by_others(address, is_stream, ours).unwrap();
        (taken(ours), taken(&Inodes::new()))
    }

    #[test]
    fn our_own_socket_is_not_in_the_way_and_another_one_is() {
        for (ip, wildcard) in [("127.0.0.1:0", "0.0.0.0"), ("[::1]:0", "::")] {
            let mine = udp::listener(ip.parse().unwrap()).unwrap();
            let address = mine.local_addr().unwrap();
            let everywhere = SocketAddr::new(wildcard.parse().unwrap(), address.port());
            let ours = Inodes::from([inode(&mine).unwrap()]);
            for address in [address, everywhere] {
                assert_eq!(seen(address, false, &ours), (false, true));
            }
            let _foreign = udp::listener(everywhere).unwrap();
            assert_eq!(seen(address, false, &ours), (true, true));
        }
    }

    #[test]
    fn of_tcp_sockets_only_those_count_that_listen() {
        let mine = Acceptor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = mine.local_address().unwrap();
        let ours = Inodes::from([inode(mine.socket()).unwrap()]);
        mine.listen().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(seen(address, true, &ours), (false, true));
        assert_eq!(seen(client.local_addr().unwrap(), true, &ours), (false, false));
        let foreign = Acceptor::bind(address).unwrap();
        foreign.listen().unwrap();
        assert_eq!(seen(address, true, &ours), (true, true));
    }
}
