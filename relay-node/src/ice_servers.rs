//! What a WebRTC application is given to reach a relay: URLs and a time-limited credential.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use thiserror::Error;
use turn::credentials::{Secret, SecretError};
use turn::{Transport, UnixSeconds};

use crate::config::{Offer, Problems};

/// The value of `iceServers` in an RTCConfiguration; its `Display` is JSON.
#[derive(Clone, Serialize)]
pub struct IceServers {
    #[serde(rename = "iceServers")]
    servers: [IceServer; 1],
}

#[derive(Clone, Serialize)]
struct IceServer {
    urls: Vec<String>,
    username: String,
    credential: String,
}

/// A user name and password of the TURN REST convention.
#[derive(Clone)]
pub struct TimedCredential {
    /// `expiry[:tenant]:user`, with a mark for a client that follows a 300: `expiry+300[:tenant]:user`.
    pub username: String,
    /// The password that goes with it.
    pub password: String,
}

/// Why there can be no time-limited credential.
#[derive(Debug, Error)]
pub enum IceServersError {
    /// There is nothing to sign with.
    #[error("no secret is configured to sign a time-limited credential with; give one by --secret-file FILE")]
    NoSecret,
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Neither was a URL given, nor does the configuration say what clients reach the relay by.
    #[error(
        "it is not known what clients reach the relay by; give it by --url turn:ADDRESS:3478?transport=udp"
    )]
    NoUrl,
    /// The configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] Problems),
}

impl IceServers {
    /// A relay at `urls`, with `credential`.
    pub fn new(urls: Vec<String>, credential: TimedCredential) -> Self {
        let TimedCredential { username, password } = credential;
        Self { servers: [IceServer { urls, username, credential: password }] }
    }

    /// The relay of `offer`, at `urls` or, with none given, at its own, for `user`, who can allocate for
    /// `ttl` from now on.
    ///
    /// # Errors
    /// When there is no secret, or no URL.
    pub fn of_offer(
        offer: &Offer,
        urls: Vec<String>,
        user: &str,
        ttl: Duration,
    ) -> Result<Self, IceServersError> {
        let secret = offer.rest_secrets.first().ok_or(IceServersError::NoSecret)?;
        let credential = TimedCredential::new(&Secret::new(secret.expose().as_bytes())?, user, ttl);
        let urls = if urls.is_empty() {
            offer.listeners.iter().map(|&(transport, address)| url(transport, address)).collect()
        } else {
            urls
        };
        if urls.is_empty() {
            return Err(IceServersError::NoUrl);
        }
        Ok(Self::new(urls, credential))
    }
}

impl fmt::Display for IceServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

impl TimedCredential {
    /// One for `user`, who can allocate for `ttl` from now on.
    pub fn new(secret: &Secret, user: &str, ttl: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::until(secret, user, UnixSeconds::new(now.saturating_add(ttl).as_secs()))
    }

    /// One for `user`, who can allocate until it `expires`.
    pub fn until(secret: &Secret, user: &str, expires: UnixSeconds) -> Self {
        Self::of_name(secret, format!("{}:{user}", expires.get()))
    }

    /// The same for a user whose client goes where a 300 (Try Alternate) sends it.
    pub fn of_follower(secret: &Secret, user: &str, expires: UnixSeconds) -> Self {
        Self::of_name(secret, format!("{}+300:{user}", expires.get()))
    }

    fn of_name(secret: &Secret, username: String) -> Self {
        let password = secret.password(username.as_bytes()).to_string();
        Self { username, password }
    }
}

/// The TURN URL (RFC 7065) of a listener.
pub fn url(transport: Transport, address: SocketAddr) -> String {
    match transport {
        Transport::Udp => format!("turn:{address}?transport=udp"),
        Transport::Tcp => format!("turn:{address}?transport=tcp"),
        Transport::Tls => format!("turns:{address}?transport=tcp"),
    }
}
