//! What old and new relay say to each other: see the table in [`super`].
//!
//! Relays of other versions read it, so what is there stays as it is: a new field has a default, and a new kind
//! of message is only sent to who speaks a [`PROTOCOL`] that has it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use turn::{RelayAddress, RelayAddresses, Transport};

use crate::serve::fleet::Kept;

/// What is spoken here.
pub const PROTOCOL: u32 = 1;

/// From the new relay, or whoever else comes to the old one's door.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Request {
    /// It wants to take over.
    Hello {
        /// The [`PROTOCOL`] that it speaks.
        protocol: u32,
        /// The highest version of records that it reads, and all below.
        reads_record_version: u16,
        /// What its deployment is called; nothing if that has no name.
        instance: String,
    },
    /// Everything that can fail has been done; with its open ports.
    Ready {
        /// What it will be.
        near: Near,
    },
    /// It serves: there is no way back.
    Serving,
    /// It does not take over after all.
    GivingUp {
        /// In a sentence.
        why: String,
    },
    /// Later: who else has clients on this node; with the [`OpenPorts`](turn::ledger::OpenPorts) of each.
    Neighbours {
        /// In the order of the descriptors.
        neighbours: Vec<Near>,
    },
    /// Later: the configuration that is in force now.
    Settings {
        /// As it is kept.
        configuration: Vec<u8>,
        /// What is known of the fleet.
        #[serde(default)]
        fleet: Kept,
    },
    /// Later: no new allocations.
    Drain,
    /// Later: new ones again.
    Resume,
    /// Later: the end, at once.
    Stop,
    /// Later: how it goes, which is answered by [`Reply::Report`].
    Report,
    /// Somebody's wish that this relay hands over to itself, with its configuration as it is now.
    Reload,
    /// An old one whose line to the new one broke is back; with its open ports.
    Returning {
        /// Who.
        near: Near,
    },
}

/// From the old relay.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Reply {
    /// No.
    Refused {
        /// In a sentence.
        why: String,
    },
    /// What the new one needs to make ready.
    Welcome(Welcome),
    /// A part of the descriptors that were announced.
    Passing {
        /// What each descriptor is, in their order.
        passed: Vec<Passed>,
    },
    /// Nothing moves any more: records and sockets are those that there are.
    Frozen {
        /// Whose records the new one takes in.
        generation: u64,
        /// How many descriptors follow.
        descriptors: usize,
    },
    /// What came of [`Request::Reload`].
    Reloaded,
    /// How it goes with an old one.
    Report(Report),
}

/// What the new one needs to make ready.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Welcome {
    /// The old one's.
    pub generation: u64,
    /// What its deployment is called.
    pub instance: String,
    /// The version in which its records will be.
    pub record_version: u16,
    /// Under which clients have nonces.
    pub nonce_key: [u8; 32],
    /// By which datagrams are steered to workers.
    pub steering_key: u32,
    /// What is known of the fleet.
    #[serde(default)]
    pub fleet: Kept,
    /// How many descriptors follow.
    pub descriptors: usize,
}

/// What a descriptor is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Passed {
    /// A worker's socket of a listener: those of one listener come in the order of the workers.
    Listener {
        /// [`Transport::name`].
        transport: String,
        /// What the configuration asked for.
        bind: SocketAddr,
        /// What it is bound to.
        address: SocketAddr,
    },
    /// The admin server's socket.
    Admin {
        /// What the configuration asked for.
        bind: SocketAddr,
        /// What it is bound to.
        address: SocketAddr,
    },
    /// The socket of a relayed address.
    Relay {
        /// What it is bound to.
        local: SocketAddr,
    },
    /// A piece of a vault that has no directory.
    Piece {
        /// Its name.
        name: String,
    },
    /// Which relayed addresses somebody has, who is a neighbour from now on.
    OpenPorts(Near),
    /// The line to one who is an old one already.
    Line {
        /// Who.
        generation: u64,
    },
}

/// Another relay on this node.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Near {
    /// Which.
    pub generation: u64,
    /// The addresses that peers of each family see, if any.
    #[serde(default)]
    pub v4: Option<Address>,
    /// The same for IPv6.
    #[serde(default)]
    pub v6: Option<Address>,
}

/// A [`RelayAddress`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Address {
    bind: IpAddr,
    advertised: IpAddr,
}

/// How it goes with an old one.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Allocations that live.
    pub allocations: usize,
    /// Its metrics, as Prometheus has them as text.
    pub metrics: String,
}

impl Near {
    /// The relay of `generation`, with relayed addresses on `relay`.
    pub fn new(generation: u64, relay: RelayAddresses) -> Self {
        let address = |it: RelayAddress| Address { bind: it.bind, advertised: it.advertised };
        Self { generation, v4: relay.v4.map(address), v6: relay.v6.map(address) }
    }

    /// What its relayed addresses are made of.
    pub fn relay(&self) -> RelayAddresses {
        let address = |it: Address| RelayAddress { bind: it.bind, advertised: it.advertised };
        RelayAddresses { v4: self.v4.map(address), v6: self.v6.map(address) }
    }
}

/// What is spoken at a listener, by its name.
pub fn transport(name: &str) -> Option<Transport> {
    [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().find(|it| it.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relays that run say these: who changes them cannot take over from any.
    #[test]
    fn the_first_words_are_those_of_all_versions() {
        let said = |text: &str| serde_json::from_str::<Request>(text).unwrap();
        let hello = Request::Hello { protocol: 1, reads_record_version: 7, instance: "pod".to_owned() };
        let text = r#"{"say":"hello","protocol":1,"reads_record_version":7,"instance":"pod"}"#;
        assert_eq!((said(text), serde_json::to_string(&hello).unwrap().as_str()), (hello, text));
        let later = r#"{"say":"hello","protocol":9,"reads_record_version":7,"instance":"","more":[1]}"#;
        assert!(matches!(said(later), Request::Hello { protocol: 9, .. }), "what is not known is not read");
        let why = "it is too old".to_owned();
        assert_eq!(
            serde_json::to_string(&Reply::Refused { why }).unwrap(),
            r#"{"say":"refused","why":"it is too old"}"#
        );
    }

    #[test]
    fn addresses_come_back_as_they_were() {
        let v4 =
            RelayAddress { bind: "10.0.0.5".parse().unwrap(), advertised: "203.0.113.1".parse().unwrap() };
        let relay = RelayAddresses { v4: Some(v4), v6: None };
        let text = serde_json::to_string(&Near::new(3, relay)).unwrap();
        let near: Near = serde_json::from_str(&text).unwrap();
        assert_eq!((near.generation, near.relay()), (3, relay));
        for it in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            assert_eq!(transport(it.name()), Some(it));
        }
    }
}
