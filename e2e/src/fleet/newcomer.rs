//! A client that knows the balancer alone, and where it is told to go.

use std::net::SocketAddr;

use stun::Method;
use stun::attribute::AlternateServer;
use turn_client::{Allocate, Request};

use super::balancer::Balancer;
use crate::client::Client;
use crate::credential::{Credential, unix_seconds};
use crate::network::{Family, Party};
use crate::relay::SECRET;
use crate::request::Challenge;
use crate::transport::Transport;

/// A client over UDP, whose credential says that it goes where a 300 (Try Alternate) sends it.
#[derive(Debug)]
pub struct Newcomer<'r> {
    party: &'r Party,
    credential: Credential,
    client: Client,
    challenge: Option<Challenge>,
}

/// What a newcomer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It has its allocation where it has asked.
    Stay,
    /// It is to ask there.
    Go(SocketAddr),
}

impl<'r> Newcomer<'r> {
    /// A user of a party.
    pub fn new(party: &'r Party, balancer: &Balancer<'_>, family: Family, user: &str) -> Self {
        let credential = Credential::rest(SECRET, &format!("{}+300:{user}", unix_seconds() + 3600));
        Self::with(party, balancer, family, credential)
    }

    /// Somebody with a credential.
    pub fn with(party: &'r Party, balancer: &Balancer<'_>, family: Family, credential: Credential) -> Self {
        let client = Client::udp(party, balancer.address(Transport::Udp, family), credential.clone());
        Self { party, credential, client, challenge: None }
    }

    /// Asks for an allocation; the error is the code that it is refused with.
    ///
    /// # Panics
    /// When a 300 names no address or several.
    pub fn ask(&mut self) -> Result<Way, u16> {
        let request = Request::Allocate(Allocate::default());
        let bytes =
            self.client.signed(Method::ALLOCATE, |writer| request.attributes(writer).expect("there is room"));
        let reply = self.client.ask(&bytes);
        match reply.code() {
            None => Ok(Way::Stay),
            Some(300) => {
                let message = reply.message();
                let alternates: Vec<_> = message.all::<AlternateServer>().collect();
                let [Ok(alternate)] = alternates[..] else {
                    panic!("a 300 has exactly one ALTERNATE-SERVER, not {alternates:?}")
                };
                self.challenge = Some(reply.challenge());
                Ok(Way::Go(alternate.0))
            }
            Some(code) => Err(code),
        }
    }

    /// Asks a node that it was sent to, with the realm and the nonce that came with that. The client with its
    /// allocation, or the code that it is refused with.
    pub fn go_to(self, node: SocketAddr) -> Result<Client, u16> {
        let mut client = Client::udp(self.party, node, self.credential);
        client.use_challenge(self.challenge.expect("a 300 came with one"));
        client.allocate()?;
        Ok(client)
    }
}
