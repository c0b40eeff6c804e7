//! Each real client sends the Allocate requests that the relay's table of followers knows it by, and is sent to another
//! node just if it follows.

use edgerelay_e2e::aioice::Agent;
use edgerelay_e2e::coturn::{Login, Method as Relaying, Uclient, echo_peer};
use edgerelay_e2e::fleet::{Balancer, Fleet, Region, Source, Spread};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::transport::Transport;
use edgerelay_e2e::video_call::VideoCall;
use edgerelay_e2e::wire::Wire;
use edgerelay_e2e::{libdatachannel, pion};

use stun::attribute::ErrorCode;
use stun::{AttributeType, Class, Message, Method};

/// What a client does at the balancer.
#[derive(Debug, PartialEq, Eq)]
struct Manners {
    /// The attributes of its first Allocate, and of the first one with MESSAGE-INTEGRITY.
    shapes: [String; 2],
    /// Whether it was sent to another node.
    is_sent: bool,
}

#[test]
fn are_told_by_their_requests() {
    let region = Region::new();
    let fleet = Fleet::start(&region);
    let (network, authority) = (&region.network, fleet.authority());
    let [alice, bob] = [&network.alice, &network.bob];
    let balancer = Balancer::new(&region, Spread::EachFlow, Source::Kept);
    let address = balancer.address(Transport::Udp, Family::V4);
    let credential = fleet.nodes[0].credential("somebody");
    let (_process, peer) = echo_peer(&network.peer, network.peer.v4.into());

    let manners = |client: &dyn Fn()| {
        let wire = Wire::tap(alice);
        client();
        Manners::seen(&wire)
    };
    let chromium = manners(&|| {
        let url = balancer.url(Transport::Udp, Family::V4);
        let call = VideoCall::by(network, &fleet.nodes[0], &url);
        call.both("a picture", |report| report["framesDecoded"].as_u64() > Some(0));
    });
    let libdatachannel = manners(&|| {
        libdatachannel::meet([alice, bob], address, &credential);
    });
    let uclient = manners(&|| {
        let login = Login::LongTerm(credential.clone());
        let (transport, method) = (Transport::Udp, Relaying::Channels);
        Uclient { transport, method, login, sessions: 1, messages: 1, extra: &[] }.run(alice, address, peer);
    });
    let pion = manners(&|| {
        pion::run(alice, address, Transport::Udp, peer, &credential, &authority);
    });
    let aioice = manners(&|| {
        Agent::start(true, alice, address, Transport::Udp, &credential, &authority);
    });

    let follows = |first: &str, second: &str| Manners::new(first, second, true);
    let stays = |first: &str, second: &str| Manners::new(first, second, false);
    assert_eq!(chromium, follows("R", "R U REALM NONCE M"));
    assert_eq!(libdatachannel, follows("L=600 R SOFTWARE F", "L=600 R SOFTWARE U REALM NONCE M F"));
    assert_eq!(uclient, follows("R L=777 FAMILY F", "R L=777 FAMILY U NONCE REALM M F"));
    assert_eq!(pion, stays("R F", "R U REALM NONCE M F"));
    assert_eq!(aioice, stays("L=600 R", "L=600 R U NONCE REALM M F"));
}

impl Manners {
    fn new(first: &str, second: &str, is_sent: bool) -> Self {
        Self { shapes: [first.to_owned(), second.to_owned()], is_sent }
    }

    /// What was seen on the wire of one client.
    fn seen(wire: &Wire) -> Self {
        let datagrams = wire.datagrams();
        let messages = datagrams.iter().filter_map(|datagram| Message::parse(&datagram.payload).ok());
        let allocates: Vec<_> = messages.filter(|message| message.method() == Method::ALLOCATE).collect();
        let requests = || allocates.iter().filter(|message| message.class() == Class::Request);
        let signed = |message: &&Message<'_>| message.raw(AttributeType::MESSAGE_INTEGRITY).is_some();
        let [first, second] = [requests().next(), requests().find(signed)];
        let shapes = [first, second].map(|message| shape(message.expect("it allocates")));
        let is_sent = allocates.iter().any(|message| {
            message.get::<ErrorCode<'_>>().ok().flatten().is_some_and(|error| error.code == 300)
        });
        println!("{shapes:?}, sent to another node: {is_sent}");
        Self { shapes, is_sent }
    }
}

/// The attributes in order, in the letters of the table.
fn shape(message: &Message<'_>) -> String {
    // coturn's client asks for an even port now and then.
    let attributes = message.attributes().filter(|attribute| attribute.kind != AttributeType::EVEN_PORT);
    let letters = attributes.map(|attribute| match attribute.kind {
        AttributeType::REQUESTED_TRANSPORT => "R".to_owned(),
        AttributeType::USERNAME => "U".to_owned(),
        AttributeType::MESSAGE_INTEGRITY => "M".to_owned(),
        AttributeType::FINGERPRINT => "F".to_owned(),
        AttributeType::REQUESTED_ADDRESS_FAMILY => "FAMILY".to_owned(),
        AttributeType::LIFETIME => {
            let seconds = attribute.value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            format!("L={seconds}")
        }
        kind => kind.to_string(),
    });
    letters.collect::<Vec<_>>().join(" ")
}
