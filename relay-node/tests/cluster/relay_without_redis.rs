//! A relay whose Redis goes away: calls notice nothing, new ones begin, probes and metrics tell what is in the way, and
//! what the fleet needs to know is in Redis again when that is back, also when it is back empty.

use testbed::{Redis, eventually_true};

use crate::daemon::{ALICE, Client, Daemon, Packet, peer, receive};
use crate::support::SOON;

fn relay(redis: &Redis) -> Daemon {
    Daemon::serve(&format!(
        "{ALICE}\nlisteners = [{{ transport = 'udp', address = '127.0.0.1:0', advertised = '192.0.2.1:3478' }}]\n\
         cluster.fleet = 'edge'\ncluster.node = 'one'\n\
         cluster.fleet_key = '0123456789abcdef0123456789abcdef'\ncluster.redis = {{ urls = ['{}'] }}",
        redis.url()
    ))
}

/// Waits until `/ready` says that nothing is in the way.
fn whole(relay: &Daemon) {
    eventually_true(SOON, "the relay to be whole", || {
        relay.get("/ready") == (200, "{\"state\":\"ready\"}".to_owned())
            && relay.metric("edgerelay_cluster_up", &[]) == 1
    });
}

/// Waits until `/ready` says that Redis is in the way, for that reason. Packets are served all the same.
fn degraded(relay: &Daemon, why: &str) {
    eventually_true(SOON, "the relay to be degraded", || {
        let (code, text) = relay.get("/ready");
        assert_eq!(code, 200);
        text.starts_with("{\"state\":\"ready\",\"degraded\":\"") && text.contains(why)
    });
    assert_eq!(relay.metric("edgerelay_cluster_up", &[]), 0);
}

/// One packet to the peer and one back.
fn talks(
    client: &mut Client<std::net::UdpSocket>,
    peer: &std::net::UdpSocket,
    relayed: std::net::SocketAddr,
) {
    client.send(peer.local_addr().unwrap(), b"to the peer", false);
    assert_eq!(receive(peer).0, b"to the peer");
    peer.send_to(b"to the client", relayed).unwrap();
    let packet = Packet::Data { peer: peer.local_addr().unwrap(), payload: b"to the client".to_vec() };
    assert_eq!(client.receive(), packet);
}

#[test]
fn calls_go_on_and_begin_while_redis_is_killed_hangs_and_is_emptied() {
    let mut redis = Redis::start();
    let relay = relay(&redis);
    whole(&relay);
    let peer = peer();
    let mut client = Client::udp(relay.address("udp"));
    let relayed = client.allocate();
    client.permit(peer.local_addr().unwrap());
    talks(&mut client, &peer, relayed);

    redis.kill();
    degraded(&relay, "nothing listens there");
    talks(&mut client, &peer, relayed);
    Client::udp(relay.address("udp")).allocate();

    redis.start_again();
    whole(&relay);
    eventually_true(SOON, "the keys to be in Redis again", || redis.cli(&["EXISTS", "edge:secrets"]) == "1");

    redis.hang();
    degraded(&relay, "it does not answer");
    talks(&mut client, &peer, relayed);
    Client::udp(relay.address("udp")).allocate();
    redis.go_on();
    whole(&relay);

    redis.cli(&["FLUSHALL"]);
    talks(&mut client, &peer, relayed);
    eventually_true(SOON, "all to be in Redis again", || {
        ["edge:secrets", "edge:nonces", "edge:node:one", "edge:calls:one"]
            .iter()
            .all(|key| redis.cli(&["EXISTS", key]) == "1")
    });
    // Each thing that is in the way is told once, however often it is tried.
    let told = relay.log().into_iter().filter(|line| line.contains("Calls go on with what is known")).count();
    assert!((2..=4).contains(&told), "{:#?}", relay.log());
}

#[test]
fn a_relay_starts_without_redis_and_joins_when_that_comes() {
    let mut redis = Redis::start();
    redis.kill();
    let relay = relay(&redis);
    degraded(&relay, "nothing listens there");
    Client::udp(relay.address("udp")).allocate();
    redis.start_again();
    whole(&relay);
    eventually_true(SOON, "the node to be registered", || redis.cli(&["EXISTS", "edge:node:one"]) == "1");
}
