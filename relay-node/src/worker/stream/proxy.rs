//! The PROXY protocol v2 header in front of a connection.

use std::io::{self, Read};
use std::net::SocketAddr;

use ppp::v2::{Addresses, Command, Header};

/// Bytes up to and with the length field.
const START: usize = 16;
/// Longest header that is taken: addresses and the usual extensions are far shorter.
const LONGEST: usize = 1024;

/// A header as far as it has come.
pub(super) struct ProxyHeader {
    bytes: Vec<u8>,
}

/// The ends of the connection as the proxy saw them.
pub(super) type Proxied = Option<(SocketAddr, SocketAddr)>;

/// No PROXY protocol v2 header, one for something else than TCP, or none to the end.
pub(super) struct Garbled;

impl ProxyHeader {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Reads on, and not one byte further than the header goes. `None`: there is more to come.
    /// The connection's real ends count where the header names none, as in a proxy's health checks.
    pub(super) fn read(&mut self, mut socket: impl Read) -> Result<Option<Proxied>, Garbled> {
        loop {
            let wanted = match self.bytes.first_chunk::<START>() {
                None => START,
                Some([.., high, low]) => START + usize::from(u16::from_be_bytes([*high, *low])),
            };
            if self.bytes.len() == wanted {
                return self.parse().map(Some);
            }
            let prefix = self.bytes.iter().zip(ppp::v2::PROTOCOL_PREFIX);
            // Tell at the first wrong byte: what follows may never come.
            if wanted > LONGEST || prefix.into_iter().any(|(byte, expected)| byte != expected) {
                return Err(Garbled);
            }
            let have = self.bytes.len();
            self.bytes.resize(wanted, 0);
            let read = socket.read(self.bytes.get_mut(have..).unwrap_or_default());
            self.bytes.truncate(have + read.as_ref().map_or(0, |count| *count));
            match read {
                Ok(0) => return Err(Garbled),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Garbled),
            }
        }
    }

    fn parse(&self) -> Result<Proxied, Garbled> {
        let header = Header::try_from(self.bytes.as_slice()).map_err(|_| Garbled)?;
        match (header.command, header.addresses) {
            (Command::Local, _) | (_, Addresses::Unspecified) => Ok(None),
            (Command::Proxy, Addresses::IPv4(ends)) => Ok(Some((
                SocketAddr::new(ends.source_address.into(), ends.source_port),
                SocketAddr::new(ends.destination_address.into(), ends.destination_port),
            ))),
            (Command::Proxy, Addresses::IPv6(ends)) => Ok(Some((
                SocketAddr::new(ends.source_address.into(), ends.source_port),
                SocketAddr::new(ends.destination_address.into(), ends.destination_port),
            ))),
            (Command::Proxy, Addresses::Unix(_)) => Err(Garbled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ppp::v2::{Builder, Protocol, Version};

    /// Gives one byte at a time, then would block.
    struct Trickle<'a>(&'a [u8], bool);

    impl Read for Trickle<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            match self.0.split_first() {
                Some((first, rest)) if self.1 => {
                    buf[0] = *first;
                    self.0 = rest;
                    Ok(1)
                }
                _ => Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }

    fn header(command: Command, addresses: impl Into<Addresses>) -> Vec<u8> {
        Builder::with_addresses(Version::Two as u8 | command as u8, Protocol::Stream, addresses)
            .build()
            .unwrap()
    }

    fn read_all(bytes: &[u8]) -> (Result<Option<Proxied>, Garbled>, usize) {
        let (mut reader, mut source) = (ProxyHeader::new(), Trickle(bytes, false));
        for _ in 0..2 * bytes.len() + 2 {
            match reader.read(&mut source) {
                Ok(None) => {}
                done => return (done, source.0.len()),
            }
        }
        (Ok(None), source.0.len())
    }

    #[test]
    fn a_header_in_pieces_is_read_to_its_end_and_no_further() {
        let (from, to): (SocketAddr, SocketAddr) =
            ("203.0.113.9:1234".parse().unwrap(), "192.0.2.1:3478".parse().unwrap());
        let mut bytes = header(Command::Proxy, (from, to));
        bytes.extend(b"hello");
        let (result, left) = read_all(&bytes);
        assert!(matches!(result, Ok(Some(Some(ends))) if ends == (from, to)));
        assert_eq!(left, 5);
    }

    #[test]
    fn a_local_header_names_nobody() {
        let ends: (SocketAddr, SocketAddr) =
            ("203.0.113.9:1234".parse().unwrap(), "192.0.2.1:3478".parse().unwrap());
        assert!(matches!(read_all(&header(Command::Local, ends)).0, Ok(Some(None))));
    }

    #[test]
    fn something_else_is_garbled_at_the_first_wrong_byte() {
        assert!(matches!(read_all(b"GET / HTTP/1.1\r\n"), (Err(Garbled), left) if left > 0));
        let mut long = header(Command::Local, Addresses::Unspecified);
        long[14] = 0xFF;
        assert!(read_all(&long).0.is_err());
    }
}
