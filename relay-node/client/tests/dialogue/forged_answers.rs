//! An answer without the proof that the server knows the password (RFC 8489 section 9.2.5).

use std::time::Instant;

use stun::attribute::ErrorCode;
use stun::{Class, Key};
use turn_client::{Client, Failure, Path};

use crate::server::{allocated, answer, failure, logged_in, md5, outcome};

fn mallorys() -> Key {
    Key::short_term(b"guessed")
}

fn patience_ends(client: &mut Client) -> Failure {
    loop {
        let due = client.next_timeout().unwrap();
        if let Some(event) = client.handle_timeout(due) {
            return failure(Some(event));
        }
    }
}

#[test]
fn over_datagrams_the_true_answer_still_counts() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    assert!(client.receive(now, &allocated(&request, &mallorys())).is_none());
    let outcome = outcome(&mut client, now, &allocated(&request, &md5()));
    assert!(matches!(outcome, Some(Ok(_))), "{outcome:?}");
}

#[test]
fn where_no_true_answer_comes_it_is_no_time_out() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    client.receive(now, &allocated(&request, &mallorys()));
    assert_eq!(patience_ends(&mut client), Failure::Unproven);
}

#[test]
fn on_a_stream_it_ends_the_request() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Stream, now);
    let outcome = outcome(&mut client, now, &allocated(&request, &mallorys()));
    assert_eq!(outcome, Some(Err(Failure::Unproven)));
}

#[test]
fn an_error_under_a_wrong_key_is_no_answer_and_a_bare_one_is() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    let quota = ErrorCode { code: 486, reason: "quota" };
    let forged = answer(&request, Class::Error, |writer| {
        writer.attribute(&quota)?.integrity_sha1(&mallorys()).map(drop)
    });
    assert!(client.receive(now, &forged).is_none());
    let bare = answer(&request, Class::Error, |writer| writer.attribute(&quota).map(drop));
    let outcome = outcome(&mut client, now, &bare);
    assert!(matches!(outcome, Some(Err(Failure::Refused { code: 486, .. }))), "{outcome:?}");
}

#[test]
fn an_answer_to_nothing_is_ignored() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    let mut other = allocated(&request, &md5());
    other[19] ^= 1;
    assert!(client.receive(now, &other).is_none(), "another transaction");
    let mut other = allocated(&request, &md5());
    other[1] = 0x04;
    assert!(client.receive(now, &other).is_none(), "another method");
    assert!(client.next_timeout().is_some(), "the request is still under way");
}
