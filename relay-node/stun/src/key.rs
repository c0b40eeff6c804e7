//! Keys for message integrity (RFC 8489 section 9).

use std::fmt;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Bytes in a block of SHA-1 and of SHA-256.
pub(crate) const BLOCK_LEN: usize = 64;

/// A key for MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256.
///
/// Debug shows nothing of it, equality takes constant time, and it is wiped when dropped. User names,
/// realms and passwords come as their OpaqueString (RFC 8265) bytes.
#[derive(Clone)]
pub struct Key(Form);

#[derive(Clone)]
enum Form {
    /// The key itself with zeros behind, which is how HMAC takes a key that fits a block.
    Block([u8; BLOCK_LEN]),
    /// A longer one: HMAC takes its digest in its place, and each hash has its own.
    Digests { sha1: [u8; 20], sha256: [u8; 32] },
}

impl Key {
    /// `MD5(user ":" realm ":" password)` (section 9.2.2).
    pub fn long_term_md5(user: &[u8], realm: &[u8], password: &[u8]) -> Self {
        Self::block(long_term::<Md5>(user, realm, password).as_ref())
    }

    /// `SHA-256(user ":" realm ":" password)` (section 9.2.2).
    pub fn long_term_sha256(user: &[u8], realm: &[u8], password: &[u8]) -> Self {
        Self::block(long_term::<Sha256>(user, realm, password).as_ref())
    }

    /// The password itself (section 9.1.1).
    pub fn short_term(password: &[u8]) -> Self {
        if password.len() <= BLOCK_LEN {
            return Self::block(password);
        }
        Self(Form::Digests { sha1: Sha1::digest(password).into(), sha256: Sha256::digest(password).into() })
    }

    /// The bytes of a long-term key, with zeros behind those of MD5: for who keeps them where nobody else
    /// reads. There are none of a short-term key that is longer.
    pub fn expose(&self) -> Option<&[u8; 32]> {
        let Form::Block(block) = &self.0 else { return None };
        let (key, rest) = block.split_first_chunk()?;
        rest.iter().all(|byte| *byte == 0).then_some(key)
    }

    /// The key that [`Self::expose`] gave the bytes of.
    pub fn from_exposed(key: &[u8; 32]) -> Self {
        Self::block(key)
    }

    /// The key as HMAC-SHA1 takes it.
    pub(crate) fn sha1_block(&self) -> [u8; BLOCK_LEN] {
        match &self.0 {
            Form::Block(block) => *block,
            Form::Digests { sha1, .. } => zero_padded(sha1),
        }
    }

    /// The key as HMAC-SHA256 takes it.
    pub(crate) fn sha256_block(&self) -> [u8; BLOCK_LEN] {
        match &self.0 {
            Form::Block(block) => *block,
            Form::Digests { sha256, .. } => zero_padded(sha256),
        }
    }

    fn block(key: &[u8]) -> Self {
        Self(Form::Block(zero_padded(key)))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        match &mut self.0 {
            Form::Block(block) => block.zeroize(),
            Form::Digests { sha1, sha256 } => {
                sha1.zeroize();
                sha256.zeroize();
            }
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let same_sha1 = self.sha1_block().ct_eq(&other.sha1_block());
        let same_sha256 = self.sha256_block().ct_eq(&other.sha256_block());
        (same_sha1 & same_sha256).into()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What USERHASH holds: `SHA-256(user ":" realm)` (section 14.4).
pub fn userhash(user: &[u8], realm: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(user).chain_update(b":").chain_update(realm).finalize().into()
}

fn long_term<D: Digest>(user: &[u8], realm: &[u8], password: &[u8]) -> impl AsRef<[u8]> + use<D> {
    D::new()
        .chain_update(user)
        .chain_update(b":")
        .chain_update(realm)
        .chain_update(b":")
        .chain_update(password)
        .finalize()
}

/// `key`, at most a block long, with zeros behind.
fn zero_padded(key: &[u8]) -> [u8; BLOCK_LEN] {
    let mut block = [0; BLOCK_LEN];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    block
}
