//! IPv4 addresses inside of IPv6 ones.

use std::net::{Ipv4Addr, Ipv6Addr};

/// How an IPv6 address carries IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Embedding {
    /// An IPv4 address in another notation.
    Notation(Ipv4Addr),
    /// A packet there goes on to these IPv4 addresses, or through them.
    Tunnel([Option<Ipv4Addr>; 2]),
}

/// The IPv4 addresses in `address`, if it is of a kind that has any.
pub(super) fn find(address: Ipv6Addr) -> Option<Embedding> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let last = joined(g, h);
    match [a, b, c, d, e, f] {
        // IPv4-compatible, ::/96 and IPv4-mapped, ::ffff:0:0/96 (RFC 4291 section 2.5.5),
        // IPv4-translated, ::ffff:0:0:0/96 (RFC 2765 section 2.1).
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] => Some(Embedding::Notation(last)),
        // NAT64, 64:ff9b::/96 (RFC 6052 section 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0] => Some(tunnel(last, None)),
        // NAT64 of a network's own, 64:ff9b:1::/48 (RFC 8215): with a prefix of 96 bits, or of 48, where
        // bits 64 to 71 are skipped (RFC 6052 section 2.2). Which one is not to be seen: both are judged.
        [0x64, 0xff9b, 1, ..] => Some(tunnel(last, Some(joined(d, (e & 0xff) << 8 | f >> 8)))),
        // 6to4, 2002::/16 (RFC 3056 section 2).
        [0x2002, ..] => Some(tunnel(joined(b, c), isatap(address))),
        // Teredo, 2001::/32: the server, and the client with all bits turned (RFC 4380 section 4).
        [0x2001, 0, ..] => Some(tunnel(joined(c, d), Some(joined(!g, !h)))),
        _ => isatap(address).map(|v4| tunnel(v4, None)),
    }
}

/// ISATAP under any prefix: the interface identifier is ::0:5efe:a.b.c.d, or ::200:5efe:a.b.c.d for a
/// globally unique address (RFC 5214 section 6.1). The group bit is not looked at.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., e, f, g, h] = address.segments();
    (e & !0x0300 == 0 && f == 0x5efe).then(|| joined(g, h))
}

fn tunnel(first: Ipv4Addr, second: Option<Ipv4Addr>) -> Embedding {
    Embedding::Tunnel([Some(first), second])
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}
