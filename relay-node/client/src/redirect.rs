//! Going where a 300 (Try Alternate) sends a client (RFC 8489 section 10).

use std::net::SocketAddr;

use stun::Message;
use stun::attribute::{AlternateDomain, AlternateServer, Nonce, Realm};
use thiserror::Error;

use crate::Login;

/// So often a request is sent on at most.
const MOST_HOPS: usize = 3;

/// Why a client does not go where a 300 sends it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RedirectError {
    /// Nobody who knows the password has said so.
    #[error("nobody has proved that it may send clients elsewhere")]
    Unproven,
    /// It names no address, or no domain that could be one.
    #[error("it names no other server")]
    Nowhere,
    /// The other address is of another family.
    #[error("it names {0}, which is of another address family")]
    OtherFamily(SocketAddr),
    /// The client was there before.
    #[error("it names {0}, which sent the client away before")]
    Loop(SocketAddr),
    /// It was sent on too often.
    #[error("{0} would be one server too many: the client was sent on {MOST_HOPS} times")]
    TooMany(SocketAddr),
}

/// Where a client is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) server: SocketAddr,
    pub(crate) domain: Option<String>,
}

/// The servers that a client was at, the first one first.
#[derive(Clone, Debug)]
pub(crate) struct Journey(Vec<SocketAddr>);

impl Journey {
    pub(crate) fn from(server: SocketAddr) -> Self {
        Self(vec![server])
    }

    /// Goes on to where `answer`, a 300 to a request that `login` signed, leads. The realm and the nonce in it are
    /// those of the next request.
    pub(crate) fn go_on(&mut self, answer: &Message<'_>, login: &mut Login) -> Result<Target, RedirectError> {
        login.verify(answer).map_err(|_| RedirectError::Unproven)?;
        // "The client looks for an ALTERNATE-SERVER attribute in the error response."
        let server = answer.get::<AlternateServer>().ok().flatten();
        let AlternateServer(server) = server.ok_or(RedirectError::Nowhere)?;
        // Section 14.15: "the address family MUST be identical to that of the source IP address of the request."
        if self.0.iter().any(|before| before.is_ipv4() != server.is_ipv4()) {
            return Err(RedirectError::OtherFamily(server));
        }
        // "If the client has been redirected to a server to which it has already sent this request, it MUST
        // ignore the redirection and consider the transaction to have failed."
        if self.0.contains(&server) {
            return Err(RedirectError::Loop(server));
        }
        if self.0.len() > MOST_HOPS {
            return Err(RedirectError::TooMany(server));
        }
        // "If the transport protocol uses TLS, the client looks for an ALTERNATE-DOMAIN attribute."
        let domain = answer.get::<AlternateDomain<'_>>().map_err(|_| RedirectError::Nowhere)?;
        let domain = domain.map(|AlternateDomain(domain)| String::from_utf8(domain.to_vec()));
        let domain = domain.transpose().map_err(|_| RedirectError::Nowhere)?;
        // "That request, if authenticated, MUST utilize the same credentials."
        let (realm, nonce) = (answer.get::<Realm<'_>>(), answer.get::<Nonce<'_>>());
        if let (Ok(Some(Realm(realm))), Ok(Some(Nonce(nonce)))) = (realm, nonce)
            && realm == login.challenge().realm
        {
            login.use_nonce(nonce);
        }
        self.0.push(server);
        Ok(Target { server, domain })
    }
}
