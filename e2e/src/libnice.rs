//! An agent of libnice, by Debian's Python bindings.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use testbed::Process;

use crate::credential::Credential;
use crate::network::Party;

const SCRIPT: &str = include_str!("../clients/libnice_gather.py");
const DEADLINE: Duration = Duration::from_secs(40);

/// Has an agent gather a relayed candidate over UDP; its address.
pub fn gather(from: &Party, relay: SocketAddr, credential: &Credential) -> IpAddr {
    let mut command = from.namespace.command("/usr/bin/python3");
    command.args(["-c", SCRIPT, &relay.ip().to_string(), &relay.port().to_string(), "udp"]);
    let mut process = Process::start("libnice", command.arg(&credential.username));
    process.write_line(&credential.password);
    let relayed = process.line("RELAYED ", DEADLINE).parse().expect("libnice prints an address");
    process.write_line("");
    let (status, output) = process.finish(DEADLINE);
    assert!(status.success(), "libnice: {output}");
    relayed
}
