//! Bearer tokens (RFC 6750), compared in a time that tells nothing of them.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::Secret;

type Hash = [u8; 32];

/// The tokens that are known, as hashes: of one length, whatever theirs is.
pub(super) struct Tokens(Vec<Hash>);

impl Tokens {
    pub(super) fn new(tokens: &[Secret]) -> Self {
        Self(tokens.iter().map(|token| hash(token.expose().as_bytes())).collect())
    }

    /// Which one the value of an `Authorization` header has, counted from 1.
    pub(super) fn known(&self, authorization: &[u8]) -> Option<usize> {
        let (scheme, token) = authorization.split_at_checked(b"Bearer ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return None;
        }
        let given = hash(token.trim_ascii());
        // All are looked at, whichever it is.
        let places = self.0.iter().zip(1..).filter(|(known, _)| known.ct_eq(&given).into());
        places.map(|(_, place)| place).last()
    }
}

fn hash(token: &[u8]) -> Hash {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_as_a_whole_and_only_as_a_bearer_s() {
        let tokens = Tokens::new(&[Secret::new("the first token"), Secret::new("the second token")]);
        let known = |value: &str| tokens.known(value.as_bytes());
        assert_eq!(known("Bearer the first token"), Some(1));
        assert_eq!(known("bearer  the second token "), Some(2));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer the first toke",
            "Bearer the first token2",
            "Bearer THE FIRST TOKEN",
            "Basic the first token",
            "the first token",
            "Bearer the first token, Bearer the second token",
        ] {
            assert_eq!(known(wrong), None, "{wrong}");
        }
        assert_eq!(Tokens::new(&[]).known(b"Bearer "), None);
    }
}
