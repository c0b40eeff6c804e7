//! What a client logs in with.

use std::fmt;

/// A user name and a password (RFC 8489 section 9.2), both as their OpaqueString (RFC 8265) bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user name.
    pub username: Vec<u8>,
    /// The password.
    pub password: Vec<u8>,
}

impl Credential {
    /// A credential of text or bytes.
    pub fn new(username: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Self {
        Self { username: username.as_ref().to_vec(), password: password.as_ref().to_vec() }
    }
}

/// Without the password.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.username.escape_ascii())
    }
}
