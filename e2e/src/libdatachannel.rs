//! Peers of libdatachannel, whose ICE is libjuice, in Node.js.

use std::net::SocketAddr;
use std::time::Duration;

use testbed::Process;

use crate::credential::Credential;
use crate::network::Party;

/// How many messages a peer passes before it says so.
pub const MESSAGES: u32 = 200;

const DEADLINE: Duration = Duration::from_secs(60);

/// One peer, limited to its relayed candidate.
#[derive(Debug)]
pub struct Agent {
    process: Process,
}

/// Lets two peers pass their messages through relays over UDP; the addresses of their relayed candidates.
pub fn meet(parties: [&Party; 2], relay: SocketAddr, credential: &Credential) -> [SocketAddr; 2] {
    let [mut offer, mut answer] = [("offer", parties[0]), ("answer", parties[1])]
        .map(|(role, party)| Agent::start(role, party, relay, credential));
    let offered = offer.description();
    answer.process.write_line(&offered);
    let answered = answer.description();
    offer.process.write_line(&answered);
    for agent in [&mut offer, &mut answer] {
        let passed: u32 = agent.process.line("DONE ", DEADLINE).parse().expect("it prints a number");
        assert_eq!(passed, MESSAGES);
    }
    for mut agent in [offer, answer] {
        agent.process.write_line("");
        let (status, output) = agent.process.finish(DEADLINE);
        assert!(status.success(), "libdatachannel: {output}");
    }
    [offered, answered].map(|description| relayed(&description))
}

impl Agent {
    fn start(role: &str, from: &Party, relay: SocketAddr, credential: &Credential) -> Self {
        let [node, script] = ["LIBDATACHANNEL_NODE", "LIBDATACHANNEL_AGENT"].map(|variable| {
            std::env::var(variable)
                .unwrap_or_else(|_| panic!("`e2e/test fleet` installs it and sets {variable}"))
        });
        let mut command = from.namespace.command(&node);
        command.args([
            &script,
            role,
            &relay.ip().to_string(),
            &relay.port().to_string(),
            &credential.username,
        ]);
        let mut process = Process::start(&format!("libdatachannel, {role}"), command);
        process.write_line(&credential.password);
        Self { process }
    }

    /// What the other one must know, as JSON.
    fn description(&mut self) -> String {
        self.process.line("LOCAL ", DEADLINE)
    }
}

/// The address of the relayed candidate, the only one that there is (RFC 8839 section 5.1).
fn relayed(description: &str) -> SocketAddr {
    let description: serde_json::Value = serde_json::from_str(description).expect("it is JSON");
    let sdp = description["sdp"].as_str().expect("it has an SDP");
    let candidates: Vec<_> = sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:")).collect();
    let [candidate] = candidates[..] else { panic!("one candidate, not {candidates:?}") };
    let fields: Vec<_> = candidate.split(' ').collect();
    assert_eq!(fields[7], "relay", "{candidate}");
    SocketAddr::new(fields[4].parse().expect("an address"), fields[5].parse().expect("a port"))
}
