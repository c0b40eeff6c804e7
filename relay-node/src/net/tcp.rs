//! TCP listeners.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted, for each worker.
const BACKLOG: i32 = 1024;

/// One worker's socket of a listener. All workers' sockets share the address, and the kernel spreads
/// connections over them.
pub struct Acceptor {
    listener: TcpListener,
    // A descriptor to give up when there are no others, so that a waiting connection can be taken
    // and closed instead of waking the worker for ever.
    reserve: Option<File>,
}

impl Acceptor {
    /// Binds. Nobody can connect yet.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = open(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        Ok(Self { listener: socket.into(), reserve: reserve() })
    }

    /// Takes in a socket that a former process left, with the connections that wait there.
    ///
    /// # Errors
    /// When it does not listen at `address`.
    pub fn adopt(socket: OwnedFd, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::from(socket);
        let is_it = socket.r#type()? == Type::STREAM
            && socket.protocol()? == Some(Protocol::TCP)
            && socket.local_addr()?.as_socket() == Some(address)
            && socket.is_listener()?;
        if !is_it {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an inherited socket is another one"));
        }
        socket.set_cloexec(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { listener: socket.into(), reserve: reserve() })
    }

    /// Lets clients connect.
    pub fn listen(&self) -> io::Result<()> {
        listen(&self.listener)
    }

    /// Fails if somebody listens at `address`, even one who would share it.
    pub fn probe(address: SocketAddr) -> io::Result<()> {
        open(address)?.bind(&address.into())
    }

    /// Where it listens.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The listening socket, to wait for connections.
    pub fn socket(&self) -> &TcpListener {
        &self.listener
    }

    /// The next connection, if one waits. Out of descriptors, it is closed at once.
    pub fn accept(&mut self) -> Accepted {
        match self.listener.accept() {
            Ok((stream, client)) => match prepare(&stream) {
                Ok(()) => Accepted::Connection(stream, client),
                // Already gone.
                Err(_) => Accepted::Refused,
            },
            Err(error) => match Trouble::of(&error) {
                Trouble::NothingWaits => Accepted::None,
                Trouble::OneConnection => Accepted::Refused,
                Trouble::Lasting => Accepted::Unable,
                Trouble::NoDescriptor => {
                    drop(self.reserve.take());
                    let refused = self.listener.accept().is_ok();
                    self.reserve = reserve();
                    if refused { Accepted::Refused } else { Accepted::Unable }
                }
            },
        }
    }
}

/// Lets clients connect to the socket of an [`Acceptor`].
pub fn listen(socket: &TcpListener) -> io::Result<()> {
    Ok(rustix::net::listen(socket, BACKLOG)?)
}

/// What [`Acceptor::accept`] got.
pub enum Accepted {
    /// A non-blocking connection that sends small segments at once.
    Connection(TcpStream, SocketAddr),
    /// A connection that could not be kept.
    Refused,
    /// Nothing waits.
    None,
    /// The system cannot give what waits, and would say so again at once.
    Unable,
}

/// What an error of accept(2) is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    NothingWaits,
    /// The connection that was next: the one behind it may be fine.
    OneConnection,
    /// The process or the system has no descriptor left.
    NoDescriptor,
    /// Memory, a security filter, or what nobody thought of.
    Lasting,
}

impl Trouble {
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Self::NothingWaits,
            // accept(2) asks to treat the network's errors as the connection's.
            Some(
                libc::ECONNABORTED
                | libc::EINTR
                | libc::ENETDOWN
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH,
            ) => Self::OneConnection,
            Some(libc::EMFILE | libc::ENFILE) => Self::NoDescriptor,
            _ => Self::Lasting,
        }
    }
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted relay must not wait for its old connections to time out.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_away_is_not_tried_again_at_once() {
        let trouble = |code| Trouble::of(&io::Error::from_raw_os_error(code));
        for code in [libc::ENOMEM, libc::ENOBUFS, libc::EPERM, libc::EACCES, libc::EIO] {
            assert_eq!(trouble(code), Trouble::Lasting, "{code}");
        }
        for code in [libc::EMFILE, libc::ENFILE] {
            assert_eq!(trouble(code), Trouble::NoDescriptor, "{code}");
        }
        for code in [libc::ECONNABORTED, libc::EPROTO, libc::ENETUNREACH] {
            assert_eq!(trouble(code), Trouble::OneConnection, "{code}");
        }
        assert_eq!(trouble(libc::EAGAIN), Trouble::NothingWaits);
    }
}
