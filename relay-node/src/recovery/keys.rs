//! What clients would notice if the next relay had another one.

use std::io;

use super::Vault;

/// The piece's name.
const NAME: &str = "keys";

/// Keys that were drawn at random once, and stay what they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// What nonces are made with, where the configuration names no key: with another one every client would
    /// be challenged again.
    pub nonce: [u8; 32],
    /// What names the worker of a client.
    pub steering: u32,
}

impl Keys {
    /// New ones.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> io::Result<Self> {
        use rand::TryRng;
        let (mut nonce, mut steering) = ([0; 32], [0; 4]);
        for key in [&mut nonce[..], &mut steering] {
            rand::rngs::SysRng.try_fill_bytes(key).map_err(io::Error::other)?;
        }
        Ok(Self { nonce, steering: u32::from_ne_bytes(steering) })
    }

    /// The vault's, or new ones that are kept from now on.
    ///
    /// # Errors
    /// When they cannot be read or kept.
    pub fn of(vault: &Vault) -> io::Result<Self> {
        if let Some(keys) = vault.kept(NAME)?.and_then(|bytes| Self::from_bytes(&bytes)) {
            return Ok(keys);
        }
        let keys = Self::random()?;
        vault.keep(NAME, &[&keys.nonce[..], &keys.steering.to_le_bytes()].concat())?;
        Ok(keys)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (nonce, steering) = bytes.split_first_chunk()?;
        Some(Self { nonce: *nonce, steering: u32::from_le_bytes(steering.try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_what_they_were() {
        let vault = Vault::in_memory();
        let keys = Keys::of(&vault).unwrap();
        assert!(Keys::of(&vault).unwrap() == keys);
        assert!(Keys::of(&Vault::in_memory()).unwrap() != keys);
    }

    #[test]
    fn what_cannot_be_keys_is_replaced() {
        let vault = Vault::in_memory();
        vault.keep(NAME, &[0; 35]).unwrap();
        let keys = Keys::of(&vault).unwrap();
        assert!(Keys::of(&vault).unwrap() == keys && keys.nonce != [0; 32]);
    }
}
