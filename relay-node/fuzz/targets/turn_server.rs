//! Any sequence of inputs for the whole core: packets with and without credentials, peers, time,
//! sockets that do not open, and what the fleet says. Nothing panics, no rule is broken, and nothing is left at the end.

#![no_main]

mod relay;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use relay::{Node, REALM, SECRET, client, message};
use stun::attribute::*;
use stun::{AttributeType, Class, Key, MessageWriter, Method};
use turn::credentials::Secret;
use turn::{Client, Drain, Entrance, IcmpError, OpenError, PeerAddr, QuotaTicket, RelayId, Transport};

fuzz_target!(|bytes: &[u8]| {
    let mut world = World::new();
    let mut input = Unstructured::new(bytes);
    while !input.is_empty() {
        // Ends when the input does.
        let _ = world.step(&mut input);
    }
    world.node.end();
});

/// Stands for a relayed address that is open, whichever.
const A_RELAYED_ONE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 50_000);
/// A name whose time ends long after everything else.
const CAROL: &str = "1900000000:carol";

struct World {
    node: Node,
    /// In turn of the one worker and of the other.
    clients: [Account; 4],
    peers: [SocketAddr; 5],
    next_transaction: u8,
}

struct Account {
    client: Client,
    /// Whether its nonces say that a 300 sent it here.
    sent_here: bool,
    user: Vec<u8>,
    md5: Key,
    sha256: Key,
}

