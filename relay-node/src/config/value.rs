//! How single values are written, and what is said of one that is not.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use super::files::{File, Files};
use super::problem::Problems;

/// Reads a duration such as `10m` that is at least `least`.
pub(super) fn duration(
    problems: &mut Problems,
    field: &str,
    text: &str,
    least: Duration,
) -> Option<Duration> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration < least => {
            let least = humantime::format_duration(least);
            problems.add(field, text, "this is too short", format!("Write at least \"{least}\""));
        }
        Ok(duration) => return Some(duration),
        Err(_) => problems.add(
            field,
            text,
            "this is no duration",
            "Write a number with its unit, such as \"30s\", \"10m\" or \"1h\"",
        ),
    }
    None
}

/// Reads an address with a port.
pub(super) fn socket_address(problems: &mut Problems, field: &str, text: &str) -> Option<SocketAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        problems.add(
            field,
            text,
            "this is no address with a port",
            "Write an IPv4 address as \"0.0.0.0:3478\", an IPv6 one as \"[::]:3478\"",
        );
    }
    address
}

/// Reads an address without a port.
pub(super) fn address(problems: &mut Problems, field: &str, text: &str) -> Option<IpAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        problems.add(
            field,
            text,
            "this is no IP address",
            "Write one such as \"203.0.113.7\" or \"2001:db8::7\", without a port or brackets",
        );
    }
    address
}

/// Reads a range of addresses; one address is a range of one.
pub(super) fn network(problems: &mut Problems, field: &str, text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let Ok(network) = network else {
        problems.add(
            field,
            text,
            "this is no range of addresses",
            "Write it in CIDR form, such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
        );
        return None;
    };
    if network.trunc() != network {
        problems.add(
            field,
            text,
            "there are bits set behind the prefix, so it is not clear which range is meant",
            format!(
                "Write \"{}\" for the whole range, or \"{}\" for the one address",
                network.trunc(),
                network.addr()
            ),
        );
        return None;
    }
    Some(network)
}

/// Reads a limit, which must let something through.
pub(super) fn limit<N: Copy + Default + PartialEq + std::fmt::Display>(
    problems: &mut Problems,
    field: &str,
    number: N,
) -> N {
    if number == N::default() {
        problems.add(
            field,
            number,
            "with this limit nothing could be served",
            "Write a number of at least 1",
        );
    }
    number
}

/// Reads a file of text whose content is secret.
pub(super) fn file(problems: &mut Problems, files: &Files, field: &str, path: &Path) -> Option<String> {
    let file = files.read(path);
    if file.as_ref().is_ok_and(File::is_exposed) {
        problems.warn_of_exposed(field, path.display());
    }
    match file.and_then(File::text) {
        Ok(text) => Some(text),
        Err(error) => {
            problems.add(
                field,
                path.display(),
                format!("the file cannot be read ({error})"),
                "Name a file that exists and that this user may read",
            );
            None
        }
    }
}

/// The lines of a file that say something, with their numbers; `#` begins a comment line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end_matches('\r')));
    numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
}
