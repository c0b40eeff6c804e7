//! What an attack must leave as it was.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use testbed::eventually_true;

use crate::call::{Call, Quality};
use crate::client::Client;
use crate::cores;
use crate::network::Network;
use crate::pace::{Over, at_intervals};
use crate::peer::Peer;
use crate::relay::Relay;
use crate::request;
use crate::transport::Transport;

/// How long a Binding, or an Allocate with its challenge, may take beside an attack.
const AT_ONCE: Duration = Duration::from_secs(1);
/// From one newcomer to the next at least, so that they are no attack of their own.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long what an attack has left behind may take to go.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A relay's memory, allocations and connections before an attack.
#[derive(Debug)]
pub struct Steady<'r> {
    network: &'r Network,
    relay: &'r Relay<'r>,
    resident: u64,
    allocations: u64,
    connections: u64,
}

impl<'r> Steady<'r> {
    /// Looks at a relay that has already served a client, so that its buffers are in place.
    pub fn before(network: &'r Network, relay: &'r Relay<'r>) -> Self {
        let (allocations, connections) = (relay.allocations(), relay.connections());
        good_client_works(network, relay);
        eventually_true(PATIENCE, "the good client to be gone", || relay.allocations() == allocations);
        Self { network, relay, resident: relay.resident_bytes(), allocations, connections }
    }

    /// Asserts that resident memory has grown by no more than `bound` bytes so far.
    pub fn memory_holds(&self, bound: u64) {
        let resident = self.relay.resident_bytes();
        let grown = resident.saturating_sub(self.resident);
        assert!(grown <= bound, "resident memory grew by {grown} bytes, from {}", self.resident);
    }

    /// Runs `attack`, and beside it a call over UDP, newcomers one after the other, each over the next of
    /// `transports`, and a look at the relay's memory again and again.
    pub fn during(&self, transports: &[Transport], attack: impl FnOnce() + Send) -> Impact {
        self.during_call(Transport::Udp, transports, attack)
    }

    /// The same with a call over any transport.
    pub fn during_call(
        &self,
        call: Transport,
        newcomers: &[Transport],
        attack: impl FnOnce() + Send,
    ) -> Impact {
        let call = Call::begin(self.network, self.relay, call);
        let over = AtomicBool::new(false);
        let over = &over;
        thread::scope(|scope| {
            scope.spawn(move || {
                let _over = Over(over);
                cores::leave_the_relays();
                attack();
            });
            let memory = scope.spawn(|| self.most_memory(over));
            let newcomers = scope.spawn(|| self.newcomers(newcomers, over));
            let call = call.talk(over);
            let newcomers = newcomers.join().expect("newcomers are served");
            let grown = memory.join().expect("the relay runs").saturating_sub(self.resident);
            Impact { call, newcomers, grown }
        })
    }

    fn most_memory(&self, over: &AtomicBool) -> u64 {
        let mut most = 0;
        at_intervals(LOOK, over, || most = most.max(self.relay.resident_bytes()));
        most
    }

    fn newcomers(&self, transports: &[Transport], over: &AtomicBool) -> Newcomers {
        let mut newcomers = Newcomers::default();
        let mut transports = transports.iter().cycle();
        at_intervals(INTERVAL, over, || {
            let Some(transport) = transports.next() else { panic!("newcomers need a transport") };
            let credential = self.relay.credential("newcomer");
            let begun = Instant::now();
            let mut client = Client::over(*transport, &self.network.alice, self.relay, credential);
            client.ask(&request::binding());
            newcomers.binding.note(begun, *transport);
            let begun = Instant::now();
            client.allocate().expect("a newcomer gets an allocation");
            newcomers.allocate.note(begun, *transport);
            client.refresh(0).expect("a client may end its allocation");
            newcomers.count += 1;
        });
        newcomers
    }

    /// Asserts that resident memory has grown by no more than `bound` bytes, that in time there are as many
    /// allocations and connections as before, and that a good client is served.
    pub fn holds(&self, bound: u64) {
        self.memory_holds(bound);
        // A connection is over once all that came before its end is read.
        eventually_true(PATIENCE, "allocations and connections to go back to what they were", || {
            (self.relay.allocations(), self.relay.connections()) == (self.allocations, self.connections)
        });
        good_client_works(self.network, self.relay);
    }
}

/// What others than the attacker saw of an attack.
#[derive(Debug)]
pub struct Impact {
    call: Quality,
    newcomers: Newcomers,
    grown: u64,
}

impl Impact {
    /// Asserts that there is none: a call that was going on has lost nothing, who came while it lasted was
    /// served within a second, and memory never grew by more than `bound` bytes.
    pub fn is_none(&self, bound: u64) {
        let Self { call, newcomers, grown } = self;
        println!("beside the attack: {call}; {newcomers}; memory grew by {} KB", grown / 1000);
        assert_eq!(call.lost, 0, "packets of a call were lost");
        assert!(newcomers.count > 0, "nobody came while the attack lasted");
        assert!(newcomers.binding.0 < AT_ONCE, "a Binding took {}", newcomers.binding);
        assert!(newcomers.allocate.0 < AT_ONCE, "an Allocate took {}", newcomers.allocate);
        assert!(*grown <= bound, "resident memory grew by {grown} bytes during the attack");
    }
}

/// How many came, and the longest that a Binding and an Allocate took, the time to connect included.
#[derive(Debug, Default)]
struct Newcomers {
    count: u32,
    binding: Slowest,
    allocate: Slowest,
}

/// A time, and over what it took that.
#[derive(Debug, Default)]
struct Slowest(Duration, Option<Transport>);

impl Slowest {
    fn note(&mut self, begun: Instant, transport: Transport) {
        let took = begun.elapsed();
        if took > self.0 {
            *self = Self(took, Some(transport));
        }
    }
}

impl fmt::Display for Newcomers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, binding, allocate } = self;
        write!(f, "{count} newcomers, the slowest Binding {binding}, the slowest Allocate {allocate}")
    }
}

impl fmt::Display for Slowest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)?;
        self.1.map_or(Ok(()), |transport| write!(f, " over {}", transport.name()))
    }
}

/// Says that the attack is over, also when it ends by a panic.
/// A round trip of a client that does everything right, over UDP.
pub fn good_client_works(network: &Network, relay: &Relay<'_>) {
    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("good"));
    let relayed = client.allocate().expect("a good client gets an allocation");
    client.permit(peer.address()).expect("the peer's address is public");
    client.send_to(peer.address(), b"to the peer");
    assert_eq!(peer.receive(), Some((relayed, b"to the peer".to_vec())));
    peer.send(relayed, b"to the client");
    assert_eq!(client.data(), Some((peer.address(), b"to the client".to_vec())));
    client.refresh(0).expect("a client may end its allocation");
}
