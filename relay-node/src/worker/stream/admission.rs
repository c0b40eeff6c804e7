//! How many connections there may be, in all and from one source.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections over all workers. Touched when one comes and goes, never by a packet.
pub(in crate::worker) struct Admission {
    most: usize,
    most_per_source: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

impl Admission {
    /// Admits `most` connections, and `most_per_source` from one IPv4 address or IPv6 /64.
    pub(in crate::worker) fn new(most: usize, most_per_source: usize) -> Self {
        Self { most, most_per_source, open: Mutex::default() }
    }

    /// A place for a connection whose source is not known yet, if there is one.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut open = self.lock();
        if open.total >= self.most {
            return None;
        }
        open.total += 1;
        Some(Place { admission: Arc::clone(self), source: None })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        // Plain counts cannot be left half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place; dropping it frees it.
pub(super) struct Place {
    admission: Arc<Admission>,
    source: Option<IpAddr>,
}

impl Place {
    /// Says where the connection comes from; whether that source may have another one.
    pub(super) fn name_source(&mut self, ip: IpAddr) -> bool {
        let source = group(ip);
        let mut open = self.admission.lock();
        let count = open.by_source.entry(source).or_default();
        if *count >= self.admission.most_per_source {
            return false;
        }
        *count += 1;
        drop(open);
        self.source = Some(source);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        open.total -= 1;
        if let Some(source) = self.source
            && let Some(count) = open.by_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                open.by_source.remove(&source);
            }
        }
    }
}

/// One party: an IPv4 address, or the /64 that an IPv6 host chooses addresses from.
fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let admission = Arc::new(Admission::new(2, 1));
        let mut first = admission.enter().unwrap();
        let mut second = admission.enter().unwrap();
        assert!(admission.enter().is_none());
        assert!(first.name_source("2001:db8::1".parse().unwrap()));
        assert!(!second.name_source("2001:db8::2".parse().unwrap()), "the same /64");
        assert!(second.name_source("2001:db8:0:1::2".parse().unwrap()));
        drop(first);
        let mut third = admission.enter().unwrap();
        assert!(third.name_source("2001:db8::3".parse().unwrap()));
        drop((second, third));
        assert!(admission.lock().by_source.is_empty());
    }
}
