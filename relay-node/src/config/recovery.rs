//! What outlives a relay's process, and who may take it over.

use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::document::RecoverySection;
use super::host::Host;
use super::local_ports;
use super::problem::Problems;
use super::relay::Relay;
use crate::recovery::SOCKET;

/// A path of a Unix socket has at most 107 bytes (unix(7)).
const MOST_DIRECTORY: usize = 107 - "/".len() - SOCKET.len();
/// Room for a UUID or the name of a pod, which has at most 253 characters.
const MOST_INSTANCE: usize = 253;

/// What outlives a relay's process, and who may take it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Whether a first process holds the sockets of the one that serves, and starts it again when it died.
    pub keeper: bool,
    /// Where records are kept; with none, in memory for as long as the keeper lives.
    pub directory: Option<PathBuf>,
    /// Whether another `serve` with the same directory takes over.
    pub take_over: TakeOver,
    /// The name of this deployment; empty where every start is a new one.
    pub instance: String,
}

/// What a relay does that finds another one in its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// It asks that one to hand over.
    Ask,
    /// It ends, with a sentence.
    Never,
}

pub(super) fn check(problems: &mut Problems, section: &RecoverySection) -> Option<Recovery> {
    if let Some(path) = &section.directory {
        directory(problems, path);
    }
    let instance = &section.instance;
    if instance.len() > MOST_INSTANCE || instance.chars().any(char::is_control) {
        let fix = format!("Write at most {MOST_INSTANCE} bytes without control characters");
        problems.add("recovery.instance", instance, "this is no name of a deployment", fix);
    }
    let take_over = match section.take_over.as_str() {
        "ask" => TakeOver::Ask,
        "never" => TakeOver::Never,
        other => {
            problems.add("recovery.take_over", other, "there is no such way", "Write ask or never");
            return None;
        }
    };
    Some(Recovery {
        keeper: section.keeper,
        directory: section.directory.clone(),
        take_over,
        instance: section.instance.clone(),
    })
}

/// Warns where other programs are given relay ports, which they could have taken when a call's port is to be
/// bound again.
pub(super) fn warn_of_local_ports(problems: &mut Problems, recovery: &Recovery, relay: &Relay, host: &Host) {
    if recovery.directory.is_none() {
        // The keeper holds the ports, and calls end with it.
        return;
    }
    if let Some(reserved) = host.local_ports.to_reserve(&relay.ports) {
        problems.warn(format!(
            "relay.ports = {:?}: the system gives some of these to other programs (net.ipv4.ip_local_port_range), \
             and where a program has the port of a call when the relay starts again, the call ends. Run `sysctl \
             -w net.ipv4.ip_local_reserved_ports={}`",
            local_ports::text(&relay.ports),
            reserved
        ));
    }
}

/// What goes on, for a person.
impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.keeper { "by a keeper" } else { "without a keeper" })?;
        match &self.directory {
            Some(directory) => write!(f, ", in {}", directory.display())?,
            None if self.keeper => write!(f, ", in its memory")?,
            None => write!(f, ": calls end with the relay")?,
        }
        if !self.instance.is_empty() {
            write!(f, ", as {:?}", self.instance)?;
        }
        if self.directory.is_some() && self.take_over == TakeOver::Never {
            write!(f, ", taken over by nobody")?;
        }
        Ok(())
    }
}

/// Whoever can write there could forge records, and who can read there sees keys.
fn directory(problems: &mut Problems, path: &Path) {
    let field = "recovery.directory";
    let shown = path.display();
    if !path.is_absolute() {
        let fault = "this is a place that depends on where the relay is started";
        problems.add(field, shown, fault, "Write it from the root, such as \"/run/edgerelay\"");
        return;
    }
    if path.as_os_str().as_bytes().len() > MOST_DIRECTORY {
        let fault = "the name is too long for a socket in it";
        problems.add(field, shown, fault, format!("Name one with at most {MOST_DIRECTORY} bytes"));
        return;
    }
    // One that is not there yet is made at the start.
    let Ok(metadata) = fs::metadata(path) else { return };
    let us = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        problems.add(field, shown, "this is no directory", "Name another place, or move away what is there");
    } else if metadata.uid() != us {
        let fault = format!("it belongs to user {}, and this is user {us}", metadata.uid());
        problems.add(field, shown, fault, format!("Run `chown {us} {path:?}`, or name another one"));
    } else if metadata.mode() & 0o077 != 0 {
        let fault = "other users can get into it, and keys of the relay are kept there";
        let fix = format!("Run `chmod 700 {path:?}`, or name one within it, which is made at the start");
        problems.add(field, shown, fault, fix);
    }
}
