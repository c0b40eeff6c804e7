//! Nonces that need no table: an HMAC over the time and the client's address.
//!
//! `"obMatJos2"`, 4 characters of security features (RFC 8489 section 9.2), then base64 of 4 bytes of
//! time and 14 bytes of HMAC-SHA256. Any node that has the key accepts what another one gave.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::UnixSeconds;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = COOKIE.len() + FEATURES_LEN + 24;

/// What a nonce with security features begins with (RFC 8489 section 9.2).
const COOKIE: &[u8; 9] = b"obMatJos2";
/// Base64 of 24 feature bits, the rightmost of which is bit 0 (RFC 8489 section 18.1, erratum 6290).
/// Bit 0: password algorithms.
const ALGORITHMS: [u8; FEATURES_LEN] = *b"AAAB";
/// Bit 1 too: username anonymity.
const ALGORITHMS_AND_ANONYMITY: [u8; FEATURES_LEN] = *b"AAAD";
const FEATURES_LEN: usize = 4;
const TIME_LEN: usize = 4;
const TAG_LEN: usize = 14;
/// How far another node's clock may be ahead, in seconds.
const CLOCK_SKEW: u64 = 60;

/// The keys that nonces are made with, newest first.
#[derive(Clone)]
pub struct Nonces {
    /// With the key taken in already, which is half the work of a short message.
    keys: Vec<Hmac<Sha256>>,
    lifetime: u64,
    features: [u8; FEATURES_LEN],
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceCheck {
    /// From here, for this client, and in time.
    Valid,
    /// From here and for this client, but too old.
    Stale,
    /// Forged, for another client, or under a key that is gone.
    Foreign,
}

impl Nonces {
    /// Nonces under `keys`, the newest first, good for `lifetime` seconds.
    ///
    /// `anonymity` tells clients that they may send USERHASH. It is for servers that know all their
    /// users: nobody can tell a time-limited user name from its hash.
    pub fn new(keys: Vec<[u8; 32]>, lifetime: u64, anonymity: bool) -> Self {
        let features = if anonymity { ALGORITHMS_AND_ANONYMITY } else { ALGORITHMS };
        Self { keys: keys.into_iter().map(keyed).collect(), lifetime, features }
    }

    /// Makes a nonce, for one client address unless the address cannot be relied on.
    pub fn issue(&self, now: UnixSeconds, binding: Option<IpAddr>, nonce: &mut [u8; NONCE_LEN]) {
        let time = (now.get() as u32).to_be_bytes();
        let tag =
            self.keys.first().map(|key| mac(key, &self.features, time, binding).finalize().into_bytes());
        let mut opaque = [0; TIME_LEN + TAG_LEN];
        for (byte, value) in opaque.iter_mut().zip(time.into_iter().chain(tag.into_iter().flatten())) {
            *byte = value;
        }
        let (cookie, rest) = nonce.split_at_mut(COOKIE.len());
        let (features, text) = rest.split_at_mut(FEATURES_LEN);
        cookie.copy_from_slice(COOKIE);
        features.copy_from_slice(&self.features);
        // 18 bytes are 24 characters, which is what `text` has.
        let written = STANDARD.encode_slice(opaque, text);
        debug_assert_eq!(written, Ok(text.len()));
    }

