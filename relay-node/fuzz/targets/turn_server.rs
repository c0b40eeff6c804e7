//! Any sequence of inputs for the whole core: packets with and without credentials, peers, time,
//! sockets that do not open. Nothing panics, no rule is broken, and nothing is left at the end.

#![no_main]

mod relay;

use std::net::SocketAddr;
use std::time::Duration;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use relay::{REALM, Relay, SECRET, client, message};
use stun::attribute::*;
use stun::{AttributeType, Class, Key, MessageWriter, Method};
use turn::credentials::Secret;
use turn::{Client, IcmpError, OpenError, PeerAddr, RelayId, Transport};

fuzz_target!(|bytes: &[u8]| {
    let mut world = World::new();
    let mut input = Unstructured::new(bytes);
    while !input.is_empty() {
        // Ends when the input does.
        let _ = world.step(&mut input);
    }
    world.relay.end();
});

/// A name whose time ends long after everything else.
const CAROL: &str = "1900000000:carol";

struct World {
    relay: Relay,
    clients: [Account; 4],
    peers: [SocketAddr; 5],
    next_transaction: u8,
}

struct Account {
    client: Client,
    user: Vec<u8>,
    md5: Key,
    sha256: Key,
}

impl Account {
    fn of(user: &str, password: &str, client: Client) -> Self {
        let (user, realm, password) = (user.as_bytes(), REALM.as_bytes(), password.as_bytes());
        Self {
            client,
            user: user.to_vec(),
            md5: Key::long_term_md5(user, realm, password),
            sha256: Key::long_term_sha256(user, realm, password),
        }
    }
}

