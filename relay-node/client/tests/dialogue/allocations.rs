//! What a client reads out of the answer to an Allocate.

use std::time::Instant;

use stun::Class;
use stun::attribute::{
    AddressErrorCode, AddressFamily, AlternateServer, ErrorCode, Lifetime, ReservationToken,
    XorMappedAddress, XorRelayedAddress,
};
use turn_client::{AnswerError, Failure, Path, Success};

use crate::server::{answer, logged_in, md5, outcome};

#[test]
fn addresses_token_and_what_could_not_be_had() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    let bytes = answer(&request, Class::Success, |writer| {
        writer.attribute(&XorRelayedAddress("203.0.113.1:50000".parse().unwrap()))?;
        writer.attribute(&XorRelayedAddress("[2001:db8::1]:50002".parse().unwrap()))?;
        writer.attribute(&XorMappedAddress("198.51.100.7:4000".parse().unwrap()))?;
        writer.attribute(&Lifetime(777))?.attribute(&ReservationToken([5; 8]))?;
        writer.attribute(&AddressErrorCode { family: AddressFamily::V6, code: 440, reason: "" })?;
        writer.integrity_sha1(&md5()).map(drop)
    });
    let Some(Ok(Success::Allocated(allocation))) = outcome(&mut client, now, &bytes) else {
        panic!("not allocated")
    };
    let relayed: Vec<String> = allocation.relayed.iter().map(ToString::to_string).collect();
    assert_eq!(relayed, ["203.0.113.1:50000", "[2001:db8::1]:50002"]);
    assert_eq!(allocation.mapped.to_string(), "198.51.100.7:4000");
    assert_eq!(allocation.lifetime, 777);
    assert_eq!(allocation.reservation, Some(ReservationToken([5; 8])));
    assert_eq!(allocation.refused, Some((AddressFamily::V6, 440)));
}

#[test]
fn a_success_without_an_address_is_none() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    let bytes = answer(&request, Class::Success, |writer| writer.integrity_sha1(&md5()).map(drop));
    let outcome = outcome(&mut client, now, &bytes);
    assert_eq!(outcome, Some(Err(Failure::Answer(AnswerError::Missing("relayed address")))));
}

#[test]
fn a_300_names_the_other_server() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    let other = "203.0.113.2:3478".parse().unwrap();
    let bytes = answer(&request, Class::Error, |writer| {
        writer.attribute(&ErrorCode { code: 300, reason: "Try Alternate" })?;
        writer.attribute(&AlternateServer(other))?.integrity_sha1(&md5()).map(drop)
    });
    let Some(Err(Failure::Refused { code: 300, alternate, .. })) = outcome(&mut client, now, &bytes) else {
        panic!("not sent elsewhere")
    };
    assert_eq!(alternate, Some(other));
}
