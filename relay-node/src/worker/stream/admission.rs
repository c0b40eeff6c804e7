//! Who has a place: how many connections there may be, in all and from one source, and who gives way
//! when all places are taken.

mod seats;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use self::seats::Seats;
use super::source::Source;

/// Gives places to connections, over all workers. Touched when one comes and goes, and when its
/// allocation does; never by a packet.
///
/// When no place is left, a newcomer takes one from the network that has the most, there from the host that
/// has the most, so that neither a few hosts nor one network of many can hold them all: first from one
/// without an allocation, the oldest; then from one whose allocation is not in use. No network gives way to
/// one that has as many, and within a network no host to one that has as many.
pub(in crate::worker) struct Admission {
    most: usize,
    most_per_source: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    seats: Seats,
    /// Both ends of every connection, as a PROXY header may name them too.
    claimed: HashSet<Ends>,
}

/// The client's end of a connection, and ours.
pub(super) type Ends = (SocketAddr, SocketAddr);

/// Which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::worker) struct Seat {
    /// Its worker.
    pub(in crate::worker) worker: usize,
    /// Its place in that worker's table.
    pub(in crate::worker) index: usize,
    /// Which connection of that worker; tells the users of one index apart.
    pub(in crate::worker) serial: u64,
}

/// What a connection gets that is let in.
pub(super) struct Entered {
    /// Its place.
    pub(super) place: Place,
    /// Whose place it was: that one has to be closed.
    pub(super) displaced: Option<Seat>,
}

impl Admission {
    /// Admits `most` connections, and `most_per_source` from one IPv4 address or IPv6 /64.
    pub(in crate::worker) fn new(most: usize, most_per_source: usize) -> Self {
        Self { most, most_per_source, open: Mutex::default() }
    }

