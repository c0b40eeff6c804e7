//! Nonces that need no table: an HMAC over the time, the kind, and the client's address where it counts.
//!
//! `"obMatJos2"`, 4 characters of security features (RFC 8489 section 9.2), then base64 of 4 bytes of time,
//! one of the kind, and 13 of HMAC-SHA256. Any node that has the key accepts what another one gave.

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
const KIND_LEN: usize = 1;
const TAG_LEN: usize = 13;
const OPAQUE_LEN: usize = TIME_LEN + KIND_LEN + TAG_LEN;
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

/// What a nonce is good for. It says so itself, under its HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceKind {
    /// For one client address, which is thereby shown to be somebody's who gets our answers.
    Bound,
    /// For whoever has it: given where a load balancer may hide addresses. It shows nothing.
    Unbound,
    /// The same, and given to somebody who is sent to another node: not to be sent on once more.
    Redirected,
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceCheck {
    /// From here or from another node, for this client, and in time.
    Valid(NonceKind),
    /// The same, but too old.
    Stale(NonceKind),
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

    /// Makes a nonce of a kind for a client.
    pub fn issue(&self, now: UnixSeconds, kind: NonceKind, client: IpAddr, nonce: &mut [u8; NONCE_LEN]) {
        let time = (now.get() as u32).to_be_bytes();
        let tag = self.keys.first();
        let tag = tag.map(|key| mac(key, &self.features, time, kind, client).finalize().into_bytes());
        let mut opaque = [0; OPAQUE_LEN];
        let said = time.into_iter().chain([kind.to_byte()]).chain(tag.into_iter().flatten());
        opaque.iter_mut().zip(said).for_each(|(byte, value)| *byte = value);
        let (cookie, rest) = nonce.split_at_mut(COOKIE.len());
        let (features, text) = rest.split_at_mut(FEATURES_LEN);
        cookie.copy_from_slice(COOKIE);
        features.copy_from_slice(&self.features);
        // 18 bytes are 24 characters, which is what `text` has.
        let written = STANDARD.encode_slice(opaque, text);
        debug_assert_eq!(written, Ok(text.len()));
    }

    /// Judges a nonce that a client gave. Takes the same time whatever the tag.
    pub fn check(&self, now: UnixSeconds, client: IpAddr, nonce: &[u8]) -> NonceCheck {
        let Some(Said { features, time, kind, tag }) = decode(nonce) else { return NonceCheck::Foreign };
        let made_with = |key| mac(key, features, time, kind, client).verify_truncated_left(&tag).is_ok();
        if !self.keys.iter().any(made_with) {
            return NonceCheck::Foreign;
        }
        // The time's upper half is not on the wire: the nearest moment that fits is meant.
        let age = i64::from((now.get() as u32).wrapping_sub(u32::from_be_bytes(time)) as i32);
        match u64::try_from(age) {
            Ok(age) if age <= self.lifetime => NonceCheck::Valid(kind),
            Ok(_) => NonceCheck::Stale(kind),
            Err(_) if age.unsigned_abs() <= CLOCK_SKEW => NonceCheck::Valid(kind),
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

impl NonceKind {
    const fn to_byte(self) -> u8 {
        match self {
            Self::Bound => 1,
            Self::Unbound => 2,
            Self::Redirected => 3,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Bound, Self::Unbound, Self::Redirected].into_iter().find(|kind| kind.to_byte() == byte)
    }
}

/// What a nonce says.
struct Said<'n> {
    features: &'n [u8; FEATURES_LEN],
    time: [u8; TIME_LEN],
    kind: NonceKind,
    tag: [u8; TAG_LEN],
}

fn decode(nonce: &[u8]) -> Option<Said<'_>> {
    let (features, text) = nonce.strip_prefix(COOKIE)?.split_first_chunk()?;
    let mut opaque = [0; OPAQUE_LEN];
    if STANDARD.decode_slice(text, &mut opaque) != Ok(opaque.len()) {
        return None;
    }
    let (time, rest) = opaque.split_first_chunk()?;
    let (kind, tag) = rest.split_first()?;
    Some(Said { features, time: *time, kind: NonceKind::from_byte(*kind)?, tag: tag.try_into().ok()? })
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
    kind: NonceKind,
    client: IpAddr,
) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(features);
    mac.update(&time);
    mac.update(&[kind.to_byte()]);
    match (kind, client) {
        (NonceKind::Bound, IpAddr::V4(ip)) => mac.update(&ip.octets()),
        (NonceKind::Bound, IpAddr::V6(ip)) => mac.update(&ip.octets()),
        (NonceKind::Unbound | NonceKind::Redirected, _) => {}
    }
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);
    const ALICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
    const BOB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 8));
    const VALID: NonceCheck = NonceCheck::Valid(NonceKind::Bound);

    fn nonces() -> Nonces {
        Nonces::new(vec![[1; 32]], 600, true)
    }

    fn issued(nonces: &Nonces, kind: NonceKind) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonces.issue(NOW, kind, ALICE, &mut nonce);
        nonce
    }

    fn later(seconds: i64) -> UnixSeconds {
        UnixSeconds::new(NOW.get().checked_add_signed(seconds).unwrap())
    }

    #[test]
    fn is_valid_for_its_lifetime_and_stale_after() {
        for kind in [NonceKind::Bound, NonceKind::Unbound, NonceKind::Redirected] {
            let nonce = issued(&nonces(), kind);
            for (age, check) in [
                (0, NonceCheck::Valid(kind)),
                (600, NonceCheck::Valid(kind)),
                (601, NonceCheck::Stale(kind)),
                (1_000_000, NonceCheck::Stale(kind)),
                (-60, NonceCheck::Valid(kind)),
                (-61, NonceCheck::Foreign),
            ] {
                assert_eq!(nonces().check(later(age), ALICE, &nonce), check, "{age} s after");
            }
        }
    }

    #[test]
    fn only_a_bound_one_is_foreign_from_another_address() {
        let check = |kind| nonces().check(NOW, BOB, &issued(&nonces(), kind));
        assert_eq!(check(NonceKind::Bound), NonceCheck::Foreign);
        for kind in [NonceKind::Unbound, NonceKind::Redirected] {
            assert_eq!(check(kind), NonceCheck::Valid(kind));
        }
    }

    #[test]
    fn nobody_makes_another_kind_of_it() {
        let nonce = issued(&nonces(), NonceKind::Unbound);
        let (head, text) = nonce.split_at(COOKIE.len() + FEATURES_LEN);
        let opaque = STANDARD.decode(text).unwrap();
        for kind in 0..=u8::MAX {
            let mut changed = opaque.clone();
            changed[TIME_LEN] = kind;
            let nonce = [head, STANDARD.encode(changed).as_bytes()].concat();
            let is_it = kind == NonceKind::Unbound.to_byte();
            let check = nonces().check(NOW, ALICE, &nonce);
            assert_eq!(check == NonceCheck::Foreign, !is_it, "kind {kind}: {check:?}");
        }
    }

    #[test]
    fn outlives_the_rotation_of_its_key_until_the_key_is_gone() {
        let nonce = issued(&nonces(), NonceKind::Bound);
        let rotated = Nonces::new(vec![[2; 32], [1; 32]], 600, true);
        assert_eq!(rotated.check(NOW, ALICE, &nonce), VALID);
        assert_eq!(Nonces::new(vec![[2; 32]], 600, true).check(NOW, ALICE, &nonce), NonceCheck::Foreign);
    }

    #[test]
    fn tells_its_features_as_rfc_8489_says() {
        let nonce = issued(&nonces(), NonceKind::Bound);
        assert!(nonce.starts_with(b"obMatJos2AAAD"));
        assert!(offers_password_algorithms(&nonce));
        let known_by_name = Nonces::new(vec![[1; 32]], 600, false);
        assert!(issued(&known_by_name, NonceKind::Bound).starts_with(b"obMatJos2AAAB"));
        assert!(!offers_password_algorithms(b"obMatJos2AAAC"));
        assert!(!offers_password_algorithms(b"obMatJos2"));
        assert!(!offers_password_algorithms(b"anything else"));
    }

    proptest! {
        #[test]
        fn no_changed_nonce_is_valid(place in 0..NONCE_LEN, change in 1u8..) {
            let mut nonce = issued(&nonces(), NonceKind::Bound);
            nonce[place] ^= change;
            prop_assert_eq!(nonces().check(NOW, ALICE, &nonce), NonceCheck::Foreign);
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(nonces().check(NOW, ALICE, &bytes), NonceCheck::Foreign);
        }
    }
}
