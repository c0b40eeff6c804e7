//! How a client meets challenges (RFC 8489 section 9.2.5).

use std::time::Instant;

use stun::attribute::{Nonce, Realm, Username};
use stun::{AttributeType, Message};
use turn_client::{ChallengeError, Failure, Path, Success};

use crate::server::{ALLOCATE, alice, allocated, challenge, logged_in, md5, outcome, sha256};

#[test]
fn the_first_request_is_bare_and_the_second_proves_the_password() {
    let now = Instant::now();
    let mut client = alice(Path::Datagrams);
    client.request(now, ALLOCATE).unwrap();
    let first = client.poll_packet().unwrap();
    assert!(!Message::parse(&first).unwrap().has(AttributeType::USERNAME));

    client.receive(now, &challenge(&first, 401, b"nonce", false));
    let second = client.poll_packet().unwrap();
    let request = Message::parse(&second).unwrap();
    assert_ne!(request.transaction_id(), Message::parse(&first).unwrap().transaction_id());
    assert_eq!(request.get(), Ok(Some(Username(b"alice"))));
    assert_eq!(request.get(), Ok(Some(Realm(b"example.org"))));
    assert_eq!(request.get(), Ok(Some(Nonce(b"nonce"))));
    assert!(request.verify_sha1(&md5()).is_ok());
    let outcome = outcome(&mut client, now, &allocated(&second, &md5()));
    assert!(matches!(outcome, Some(Ok(Success::Allocated(_)))), "{outcome:?}");
}

#[test]
fn offered_algorithms_lead_to_sha256() {
    let now = Instant::now();
    let mut client = alice(Path::Datagrams);
    client.request(now, ALLOCATE).unwrap();
    let first = client.poll_packet().unwrap();
    client.receive(now, &challenge(&first, 401, b"obMatJos2AAABnonce", true));
    let second = client.poll_packet().unwrap();
    assert!(Message::parse(&second).unwrap().verify_sha256(&sha256()).is_ok());
    let outcome = outcome(&mut client, now, &allocated(&second, &sha256()));
    assert!(matches!(outcome, Some(Ok(_))), "{outcome:?}");
}

#[test]
fn a_classic_client_takes_no_algorithms() {
    let now = Instant::now();
    let mut client = alice(Path::Datagrams).classic();
    client.request(now, ALLOCATE).unwrap();
    let first = client.poll_packet().unwrap();
    client.receive(now, &challenge(&first, 401, b"obMatJos2AAADnonce", true));
    let second = client.poll_packet().unwrap();
    let request = Message::parse(&second).unwrap();
    assert!(request.verify_sha1(&md5()).is_ok());
    assert_eq!(request.get(), Ok(Some(Username(b"alice"))));
}

#[test]
fn removed_algorithms_end_the_request() {
    let now = Instant::now();
    let mut client = alice(Path::Datagrams);
    client.request(now, ALLOCATE).unwrap();
    let first = client.poll_packet().unwrap();
    let outcome = outcome(&mut client, now, &challenge(&first, 401, b"obMatJos2AAABnonce", false));
    assert_eq!(outcome, Some(Err(Failure::Challenge(ChallengeError::BidDown))));
    assert!(client.poll_packet().is_none());
}

#[test]
fn a_second_401_says_that_the_credential_is_wrong() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    let outcome = outcome(&mut client, now, &challenge(&request, 401, b"another", false));
    assert!(matches!(outcome, Some(Err(Failure::Refused { code: 401, .. }))), "{outcome:?}");
}

#[test]
fn a_stale_nonce_is_replaced_but_not_for_ever() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    assert!(client.receive(now, &challenge(&request, 438, b"fresh", false)).is_none());
    let again = client.poll_packet().unwrap();
    assert_eq!(Message::parse(&again).unwrap().get(), Ok(Some(Nonce(b"fresh"))));
    let outcome = outcome(&mut client, now, &challenge(&again, 438, b"fresher", false));
    assert!(matches!(outcome, Some(Err(Failure::Refused { code: 438, .. }))), "{outcome:?}");
}

#[test]
fn requests_after_the_login_are_signed_at_once() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    client.receive(now, &allocated(&request, &md5()));
    client.request(now, turn_client::Request::Refresh { lifetime: 0 }).unwrap();
    assert!(Message::parse(&client.poll_packet().unwrap()).unwrap().verify_sha1(&md5()).is_ok());
}
