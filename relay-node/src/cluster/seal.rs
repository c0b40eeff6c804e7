//! The seal on all that the fleet keeps in Redis: whoever can write there must not own the fleet.
//!
//! AES-256-GCM-SIV (RFC 8452) under a key that HKDF-SHA256 derives from the fleet key. What a value is kept as, whose it
//! is and which generation it has are bound to it, so that a value which was moved, given to another or brought back
//! from an older generation cannot be opened as what it is not. Nonces are random, and a busy fleet seals billions of
//! values a day under the one key: plain GCM would give its key away with the first nonce that comes twice.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use thiserror::Error;

/// Seals what is written to Redis and opens what is read there.
#[derive(Clone)]
pub struct Seal {
    keys: Arc<Keys>,
}

struct Keys {
    values: LessSafeKey,
    names: hmac::Key,
}

/// The library refused the keys; it does so without memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no keys could be derived from cluster.fleet_key_file")]
pub struct SealError;

/// Bytes that a sealed value has more than its content.
pub const OVERHEAD: usize = NONCE_LEN + 16;

impl Seal {
    /// The seal of the fleet that is called `fleet` and has this key.
    ///
    /// # Errors
    /// When the library fails.
    pub fn new(fleet_key: &[u8], fleet: &str) -> Result<Self, SealError> {
        let extracted = Salt::new(HKDF_SHA256, b"edgerelay fleet").extract(fleet_key);
        let values = derive(&extracted, &[b"values", fleet.as_bytes()])?;
        let names = derive(&extracted, &[b"names", fleet.as_bytes()])?;
        Ok(Self {
            keys: Arc::new(Keys {
                values: LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, &values).map_err(|_| SealError)?),
                names: hmac::Key::new(hmac::HMAC_SHA256, &names),
            }),
        })
    }

    /// Seals `plain`, that is kept under `name` (a key, or a key and a field), belongs to `owner`, and is the
    /// `generation`th of its kind.
    pub fn seal(&self, name: &str, owner: &str, generation: u64, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = [nonce.as_slice(), plain].concat();
        let aad = Aad::from(about(name, owner, generation));
        let (_, body) = sealed.split_at_mut(NONCE_LEN);
        // It fails for more than 64 GiB only; then nobody can open what comes.
        let nonce = Nonce::assume_unique_for_key(nonce);
        let Ok(tag) = self.keys.values.seal_in_place_separate_tag(nonce, aad, body) else {
            return Vec::new();
        };
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// What was sealed, if it was sealed by the fleet as just that.
    pub fn open(&self, name: &str, owner: &str, generation: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let aad = Aad::from(about(name, owner, generation));
        let plain = self.keys.values.open_in_place(Nonce::from(nonce), aad, &mut body).ok()?.len();
        body.truncate(plain);
        Some(body)
    }

    /// What bytes that came from the wire are called in Redis: 32 hexadecimal digits, which say nothing about them to
    /// who does not have the fleet key.
    pub fn name_of(&self, bytes: &[u8]) -> String {
        use std::fmt::Write;
        let tag = hmac::sign(&self.keys.names, bytes);
        tag.as_ref().iter().take(16).fold(String::with_capacity(32), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        })
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(..)")
    }
}

/// What is bound to a value: each part with its length, so that no two triples read the same.
fn about(name: &str, owner: &str, generation: u64) -> Vec<u8> {
    let mut about = Vec::with_capacity(name.len() + owner.len() + 24);
    for part in [name, owner] {
        about.extend_from_slice(&(part.len() as u64).to_be_bytes());
        about.extend_from_slice(part.as_bytes());
    }
    about.extend_from_slice(&generation.to_be_bytes());
    about
}

fn derive(extracted: &Prk, info: &[&[u8]]) -> Result<[u8; 32], SealError> {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            32
        }
    }
    let mut key = [0; 32];
    let expanded = extracted.expand(info, Length).map_err(|_| SealError)?;
    expanded.fill(&mut key).map_err(|_| SealError)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8] = b"a fleet key of at least thirty-two bytes";

    fn seal() -> Seal {
        Seal::new(KEY, "edge").unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_as_what_it_is() {
        let sealed = seal().seal("edge:node:a", "a", 7, b"content");
        assert_eq!(sealed.len(), b"content".len() + OVERHEAD);
        assert_eq!(seal().open("edge:node:a", "a", 7, &sealed).as_deref(), Some(b"content".as_slice()));
    }

    #[test]
    fn it_is_not_opened_as_anything_else() {
        let sealed = seal().seal("edge:node:a", "a", 7, b"content");
        assert_eq!(seal().open("edge:node:b", "a", 7, &sealed), None, "another name");
        assert_eq!(seal().open("edge:node:a", "b", 7, &sealed), None, "another owner");
        assert_eq!(seal().open("edge:node:a", "a", 6, &sealed), None, "another generation");
        // Where one part ends and the next begins is told too.
        assert_eq!(seal().open("edge:node:", "aa", 7, &sealed), None);
    }

    #[test]
    fn another_key_and_another_fleet_open_nothing() {
        let sealed = seal().seal("n", "o", 1, b"content");
        assert_eq!(Seal::new(&[KEY, b"!"].concat(), "edge").unwrap().open("n", "o", 1, &sealed), None);
        assert_eq!(Seal::new(KEY, "other").unwrap().open("n", "o", 1, &sealed), None);
    }

    #[test]
    fn two_seals_of_the_same_are_not_alike() {
        assert_ne!(seal().seal("n", "o", 1, b"content"), seal().seal("n", "o", 1, b"content"));
    }

    #[test]
    fn names_are_the_same_on_all_nodes_of_a_fleet_and_tell_nothing_to_others() {
        let name = seal().name_of(b"alice");
        assert_eq!((name.len(), &name), (32, &seal().name_of(b"alice")));
        assert_ne!(name, seal().name_of(b"alicf"));
        assert_ne!(name, Seal::new(KEY, "other").unwrap().name_of(b"alice"));
    }

    proptest! {
        #[test]
        fn anything_can_be_sealed_and_no_flipped_bit_is_overlooked(
            plain in prop::collection::vec(any::<u8>(), 0..300),
            name in ".{0,40}",
            generation: u64,
            at: prop::sample::Index,
            bit in 0..8_u8,
        ) {
            let sealed = seal().seal(&name, "owner", generation, &plain);
            prop_assert_eq!(seal().open(&name, "owner", generation, &sealed), Some(plain));
            let mut forged = sealed;
            let at = at.index(forged.len());
            forged[at] ^= 1 << bit;
            prop_assert_eq!(seal().open(&name, "owner", generation, &forged), None);
        }

        #[test]
        fn bytes_of_somebody_else_are_not_opened(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(seal().open("n", "o", 1, &bytes), None);
        }
    }
}
