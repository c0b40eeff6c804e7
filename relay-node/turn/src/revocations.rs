//! Whose credentials are good no more before their time.

use std::collections::HashSet;
use std::fmt;

use crate::allocation::{Owner, OwnerName};
use crate::credentials::{Name, UserId};

/// Users and single names that are refused, and whose allocations end.
///
/// Asked in the same time however many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    users: HashSet<UserId>,
    names: HashSet<Box<[u8]>>,
}

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// All names of a user.
    User(UserId),
    /// One credential: its whole USERNAME.
    Username(Box<[u8]>),
}

impl Revocations {
    /// Nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether `user`, by the name `username`, is refused.
    pub fn contains(&self, user: &UserId, username: &[u8]) -> bool {
        self.users.contains(user) || self.names.contains(username)
    }

    pub(crate) fn hits(&self, user: &UserId, name: Name<'_>) -> bool {
        match name {
            Name::Username(name) => self.contains(user, name),
            Name::Userhash(_) => self.users.contains(user),
        }
    }

    pub(crate) fn hits_owner(&self, owner: &Owner) -> bool {
        let name = match &owner.name {
            OwnerName::Username(name) => Name::Username(name),
            OwnerName::Userhash(hash) => Name::Userhash(hash),
        };
        self.hits(&owner.user, name)
    }
}

impl FromIterator<Revoked> for Revocations {
    fn from_iter<I: IntoIterator<Item = Revoked>>(revoked: I) -> Self {
        let mut all = Self::default();
        for one in revoked {
            match one {
                Revoked::User(user) => _ = all.users.insert(user),
                Revoked::Username(name) => _ = all.names.insert(name),
            }
        }
        all
    }
}

/// Numbers only: names are the wire's.
impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (users, names) = (self.users.len(), self.names.len());
        f.debug_struct("Revocations").field("users", &users).field("names", &names).finish()
    }
}
