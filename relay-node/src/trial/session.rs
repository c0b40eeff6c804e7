//! The dialogue with the relay: each request, until it is answered.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use stun::attribute::{AddressFamily, ChannelNumber};
use turn_client::{Allocate, Client, Credential, Event, Failure, Request, Timing};

use crate::ice_servers::TimedCredential;

use super::error::TrialError;
use super::link::{Link, Trust};
use super::target::Target;

/// What it says it is: relays know by it that it goes where they send it.
const SOFTWARE: &str = "edgerelay-try";
/// The channel that packets go through.
pub(super) const CHANNEL: ChannelNumber = ChannelNumber::FIRST;
/// How long an answer may take: a person waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Transmissions after 0, 0.5, 1.5 and 3.5 s.
const TIMING: Timing = Timing {
    first: Duration::from_millis(500),
    transmissions: 4,
    last: Duration::from_millis(1500),
    stream: PATIENCE,
};

/// A client of one relay, or of the one that it is sent to by that.
pub(super) struct Session<'p> {
    link: Link,
    client: Client,
    target: &'p Target,
    trust: &'p Trust,
    sent_to: Option<SocketAddr>,
}

impl<'p> Session<'p> {
    /// Connects to `target`.
    pub(super) fn begin(
        target: &'p Target,
        trust: &'p Trust,
        credential: &TimedCredential,
    ) -> Result<Self, TrialError> {
        let server = match target.resolve() {
            Ok(Some(address)) => address,
            Ok(None) => return Err(TrialError::Resolve(None)),
            Err(error) => return Err(TrialError::Resolve(Some(error))),
        };
        let link = Link::connect(target.transport, server, &target.host, trust)?;
        let credential = Credential::new(&credential.username, &credential.password);
        let client = Client::new(link.path(), credential, rand::random())
            .with_timing(TIMING)
            .named(SOFTWARE)
            .following(server);
        Ok(Self { link, client, target, trust, sent_to: None })
    }

    /// Where the relay has sent it to be served.
    pub(super) fn sent_to(&self) -> Option<SocketAddr> {
        self.sent_to
    }

    /// The way to the relay, for packets.
    pub(super) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Gets a relayed address of the family of `peer`.
    pub(super) fn allocate(&mut self, peer: IpAddr) -> Result<(), TrialError> {
        let family = peer.is_ipv6().then_some(AddressFamily::V6);
        self.ask(Request::Allocate(Allocate { family, ..Allocate::default() }))
    }

    /// Lets `peer` through.
    pub(super) fn create_permission(&mut self, peer: SocketAddr) -> Result<(), TrialError> {
        self.ask(Request::CreatePermission { peers: vec![peer] })
    }

    /// Makes [`CHANNEL`] the way to `peer`.
    pub(super) fn bind_channel(&mut self, peer: SocketAddr) -> Result<(), TrialError> {
        self.ask(Request::ChannelBind { channel: CHANNEL, peer })
    }

    /// Ends the allocation.
    pub(super) fn delete(&mut self) -> Result<(), TrialError> {
        self.ask(Request::Refresh { lifetime: 0 })
    }

    /// Asks until the relay accepts, or refuses for good.
    fn ask(&mut self, request: Request) -> Result<(), TrialError> {
        let step = request.name();
        let failed = |failure| TrialError::Failed { step, failure };
        self.client.request(Instant::now(), request).map_err(|full| failed(Failure::TooLong(full)))?;
        let mut packet = Vec::new();
        loop {
            while let Some(packet) = self.client.poll_packet() {
                self.link.send(&packet)?;
            }
            // There is always one while a request is under way.
            let deadline = self.client.next_timeout().unwrap_or_else(Instant::now);
            let event = if self.link.receive(&mut packet, deadline)? {
                self.client.receive(Instant::now(), &packet)
            } else {
                self.client.handle_timeout(Instant::now())
            };
            match event {
                Some(Event::Succeeded(_)) => return Ok(()),
                Some(Event::Failed { failure, .. }) => return Err(failed(failure)),
                Some(Event::Redirected { server, domain }) => {
                    let host = domain.as_deref().unwrap_or(&self.target.host);
                    self.link = Link::connect(self.target.transport, server, host, self.trust)
                        .map_err(|error| TrialError::Elsewhere { server, error: Box::new(error) })?;
                    self.sent_to = Some(server);
                }
                // A packet of the round trips that comes late.
                Some(_) | None => {}
            }
        }
    }
}
