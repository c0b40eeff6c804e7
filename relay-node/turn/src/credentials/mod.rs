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

/// The user that a name stands for, and what proves it.
pub(crate) struct Candidate<'a> {
    /// Whose quota it is.
    pub(crate) user: UserId,
    expires: Option<UnixSeconds>,
    name: &'a [u8],
    proof: Proof<'a>,
}

/// What the keys of a candidate are made of.
enum Proof<'a> {
    Password(&'a User),
    Secrets(&'a [Secret]),
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
    /// Of the prepared name.
    keys: KeyPair,
    /// For the key of a name in another form than the prepared one.
    password: Zeroizing<String>,
}

struct KeyPair {
    md5: Key,
    sha256: Key,
}

/// Longest user name in bytes (RFC 8489 section 14.3: less than 509).
pub(crate) const LONGEST_NAME: usize = 508;

impl Credentials {
    /// Users with their passwords, and the secrets of time-limited names, in `realm`.
    ///
    /// # Errors
    /// When a name or a password holds what RFC 8265 (OpaqueString) forbids, or a name is there twice.
    pub fn new(realm: &Realm, users: &[(&str, &str)], secrets: Vec<Secret>) -> Result<Self, UserError> {
        let mut known = HashMap::new();
        let mut names_by_hash = HashMap::new();
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
            let hash = stun::userhash(prepared.as_bytes(), realm.as_str().as_bytes());
            names_by_hash.insert(hash, prepared.as_bytes().into());
            let user = User { id: UserId::long_term(&prepared), keys, password };
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
    ///
    /// A user is known by every form of its name that RFC 8265 (OpaqueString) takes for the same.
    pub(crate) fn lookup<'a>(&'a self, name: Name<'a>) -> Option<Candidate<'a>> {
        let name = match name {
            Name::Username(name) => name,
            Name::Userhash(hash) => self.names_by_hash.get(hash)?,
        };
        if name.len() > LONGEST_NAME {
            return None;
        }
        if let Some(user) = self.users.get(name).or_else(|| self.user_by_another_form(name)) {
            return Some(Candidate {
                user: user.id.clone(),
                expires: None,
                name,
                proof: Proof::Password(user),
            });
        }
        if self.secrets.is_empty() {
            return None;
        }
        let timed = TimedName::parse(name)?;
        Some(Candidate {
            user: UserId::time_limited(timed.user),
            expires: Some(timed.expires),
            name,
            proof: Proof::Secrets(&self.secrets),
        })
    }

    /// Whether `user` is one of the configuration that the configuration does not know any more.
    pub(crate) fn is_removed(&self, user: &UserId) -> bool {
        user.long_term_name().is_some_and(|name| !self.users.contains_key(name.as_bytes()))
    }

    fn user_by_another_form(&self, name: &[u8]) -> Option<&User> {
        // What is all ASCII has no other form.
        if name.is_ascii() {
            return None;
        }
        let prepared = OpaqueString::new().enforce(str::from_utf8(name).ok()?).ok()?;
        self.users.get(prepared.as_bytes())
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

impl Candidate<'_> {
    /// Whether the name's time is over. One without a time has no end.
    pub(crate) fn expired(&self, now: UnixSeconds) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The key that `holds`. Each is derived only when those before it did not hold.
    pub(crate) fn key(
        &self,
        realm: &Realm,
        algorithm: Algorithm,
        holds: impl Fn(&Key) -> bool,
    ) -> Option<Key> {
        let derive = |password: &str| algorithm.key(self.name, realm, password.as_bytes());
        match self.proof {
            Proof::Password(user) => {
                let prepared = user.keys.get(algorithm);
                if holds(prepared) {
                    return Some(prepared.clone());
                }
                // RFC 8489 section 9.2.2 makes the key of the prepared name. Browsers take it as it was typed.
                let as_given = Some(self.name) != user.id.long_term_name().map(str::as_bytes);
                as_given.then(|| derive(&user.password)).filter(holds)
            }
            Proof::Secrets(secrets) => {
                secrets.iter().map(|secret| derive(&secret.password(self.name))).find(holds)
            }
        }
    }
}

impl Algorithm {
    fn key(self, name: &[u8], realm: &Realm, password: &[u8]) -> Key {
        let derive = match self {
            Self::Md5 => Key::long_term_md5,
            Self::Sha256 => Key::long_term_sha256,
        };
        derive(name, realm.as_str().as_bytes(), password)
    }
}

impl Name<'_> {
    /// Whether it is a time-limited name with the mark of clients that follow a 300.
    pub(crate) fn is_marked(&self) -> bool {
        matches!(self, Self::Username(name) if TimedName::parse(name).is_some_and(|timed| timed.follows))
    }
}

impl KeyPair {
    fn new(name: &[u8], realm: &Realm, password: &[u8]) -> Self {
        let [md5, sha256] =
            [Algorithm::Md5, Algorithm::Sha256].map(|algorithm| algorithm.key(name, realm, password));
        Self { md5, sha256 }
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

    /// Whether `key` proves what `name` says.
    fn proves(name: &str, key: &Key) -> bool {
        let credentials = credentials();
        let found = credentials.lookup(Name::Username(name.as_bytes())).unwrap();
        found.key(&realm(), Algorithm::Md5, |candidate| candidate == key).as_ref() == Some(key)
    }

    fn md5(name: &str, password: &str) -> Key {
        Key::long_term_md5(name.as_bytes(), b"example.org", password.as_bytes())
    }

    #[test]
    fn a_user_is_found_by_name_and_by_hash() {
        let (credentials, hash) = (credentials(), stun::userhash(b"alice", b"example.org"));
        for name in [Name::Username(b"alice"), Name::Userhash(&hash)] {
            let found = credentials.lookup(name).unwrap();
            assert_eq!(found.user, UserId::long_term("alice"));
            assert!(!found.expired(UnixSeconds::new(u64::MAX)));
            let key = Key::long_term_sha256(b"alice", b"example.org", b"wonderland");
            assert_eq!(found.key(&realm(), Algorithm::Sha256, |found| *found == key), Some(key.clone()));
        }
    }

    #[test]
    fn a_timed_name_has_a_key_for_every_secret_and_an_end() {
        let name = "2000:t1:carol";
        for secret in ["the newer of two", "the older of two"] {
            let password = Secret::new(secret.as_bytes()).unwrap().password(name.as_bytes());
            assert!(proves(name, &md5(name, &password)));
        }
        assert!(!proves(name, &md5(name, "wonderland")));
        let credentials = credentials();
        let found = credentials.lookup(Name::Username(name.as_bytes())).unwrap();
        assert_eq!(found.user, UserId::time_limited("t1:carol"));
        assert!(!found.expired(UnixSeconds::new(1999)));
        assert!(found.expired(UnixSeconds::new(2000)));
    }

    #[test]
    fn a_timed_name_does_not_speak_for_a_user() {
        let credentials = credentials();
        let who = |name: &'static str| credentials.lookup(Name::Username(name.as_bytes())).unwrap().user;
        assert_ne!(who("2000:alice"), who("alice"));
    }

    #[test]
    fn a_timed_name_has_the_length_of_any_name() {
        let of_length = |length: usize| format!("2000:{}", "a".repeat(length - 5));
        let known = |name: &str| credentials().lookup(Name::Username(name.as_bytes())).is_some();
        assert!(known(&of_length(508)));
        assert!(!known(&of_length(509)));
    }

    #[test]
    fn who_is_unknown_is_nobody() {
        for name in [b"bob".as_slice(), b"", b"12x:bob", b"\xff\xfe"] {
            assert!(credentials().lookup(Name::Username(name)).is_none());
        }
        assert!(credentials().lookup(Name::Userhash(&[0; 32])).is_none());
    }

    #[test]
    fn a_user_is_known_by_every_form_of_its_name() {
        // "e" and a combining accent is the same name as the composed letter.
        let (composed, decomposed) = ("r\u{e9}n\u{e9}", "re\u{301}ne\u{301}");
        for configured in [composed, decomposed] {
            let users = Credentials::new(&realm(), &[(configured, "x\u{a0}y")], vec![]).unwrap();
            for given in [composed, decomposed] {
                let found = users.lookup(Name::Username(given.as_bytes())).unwrap();
                assert_eq!(found.user, UserId::long_term(composed));
                for key in [md5(composed, "x y"), md5(given, "x y")] {
                    assert!(found.key(&realm(), Algorithm::Md5, |found| *found == key).is_some());
                }
            }
        }
    }

    #[test]
    fn only_who_was_configured_can_be_removed() {
        let credentials = credentials();
        assert!(!credentials.is_removed(&UserId::long_term("alice")));
        assert!(credentials.is_removed(&UserId::long_term("bob")));
        assert!(!credentials.is_removed(&UserId::time_limited("bob")));
    }

    #[test]
    fn names_and_passwords_are_prepared_as_rfc_8265_says() {
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
