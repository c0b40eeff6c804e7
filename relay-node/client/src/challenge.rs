//! What a server wants to be proved: the content of a 401 or 438.

use stun::attribute::{Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm};
use stun::{Attribute, AttributeError, AttributeType, Message, TransactionId};
use thiserror::Error;

/// What the nonces of a server with security features begin with (RFC 8489 section 9.2).
const COOKIE: &[u8; 9] = b"obMatJos2";
/// Behind the cookie come 24 bits in base64 (RFC 8489 section 18.1, erratum 6290); the last character has
/// bits 0 to 5.
const LAST_FEATURES: usize = COOKIE.len() + 3;
const PASSWORD_ALGORITHMS: usize = 1 << 0;
const USERNAME_ANONYMITY: usize = 1 << 1;

/// What a server wants to be proved, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// REALM.
    pub realm: Vec<u8>,
    /// NONCE.
    pub nonce: Vec<u8>,
    /// PASSWORD-ALGORITHMS as it came, which a client repeats; none from a server older than RFC 8489.
    pub algorithms: Option<Vec<u8>>,
    /// Whether to send USERHASH in place of USERNAME.
    pub anonymous: bool,
}

/// Why a challenge cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChallengeError {
    /// It lacks the realm or the nonce.
    #[error("it asks for a credential without a realm and a nonce")]
    Incomplete,
    /// An attribute is not as the RFC has it.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// The nonce says that password algorithms are offered, and none are: somebody has removed them
    /// to have a weaker one used.
    #[error("it is without the password algorithms that its nonce announces; somebody may have removed them")]
    BidDown,
    /// It offers neither MD5 nor SHA-256.
    #[error("it offers no password algorithm that is known here")]
    UnknownAlgorithms,
}

impl Challenge {
    /// Reads a 401 or 438 answer (RFC 8489 section 9.2.5).
    ///
    /// # Errors
    /// [`ChallengeError`] says why a client must not go on.
    pub fn read(answer: &Message<'_>) -> Result<Self, ChallengeError> {
        let realm = answer.get::<Realm<'_>>()?.ok_or(ChallengeError::Incomplete)?.0;
        let nonce = answer.get::<Nonce<'_>>()?.ok_or(ChallengeError::Incomplete)?.0;
        let algorithms = answer.get::<PasswordAlgorithms<'_>>()?;
        let features = features(nonce);
        // "... the client MUST NOT retry the request with a new transaction."
        if features & PASSWORD_ALGORITHMS != 0 && !answer.has(AttributeType::PASSWORD_ALGORITHMS) {
            return Err(ChallengeError::BidDown);
        }
        Ok(Self {
            realm: realm.to_vec(),
            nonce: nonce.to_vec(),
            algorithms: algorithms.map(|offered| offered.as_bytes().to_vec()),
            anonymous: features & USERNAME_ANONYMITY != 0,
        })
    }

    /// The same as a client older than RFC 8489 sees it: MD5, MESSAGE-INTEGRITY and a plain name. Browsers
    /// are such clients.
    pub fn classic(self) -> Self {
        Self { algorithms: None, anonymous: false, ..self }
    }

    /// The algorithm to use: the stronger one where both are offered, in whatever order.
    ///
    /// # Errors
    /// When none is known.
    pub(crate) fn algorithm(&self) -> Result<PasswordAlgorithm, ChallengeError> {
        let Some(offered) = &self.algorithms else { return Ok(PasswordAlgorithm::Md5) };
        // No algorithm depends on the transaction.
        let offered = PasswordAlgorithms::decode(offered, &TransactionId::new([0; 12]))?;
        let known = [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5];
        let best = known.into_iter().find(|known| offered.iter().any(|algorithm| algorithm == *known));
        best.ok_or(ChallengeError::UnknownAlgorithms)
    }
}

/// Security features 0 to 5 of a nonce; zero where it tells of none.
fn features(nonce: &[u8]) -> usize {
    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let last = nonce.starts_with(COOKIE).then(|| nonce.get(LAST_FEATURES)).flatten();
    last.and_then(|last| BASE64.iter().position(|digit| digit == last)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use stun::attribute::{Nonce, PasswordAlgorithms, Realm};
    use stun::{Class, Method};

    use super::*;
    use crate::message;

    fn challenge(nonce: &[u8], algorithms: Option<&[u8]>) -> Result<Challenge, ChallengeError> {
        let bytes = message(Class::Error, Method::ALLOCATE, TransactionId::new([1; 12]), |writer| {
            writer.attribute(&Realm(b"r"))?.attribute(&Nonce(nonce))?;
            match algorithms {
                Some(list) => writer.raw(AttributeType::PASSWORD_ALGORITHMS, list).map(drop),
                None => Ok(()),
            }
        });
        Challenge::read(&Message::parse(&bytes.unwrap()).unwrap())
    }

    #[test]
    fn a_server_older_than_rfc_8489_gets_md5() {
        assert_eq!(challenge(b"abc", None).unwrap().algorithm(), Ok(PasswordAlgorithm::Md5));
    }

    #[test]
    fn the_strongest_algorithm_is_used() {
        let offered = PasswordAlgorithms::SHA256_MD5.as_bytes();
        assert_eq!(challenge(b"abc", Some(offered)).unwrap().algorithm(), Ok(PasswordAlgorithm::Sha256));
        let md5_first = [0, 1, 0, 0, 0, 2, 0, 0];
        assert_eq!(challenge(b"abc", Some(&md5_first)).unwrap().algorithm(), Ok(PasswordAlgorithm::Sha256));
        let others_first = [0, 9, 0, 0, 0, 1, 0, 0];
        assert_eq!(challenge(b"abc", Some(&others_first)).unwrap().algorithm(), Ok(PasswordAlgorithm::Md5));
        let unknown = challenge(b"abc", Some(&[0, 9, 0, 0])).unwrap();
        assert_eq!(unknown.algorithm(), Err(ChallengeError::UnknownAlgorithms));
    }

    #[test]
    fn removed_algorithms_are_noticed_by_the_nonce() {
        assert_eq!(challenge(b"obMatJos2AAABxyz", None), Err(ChallengeError::BidDown));
        assert!(challenge(b"obMatJos2AAACxyz", None).is_ok(), "anonymity alone");
    }

    #[test]
    fn the_nonce_says_whether_names_are_hidden() {
        let offered = PasswordAlgorithms::SHA256_MD5.as_bytes();
        assert!(challenge(b"obMatJos2AAADxyz", Some(offered)).unwrap().anonymous);
        assert!(!challenge(b"obMatJos2AAABxyz", Some(offered)).unwrap().anonymous);
        assert!(!challenge(b"AAADxyz", None).unwrap().anonymous, "no cookie");
        assert!(!challenge(b"obMatJos2", None).unwrap().anonymous, "a cookie alone");
    }
}
