//! What a client logs in with.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// A username and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The username.
    pub username: String,
    /// The password.
    pub password: String,
}

impl Credential {
    /// A long-term credential.
    pub fn long_term(username: &str, password: &str) -> Self {
        Self { username: username.to_owned(), password: password.to_owned() }
    }

    /// The TURN REST credential of a username as it is, under a shared secret.
    pub fn rest(secret: &str, username: &str) -> Self {
        let mut mac =
            Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(username.as_bytes());
        let password = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        Self { username: username.to_owned(), password }
    }

    /// A TURN REST credential that is good for an hour.
    pub fn rest_for_an_hour(secret: &str, user: &str) -> Self {
        Self::rest(secret, &format!("{}:{user}", unix_seconds() + 3600))
    }
}

/// Seconds since the Unix epoch.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs()
}
