//! Whose quota something counts against.

use std::fmt;
use std::sync::Arc;

/// A user: the name of a long-term user, or what follows the time in a time-limited name.
///
/// The two are never the same user, even where they read alike: whoever gives out time-limited names must
/// not thereby speak for a long-term user. All names that are nothing but a time are one user.
///
/// It comes from the wire: shown, it is escaped; it is never a metric's label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId {
    kind: Kind,
    name: Arc<str>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    LongTerm,
    TimeLimited,
}

impl UserId {
    /// The user of the configuration with this name.
    pub fn long_term(name: &str) -> Self {
        Self { kind: Kind::LongTerm, name: name.into() }
    }

    /// The user of all time-limited names that end so: `user`, or `tenant:user`.
    pub fn time_limited(name: &str) -> Self {
        Self { kind: Kind::TimeLimited, name: name.into() }
    }

    /// The name, whatever kind of user it is of.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it comes from time-limited names.
    pub fn is_time_limited(&self) -> bool {
        self.kind == Kind::TimeLimited
    }

    /// The tenant in a time-limited name (`expiry:tenant:user`), if it names one.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant_and_user().map(|(tenant, _)| tenant)
    }

    /// The name without the tenant.
    pub fn user(&self) -> &str {
        self.tenant_and_user().map_or(&self.name, |(_, user)| user)
    }

    fn tenant_and_user(&self) -> Option<(&str, &str)> {
        self.name.split_once(':').filter(|_| self.is_time_limited())
    }

    /// The name in the configuration, if it is a long-term user.
    pub(crate) fn long_term_name(&self) -> Option<&str> {
        (self.kind == Kind::LongTerm).then_some(&self.name)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return f.write_str("(anonymous)");
        }
        // Whatever a reader of a log line could take for the line's own goes into quotes.
        let plain = |c: char| c.is_alphanumeric() || "-_.:@+/".contains(c);
        if self.name.chars().all(plain) { f.write_str(&self.name) } else { fmt::Debug::fmt(&*self.name, f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_plain_value_where_it_can_be_and_escaped_where_not() {
        for plain in ["alice", "t1:carol", "ren\u{e9}@example.org"] {
            assert_eq!(UserId::long_term(plain).to_string(), plain);
        }
        let user = UserId::time_limited("a\nb\u{202e}c\u{7f}\"");
        assert_eq!(user.to_string(), r#""a\nb\u{202e}c\u{7f}\"""#);
        assert_eq!(format!("{user:?}"), user.to_string());
        assert_eq!(UserId::time_limited("x reason=expired").to_string(), r#""x reason=expired""#);
        assert_eq!(UserId::time_limited("").to_string(), "(anonymous)");
    }

    #[test]
    fn only_a_time_limited_user_has_a_tenant() {
        let parts = |user: UserId| (user.tenant().map(str::to_owned), user.user().to_owned());
        assert_eq!(parts(UserId::time_limited("t1:carol")), (Some("t1".to_owned()), "carol".to_owned()));
        assert_eq!(parts(UserId::time_limited("t1:a:b")), (Some("t1".to_owned()), "a:b".to_owned()));
        assert_eq!(parts(UserId::time_limited("carol")), (None, "carol".to_owned()));
        assert_eq!(parts(UserId::long_term("t1:carol")), (None, "t1:carol".to_owned()));
    }

    #[test]
    fn a_time_limited_user_is_no_long_term_one() {
        assert_ne!(UserId::time_limited("alice"), UserId::long_term("alice"));
    }
}
