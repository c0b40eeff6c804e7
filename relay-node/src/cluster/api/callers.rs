//! Who calls, and what they may: told by the DNS names in their certificates, and by nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use thiserror::Error;
use webpki::EndEntityCert;

use super::door::Proven;
use crate::config::Grpc;

/// Names of a certificate that are looked at: what a certificate of ours has, and more than enough.
const NAMES: usize = 32;

/// Whoever is at the other end of a connection.
#[derive(Clone)]
pub struct Caller {
    names: Arc<[Box<str>]>,
    address: SocketAddr,
    proven: Proven,
}

/// Who is known by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An application.
    Issuer,
    /// A person, or a program of theirs.
    Operator,
    /// A relay of this fleet. It may do what an operator may: who has its key has the fleet key beside it.
    Node,
}

/// By which names callers of gRPC are known.
#[derive(Clone, Debug)]
pub struct Callers {
    node: String,
    operators: Vec<String>,
    issuers: Vec<String>,
}

/// A caller that may do what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// As the configuration has it.
    pub name: Arc<str>,
    /// Where it calls from.
    pub address: SocketAddr,
}

/// Why a caller may not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unwelcome {
    /// Known, but not for this.
    #[error("{name} may not call {rpc}: {}", reason(.allowed))]
    NotAllowed {
        /// Under which name.
        name: Arc<str>,
        /// What it called.
        rpc: &'static str,
        /// Who may.
        allowed: &'static [Role],
    },
    /// On no list.
    #[error(
        "the caller's certificate names {names}, and none of that is known here: add a name to \
         cluster.grpc.operators or cluster.grpc.issuers, or call with another certificate"
    )]
    Unknown {
        /// What the certificate has.
        names: String,
    },
    /// Nobody may.
    #[error("there is no such call")]
    NoSuchCall,
}

const APPLICATIONS: &[Role] = &[Role::Issuer, Role::Operator, Role::Node];
const OPERATORS: &[Role] = &[Role::Operator, Role::Node];
const NODES: &[Role] = &[Role::Node];

/// Who may call what. What is not here, nobody may.
pub(super) const MAY: [(&str, &[Role]); 13] = [
    ("edgerelay.v1.Credentials/Issue", APPLICATIONS),
    ("edgerelay.v1.Credentials/Revoke", APPLICATIONS),
    ("edgerelay.v1.Credentials/Restore", APPLICATIONS),
    ("edgerelay.v1.Fleet/ListNodes", OPERATORS),
    ("edgerelay.v1.Fleet/WatchLoad", OPERATORS),
    ("edgerelay.v1.Fleet/ListSessions", OPERATORS),
    ("edgerelay.v1.Fleet/EndSessions", OPERATORS),
    ("edgerelay.v1.Fleet/Drain", OPERATORS),
    ("edgerelay.v1.Fleet/Undrain", OPERATORS),
    ("edgerelay.v1.Fleet/ListUsage", OPERATORS),
    ("edgerelay.v1.Member/DrainSelf", NODES),
    ("edgerelay.v1.Member/UndrainSelf", NODES),
    ("edgerelay.v1.Member/EndOwnSessions", NODES),
];

/// The name in the certificates of a fleet's nodes.
pub fn node_name(fleet: &str) -> String {
    format!("relay.{fleet}.edgerelay")
}

impl Caller {
    /// Who showed `certificates`, its own first, and was found to hold the key. Who is proven keeps its connection.
    pub(super) fn new(
        certificates: Option<&[CertificateDer<'_>]>,
        address: SocketAddr,
        proven: Proven,
    ) -> Self {
        let own = certificates.and_then(<[_]>::first);
        Self { names: own.map(names).unwrap_or_default(), address, proven }
    }

    /// Where it calls from.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first of `known` that its certificate has.
    pub fn known_as<'k>(&self, known: &'k [String]) -> Option<&'k str> {
        let has = |known: &str| self.names.iter().any(|name| name.eq_ignore_ascii_case(known));
        known.iter().map(String::as_str).find(|known| has(known))
    }

    /// It has shown that it may call: strangers give way to it from now on.
    pub fn prove(&self) {
        self.proven.set();
    }
}

impl Callers {
    /// Those of `fleet` that the configuration names.
    pub fn new(fleet: &str, grpc: &Grpc) -> Self {
        Self { node: node_name(fleet), operators: grpc.operators.clone(), issuers: grpc.issuers.clone() }
    }

    /// Whether `caller` may call what is at `path`, such as `/edgerelay.v1.Fleet/Drain`, and under which name.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, caller: &Caller, path: &str) -> Result<Admitted, Unwelcome> {
        let called = path.strip_prefix('/').and_then(|path| MAY.iter().find(|(rpc, _)| *rpc == path));
        let known = self.roles(caller);
        let Some(first) = known.first() else {
            return Err(Unwelcome::Unknown { names: caller.names_for_people() });
        };
        caller.prove();
        let &(rpc, allowed) = called.ok_or(Unwelcome::NoSuchCall)?;
        let admitted = known.iter().find(|(role, _)| allowed.contains(role));
        match admitted {
            Some((_, name)) => Ok(Admitted { name: (*name).into(), address: caller.address }),
            None => Err(Unwelcome::NotAllowed { name: first.1.into(), rpc, allowed }),
        }
    }

    /// As what it is known, and under which names.
    fn roles(&self, caller: &Caller) -> Vec<(Role, &str)> {
        let lists = [
            (Role::Node, std::slice::from_ref(&self.node)),
            (Role::Operator, self.operators.as_slice()),
            (Role::Issuer, self.issuers.as_slice()),
        ];
        lists.into_iter().filter_map(|(role, list)| Some((role, caller.known_as(list)?))).collect()
    }
}

