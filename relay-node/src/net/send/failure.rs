//! What the kernel says when it does not take a message.

use std::io;
use std::net::IpAddr;

use rustix::io::Errno;

/// Why a message was not taken, as far as it changes what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A signal came first: nothing was tried.
    Interrupted,
    /// The socket's buffer is full, for whatever would follow too.
    SocketFull,
    /// The queue of the message's device is full. What follows may leave by another.
    DeviceFull,
    /// The way to the message's destination has no segmentation: no checksum offload there on older
    /// kernels, or IPsec.
    CannotCut,
    /// A message, or a segment of it, is longer than the path's MTU; or there are too many segments.
    TooLong,
    /// Anything else, such as no route.
    Other,
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        match error {
            Errno::INTR => Self::Interrupted,
            Errno::AGAIN => Self::SocketFull,
            Errno::NOBUFS => Self::DeviceFull,
            Errno::IO => Self::CannotCut,
            Errno::MSGSIZE | Errno::INVAL => Self::TooLong,
            _ => Self::Other,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Errno::from_io_error(&error).map_or(Self::Other, Self::from)
    }
}

/// Places for destinations; more of them share.
const PLACES: usize = 256;

/// Destinations whose datagrams are sent one by one, of the last ones that turned out so.
///
/// One that had to leave its place to another is tried again, which costs one call.
#[derive(Debug, Default)]
pub(super) struct Uncut {
    // None at all until there is a first one.
    places: Vec<Option<IpAddr>>,
}

impl Uncut {
    /// Remembers a destination.
    pub(super) fn insert(&mut self, destination: IpAddr) {
        self.places.resize(PLACES, None);
        if let Some(place) = self.places.get_mut(place(destination)) {
            *place = Some(destination);
        }
    }

    /// Whether it is known.
    pub(super) fn contains(&self, destination: IpAddr) -> bool {
        !self.places.is_empty() && self.places.get(place(destination)) == Some(&Some(destination))
    }
}

/// Neighbours differ in the last bits.
fn place(destination: IpAddr) -> usize {
    let bits = match destination {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits() as u64 ^ (ip.to_bits() >> 64) as u64,
    };
    bits as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_known_until_another_takes_its_place() {
        let mut uncut = Uncut::default();
        let [first, second, other]: [IpAddr; 3] =
            ["192.0.2.1", "198.51.100.1", "2001:db8::2"].map(|text| text.parse().unwrap());
        assert!(!uncut.contains(first));
        uncut.insert(first);
        uncut.insert(other);
        assert!(uncut.contains(first) && uncut.contains(other) && !uncut.contains(second));
        uncut.insert(second);
        assert!(!uncut.contains(first) && uncut.contains(other) && uncut.contains(second));
    }
}
