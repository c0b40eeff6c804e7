//! Time-limited names: `expiry[:tenant]:user`, with `base64(HMAC-SHA1(secret, name))` as password. In
//! `expiry+300[:tenant]:user` the application says besides that its clients follow a 300 (Try Alternate).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::time::UnixSeconds;

/// A secret shared with whoever gives out credentials.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// A secret that protects nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the secret has {length} bytes; give it at least {} random ones", Secret::SHORTEST)]
pub struct SecretError {
    /// How many bytes it has.
    pub length: usize,
}

impl Secret {
    /// Bytes that a secret has at least: below, it could be searched for.
    pub const SHORTEST: usize = 16;

    /// Takes a secret.
    ///
    /// # Errors
    /// When it is shorter than [`Self::SHORTEST`].
    pub fn new(secret: &[u8]) -> Result<Self, SecretError> {
        if secret.len() < Self::SHORTEST {
            return Err(SecretError { length: secret.len() });
        }
        Ok(Self(Zeroizing::new(secret.to_vec())))
    }

    /// The password that goes with a name.
    pub fn password(&self, name: &[u8]) -> Zeroizing<String> {
        let Ok(mut mac) = <Hmac<Sha1> as KeyInit>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(name);
        Zeroizing::new(STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A name that says when it ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TimedName<'a> {
    pub(super) expires: UnixSeconds,
    /// What follows the time: the same for all names of one user.
    pub(super) user: &'a str,
    /// Whether it has the mark of clients that go where a 300 sends them.
    pub(super) follows: bool,
}

/// What stands behind the time in the name of a client that follows.
const FOLLOWS: &str = "+300";

impl<'a> TimedName<'a> {
    /// Nothing if the time is no number that fits, or if the name hides characters from a reader.
    pub(super) fn parse(name: &'a [u8]) -> Option<Self> {
        let name = str::from_utf8(name).ok()?;
        let (time, user) = name.split_once(':').unwrap_or((name, ""));
        let (time, follows) = time.strip_suffix(FOLLOWS).map_or((time, false), |time| (time, true));
        // `parse` alone would take a plus sign.
        if time.is_empty() || !time.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let expires = UnixSeconds::new(time.parse().ok()?);
        if user.chars().any(|c| c.is_control() || is_format(c)) {
            return None;
        }
        Some(Self { expires, user, follows })
    }
}

/// Unicode's format characters and line separators: they change how a line reads and show nothing.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_password_is_that_of_the_convention() {
        // echo -n 1433895918:alice | openssl dgst -sha1 -hmac "a secret of sixteen" -binary | base64
        let secret = Secret::new(b"a secret of sixteen").unwrap();
        assert_eq!(*secret.password(b"1433895918:alice"), "R+3OmCtNDCXVZkn07Eems9RsRdE=");
    }

    #[test]
    fn names_are_read_strictly() {
        let parsed =
            |name: &'static str| TimedName::parse(name.as_bytes()).map(|it| (it.expires.get(), it.user));
        assert_eq!(parsed("1700000000:alice"), Some((1_700_000_000, "alice")));
        assert_eq!(parsed("1700000000:tenant:alice"), Some((1_700_000_000, "tenant:alice")));
        assert_eq!(parsed("1700000000"), Some((1_700_000_000, "")));
        assert_eq!(parsed("18446744073709551615:a"), Some((u64::MAX, "a")));
        for malformed in [
            "+300:a",
            "1700000000+:a",
            "1700000000+30:a",
            "1700000000+0300:a",
            "1700000000+3000:a",
            "1700000000 +300:a",
            "1700000000+300+300:a",
            "1700000000-300:a",
            "",
            ":",
            ":alice",
            "alice",
            "alice:1700000000",
            "+1700000000:a",
            "-1:a",
            " 1:a",
            "1 :a",
            "1e9:a",
            "0x10:a",
            "18446744073709551616:a",
            "99999999999999999999999999:a",
            "1700000000:a\n",
            "1700000000:a\u{0}",
            "1700000000:\u{202e}a",
            "1700000000:a\u{200b}",
            "\u{661}\u{667}:a",
        ] {
            assert_eq!(parsed(malformed), None, "{malformed:?}");
        }
        assert_eq!(TimedName::parse(b"1700000000:\xff"), None);
    }

    #[test]
    fn only_the_mark_says_that_a_client_follows() {
        let parsed = |name: &'static str| TimedName::parse(name.as_bytes()).map(|it| (it.user, it.follows));
        assert_eq!(parsed("1700000000+300:t1:alice"), Some(("t1:alice", true)));
        assert_eq!(parsed("1700000000+300"), Some(("", true)));
        assert_eq!(parsed("1700000000:alice+300"), Some(("alice+300", false)));
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_shown() {
        assert_eq!(Secret::new(b"fifteen bytes!!").unwrap_err(), SecretError { length: 15 });
        assert_eq!(format!("{:?}", Secret::new(b"sixteen bytes!!!").unwrap()), "Secret(..)");
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(name in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(timed) = TimedName::parse(&name) {
                prop_assert!(name.ends_with(timed.user.as_bytes()));
            }
        }
    }
}
