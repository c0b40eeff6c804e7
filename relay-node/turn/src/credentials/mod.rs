//! Who may allocate: long-term users (RFC 8489 section 9.2) and time-limited names
//! (the TURN REST convention).

mod rest;
mod user;

use std::collections::HashMap;
use std::fmt;

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::Profile;
use stun::Key;
use thiserror::Error;
use zeroize::Zeroizing;

pub use rest::{Secret, SecretError};
pub use user::UserId;

use crate::settings::Realm;
use crate::time::UnixSeconds;
use rest::TimedName;

/// A snapshot of all users and secrets.
pub struct Credentials {
    users: HashMap<Box<[u8]>, User>,
    names_by_hash: HashMap<[u8; 32], Box<[u8]>>,
    secrets: Vec<Secret>,
    decoy: KeyPair,
}

/// How a key is derived from a password (RFC 8489 section 18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-256.
    Sha256,
}

/// How a client names itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// USERNAME.
    Username(&'a [u8]),
    /// USERHASH.
    Userhash(&'a [u8; 32]),
}

/// The user that a name stands for, and the keys that prove it: one, or one for each valid secret.
#[derive(Debug)]
pub struct Candidates {
    user: UserId,
    expires: Option<UnixSeconds>,
    keys: Vec<Key>,
}

/// A user that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UserError {
    /// Not what RFC 8265 allows in a name.
    #[error(
        "the user name {0:?} is empty, too long, or holds a character that RFC 8265 forbids; choose another one"
    )]
    Name(String),
    /// Not what RFC 8265 allows in a password.
    #[error(
        "the password of user {0:?} is empty or holds a character that RFC 8265 forbids; choose another one"
    )]
    Password(String),
    /// The same name, once RFC 8265 made both ways of writing it one.
    #[error("the user {0:?} is there twice, perhaps in two ways of writing it; remove one of them")]
    Twice(String),
}

struct User {
    id: UserId,
    keys: KeyPair,
}

struct KeyPair {
    md5: Key,
    sha256: Key,
}

/// Longest user name in bytes (RFC 8489 section 14.3: less than 509).
const LONGEST_NAME: usize = 508;

impl Credentials {
    /// Users with their passwords, and the secrets of time-limited names, in `realm`.
    ///
    /// # Errors
    /// When a name or a password holds what RFC 8265 (OpaqueString) forbids, or a name is there twice.
    pub fn new(realm: &Realm, users: &[(&str, &str)], secrets: Vec<Secret>) -> Result<Self, UserError> {
        let mut known = HashMap::new();
        let mut names_by_hash = HashMap::new();
        let realm = realm.as_str().as_bytes();
        for (name, password) in users {
            let bad_name = || UserError::Name((*name).to_owned());
            let prepared = OpaqueString::new().enforce(*name).map_err(|_| bad_name())?;
            let password = OpaqueString::new().enforce(*password);
            let password = password.map_err(|_| UserError::Password((*name).to_owned()))?;
            let password = Zeroizing::new(password.into_owned());
            if prepared.len() > LONGEST_NAME {
                return Err(bad_name());
            }
            let keys = KeyPair::new(prepared.as_bytes(), realm, password.as_bytes());
            names_by_hash.insert(stun::userhash(prepared.as_bytes(), realm), prepared.as_bytes().into());
            let user = User { id: UserId::long_term(&prepared), keys };
            if known.insert(prepared.as_bytes().into(), user).is_some() {
                return Err(UserError::Twice((*name).to_owned()));
            }
        }
        Ok(Self { users: known, names_by_hash, secrets, decoy: KeyPair::new(b"", realm, b"") })
    }

    /// Whether every user can be told from its hash, so that USERHASH may be offered.
    pub fn knows_all_names(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Who `name` is and what proves it; nobody if it is unknown or malformed.
    pub(crate) fn lookup(&self, realm: &Realm, name: Name<'_>, algorithm: Algorithm) -> Option<Candidates> {
        let username = match name {
            Name::Username(username) => username,
            Name::Userhash(hash) => self.names_by_hash.get(hash)?,
        };
        if let Some(user) = self.users.get(username) {
            let keys = vec![user.keys.get(algorithm).clone()];
            return Some(Candidates { user: user.id.clone(), expires: None, keys });
        }
        if self.secrets.is_empty() || username.len() > LONGEST_NAME {
            return None;
        }
        let timed = TimedName::parse(username)?;
        let derive = match algorithm {
            Algorithm::Md5 => Key::long_term_md5,
            Algorithm::Sha256 => Key::long_term_sha256,
        };
        let realm = realm.as_str().as_bytes();
        let keys =
            self.secrets.iter().map(|secret| derive(username, realm, secret.password(username).as_bytes()));
        Some(Candidates {
            user: UserId::time_limited(timed.user),
            expires: Some(timed.expires),
            keys: keys.collect(),
        })
    }

    /// A key to check in vain for an unknown name, so that its refusal takes as long as any other.
    pub(crate) fn decoy(&self, algorithm: Algorithm) -> &Key {
        self.decoy.get(algorithm)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (users, secrets) = (self.users.len(), self.secrets.len());
        f.debug_struct("Credentials").field("users", &users).field("secrets", &secrets).finish()
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Username(name) => write!(f, "Username({})", name.escape_ascii()),
            Self::Userhash(_) => f.write_str("Userhash(..)"),
        }
    }
}