    /// Judges a nonce that a client gave. Takes the same time whatever the tag.
    pub fn check(&self, now: UnixSeconds, binding: Option<IpAddr>, nonce: &[u8]) -> NonceCheck {
        let Some((features, time, tag)) = decode(nonce) else { return NonceCheck::Foreign };
        let made_with = |key| mac(key, features, time, binding).verify_truncated_left(&tag).is_ok();
        if !self.keys.iter().any(made_with) {
            return NonceCheck::Foreign;
        }
        // The time's upper half is not on the wire: the nearest moment that fits is meant.
        let age = i64::from((now.get() as u32).wrapping_sub(u32::from_be_bytes(time)) as i32);
        match u64::try_from(age) {
            Ok(age) if age <= self.lifetime => NonceCheck::Valid,
            Ok(_) => NonceCheck::Stale,
            Err(_) if age.unsigned_abs() <= CLOCK_SKEW => NonceCheck::Valid,
            Err(_) => NonceCheck::Foreign,
        }
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("keys", &self.keys.len()).field("lifetime", &self.lifetime).finish()
    }
}

/// Whether a client was told of password algorithms when it got this nonce (RFC 8489 section 9.2.4).
pub(crate) fn offers_password_algorithms(nonce: &[u8]) -> bool {
    let features = nonce.strip_prefix(COOKIE).and_then(|rest| rest.get(..FEATURES_LEN));
    let mut bits = [0; 3];
    features.is_some_and(|text| STANDARD.decode_slice(text, &mut bits).is_ok()) && bits[2] & 1 != 0
}

fn decode(nonce: &[u8]) -> Option<(&[u8; FEATURES_LEN], [u8; TIME_LEN], [u8; TAG_LEN])> {
    let (features, text) = nonce.strip_prefix(COOKIE)?.split_first_chunk()?;
    let mut opaque = [0; TIME_LEN + TAG_LEN];
    if STANDARD.decode_slice(text, &mut opaque) != Ok(opaque.len()) {
        return None;
    }
    let (time, tag) = opaque.split_first_chunk()?;
    Some((features, *time, tag.try_into().ok()?))
}

fn keyed(key: [u8; 32]) -> Hmac<Sha256> {
    let Ok(mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&key) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac
}

fn mac(
    key: &Hmac<Sha256>,
    features: &[u8; FEATURES_LEN],
    time: [u8; TIME_LEN],
    binding: Option<IpAddr>,
) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(features);
    mac.update(&time);
    match binding {
        None => {}
        Some(IpAddr::V4(ip)) => mac.update(&ip.octets()),
        Some(IpAddr::V6(ip)) => mac.update(&ip.octets()),
    }
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);
    const ALICE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7)));
    const BOB: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 8)));

    fn nonces() -> Nonces {
        Nonces::new(vec![[1; 32]], 600, true)
    }

    fn issued(nonces: &Nonces, binding: Option<IpAddr>) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonces.issue(NOW, binding, &mut nonce);
        nonce
    }

    fn later(seconds: i64) -> UnixSeconds {
        UnixSeconds::new(NOW.get().checked_add_signed(seconds).unwrap())
    }

    #[test]
    fn is_valid_for_its_lifetime_and_stale_after() {
        let nonce = issued(&nonces(), ALICE);
        for (age, check) in [
            (0, NonceCheck::Valid),
            (600, NonceCheck::Valid),
            (601, NonceCheck::Stale),
            (1_000_000, NonceCheck::Stale),
            (-60, NonceCheck::Valid),
            (-61, NonceCheck::Foreign),
        ] {
            assert_eq!(nonces().check(later(age), ALICE, &nonce), check, "{age} s after");
        }
    }

    #[test]
    fn is_foreign_from_another_address_or_without_one() {
        let nonce = issued(&nonces(), ALICE);
        assert_eq!(nonces().check(NOW, BOB, &nonce), NonceCheck::Foreign);
        assert_eq!(nonces().check(NOW, None, &nonce), NonceCheck::Foreign);
        assert_eq!(nonces().check(NOW, None, &issued(&nonces(), None)), NonceCheck::Valid);
    }

    #[test]
    fn outlives_the_rotation_of_its_key_until_the_key_is_gone() {
        let nonce = issued(&nonces(), ALICE);
        let rotated = Nonces::new(vec![[2; 32], [1; 32]], 600, true);
        assert_eq!(rotated.check(NOW, ALICE, &nonce), NonceCheck::Valid);
        assert_eq!(Nonces::new(vec![[2; 32]], 600, true).check(NOW, ALICE, &nonce), NonceCheck::Foreign);
    }

    #[test]
    fn tells_its_features_as_rfc_8489_says() {
        let nonce = issued(&nonces(), ALICE);
        assert!(nonce.starts_with(b"obMatJos2AAAD"));
        assert!(offers_password_algorithms(&nonce));
        let known_by_name = Nonces::new(vec![[1; 32]], 600, false);
        assert!(issued(&known_by_name, ALICE).starts_with(b"obMatJos2AAAB"));
        assert!(!offers_password_algorithms(b"obMatJos2AAAC"));
        assert!(!offers_password_algorithms(b"obMatJos2"));
        assert!(!offers_password_algorithms(b"anything else"));
    }

    proptest! {
        #[test]
        fn no_changed_nonce_is_valid(place in 0..NONCE_LEN, change in 1u8..) {
            let mut nonce = issued(&nonces(), ALICE);
            nonce[place] ^= change;
            prop_assert_eq!(nonces().check(NOW, ALICE, &nonce), NonceCheck::Foreign);
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(nonces().check(NOW, ALICE, &bytes), NonceCheck::Foreign);
        }
    }
}