impl Account {
    fn of(user: &str, password: &str, client: Client) -> Self {
        let (user, realm, password) = (user.as_bytes(), REALM.as_bytes(), password.as_bytes());
        Self {
            client,
            sent_here: false,
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
            node: Node::new(),
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
                A_RELAYED_ONE,
                address("10.0.0.1:5"),
            ],
            next_transaction: 0,
        }
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=12)? {
            12 => self.fleet(input),
            0 => self.stranger(input),
            1..=4 => self.request(input),
            5 => self.send(input),
            6 => self.channel_data(input),
            7 => self.peer_packet(input),
            8 => {
                let seconds = *input.choose(&[0, 1, 29, 30, 299, 300, 599, 600, 3600])?;
                self.node.wait(Duration::from_secs(seconds));
                Ok(())
            }
            9 => {
                let outcomes =
                    [Ok(()), Err(OpenError::InUse), Err(OpenError::Exhausted), Err(OpenError::Unavailable)];
                for worker in &mut self.node.workers {
                    worker.open_sockets(|| *input.choose(&outcomes).unwrap_or(&Ok(())));
                }
                Ok(())
            }
            10 => self.rare(input),
            _ => {
                self.node.deliver();
                Ok(())
            }
        }
    }

    /// A packet of any bytes. Without credentials it allocates nothing.
    fn stranger(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let account = self.account(input)?;
        let length = input.int_in_range(0..=64)?;
        let packet = input.bytes(length.min(input.len()))?;
        let before = self.node.allocations();
        self.client_packet(account, packet);
        assert_eq!(self.node.allocations(), before);
        Ok(())
    }

    fn account(&self, input: &mut Unstructured<'_>) -> Result<usize> {
        input.choose_index(self.clients.len())
    }

    fn client_packet(&mut self, account: usize, packet: &[u8]) {
        self.node.client_packet(account % 2, &self.clients[account].client, packet);
    }

    fn peer(&self, input: &mut Unstructured<'_>) -> Result<SocketAddr> {
        let peer = *input.choose(&self.peers)?;
        let open = if peer == A_RELAYED_ONE { self.node.open() } else { Vec::new() };
        if open.is_empty() {
            return Ok(peer);
        }
        let (_, _, relayed) = *input.choose(&open)?;
        Ok(relayed)
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
        let account = self.account(input)?;
        let Account { client, sent_here, user, md5, sha256 } = &self.clients[account];
        let method = *input.choose(&METHODS)?;
        let modern = input.ratio(1, 4)?;
        if !input.ratio(1, 8)? {
            self.next_transaction = self.next_transaction.wrapping_add(1);
        }
        let nonce = self.node.workers[account % 2].nonce(client, *sent_here);
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
        self.client_packet(account, &packet);
        Ok(())
    }

    fn attribute(&self, input: &mut Unstructured<'_>, writer: &mut MessageWriter<'_>) -> Result<()> {
        let _ = match input.int_in_range(0..=11)? {
            0 => writer.attribute(&Lifetime(*input.choose(&[0, 1, 600, 3600, u32::MAX])?)),
            1 => writer.attribute(&EvenPort { reserve_next: input.arbitrary()? }),
            2 => writer.raw(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[input.int_in_range(1..=3)?, 0, 0, 0]),
            3 => writer.raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[input.int_in_range(1..=3)?, 0, 0, 0]),
            4..=6 => writer.attribute(&XorPeerAddress(self.peer(input)?)),
            7 | 8 => writer.raw(AttributeType::CHANNEL_NUMBER, &[0x40, input.int_in_range(0..=4)?, 0, 0]),
            9 => writer.attribute(&DontFragment),
            10 => writer.attribute(&self.node.token().unwrap_or(ReservationToken([0; 8]))),
            _ => {
                let kind = AttributeType(input.int_in_range(0..=0x0030)?);
                let length = input.int_in_range(0..=20)?;
                writer.raw(kind, input.bytes(length.min(input.len()))?)
            }
        };
        Ok(())
    }

    fn send(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let account = self.account(input)?;
        let peer = self.peer(input)?;
        let payload = vec![1; input.int_in_range(0..=1500)?];
        let packet = message(Class::Indication, Method::SEND, 0, |writer| {
            let _ = writer.attribute(&XorPeerAddress(peer));
            let _ = writer.attribute(&Data(&payload));
        });
        self.client_packet(account, &packet);
        Ok(())
    }

    fn channel_data(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let account = self.account(input)?;
        let number = input.int_in_range(0..=4)?;
        let length: u8 = input.int_in_range(0..=20)?;
        let payload = vec![2; usize::from(input.int_in_range(0..=20_u8)?)];
        self.client_packet(account, &[&[0x40, number, 0, length], &payload[..]].concat());
        Ok(())
    }

    fn peer_packet(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let (worker, relay) = self.relay_id(input)?;
        let peer = self.peer(input)?;
        let payload = vec![3; input.int_in_range(0..=1500)?];
        self.node.workers[worker].peer_packet(relay, peer, &payload);
        Ok(())
    }

    fn rare(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=3)? {
            0 => {
                let (worker, relay) = self.relay_id(input)?;
                let peer = PeerAddr::new(self.peer(input)?);
                let error = IcmpError {
                    kind: input.arbitrary()?,
                    code: input.arbitrary()?,
                    data: input.arbitrary()?,
                };
                let worker = &mut self.node.workers[worker];
                worker.turn.peer_icmp(worker.now, relay, peer, error);
            }
            1 => {
                let account = self.account(input)?;
                let worker = &mut self.node.workers[account % 2];
                worker.turn.client_gone(worker.now, &self.clients[account].client.five_tuple);
            }
            2 => {
                let worker = &mut self.node.workers[usize::from(input.arbitrary::<bool>()?)];
                worker.turn.end_all(worker.now);
            }
            _ if input.ratio(1, 16)? => {
                let how = *input.choose(&[Drain::ToEnd, Drain::ToOthers])?;
                self.node.workers.iter_mut().for_each(|it| it.turn.drain(how));
            }
            _ => self.node.workers.iter_mut().for_each(|it| it.turn.resume()),
        }
        self.node.workers.iter_mut().for_each(relay::Relay::drain);
        Ok(())
    }

    /// What the fleet has to say, and clients that come through its balancer.
    fn fleet(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let worker = usize::from(input.arbitrary::<bool>()?);
        let account = self.account(input)?;
        let worker = &mut self.node.workers[worker];
        match input.int_in_range(0..=5)? {
            0 => worker.turn.apply(worker.now, relay::settings(input.arbitrary()?, input.arbitrary()?)),
            1 => worker.answer_quota(input.arbitrary()?),
            2 => {
                let made_up = QuotaTicket(input.arbitrary::<u16>()?.into());
                worker.turn.quota_answered(worker.now, made_up, input.arbitrary()?);
            }
            3 => worker.turn.set_alternates(relay::alternates()),
            4 => {
                let five_tuple = self.clients[account].client.five_tuple;
                worker.turn.end(worker.now, &|session| *session.five_tuple == five_tuple);
            }
            _ => {
                let account = &mut self.clients[account];
                account.client.entrance = *input.choose(&[Entrance::Direct, Entrance::FirstContact])?;
                account.sent_here = input.arbitrary()?;
            }
        }
        self.node.workers.iter_mut().for_each(relay::Relay::drain);
        Ok(())
    }

    /// An open socket's worker and name, or a name that is long gone or never was.
    fn relay_id(&self, input: &mut Unstructured<'_>) -> Result<(usize, RelayId)> {
        let open = self.node.open();
        if open.is_empty() || input.ratio(1, 8)? {
            let made_up = input.arbitrary::<u16>()?;
            return Ok((usize::from(made_up) % 2, RelayId::from_u64(u64::from(made_up))));
        }
        let (worker, relay, _) = *input.choose(&open)?;
        Ok((worker, relay))
    }
}