impl Candidates {
    /// Whose quota it is.
    pub(crate) fn user(&self) -> &UserId {
        &self.user
    }

    /// Whether the name's time is over. One without a time has no end.
    pub(crate) fn expired(&self, now: UnixSeconds) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    pub(crate) fn into_keys(self) -> impl Iterator<Item = Key> {
        self.keys.into_iter()
    }
}

impl KeyPair {
    fn new(name: &[u8], realm: &[u8], password: &[u8]) -> Self {
        Self {
            md5: Key::long_term_md5(name, realm, password),
            sha256: Key::long_term_sha256(name, realm, password),
        }
    }

    fn get(&self, algorithm: Algorithm) -> &Key {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm() -> Realm {
        Realm::new("example.org").unwrap()
    }

    fn credentials() -> Credentials {
        let secrets =
            vec![Secret::new(b"the newer of two").unwrap(), Secret::new(b"the older of two").unwrap()];
        Credentials::new(&realm(), &[("alice", "wonderland")], secrets).unwrap()
    }

    #[test]
    fn a_user_is_found_by_name_and_by_hash() {
        let hash = stun::userhash(b"alice", b"example.org");
        for name in [Name::Username(b"alice"), Name::Userhash(&hash)] {
            let found = credentials().lookup(&realm(), name, Algorithm::Sha256).unwrap();
            assert_eq!(found.user, UserId::long_term("alice"));
            assert!(!found.expired(UnixSeconds::new(u64::MAX)));
            assert_eq!(found.keys, [Key::long_term_sha256(b"alice", b"example.org", b"wonderland")]);
        }
    }

    #[test]
    fn a_timed_name_has_a_key_for_every_secret_and_an_end() {
        let found = credentials().lookup(&realm(), Name::Username(b"2000:t1:carol"), Algorithm::Md5).unwrap();
        assert_eq!(found.user, UserId::time_limited("t1:carol"));
        assert_eq!(found.keys.len(), 2);
        assert!(!found.expired(UnixSeconds::new(1999)));
        assert!(found.expired(UnixSeconds::new(2000)));
    }

    #[test]
    fn a_timed_name_does_not_speak_for_a_user() {
        let timed = credentials().lookup(&realm(), Name::Username(b"2000:alice"), Algorithm::Md5).unwrap();
        let user = credentials().lookup(&realm(), Name::Username(b"alice"), Algorithm::Md5).unwrap();
        assert_ne!(timed.user, user.user);
    }

    #[test]
    fn a_timed_name_has_the_length_of_any_name() {
        let of_length = |length: usize| format!("2000:{}", "a".repeat(length - 5));
        let known = |name: &str| {
            credentials().lookup(&realm(), Name::Username(name.as_bytes()), Algorithm::Md5).is_some()
        };
        assert!(known(&of_length(508)));
        assert!(!known(&of_length(509)));
    }

    #[test]
    fn who_is_unknown_is_nobody() {
        for name in [b"bob".as_slice(), b"", b"12x:bob", b"\xff\xfe"] {
            assert!(credentials().lookup(&realm(), Name::Username(name), Algorithm::Md5).is_none());
        }
        assert!(credentials().lookup(&realm(), Name::Userhash(&[0; 32]), Algorithm::Md5).is_none());
    }

    #[test]
    fn names_and_passwords_are_prepared_as_rfc_8265_says() {
        // "e" and a combining accent is the same name as the composed letter.
        let users = Credentials::new(&realm(), &[("re\u{301}ne\u{301}", "x\u{a0}y")], vec![]).unwrap();
        let found =
            users.lookup(&realm(), Name::Username("r\u{e9}n\u{e9}".as_bytes()), Algorithm::Md5).unwrap();
        assert_eq!(found.keys, [Key::long_term_md5("r\u{e9}n\u{e9}".as_bytes(), b"example.org", b"x y")]);
        let refused = |name, password| Credentials::new(&realm(), &[(name, password)], vec![]).unwrap_err();
        assert_eq!(refused("a\u{7}", "x"), UserError::Name("a\u{7}".to_owned()));
        assert_eq!(refused("", "x"), UserError::Name(String::new()));
        assert_eq!(refused("alice", ""), UserError::Password("alice".to_owned()));
        assert_eq!(refused(&"a".repeat(509), "x"), UserError::Name("a".repeat(509)));
        assert!(Credentials::new(&realm(), &[(&"a".repeat(508), "x")], vec![]).is_ok());
        let twice = Credentials::new(&realm(), &[("e\u{301}", "x"), ("\u{e9}", "y")], vec![]);
        assert_eq!(twice.unwrap_err(), UserError::Twice("\u{e9}".to_owned()));
    }

    #[test]
    fn debug_tells_no_secret() {
        let text = format!("{:?}", credentials());
        assert!(!text.contains("wonderland") && !text.contains("newer"), "{text}");
    }
}
