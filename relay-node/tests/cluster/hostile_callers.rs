//! Who proves nothing costs little, and keeps nobody out.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::daemon::{PATIENCE, text};
use crate::fleet::{Fleet, TOKEN, answer};

const CLASSIC: &str = "GET /?service=turn&username=alice HTTP/1.1\r\n\r\n";

/// Whether the server closes the connection by itself.
fn is_closed(stream: &mut impl Read) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0)) || matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_))
}

#[test]
fn silent_connections_keep_nobody_out() {
    let fleet = Fleet::of(1);
    let (https, grpc) = (fleet.relays[0].https, fleet.relays[0].grpc);
    // More than there are seats.
    let silent: Vec<_> =
        (0..600).map(|_| [https, grpc].map(|door| TcpStream::connect(door).unwrap())).collect();
    assert_eq!(fleet.web(0, TOKEN, CLASSIC).0, 200);
    assert!(fleet.command(0, &["issue", "--user", "alice"]).status.success());
    for [mut https, mut grpc] in silent.into_iter().take(3) {
        for stream in [&mut https, &mut grpc] {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            assert!(is_closed(stream), "the oldest strangers have given way");
        }
    }
}

#[test]
fn a_request_that_never_ends_is_ended() {
    let fleet = Fleet::of(1);
    let mut slow = fleet.https(0, None);
    let head =
        format!("POST /v1/credentials HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n");
    let (code, body) = answer(&mut slow, &format!("{head}Content-Length: 100\r\n\r\n{{"));
    assert_eq!(code, 408, "{body}");
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let fleet = Fleet::of(1);
    let mut stream = fleet.https(0, None);
    let head = format!("{}\r\nX: {}\r\n\r\n", CLASSIC.trim_end(), "a".repeat(100_000));
    // It may close before all of that is sent.
    let _ = stream.write_all(head.as_bytes());
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 431"), "{}", text(&said));
    assert_eq!(fleet.web(0, TOKEN, CLASSIC).0, 200);
}

#[test]
fn who_speaks_no_tls_is_not_heard() {
    let fleet = Fleet::of(1);
    for door in [fleet.relays[0].https, fleet.relays[0].grpc] {
        let mut stream = TcpStream::connect(door).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /?service=turn&username=alice HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(!said.starts_with(b"HTTP"), "{said:?}");
    }
}
