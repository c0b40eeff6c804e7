//! Small numbers for what has a record of its own.

/// The place of a record among those of its kind: dense, and used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub(crate) u32);

impl Place {
    /// The one of this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The place in a driver's table of records.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which places are free: there are never more than were ever in use at a time.
#[derive(Debug, Default)]
pub(crate) struct Vacancies {
    free: Vec<Place>,
    /// Above all that were ever given out.
    next: u32,
}

impl Vacancies {
    pub(crate) fn take(&mut self) -> Place {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            Place(self.next - 1)
        })
    }

    pub(crate) fn give_back(&mut self, place: Place) {
        debug_assert!(place.0 < self.next, "it was given out");
        self.free.push(place);
    }
}

/// The places of one worker's permissions and channels.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) permissions: Vacancies,
    pub(crate) channels: Vacancies,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_before_a_new_one_is() {
        let mut places = Vacancies::default();
        let [first, second, third] = std::array::from_fn(|_| places.take());
        assert_eq!([first, second, third].map(Place::index), [0, 1, 2]);
        places.give_back(second);
        assert_eq!(places.take(), second);
        assert_eq!(places.take().index(), 3);
    }
}
