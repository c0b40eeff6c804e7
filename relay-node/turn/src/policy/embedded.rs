//! IPv4 addresses inside of IPv6 ones.

use std::net::{Ipv4Addr, Ipv6Addr};

/// How an IPv6 address carries IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Embedding {
    /// An IPv4 address in another notation.
    Notation(Ipv4Addr),
    /// A packet there goes on to these IPv4 addresses, or through them.
    Tunnel([Option<Ipv4Addr>; 4]),
}

/// The IPv4 addresses in `address`, if it is of a kind that has any.
pub(super) fn find(address: Ipv6Addr) -> Option<Embedding> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let last = joined(g, h);
    match [a, b, c, d, e, f] {
        // Not IPv4-compatible, though they look it: the unspecified and the loopback address.
        [0, 0, 0, 0, 0, 0] if g == 0 && h <= 1 => None,
        // IPv4-compatible, ::/96, and IPv4-mapped, ::ffff:0:0/96 (RFC 4291 section 2.5.5);
        // IPv4-translated, ::ffff:0:0:0/96 (RFC 2765 section 2.1).
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] => Some(Embedding::Notation(last)),
        // NAT64, 64:ff9b::/96 (RFC 6052 section 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0] => tunnel([Some(last), None]),
        // NAT64 of a network's own, 64:ff9b:1::/48 (RFC 8215). How long its prefix is cannot be seen.
        [0x64, 0xff9b, 1, ..] => Some(Embedding::Tunnel(local_nat64(address))),
        // 6to4, 2002::/16 (RFC 3056 section 2); ISATAP may run inside.
        [0x2002, ..] => tunnel([Some(joined(b, c)), isatap(address)]),
        // Teredo, 2001::/32: the server, and the client with all bits turned (RFC 4380 section 4).
        [0x2001, 0, ..] => tunnel([Some(joined(c, d)), Some(joined(!g, !h))]),
        _ => tunnel([Some(isatap(address)?), None]),
    }
}

/// ISATAP under any prefix: the interface identifier is ::0:5efe:a.b.c.d, or ::200:5efe:a.b.c.d for a
/// globally unique address (RFC 5214 section 6.1). The group bit is not looked at.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., e, f, g, h] = address.segments();
    (e & !0x0300 == 0 && f == 0x5efe).then(|| joined(g, h))
}

/// What the address says with a prefix of 48, 56, 64 and 96 bits, bits 64 to 71 being skipped
/// (RFC 6052 section 2.2). One of the first three that begins with a zero says nothing: that is how the
/// others look to it, and no host has such an address.
fn local_nat64(address: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let bits = address.to_bits();
    let without_skipped = (bits >> 64) << 56 | bits & ((1 << 56) - 1);
    let reading = |prefix: u32| Ipv4Addr::from_bits((without_skipped >> (88 - prefix)) as u32);
    let [short, middle, long] =
        [48, 56, 64].map(|prefix| Some(reading(prefix)).filter(|v4| v4.to_bits() >> 24 != 0));
    [short, middle, long, Some(Ipv4Addr::from_bits(bits as u32))]
}

fn tunnel([first, second]: [Option<Ipv4Addr>; 2]) -> Option<Embedding> {
    Some(Embedding::Tunnel([first, second, None, None]))
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}
