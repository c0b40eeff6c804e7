//! What a readiness event is about.

use turn::PathId;

/// A worker's sockets, as epoll knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The mailbox.
    Mailbox,
    /// A UDP listener, by its place in the plan.
    Listener(usize),
    /// A TCP or TLS listener, by its place in the plan.
    Acceptor(usize),
    /// A relay socket, by the index of its relay.
    Relay(usize),
    /// A connection, by its place in the table.
    Connection(usize),
}

impl Token {
    /// As epoll keeps it.
    pub(super) const fn pack(self) -> u64 {
        let (kind, index) = match self {
            Self::Mailbox => (0, 0),
            Self::Listener(index) => (1, index),
            Self::Acceptor(index) => (2, index),
            Self::Relay(index) => (3, index),
            Self::Connection(index) => (4, index),
        };
        kind << 32 | index as u64
    }

    /// As it was.
    pub(super) const fn unpack(token: u64) -> Option<Self> {
        let index = token as u32 as usize;
        Some(match token >> 32 {
            0 => Self::Mailbox,
            1 => Self::Listener(index),
            2 => Self::Acceptor(index),
            3 => Self::Relay(index),
            4 => Self::Connection(index),
            _ => return None,
        })
    }
}

/// The way back to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// From a UDP listener, by its place in the plan.
    Listener(usize),
    /// On a connection, by its place in the table.
    Connection(usize),
}

const CONNECTION: u32 = 1 << 31;

impl Path {
    /// As the core keeps it.
    pub(super) const fn pack(self) -> PathId {
        match self {
            Self::Listener(index) => PathId(index as u32),
            Self::Connection(index) => PathId(index as u32 | CONNECTION),
        }
    }

    /// As it was.
    pub(super) const fn unpack(path: PathId) -> Self {
        if path.0 & CONNECTION == 0 {
            Self::Listener(path.0 as usize)
        } else {
            Self::Connection((path.0 & !CONNECTION) as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_paths_survive_the_round_trip() {
        for token in [
            Token::Mailbox,
            Token::Listener(3),
            Token::Acceptor(0),
            Token::Relay(u32::MAX as usize),
            Token::Connection(70_000),
        ] {
            assert_eq!(Token::unpack(token.pack()), Some(token));
        }
        for path in [Path::Listener(5), Path::Connection(70_000)] {
            assert_eq!(Path::unpack(path.pack()), path);
        }
    }
}
