//! One of something for each address family.

use stun::attribute::AddressFamily;

/// One of something for each address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerFamily<T> {
    /// For IPv4.
    pub v4: T,
    /// For IPv6.
    pub v6: T,
}

impl<T> PerFamily<T> {
    /// Made by `make`, for IPv4 first.
    pub fn from_fn(mut make: impl FnMut(AddressFamily) -> T) -> Self {
        Self { v4: make(AddressFamily::V4), v6: make(AddressFamily::V6) }
    }

    /// The one of a family.
    pub const fn get(&self, family: AddressFamily) -> &T {
        match family {
            AddressFamily::V4 => &self.v4,
            AddressFamily::V6 => &self.v6,
        }
    }

    /// The one of a family, to be changed.
    pub const fn get_mut(&mut self, family: AddressFamily) -> &mut T {
        match family {
            AddressFamily::V4 => &mut self.v4,
            AddressFamily::V6 => &mut self.v6,
        }
    }

    /// Both, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = (AddressFamily, &T)> {
        AddressFamily::BOTH.into_iter().map(|family| (family, self.get(family)))
    }
}

impl<T> PerFamily<Option<T>> {
    /// Those that there are, IPv4 first.
    pub fn present(&self) -> impl Iterator<Item = (AddressFamily, &T)> {
        self.iter().filter_map(|(family, item)| item.as_ref().map(|item| (family, item)))
    }
}
