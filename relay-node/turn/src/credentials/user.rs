//! Whose quota something counts against.

use std::fmt;
use std::sync::Arc;

/// A user: the name of a long-term user, or what follows the time in a time-limited name.
///
/// It comes from the wire: shown, it is escaped; it is never a metric's label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    pub(super) fn new(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({self})")
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_debug().fmt(f)
    }
}