impl World {
    fn new() -> Self {
        let address = |text: &str| text.parse().expect("an address");
        let carols_password = Secret::new(SECRET).expect("it is long enough").password(CAROL.as_bytes());
        Self {
            relay: Relay::new(),
            clients: [
                Account::of("alice", "wonderland", client("198.51.100.1:1000", Transport::Udp)),
                Account::of("bob", "builder", client("198.51.100.1:1000", Transport::Tcp)),
                Account::of("alice", "wonderland", client("198.51.100.2:2000", Transport::Udp)),
                Account::of(CAROL, &carols_password, client("[2001:db8:2::1]:3000", Transport::Tls)),
            ],
            peers: [
                address("198.51.100.9:9"),
                address("198.51.100.9:10"),
                address("[2001:db8:3::3]:7"),
                address("203.0.113.1:50000"),
                address("10.0.0.1:5"),
            ],
            next_transaction: 0,
        }
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=10)? {
            0 => self.stranger(input),
            1..=4 => self.request(input),
            5 => self.send(input),
            6 => self.channel_data(input),
            7 => self.peer_packet(input),
            8 => {
                let seconds = *input.choose(&[0, 1, 29, 30, 299, 300, 599, 600, 3600])?;
                self.relay.wait(Duration::from_secs(seconds));
                Ok(())
            }
            9 => {
                let outcomes =
                    [Ok(()), Err(OpenError::InUse), Err(OpenError::Exhausted), Err(OpenError::Unavailable)];
                self.relay.open_sockets(|| *input.choose(&outcomes).unwrap_or(&Ok(())));
                Ok(())
            }
            _ => self.rare(input),
        }
    }

    /// A packet of any bytes. Without credentials it allocates nothing.
    fn stranger(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let client = input.choose(&self.clients)?.client;
        let length = input.int_in_range(0..=64)?;
        let packet = input.bytes(length.min(input.len()))?;
        let before = self.relay.turn.allocations();
        self.relay.client_packet(&client, packet);
        assert_eq!(self.relay.turn.allocations(), before);
        Ok(())
    }

    /// A request with credentials and any attributes.
    fn request(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        const METHODS: [Method; 5] = [
            Method::ALLOCATE,
            Method::REFRESH,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
            Method::BINDING,
        ];
        let Account { client, user, md5, sha256 } = input.choose(&self.clients)?;
        let method = *input.choose(&METHODS)?;
        let modern = input.ratio(1, 4)?;
        if !input.ratio(1, 8)? {
            self.next_transaction = self.next_transaction.wrapping_add(1);
        }
        let nonce = self.relay.nonce(client);
        let packet = message(Class::Request, method, self.next_transaction, |writer| {
            // What does not fit, or is not there any more, is left out.
            if method == Method::ALLOCATE && !input.ratio(1, 8).unwrap_or(false) {
                let _ = writer.attribute(&RequestedTransport::UDP);
            }
            for _ in 0..input.int_in_range(0..=4).unwrap_or(0) {
                let _ = self.attribute(input, writer);
            }
            let _ = writer.attribute(&Username(user));
            let _ = writer.attribute(&Realm(REALM.as_bytes()));
            let _ = writer.attribute(&Nonce(&nonce));
            let _ = if modern {
                let _ = writer.attribute(&PasswordAlgorithms::SHA256_MD5);
                let _ = writer.attribute(&PasswordAlgorithm::Sha256);
                writer.integrity_sha256(sha256)
            } else {
                writer.integrity_sha1(md5)
            };
        });
        self.relay.client_packet(client, &packet);
        Ok(())
    }

    fn attribute(&self, input: &mut Unstructured<'_>, writer: &mut MessageWriter<'_>) -> Result<()> {
        let _ = match input.int_in_range(0..=11)? {
            0 => writer.attribute(&Lifetime(*input.choose(&[0, 1, 600, 3600, u32::MAX])?)),
            1 => writer.attribute(&EvenPort { reserve_next: input.arbitrary()? }),
            2 => writer.raw(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[input.int_in_range(1..=3)?, 0, 0, 0]),
            3 => writer.raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[input.int_in_range(1..=3)?, 0, 0, 0]),
            4..=6 => writer.attribute(&XorPeerAddress(*input.choose(&self.peers)?)),
            7 | 8 => writer.raw(AttributeType::CHANNEL_NUMBER, &[0x40, input.int_in_range(0..=4)?, 0, 0]),
            9 => writer.attribute(&DontFragment),
            10 => writer.attribute(&self.relay.token.unwrap_or(ReservationToken([0; 8]))),
            _ => {
                let kind = AttributeType(input.int_in_range(0..=0x0030)?);
                let length = input.int_in_range(0..=20)?;
                writer.raw(kind, input.bytes(length.min(input.len()))?)
            }
        };
        Ok(())
    }

    fn send(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let client = input.choose(&self.clients)?.client;
        let peer = *input.choose(&self.peers)?;
        let payload = vec![1; input.int_in_range(0..=1500)?];
        let packet = message(Class::Indication, Method::SEND, 0, |writer| {
            let _ = writer.attribute(&XorPeerAddress(peer));
            let _ = writer.attribute(&Data(&payload));
        });
        self.relay.client_packet(&client, &packet);
        Ok(())
    }

    fn channel_data(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let client = input.choose(&self.clients)?.client;
        let number = input.int_in_range(0..=4)?;
        let length: u8 = input.int_in_range(0..=20)?;
        let payload = vec![2; usize::from(input.int_in_range(0..=20_u8)?)];
        self.relay.client_packet(&client, &[&[0x40, number, 0, length], &payload[..]].concat());
        Ok(())
    }

    fn peer_packet(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let relay = self.relay_id(input)?;
        let peer = *input.choose(&self.peers)?;
        self.relay.peer_packet(relay, peer, &vec![3; input.int_in_range(0..=1500)?]);
        Ok(())
    }

    fn rare(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=3)? {
            0 => {
                let relay = self.relay_id(input)?;
                let peer = PeerAddr::new(*input.choose(&self.peers)?);
                let error = IcmpError {
                    kind: input.arbitrary()?,
                    code: input.arbitrary()?,
                    data: input.arbitrary()?,
                };
                self.relay.turn.peer_icmp(self.relay.now, relay, peer, error);
            }
            1 => {
                let client = input.choose(&self.clients)?.client;
                self.relay.turn.client_gone(self.relay.now, &client.five_tuple);
            }
            2 => self.relay.turn.end_all(self.relay.now),
            _ if input.ratio(1, 16)? => self.relay.turn.drain(),
            _ => {}
        }
        self.relay.drain();
        Ok(())
    }

    /// An open socket's name, or one that is long gone or never was.
    fn relay_id(&self, input: &mut Unstructured<'_>) -> Result<RelayId> {
        let mut open: Vec<u64> = self.relay.open.keys().copied().collect();
        open.sort_unstable();
        if open.is_empty() || input.ratio(1, 8)? {
            return Ok(RelayId::from_u64(u64::from(input.arbitrary::<u16>()?)));
        }
        Ok(RelayId::from_u64(*input.choose(&open)?))
    }
}
