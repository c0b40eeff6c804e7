//! How a relay's program is started, and what with.

use std::fs;
use std::path::Path;

use testbed::Process;

use super::{ADMIN, LONG_TERM, PLAIN_PORT, REALM, SECRET, TLS_PORT};
use crate::certificate::Certificate;
use crate::cores;
use crate::network::Party;

/// The configuration in the relay's folder.
const FILE: &str = "edgerelay.toml";
/// What the tests' configuration has changed.
const SHIPPED: [(&str, &str); 3] = [
    ("limits.user.allocations", "100"),
    ("limits.total.allocations", "10000"),
    ("telemetry.log_level", "\"info\""),
];

/// How its program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Launcher {
    /// On any core.
    Anywhere,
    /// On a core of its own.
    Apart,
    /// On that core, before others who want it too.
    First,
}

impl Launcher {
    /// Starts `program` with the configuration in `folder` and these settings beside.
    pub(super) fn launch(
        self,
        host: &Party,
        program: &Path,
        folder: &Path,
        settings: &[(&str, &str)],
    ) -> Process {
        let shipped = if self == Self::Anywhere { &[][..] } else { &SHIPPED };
        let namespace = &host.namespace;
        let mut command = match self {
            Self::Anywhere => namespace.command(&program.to_string_lossy()),
            Self::Apart => {
                let mut command = namespace.command("taskset");
                command.args(["--cpu-list", &cores::RELAYS.to_string()]).arg(program);
                command
            }
            Self::First => {
                let mut command = namespace.command("nice");
                command.args(["--adjustment", &cores::BEFORE_ALL.to_string(), "taskset"]);
                command.args(["--cpu-list", &cores::RELAYS.to_string()]).arg(program);
                command
            }
        };
        // Where a core dump would be.
        command.current_dir(folder);
        command.arg("serve").arg("--config").arg(folder.join(FILE));
        for (key, value) in shipped.iter().chain(settings) {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        Process::start("edgerelay", command)
    }
}

/// Writes the configuration, and `more` behind it, into the relay's folder.
pub(super) fn write_configuration(host: &Party, certificate: &Certificate, more: &str, folder: &Path) {
    let text = configuration(host, certificate) + more;
    fs::write(folder.join(FILE), text).expect("the folder is ours");
}

fn configuration(host: &Party, certificate: &Certificate) -> String {
    let (v4, v6) = (host.v4, host.v6);
    let mut text = format!("realm = {REALM:?}\n");
    for ip in [v4.to_string(), format!("[{v6}]")] {
        for transport in ["udp", "tcp"] {
            text += &format!("[[listeners]]\ntransport = {transport:?}\naddress = \"{ip}:{PLAIN_PORT}\"\n");
        }
        text += &format!(
            "[[listeners]]\ntransport = \"tls\"\naddress = \"{ip}:{TLS_PORT}\"\ncertificate = {:?}\nkey = {:?}\n",
            certificate.chain(),
            certificate.key(),
        );
    }
    text += &format!("[[relay.addresses]]\nbind = \"{v4}\"\n[[relay.addresses]]\nbind = \"{v6}\"\n");
    text += &format!("[credentials]\nrest_secrets = [{SECRET:?}]\n");
    text += &format!("[credentials.users]\n{} = {:?}\n", LONG_TERM.0, LONG_TERM.1);
    // No test client is to run into a limit that the test does not set.
    text += "[limits.user]\nallocations = 5000\n[limits.total]\nallocations = 5000\n";
    text += &format!("[admin]\naddress = {ADMIN:?}\n[telemetry]\nlog_level = \"debug\"\n");
    text
}
