//! A relay's address, as a TURN URL (RFC 7065) names it.

use std::net::{SocketAddr, ToSocketAddrs};

use thiserror::Error;
use turn::Transport;

/// One transport of one relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// How to speak to it.
    pub(super) transport: Transport,
    /// Its name or address, which a certificate has to name.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
}

/// A URL that names no relay.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{url:?} is no TURN URL: {fault}; write one such as turn:relay.example.org:3478?transport=udp or turns:relay.example.org:5349"
)]
pub struct TargetError {
    url: String,
    fault: &'static str,
}

impl Target {
    /// Reads a TURN URL.
    pub(super) fn parse(url: &str) -> Result<Self, TargetError> {
        let wrong = |fault| TargetError { url: url.to_owned(), fault };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| wrong("it has no scheme"))?;
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let (transport, default_port) = match (scheme, query) {
            ("turn", None | Some("transport=udp")) => (Transport::Udp, 3478),
            ("turn", Some("transport=tcp")) => (Transport::Tcp, 3478),
            ("turns", None | Some("transport=tcp")) => (Transport::Tls, 5349),
            ("turn" | "turns", _) => return Err(wrong("there is no such transport")),
            _ => return Err(wrong("the scheme is neither turn nor turns")),
        };
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() || host.contains(':') && place.starts_with(|c: char| c != '[') {
            return Err(wrong("it names no host"));
        }
        let port = match port {
            Some(port) => port.parse().map_err(|_| wrong("the port is no number"))?,
            None => default_port,
        };
        Ok(Self { transport, host: host.to_owned(), port })
    }

    /// The address to speak to.
    pub(super) fn resolve(&self) -> std::io::Result<Option<SocketAddr>> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn names(url: &str, transport: Transport, host: &str, port: u16) {
        assert_eq!(Target::parse(url), Ok(Target { transport, host: host.to_owned(), port }));
    }

    #[test]
    fn urls_of_rfc_7065_are_read() {
        names("turn:relay.test", Transport::Udp, "relay.test", 3478);
        names("turn:192.0.2.1:4000?transport=tcp", Transport::Tcp, "192.0.2.1", 4000);
        names("turn:[2001:db8::1]:4000?transport=udp", Transport::Udp, "2001:db8::1", 4000);
        names("turns:[2001:db8::1]", Transport::Tls, "2001:db8::1", 5349);
        names("turns:relay.test:443?transport=tcp", Transport::Tls, "relay.test", 443);
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["relay.test", "stun:relay.test", "turn:", "turn:a:b", "turns:a?transport=udp", "turn:a?x"]
        {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
