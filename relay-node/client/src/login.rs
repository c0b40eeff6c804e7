//! A credential against a challenge: how requests are signed and answers are checked.

use stun::attribute::{Nonce, PasswordAlgorithm, Realm, Userhash, Username};
use stun::{AttributeType, BufferFull, IntegrityError, Key, Message, MessageWriter, userhash};

use crate::{Challenge, ChallengeError, Credential};

/// A credential that meets a server's challenge.
#[derive(Clone, Debug)]
pub struct Login {
    credential: Credential,
    challenge: Challenge,
    algorithm: PasswordAlgorithm,
    key: Key,
}

impl Login {
    /// Derives the key that `challenge` wants.
    ///
    /// # Errors
    /// When it wants an algorithm that is not known here.
    pub fn new(credential: Credential, challenge: Challenge) -> Result<Self, ChallengeError> {
        let algorithm = challenge.algorithm()?;
        let Credential { username, password } = &credential;
        let key = match algorithm {
            PasswordAlgorithm::Sha256 => Key::long_term_sha256(username, &challenge.realm, password),
            _ => Key::long_term_md5(username, &challenge.realm, password),
        };
        Ok(Self { credential, challenge, algorithm, key })
    }

    /// Takes a later challenge: in most, only the nonce is another one.
    ///
    /// # Errors
    /// As in [`Login::new`]; the former challenge stays then.
    pub fn renew(&mut self, challenge: Challenge) -> Result<(), ChallengeError> {
        if challenge.realm == self.challenge.realm && challenge.algorithm()? == self.algorithm {
            self.challenge = challenge;
        } else {
            *self = Self::new(self.credential.clone(), challenge)?;
        }
        Ok(())
    }

    /// Takes a later nonce of the same server, or of one that it speaks for.
    pub(crate) fn use_nonce(&mut self, nonce: &[u8]) {
        self.challenge.nonce = nonce.to_vec();
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What it meets.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Appends who asks and the proof of it (RFC 8489 section 9.2.3.2). What follows is not covered.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn sign(&self, writer: &mut MessageWriter<'_>) -> Result<(), BufferFull> {
        let Challenge { realm, nonce, algorithms, anonymous } = &self.challenge;
        let username = &self.credential.username;
        if *anonymous {
            writer.attribute(&Userhash(userhash(username, realm)))?;
        } else {
            writer.attribute(&Username(username))?;
        }
        writer.attribute(&Realm(realm))?.attribute(&Nonce(nonce))?;
        match algorithms {
            // To who offers algorithms: the same list, the choice, and MESSAGE-INTEGRITY-SHA256 only.
            Some(offered) => {
                writer.raw(AttributeType::PASSWORD_ALGORITHMS, offered)?;
                writer.attribute(&self.algorithm)?.integrity_sha256(&self.key).map(drop)
            }
            None => writer.integrity_sha1(&self.key).map(drop),
        }
    }

    /// Checks that an answer is of one who knows the password (RFC 8489 section 9.2.5).
    ///
    /// # Errors
    /// When it is not shown.
    pub fn verify(&self, answer: &Message<'_>) -> Result<(), IntegrityError> {
        match self.challenge.algorithms {
            Some(_) => answer.verify_sha256(&self.key),
            None => answer.verify_sha1(&self.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use stun::attribute::PasswordAlgorithms;
    use stun::{Class, Method, TransactionId};

    use super::*;
    use crate::message;

    fn challenge(algorithms: Option<&[u8]>, anonymous: bool) -> Challenge {
        let algorithms = algorithms.map(<[u8]>::to_vec);
        Challenge { realm: b"example.org".to_vec(), nonce: b"abc".to_vec(), algorithms, anonymous }
    }

    fn signed(login: &Login) -> Vec<u8> {
        message(Class::Request, Method::REFRESH, TransactionId::new([1; 12]), |writer| login.sign(writer))
            .unwrap()
    }

    #[test]
    fn without_algorithms_it_is_md5_and_sha1() {
        let login = Login::new(Credential::new("alice", "pw"), challenge(None, false)).unwrap();
        let bytes = signed(&login);
        let request = Message::parse(&bytes).unwrap();
        assert!(request.verify_sha1(&Key::long_term_md5(b"alice", b"example.org", b"pw")).is_ok());
        assert_eq!(request.get::<Username<'_>>(), Ok(Some(Username(b"alice"))));
        assert!(!request.has(AttributeType::PASSWORD_ALGORITHMS));
        assert!(login.verify(&request).is_ok());
    }

    #[test]
    fn with_algorithms_the_list_is_repeated_under_sha256() {
        let offered = PasswordAlgorithms::SHA256_MD5;
        let login =
            Login::new(Credential::new("alice", "pw"), challenge(Some(offered.as_bytes()), true)).unwrap();
        let bytes = signed(&login);
        let request = Message::parse(&bytes).unwrap();
        assert!(request.verify_sha256(&Key::long_term_sha256(b"alice", b"example.org", b"pw")).is_ok());
        assert_eq!(request.get::<PasswordAlgorithms<'_>>(), Ok(Some(offered)));
        assert_eq!(request.get::<PasswordAlgorithm>(), Ok(Some(PasswordAlgorithm::Sha256)));
        assert!(!request.has(AttributeType::MESSAGE_INTEGRITY));
        assert!(!request.has(AttributeType::USERNAME), "the name is hidden");
        assert_eq!(request.get::<Userhash>(), Ok(Some(Userhash(userhash(b"alice", b"example.org")))));
    }

    #[test]
    fn another_realm_makes_another_key() {
        let mut login = Login::new(Credential::new("alice", "pw"), challenge(None, false)).unwrap();
        let key = login.key().clone();
        login.renew(Challenge { nonce: b"def".to_vec(), ..challenge(None, false) }).unwrap();
        assert_eq!(*login.key(), key);
        assert_eq!(login.challenge().nonce, b"def");
        login.renew(Challenge { realm: b"example.net".to_vec(), ..challenge(None, false) }).unwrap();
        assert_ne!(*login.key(), key);
    }
}
