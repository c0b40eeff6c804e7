//! What is lost is sent again (RFC 8489 section 6.2.1).

use std::time::{Duration, Instant};

use turn_client::{Failure, Path, Timing};

use crate::server::{ALLOCATE, alice, failure};

#[test]
fn a_datagram_is_sent_seven_times_as_it_was_and_then_given_up() {
    let begin = Instant::now();
    let mut client = alice(Path::Datagrams);
    client.request(begin, ALLOCATE).unwrap();
    let first = client.poll_packet().unwrap();
    let mut sent = 1;
    let failure = loop {
        let due = client.next_timeout().unwrap();
        assert!(
            client.handle_timeout(due - Duration::from_millis(1)).is_none() && client.poll_packet().is_none()
        );
        if let Some(event) = client.handle_timeout(due) {
            assert_eq!(due - begin, Duration::from_millis(39_500));
            break failure(Some(event));
        }
        assert_eq!(client.poll_packet().unwrap(), first);
        sent += 1;
    };
    assert_eq!((sent, failure), (7, Failure::Silent));
    assert_eq!(client.next_timeout(), None);
}

#[test]
fn on_a_stream_it_is_sent_once() {
    let begin = Instant::now();
    let timing = Timing { stream: Duration::from_secs(5), ..Timing::default() };
    let mut client = alice(Path::Stream).with_timing(timing);
    client.request(begin, ALLOCATE).unwrap();
    client.poll_packet().unwrap();
    let event = client.handle_timeout(begin + Duration::from_secs(5));
    assert_eq!(failure(event), Failure::Silent);
    assert!(client.poll_packet().is_none());
}

#[test]
fn a_late_driver_gives_up_no_later() {
    let begin = Instant::now();
    let mut client = alice(Path::Datagrams);
    client.request(begin, ALLOCATE).unwrap();
    let late = begin + Duration::from_secs(60);
    let event = (0..7).find_map(|_| client.handle_timeout(late));
    assert_eq!(failure(event), Failure::Silent);
}
