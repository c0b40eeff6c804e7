//! What a success response says.

use std::net::SocketAddr;

use stun::attribute::{
    AddressErrorCode, AddressFamily, ChannelNumber, Lifetime, ReservationToken, XorMappedAddress,
    XorRelayedAddress,
};
use stun::{AttributeError, Message};
use thiserror::Error;

use crate::Request;

/// What a request has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Success {
    /// The client's address as the server sees it.
    Mapped(SocketAddr),
    /// Relayed addresses.
    Allocated(Allocation),
    /// The allocation lives so many more seconds; it is gone if none.
    Refreshed {
        /// The seconds.
        lifetime: u32,
    },
    /// These peers are let through.
    Permitted {
        /// The peers.
        peers: Vec<SocketAddr>,
    },
    /// The channel leads to the peer.
    Bound {
        /// The channel.
        channel: ChannelNumber,
        /// The peer.
        peer: SocketAddr,
    },
}

/// What an Allocate has brought (RFC 8656 section 7.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The relayed addresses, at least one.
    pub relayed: Vec<SocketAddr>,
    /// The client's address as the server sees it.
    pub mapped: SocketAddr,
    /// Seconds that it lives.
    pub lifetime: u32,
    /// What shows the right to the next port.
    pub reservation: Option<ReservationToken>,
    /// Which of two families could not be had, and the error code.
    pub refused: Option<(AddressFamily, u16)>,
}

/// Why an answer says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// An attribute is not as the RFC has it.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// Something that the RFC demands is not there.
    #[error("it has no {0}")]
    Missing(&'static str),
}

impl Success {
    /// Reads the success response to `request`.
    ///
    /// # Errors
    /// When it lacks what it has to say.
    pub fn read(request: Request, answer: &Message<'_>) -> Result<Self, AnswerError> {
        Ok(match request {
            Request::Binding => Self::Mapped(mapped(answer)?),
            Request::Allocate(_) => Self::Allocated(Allocation::read(answer)?),
            Request::Refresh { .. } => Self::Refreshed { lifetime: lifetime(answer)? },
            Request::CreatePermission { peers } => Self::Permitted { peers },
            Request::ChannelBind { channel, peer } => Self::Bound { channel, peer },
        })
    }
}

impl Allocation {
    fn read(answer: &Message<'_>) -> Result<Self, AnswerError> {
        let relayed: Vec<SocketAddr> = answer
            .all::<XorRelayedAddress>()
            .map(|address| Ok(address?.0))
            .collect::<Result<_, AttributeError>>()?;
        if relayed.is_empty() {
            return Err(AnswerError::Missing("relayed address"));
        }
        let refused = answer.get::<AddressErrorCode<'_>>()?.map(|error| (error.family, error.code));
        Ok(Self {
            relayed,
            mapped: mapped(answer)?,
            lifetime: lifetime(answer)?,
            reservation: answer.get()?,
            refused,
        })
    }
}

fn mapped(answer: &Message<'_>) -> Result<SocketAddr, AnswerError> {
    Ok(answer.get::<XorMappedAddress>()?.ok_or(AnswerError::Missing("mapped address"))?.0)
}

fn lifetime(answer: &Message<'_>) -> Result<u32, AnswerError> {
    Ok(answer.get::<Lifetime>()?.ok_or(AnswerError::Missing("lifetime"))?.0)
}
