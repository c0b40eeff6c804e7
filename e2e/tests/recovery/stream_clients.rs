//! Connections cannot go on in a new process: they are closed at once, so that their clients act.

use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::transport::Transport;

use crate::scene::{SETTINGS, SOON};

/// A client would wait for minutes if nobody told it.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn are_told_when_the_relay_was_killed() {
    told_after(|relay| relay.kill_child());
}

#[test]
fn are_told_when_keeper_and_relay_were_killed() {
    told_after(|relay| relay.kill_all());
}

fn told_after(kill: impl Fn(&Relay<'_>)) {
    let network = Network::new();
    let relay = Relay::undisturbed(&network, &SETTINGS);
    let mut streams = [Transport::Tcp, Transport::Tls].map(|transport| {
        let mut client = Client::over(transport, &network.alice, &relay, relay.credential("alice"));
        client.allocate().expect("within the limits");
        client.into_stream().expect("it is no datagram client")
    });
    let killed = Instant::now();
    kill(&relay);
    for stream in &mut streams {
        stream.socket().set_read_timeout(Some(SOON)).expect("not zero");
        // The end of the stream, or an error that tells of it.
        assert!(
            !matches!(std::io::Read::read(stream, &mut [0; 64]), Ok(1..)),
            "the relay has nothing to say"
        );
        println!("told after {:?}", killed.elapsed());
        assert!(killed.elapsed() < AT_ONCE, "told after {:?}", killed.elapsed());
    }
}
