//! A load balancer of nftables rules, and what it counts.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;

use super::region::{NODES, Region};
use crate::network::{Family, Party};
use crate::transport::Transport;

/// The ports that clients know, and those of first contact behind them.
const PLAIN: (u16, u16) = (3478, super::FIRST_CONTACT_PORT);
const TLS: (u16, u16) = (5349, super::FIRST_CONTACT_TLS_PORT);

const ALL: [usize; NODES] = [0, 1, 2];

/// How packets are spread over the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Each new flow goes to any node, and stays there.
    EachFlow,
    /// All flows of a client go to one node.
    EachClient,
    /// Each datagram goes to the next node, whatever the source; TCP as with [`Spread::EachFlow`].
    EachDatagram,
}

/// What nodes see of who comes by the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The client's own address.
    Kept,
    /// An address of the balancer.
    Hidden,
}

/// What a [`Region`]'s balancer does with what comes for the fleet. A newer value for the same region takes the place of
/// an older one.
#[derive(Debug)]
pub struct Balancer<'r> {
    host: &'r Party,
    spread: Spread,
    source: Source,
}

impl<'r> Balancer<'r> {
    /// One that sends to all nodes.
    pub fn new(region: &'r Region, spread: Spread, source: Source) -> Self {
        let balancer = Self { host: &region.balancer, spread, source };
        balancer.sends_to(&ALL);
        balancer
    }

    /// Sends to these nodes alone from now on. Flows that there are stay where they are, and what has passed is
    /// counted anew.
    pub fn sends_to(&self, nodes: &[usize]) {
        let mut command = self.host.namespace.command("nft");
        let mut nft = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn();
        let nft = nft.as_mut().expect("nftables is installed by e2e/test");
        let rules = self.rules(nodes);
        let mut stdin = nft.stdin.take().expect("it is piped");
        stdin.write_all(rules.as_bytes()).expect("nft reads");
        drop(stdin);
        assert!(nft.wait().expect("it is ours").success(), "nft refused:\n{rules}");
    }

    /// Where clients find the fleet.
    pub fn address(&self, transport: Transport, family: Family) -> SocketAddr {
        let port = if transport == Transport::Tls { TLS.0 } else { PLAIN.0 };
        SocketAddr::new(self.host.address(family), port)
    }

    /// The fleet's TURN URL.
    pub fn url(&self, transport: Transport, family: Family) -> String {
        transport.url(self.address(transport, family))
    }

    /// Packets that have passed it so far, both ways.
    pub fn passed(&self) -> u64 {
        let output = self.host.namespace.command("nft").args(["-j", "list", "counters"]).output();
        let output = output.expect("nftables is installed by e2e/test").stdout;
        let answer: Value = serde_json::from_slice(&output).expect("nft -j writes JSON");
        let entries = answer["nftables"].as_array().into_iter().flatten();
        let mut counts = entries.filter_map(|entry| entry["counter"]["packets"].as_u64());
        counts.next().expect("the rules have a counter")
    }

    fn rules(&self, nodes: &[usize]) -> String {
        let by = |what: &dyn Fn(usize) -> String| {
            let cases: Vec<_> =
                nodes.iter().enumerate().map(|(place, node)| format!("{place} : {}", what(*node))).collect();
            format!("{{ {} }}", cases.join(", "))
        };
        // What there was goes at the same moment.
        let mut rules = "table inet balancer\ndelete table inet balancer\ntable inet balancer {\n".to_owned();
        rules += "counter passed {}\n";
        rules += "chain passing { type filter hook forward priority filter; counter name passed; }\n";
        for node in nodes {
            let _ = writeln!(rules, "chain node{node} {{");
            for ((known, behind), (ip, family)) in
                [PLAIN, TLS].into_iter().flat_map(|ports| FAMILIES.map(|family| (ports, family)))
            {
                let to = SocketAddr::new(Region::inner(*node, family), behind);
                let _ = writeln!(rules, "meta l4proto {{ tcp, udp }} th dport {known} dnat {ip} to {to}");
            }
            rules += "}\n";
        }
        rules += "chain flows { type nat hook prerouting priority dstnat;\n";
        let chains = by(&|node| format!("goto node{node}"));
        for (ip, family) in FAMILIES {
            let to = format!("{ip} daddr {}", self.host.address(family));
            let key = match self.spread {
                Spread::EachClient => format!("jhash {ip} saddr"),
                Spread::EachFlow | Spread::EachDatagram => "numgen random".to_owned(),
            };
            let _ = writeln!(rules, "{to} {key} mod {} vmap {chains}", nodes.len());
        }
        rules += "}\n";
        if self.spread == Spread::EachDatagram {
            let (known, behind) = PLAIN;
            let (mut there, mut back) = (String::new(), String::new());
            for (ip, family) in FAMILIES {
                let (public, count) = (self.host.address(family), nodes.len());
                let inner = by(&|node| Region::inner(node, family).to_string());
                there += &format!(
                    "{ip} daddr {public} udp dport {known} notrack {ip} daddr set numgen inc mod {count} map {inner} \
                     udp dport set {behind}\n"
                );
                back += &format!(
                    "iifname inner meta protocol {ip} udp sport {behind} {ip} saddr set {public} udp sport set {known}\n"
                );
            }
            // Before it is routed, nothing may come from an address of this host.
            rules += &format!(
                "chain there {{ type filter hook prerouting priority raw;\niifname inner udp sport {behind} notrack\n{there}}}\n\
                 chain back {{ type filter hook postrouting priority srcnat;\n{back}}}\n"
            );
        }
        if self.source == Source::Hidden {
            rules +=
                "chain hiding { type nat hook postrouting priority srcnat; oifname inner masquerade; }\n";
        }
        rules + "}\n"
    }
}

/// What nftables calls each family.
const FAMILIES: [(&str, Family); 2] = [("ip", Family::V4), ("ip6", Family::V6)];