impl Caller {
    fn names_for_people(&self) -> String {
        if self.names.is_empty() { "no DNS name".to_owned() } else { self.names.join(", ") }
    }
}

/// The DNS names of a certificate, letters, digits, dots and dashes all of them; nobody is known by a wildcard.
fn names(certificate: &CertificateDer<'_>) -> Arc<[Box<str>]> {
    match EndEntityCert::try_from(certificate) {
        Ok(certificate) => certificate.valid_dns_names().take(NAMES).map(Box::from).collect(),
        Err(_) => Arc::default(),
    }
}

fn reason(allowed: &[Role]) -> &'static str {
    if allowed.contains(&Role::Operator) {
        "only names in cluster.grpc.operators may"
    } else {
        "only the fleet's own nodes may"
    }
}

#[cfg(test)]
mod tests {
    use rcgen::CertificateParams;

    use super::*;

    const CONTRACTS: [&str; 3] = [
        include_str!("../../../../proto/edgerelay/v1/credentials.proto"),
        include_str!("../../../../proto/edgerelay/v1/fleet.proto"),
        include_str!("../../../../proto/edgerelay/v1/member.proto"),
    ];

    fn callers() -> Callers {
        Callers {
            node: node_name("blue"),
            operators: vec!["ops.example.org".to_owned()],
            issuers: vec!["app.example.org".to_owned()],
        }
    }

    fn caller(names: &[&str]) -> Caller {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let chain = [certificate.der().clone()];
        Caller::new(Some(&chain), "127.0.0.1:1".parse().unwrap(), Proven::default())
    }

    /// Every call that `names` may make.
    fn may(names: &[&str]) -> Vec<&'static str> {
        let (callers, caller) = (callers(), caller(names));
        let admitted = |rpc: &str| callers.admit(&caller, &format!("/{rpc}")).is_ok();
        MAY.iter().map(|(rpc, _)| *rpc).filter(|rpc| admitted(rpc)).collect()
    }

    #[test]
    fn every_call_of_the_contracts_is_in_the_table_and_no_other() {
        let calls: Vec<_> = CONTRACTS
            .iter()
            .flat_map(|contract| {
                let service = contract.split("\nservice ").nth(1).unwrap();
                let (name, rest) = service.split_once(" {").unwrap();
                let calls = rest.split("rpc ").skip(1).map(|call| call.split('(').next().unwrap());
                calls.map(move |call| format!("edgerelay.v1.{name}/{call}")).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(calls, MAY.map(|(rpc, _)| rpc));
    }

    #[test]
    fn applications_issue_operators_command_and_nodes_ask_each_other() {
        let credentials = &MAY.map(|(rpc, _)| rpc)[..3];
        assert_eq!(may(&["app.example.org"]), credentials);
        assert_eq!(may(&["OPS.example.org"]), &MAY.map(|(rpc, _)| rpc)[..10]);
        assert_eq!(may(&["relay.blue.edgerelay"]), MAY.map(|(rpc, _)| rpc));
    }

    #[test]
    fn nobody_else_may_do_anything() {
        for names in [
            &[][..],
            &["relay.red.edgerelay"],
            &["app.example.org.attacker.example"],
            &["*.example.org"],
            &["example.org"],
            &["127.0.0.1"],
        ] {
            assert_eq!(may(names), Vec::<&str>::new(), "{names:?}");
        }
        let nameless = Caller::new(None, "127.0.0.1:1".parse().unwrap(), Proven::default());
        assert!(callers().admit(&nameless, "/edgerelay.v1.Credentials/Issue").is_err());
    }

    #[test]
    fn a_refusal_says_who_may_and_what_to_do() {
        let refused =
            |name: &str, path: &str| callers().admit(&caller(&[name]), path).unwrap_err().to_string();
        assert_eq!(
            refused("app.example.org", "/edgerelay.v1.Fleet/Drain"),
            "app.example.org may not call edgerelay.v1.Fleet/Drain: only names in cluster.grpc.operators may"
        );
        assert_eq!(
            refused("ops.example.org", "/edgerelay.v1.Member/DrainSelf"),
            "ops.example.org may not call edgerelay.v1.Member/DrainSelf: only the fleet's own nodes may"
        );
        assert!(
            refused("who.example.org", "/edgerelay.v1.Fleet/Drain").contains("names who.example.org, and")
        );
        assert_eq!(refused("ops.example.org", "/edgerelay.v1.Fleet/Format"), "there is no such call");
    }
}
