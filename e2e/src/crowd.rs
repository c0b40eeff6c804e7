//! Many clients, each with a relayed address that one peer may send to.

use std::net::SocketAddr;

use crate::client::Client;
use crate::credential::Credential;
use crate::peer::Peer;
use crate::relay::Relay;

/// Half of what a user may have by default.
const OF_ONE_USER: usize = 50;

/// The clients and their peer.
#[derive(Debug)]
pub struct Crowd {
    clients: Vec<Client>,
    relayed: Vec<SocketAddr>,
    peer: Peer,
}

impl Crowd {
    /// As many clients as there are to be, of as many users as that takes; `connect` makes each.
    pub fn new(count: usize, relay: &Relay<'_>, peer: Peer, connect: impl Fn(Credential) -> Client) -> Self {
        let (mut clients, mut relayed) = (Vec::new(), Vec::new());
        for number in 0..count {
            let mut client = connect(relay.credential(&format!("user {}", number / OF_ONE_USER)));
            relayed.push(client.allocate().expect("within the limits of its user"));
            client.permit(peer.address()).expect("the peer's address is public");
            clients.push(client);
        }
        Self { clients, relayed, peer }
    }

    /// Has the peer send to one of the clients; `turn` says to which, each in its turn.
    pub fn send(&self, turn: u32, data: &[u8]) {
        self.peer.send(self.relayed[turn as usize % self.relayed.len()], data);
    }

    /// Ends all allocations.
    pub fn leave(mut self) {
        for client in &mut self.clients {
            client.refresh(0).expect("a client may end its allocation");
        }
    }
}