    /// A place for the connection `seat` from `ip`, if it may have one. A proxy is the source of many
    /// clients until each is named: `is_proxy` says that the limit for one source is not for it.
    pub(super) fn enter(self: &Arc<Self>, seat: Seat, ip: IpAddr, is_proxy: bool) -> Option<Entered> {
        let source = Source::of(ip);
        let active = Arc::new(AtomicBool::new(false));
        let mut open = self.lock();
        if !is_proxy && open.seats.of(source.host) >= self.most_per_source {
            return None;
        }
        let displaced = if open.seats.len() < self.most { None } else { Some(open.seats.make_room(source)?) };
        open.seats.add(seat, source, Arc::clone(&active));
        drop(open);
        let place = Place { admission: Arc::clone(self), seat, active, has_allocation: false, ends: None };
        Some(Entered { place, displaced })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        // No step that others see half done can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place; dropping it frees it.
pub(super) struct Place {
    admission: Arc<Admission>,
    seat: Seat,
    /// Whether something passed since somebody last looked for a connection to close.
    active: Arc<AtomicBool>,
    has_allocation: bool,
    ends: Option<Ends>,
}

impl Place {
    /// Says between whom the connection is; whether nobody else has said the same.
    pub(super) fn claim(&mut self, ends: Ends) -> bool {
        let is_free = self.admission.lock().claimed.insert(ends);
        if is_free {
            self.ends = Some(ends);
        }
        is_free
    }

    /// Whether it is known between whom the connection is.
    pub(super) fn is_claimed(&self) -> bool {
        self.ends.is_some()
    }

    /// Says whom the connection is from that a proxy has made; whether that one may have another one.
    pub(super) fn move_to(&mut self, ip: IpAddr) -> bool {
        self.admission.lock().seats.move_to(self.seat, Source::of(ip), self.admission.most_per_source)
    }

    /// Says whether the client has an allocation.
    pub(super) fn set_allocation(&mut self, has_allocation: bool) {
        if self.has_allocation != has_allocation {
            self.has_allocation = has_allocation;
            self.admission.lock().seats.set_allocation(self.seat, has_allocation);
        }
    }

    /// Says that the connection is in use.
    pub(super) fn note_activity(&self) {
        // Read first: the line is shared only while somebody looks for a connection to close.
        if !self.active.load(Ordering::Relaxed) {
            self.active.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        // Another may have it already.
        open.seats.remove(self.seat);
        if let Some(ends) = &self.ends {
            open.claimed.remove(ends);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets connections in, and takes them away when they are displaced.
    struct House {
        admission: Arc<Admission>,
        places: Vec<Place>,
        comers: u64,
    }

    impl House {
        fn new(most: usize, most_per_source: usize) -> Self {
            Self { admission: Arc::new(Admission::new(most, most_per_source)), places: vec![], comers: 0 }
        }

        /// The serial of the connection that was let in, and of the one that had to go.
        fn enter(&mut self, ip: &str) -> Option<(u64, Option<u64>)> {
            self.comers += 1;
            let seat = Seat { worker: 0, index: 0, serial: self.comers };
            let Entered { place, displaced } = self.admission.enter(seat, ip.parse().unwrap(), false)?;
            self.places.push(place);
            self.places.retain(|place| Some(place.seat) != displaced);
            Some((self.comers, displaced.map(|seat| seat.serial)))
        }

        fn place(&mut self, serial: u64) -> &mut Place {
            self.places.iter_mut().find(|place| place.seat.serial == serial).unwrap()
        }
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let mut house = House::new(2, 1);
        assert!(house.enter("2001:db8::1").is_some());
        assert!(house.enter("2001:db8::2").is_none(), "the same /64");
        assert!(house.enter("2001:db8:0:1::2").is_some());
        assert!(house.enter("2001:db8:0:2::2").is_none(), "nobody has more");
        house.places.clear();
        assert!(house.enter("2001:db8::3").is_some());
        house.places.clear();
        assert!(house.admission.lock().seats.is_empty());
    }

    #[test]
    fn a_newcomer_takes_the_oldest_place_of_whoever_has_most() {
        let mut house = House::new(4, 4);
        for ip in ["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.2"] {
            assert!(matches!(house.enter(ip), Some((_, None))));
        }
        assert_eq!(house.enter("192.0.2.3"), Some((5, Some(2))));
        assert_eq!(house.enter("192.0.2.1"), None, "it would have as many as the other had");
    }

    #[test]
    fn an_allocation_is_kept_before_none_and_one_in_use_before_one_that_is_not() {
        let mut house = House::new(3, 3);
        for _ in 0..3 {
            house.enter("192.0.2.2");
        }
        for serial in [1, 2] {
            house.place(serial).set_allocation(true);
        }
        house.place(1).note_activity();
        assert_eq!(house.enter("192.0.2.3"), Some((4, Some(3))), "it has no allocation");
        house.places.retain(|place| place.seat.serial != 4);
        house.enter("192.0.2.2");
        house.place(5).set_allocation(true);
        assert_eq!(house.enter("192.0.2.3"), Some((6, Some(2))), "it is not in use");
    }

    #[test]
    fn a_few_sources_never_hold_everything() {
        let mut house = House::new(800, 100);
        for _ in 0..100 {
            for source in 0..8 {
                house.enter(&format!("192.0.2.{source}")).unwrap();
            }
        }
        for serial in 1..=800 {
            let place = house.place(serial);
            place.set_allocation(true);
            place.note_activity();
        }
        let got_in = (0..100).filter(|_| house.enter("198.51.100.1").is_some()).count();
        assert_eq!(got_in, 88, "a ninth of all");
        assert_eq!(house.places.len(), 800);
    }

    #[test]
    fn a_network_of_many_hosts_never_holds_everything() {
        let mut house = House::new(800, 100);
        for host in 0..800 {
            house.enter(&format!("2001:db8:1:{host:x}::1")).unwrap();
        }
        assert_eq!(house.enter("2001:db8:1:ffff::1"), None, "none of its neighbours has more");
        let got_in =
            (0..500).filter(|host| house.enter(&format!("2001:db8:2:{host:x}::1")).is_some()).count();
        assert_eq!(got_in, 400, "half of all");
        assert_eq!(house.enter("192.0.2.1").map(|(_, displaced)| displaced.is_some()), Some(true));
        assert_eq!(house.places.len(), 800);
    }

    #[test]
    fn in_a_network_that_gives_way_an_allocation_is_kept_before_none_too() {
        let mut house = House::new(4, 4);
        for host in [1, 2, 2, 3] {
            house.enter(&format!("2001:db8:1:{host}::1"));
        }
        for serial in [2, 3, 4] {
            house.place(serial).set_allocation(true);
        }
        assert_eq!(house.enter("192.0.2.1"), Some((5, Some(1))), "it has no allocation");
        assert_eq!(house.enter("192.0.2.2"), Some((6, Some(2))), "the oldest of the host with most");
    }

    #[test]
    fn both_ends_are_claimed_once_and_given_back() {
        let mut house = House::new(2, 2);
        house.enter("192.0.2.1");
        house.enter("192.0.2.1");
        let ends = ("203.0.113.9:1234".parse().unwrap(), "192.0.2.1:3478".parse().unwrap());
        assert!(house.places[0].claim(ends));
        assert!(!house.places[1].claim(ends));
        house.places.remove(0);
        assert!(house.places[0].claim(ends));
    }
}
