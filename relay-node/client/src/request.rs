//! What a client asks of a relay.

use std::net::SocketAddr;

use stun::attribute::{
    AdditionalAddressFamily, AddressFamily, ChannelNumber, DontFragment, EvenPort, Lifetime,
    RequestedAddressFamily, RequestedTransport, ReservationToken, Software, XorPeerAddress,
};
use stun::{BufferFull, Class, MessageWriter, Method, TransactionId};

use crate::Login;

/// A request of RFC 8489 or RFC 8656.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The client's address as the server sees it. Needs no login.
    Binding,
    /// Relayed addresses.
    Allocate(Allocate),
    /// So many seconds more for the allocation; none to end it.
    Refresh {
        /// The seconds.
        lifetime: u32,
    },
    /// These peers' addresses are let through for five minutes.
    CreatePermission {
        /// The peers; their ports do not matter.
        peers: Vec<SocketAddr>,
    },
    /// A channel to a peer, for ten minutes, and a permission with it.
    ChannelBind {
        /// The channel.
        channel: ChannelNumber,
        /// The peer.
        peer: SocketAddr,
    },
}

/// What a relayed address shall be like (RFC 8656 section 7.1). By default: IPv4, any port, for ten minutes.
///
/// It is written as it is here, also where the RFC forbids to ask for two things at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocate {
    /// The family, if not the server's default.
    pub family: Option<AddressFamily>,
    /// The family of a second address.
    pub additional: Option<AddressFamily>,
    /// Seconds that it shall live.
    pub lifetime: Option<u32>,
    /// An even port, with or without the next one reserved.
    pub even_port: Option<EvenPort>,
    /// The port that was reserved with an earlier one.
    pub reservation: Option<ReservationToken>,
    /// Asks whether the server can set the DF bit.
    pub dont_fragment: bool,
}

impl Request {
    /// Its method.
    pub const fn method(&self) -> Method {
        match self {
            Self::Binding => Method::BINDING,
            Self::Allocate(_) => Method::ALLOCATE,
            Self::Refresh { .. } => Method::REFRESH,
            Self::CreatePermission { .. } => Method::CREATE_PERMISSION,
            Self::ChannelBind { .. } => Method::CHANNEL_BIND,
        }
    }

    /// Its name for a person.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Binding => "Binding",
            Self::Allocate(_) => "Allocate",
            Self::Refresh { .. } => "Refresh",
            Self::CreatePermission { .. } => "CreatePermission",
            Self::ChannelBind { .. } => "ChannelBind",
        }
    }

    /// Appends the attributes that say what is wanted.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn attributes(&self, writer: &mut MessageWriter<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Binding => Ok(()),
            Self::Allocate(wish) => wish.attributes(writer),
            Self::Refresh { lifetime } => writer.attribute(&Lifetime(*lifetime)).map(drop),
            Self::CreatePermission { peers } => {
                peers.iter().try_for_each(|peer| writer.attribute(&XorPeerAddress(*peer)).map(drop))
            }
            Self::ChannelBind { channel, peer } => {
                writer.attribute(channel)?.attribute(&XorPeerAddress(*peer)).map(drop)
            }
        }
    }

    /// Writes the request into `buffer`, with the name of the client's `software` if it gives one, signed where
    /// there is a login; its length.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(
        &self,
        buffer: &mut [u8],
        id: TransactionId,
        software: Option<&str>,
        login: Option<&Login>,
    ) -> Result<usize, BufferFull> {
        let mut writer = MessageWriter::new(buffer, Class::Request, self.method(), id)?;
        if let Some(software) = software {
            writer.attribute(&Software(software.as_bytes()))?;
        }
        self.attributes(&mut writer)?;
        if let Some(login) = login {
            login.sign(&mut writer)?;
        }
        writer.fingerprint()?;
        Ok(writer.finish())
    }
}

impl Allocate {
    fn attributes(&self, writer: &mut MessageWriter<'_>) -> Result<(), BufferFull> {
        writer.attribute(&RequestedTransport::UDP)?;
        if let Some(family) = self.family {
            writer.attribute(&RequestedAddressFamily(family))?;
        }
        if let Some(family) = self.additional {
            writer.attribute(&AdditionalAddressFamily(family))?;
        }
        if let Some(seconds) = self.lifetime {
            writer.attribute(&Lifetime(seconds))?;
        }
        if let Some(even_port) = &self.even_port {
            writer.attribute(even_port)?;
        }
        if let Some(token) = &self.reservation {
            writer.attribute(token)?;
        }
        if self.dont_fragment {
            writer.attribute(&DontFragment)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stun::Message;

    use super::*;

    #[test]
    fn an_allocate_carries_every_wish() {
        let wish = Allocate {
            family: Some(AddressFamily::V6),
            additional: Some(AddressFamily::V4),
            lifetime: Some(777),
            even_port: Some(EvenPort { reserve_next: true }),
            reservation: Some(ReservationToken([3; 8])),
            dont_fragment: true,
        };
        let mut buffer = [0; 200];
        let id = TransactionId::new([1; 12]);
        let length = Request::Allocate(wish).write(&mut buffer, id, None, None).unwrap();
        let request = Message::parse(&buffer[..length]).unwrap();
        assert_eq!(request.get(), Ok(Some(RequestedTransport::UDP)));
        assert_eq!(request.get(), Ok(Some(RequestedAddressFamily(AddressFamily::V6))));
        assert_eq!(request.get(), Ok(Some(AdditionalAddressFamily(AddressFamily::V4))));
        assert_eq!(request.get(), Ok(Some(Lifetime(777))));
        assert_eq!(request.get(), Ok(Some(EvenPort { reserve_next: true })));
        assert_eq!(request.get(), Ok(Some(ReservationToken([3; 8]))));
        assert_eq!(request.get(), Ok(Some(DontFragment)));
        assert_eq!(request.fingerprint(), stun::Fingerprint::Valid);
    }

    #[test]
    fn a_permission_may_be_for_many_peers() {
        let peers = ["192.0.2.1:0", "192.0.2.2:0"].map(|peer| peer.parse().unwrap()).to_vec();
        let mut buffer = [0; 200];
        let request = Request::CreatePermission { peers: peers.clone() };
        let length = request.write(&mut buffer, TransactionId::new([1; 12]), None, None).unwrap();
        let message = Message::parse(&buffer[..length]).unwrap();
        let read: Vec<SocketAddr> = message.all::<XorPeerAddress>().map(|peer| peer.unwrap().0).collect();
        assert_eq!(read, peers);
    }
}
