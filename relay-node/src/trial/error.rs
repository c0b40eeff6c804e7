//! Why a trial failed, and what to do about it.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use turn_client::Failure;

use super::session::PATIENCE;

/// Why one transport does not work.
#[derive(Debug, Error)]
pub(super) enum TrialError {
    /// The name does not resolve.
    #[error("the name cannot be resolved{}; check the URL", reason(.0))]
    Resolve(Option<io::Error>),
    /// No connection.
    #[error("no connection: {0}; check that the relay runs, and that no firewall is in between")]
    Connect(io::Error),
    /// TLS.
    #[error(
        "TLS failed: {0}; check that the certificate names the relay, and give its authority by --ca-file"
    )]
    Tls(io::Error),
    /// TLS was not even begun.
    #[error("TLS cannot be set up: {0}; check the host of the URL")]
    TlsSetup(String),
    /// The connection broke.
    #[error("the connection broke: {0}; the relay's log may say why")]
    Broken(io::Error),
    /// The peer has no socket.
    #[error("a peer cannot be set up on this machine: {0}; name one of its addresses by --peer-address")]
    Peer(io::Error),
    /// Where it was sent by a 300.
    #[error("the relay sent it to {server}, and there: {error}")]
    Elsewhere { server: SocketAddr, error: Box<Self> },
    /// A request came to nothing.
    #[error("{}", sentence(.step, .failure))]
    Failed { step: &'static str, failure: Failure },
    /// Nothing came back.
    #[error(
        "nothing came back from the peer on {peer}; check that the relay can reach that address, or name another one by --peer-address"
    )]
    AllLost { peer: SocketAddr },
}

fn reason(error: &Option<io::Error>) -> String {
    error.as_ref().map_or_else(String::new, |error| format!(": {error}"))
}

fn sentence(step: &str, failure: &Failure) -> String {
    match failure {
        Failure::Silent => format!(
            "no answer to {step} in {} s; check the address, the transport, and firewalls in between",
            PATIENCE.as_secs()
        ),
        Failure::Unproven => format!(
            "the answer to {step} does not prove that the relay knows the credential; somebody may be in between"
        ),
        Failure::Refused { code, reason, .. } => {
            format!("{step} was refused with {code} ({reason:?}); {}", fix(*code))
        }
        Failure::Redirect(fault) => format!(
            "{step} was answered by 300 (Try Alternate), but {fault}; name the relay that is to serve by --url"
        ),
        Failure::Challenge(fault) => nonsense(step, fault),
        Failure::Answer(fault) => nonsense(step, fault),
        Failure::TooLong(_) => {
            "the request does not fit into a packet; the relay's realm or nonce is too long".to_owned()
        }
    }
}

fn nonsense(step: &str, fault: &dyn Display) -> String {
    format!("the answer to {step} makes no sense ({fault}); this may be no TURN server")
}

/// What helps against an error code (RFC 8489 section 14.8, RFC 8656 section 19).
fn fix(code: u16) -> &'static str {
    match code {
        401 => "check the user name and the secret or credential, and the clocks of both machines",
        403 => {
            "the relay's peer policy refuses this machine's address: allow it by --allow-peer there, or name another one by --peer-address here"
        }
        440 => "the relay has no address of this family: name a peer of the other one by --peer-address",
        441 => "the allocation belongs to another user: try again",
        486 => "the user's quota is used up: raise limits.user, or wait for allocations to end",
        508 => {
            "the relay's ports or its limits are used up, or it is draining: raise limits.total, or try later"
        }
        _ => "the relay's log may say more",
    }
}
