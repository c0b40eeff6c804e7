//! The node that both the core and the model are told to be, and who is around it.

use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, Mutex};

use stun::attribute::AddressFamily;
use turn::credentials::UserId;
use turn::{
    AnswerBudget, Credentials, Ledger, Nonces, PeerPolicy, Quota, Realm, RelayAddresses, Revoked, Settings,
    Transport,
};

use crate::support::{REALM, Relay, Store, TestClient, at, relay_addresses, settings};

/// Workers at first.
pub(crate) const WORKERS: usize = 2;
pub(crate) const CLIENTS: usize = 5;
pub(crate) const CHANNELS: [u16; 3] = [0x4000, 0x4001, 0x4FFF];
/// The host that [`Rules::denied`] denies.
pub(crate) const DENIED: &str = "192.0.2.3";

/// What cannot change while the node runs.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Whether it relays to IPv4 and to IPv6 peers.
    pub(crate) families: [bool; 2],
    /// So few that they run out.
    pub(crate) ports: RangeInclusive<u16>,
}

/// What can: which of the limits, and who and what is let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    /// Whether [`DENIED`] may be a peer no more.
    pub(crate) denied: bool,
    /// Whether Bob is a user no more.
    pub(crate) without_bob: bool,
    /// Whether Bob is revoked.
    pub(crate) bob_revoked: bool,
    /// Whether the realm has changed.
    pub(crate) moved: bool,
    /// What the fleet says to one allocation more, if it is asked.
    pub(crate) fleet: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Limits {
    #[default]
    Tight,
    Wide,
    /// This much of everything.
    Exactly(usize),
}

/// As many of each as one user, and as all together may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) allocations: usize,
    pub(crate) permissions: usize,
    pub(crate) channels: usize,
}

/// Three of Alice's, over two transports and from one address twice, and two of Bob's.
pub(crate) fn clients() -> [TestClient; CLIENTS] {
    let bob = |address| TestClient::new(address).named("bob", "builder");
    [
        TestClient::new("198.51.100.7:1"),
        TestClient::new("198.51.100.7:2"),
        TestClient::over(Transport::Tcp, "198.51.100.7:1"),
        bob("198.51.100.7:3"),
        bob("[2001:db8:7::1]:1"),
    ]
}

/// Where a client's packets go, of so many workers.
pub(crate) fn worker_of(client: usize, workers: usize) -> usize {
    client % workers
}

/// Two ports of one host, one that may be denied and one that always is; two ports of an IPv6 host.
pub(crate) fn peers() -> [SocketAddr; 6] {
    ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.3:1", "10.0.0.1:1", "[2001:db8:2::1]:1", "[2001:db8:2::1]:2"]
        .map(at)
}

impl Node {
    /// The address that relayed addresses of a family are on.
    pub(crate) fn address(&self, family: AddressFamily) -> Option<IpAddr> {
        self.addresses().get(family).map(|address| address.advertised)
    }

    /// Its workers, with what they share, and what they leave behind in `store`. No two have a number in
    /// common, and so none their random choices.
    pub(crate) fn workers(&self, rules: &Rules, numbers: Range<u8>, store: &Arc<Mutex<Store>>) -> Vec<Relay> {
        let ledger = Arc::new(Ledger::new(self.addresses(), self.ports.clone()));
        let budget = Arc::new(AnswerBudget::new([0; 32]));
        let worker = |number| {
            let settings = self.settings(rules);
            let relay = Relay::sharing(settings, Arc::clone(&ledger), Arc::clone(&budget), number);
            let mut relay = relay.recording(store);
            relay.fleet = rules.fleet;
            relay
        };
        numbers.map(worker).collect()
    }

    fn addresses(&self) -> RelayAddresses {
        let mut addresses = relay_addresses();
        addresses.v4 = addresses.v4.filter(|_| self.families[0]);
        addresses.v6 = addresses.v6.filter(|_| self.families[1]);
        addresses
    }

    /// The rules as the core is told them.
    pub(crate) fn settings(&self, rules: &Rules) -> Settings {
        let mut settings = settings();
        settings.realm = Realm::new(rules.realm()).unwrap();
        settings.credentials = Credentials::new(&settings.realm, rules.users(), vec![]).unwrap();
        let [user, total] = rules.limits();
        settings.asks_quota = rules.fleet.is_some();
        let bob = rules.bob_revoked.then(|| Revoked::User(UserId::long_term("bob")));
        settings.revocations = Arc::new(bob.into_iter().collect());
        settings.limits.user = quota(user);
        settings.limits.total = quota(total);
        settings.nonces = Nonces::new(vec![[7; 32]], 1_000_000, true);
        let denied = rules.denied.then(|| DENIED.parse::<IpAddr>().unwrap().into());
        settings.policy = PeerPolicy::new(vec![], denied.into_iter().collect(), vec![]);
        settings
    }
}

impl Rules {
    pub(crate) fn realm(&self) -> &'static str {
        if self.moved { "example.net" } else { REALM }
    }

    /// The users and their passwords.
    pub(crate) fn users(&self) -> &'static [(&'static str, &'static str)] {
        let all = &[("alice", "wonderland"), ("bob", "builder")];
        if self.without_bob { &all[..1] } else { all }
    }

    /// Whether requests of `user` are refused.
    pub(crate) fn refuse(&self, user: &[u8]) -> bool {
        let known = self.users().iter().any(|(name, _)| name.as_bytes() == user);
        !known || self.bob_revoked && user == b"bob"
    }

    /// As much as there are ports, for a user and for all together.
    pub(crate) fn exactly(ports: usize) -> Self {
        Self { limits: Limits::Exactly(ports), ..Self::default() }
    }

    /// Those of a user and of all together.
    pub(crate) fn limits(&self) -> [Limit; 2] {
        let limit = |allocations, permissions, channels| Limit { allocations, permissions, channels };
        match self.limits {
            Limits::Tight => [limit(2, 4, 3), limit(4, 6, 5)],
            Limits::Wide => [limit(100, 100, 100); 2],
            Limits::Exactly(count) => [limit(count, count, count); 2],
        }
    }
}

fn quota(limit: Limit) -> Quota {
    Quota {
        allocations: limit.allocations as u32,
        permissions: limit.permissions as u32,
        channels: limit.channels as u32,
        bits_per_second: None,
    }
}
