//! The ports that the system gives to programs that ask for no certain one.

use std::fs;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// From the kernel's settings (Linux, networking/ip-sysctl).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct LocalPorts {
    /// `net.ipv4.ip_local_port_range`, for IPv4 and IPv6; nothing where it cannot be read.
    pub range: Option<RangeInclusive<u16>>,
    /// `net.ipv4.ip_local_reserved_ports`: only who asks for one of these gets it.
    pub reserved: Vec<RangeInclusive<u16>>,
}

impl LocalPorts {
    pub(super) fn detect() -> Self {
        let read = |name| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
        Self::parse(&read("ip_local_port_range"), &read("ip_local_reserved_ports"))
    }

    fn parse(range: &str, reserved: &str) -> Self {
        let range = range.split_once(char::is_whitespace).and_then(|(first, last)| {
            Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
        });
        let reserved = reserved.split(',').filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
        });
        Self { range, reserved: reserved.collect() }
    }

    /// What `net.ipv4.ip_local_reserved_ports` has to be so that nobody is given one of `ports`; nothing if
    /// that cannot happen.
    pub(super) fn to_reserve(&self, ports: &RangeInclusive<u16>) -> Option<String> {
        let range = self.range.as_ref()?;
        let both = *ports.start().max(range.start())..=*ports.end().min(range.end());
        let is_reserved = |port| self.reserved.iter().any(|reserved| reserved.contains(&port));
        if both.clone().all(is_reserved) {
            return None;
        }
        // Setting it replaces what is there.
        let all: Vec<_> = self.reserved.iter().chain([ports]).map(text).collect();
        Some(all.join(","))
    }
}

/// As the kernel writes them.
pub(super) fn text(ports: &RangeInclusive<u16>) -> String {
    match (ports.start(), ports.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_be_reserved() {
        let told = |range, reserved, ports| LocalPorts::parse(range, reserved).to_reserve(&ports);
        let usual = "32768\t60999\n";
        assert_eq!(told(usual, "\n", 50_000..=59_999).as_deref(), Some("50000-59999"));
        assert_eq!(
            told(usual, "8080,9000-9009\n", 1024..=40_000).as_deref(),
            Some("8080,9000-9009,1024-40000")
        );
        let gap = told(usual, "50000-55000,55002-59999", 50_000..=59_999);
        assert_eq!(gap.as_deref(), Some("50000-55000,55002-59999,50000-59999"));
        for (range, reserved) in
            [(usual, "50000-59999"), (usual, "49000-55000,55001-60000"), ("32768 49999", ""), ("", "")]
        {
            assert_eq!(told(range, reserved, 50_000..=59_999), None, "{range} {reserved}");
        }
        let more = told(usual, "50000-59999", 50_000..=61_000);
        assert_eq!(more.as_deref(), Some("50000-59999,50000-61000"), "60000-60999 are given away too");
    }
}
