//! Any bytes as a nonce, and any change to a good one: only what was given out is taken back.

#![no_main]

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use libfuzzer_sys::fuzz_target;
use turn::nonce::{NONCE_LEN, NonceCheck, NonceKind};
use turn::{Nonces, UnixSeconds};

fuzz_target!(|bytes: &[u8]| {
    let nonces = Nonces::new(vec![[7; 32]], 600, true);
    let Some(([time @ .., host], any)) = bytes.split_first_chunk::<5>() else { return };
    let now = UnixSeconds::new(u64::from(u32::from_be_bytes(*time)));
    let kind = KINDS[usize::from(host % 3)];
    let client = IpAddr::from([198, 51, 100, *host]);
    let given = nonce(&nonces, now, kind, client);
    assert_eq!(nonces.check(now, client, &given), NonceCheck::Valid(kind));
    let elsewhere = nonces.check(now, IpAddr::from([203, 0, 113, *host]), &given);
    assert_eq!(elsewhere == NonceCheck::Foreign, kind == NonceKind::Bound, "from another address");

    let mut changed = given;
    changed.iter_mut().zip(any).for_each(|(byte, change)| *byte ^= change);
    for candidate in [any, &changed] {
        // The fuzzer sees what is compared, and so may find a nonce that was given at another time.
        if let NonceCheck::Valid(kind) | NonceCheck::Stale(kind) = nonces.check(now, client, candidate) {
            assert_eq!(candidate, nonce(&nonces, time_in(candidate), kind, client), "not given");
        }
    }
});

const KINDS: [NonceKind; 3] = [NonceKind::Bound, NonceKind::Unbound, NonceKind::Redirected];

fn nonce(nonces: &Nonces, now: UnixSeconds, kind: NonceKind, client: IpAddr) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonces.issue(now, kind, client, &mut nonce);
    nonce
}

/// The time in a nonce: the first four of the bytes behind "obMatJos2" and the features, in base64.
fn time_in(nonce: &[u8]) -> UnixSeconds {
    let bytes = STANDARD_NO_PAD.decode(&nonce[13..]).expect("what is taken is base64");
    let time = bytes.first_chunk().expect("what is taken holds a time");
    UnixSeconds::new(u64::from(u32::from_be_bytes(*time)))
}
