//! Whoever reaches the admin server can neither make it grow nor keep probes from their answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::{ALICE, Daemon, PATIENCE, UDP, wait_until};

/// A connection that has sent half of a request.
fn half(admin: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: relay\r\n").unwrap();
    stream
}

/// Whether the relay has ended a connection that got no answer.
fn is_ended(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn connections_that_ask_for_nothing_keep_nobody_out() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let mut idle: Vec<_> = (0..500).map(|_| half(relay.admin())).collect();
    assert_eq!(relay.get("/live"), (200, "alive\n".to_owned()));
    wait_until("no more than 64 are held", || {
        idle.retain_mut(|stream| !is_ended(stream));
        idle.len() <= 64
    });
    assert_eq!(relay.get("/ready").0, 200);
}

#[test]
fn one_connection_too_many_ends_the_oldest_and_no_other() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let mut held: Vec<_> = (0..64).map(|_| half(relay.admin())).collect();
    let _one_more = half(relay.admin());
    wait_until("the oldest is ended", || is_ended(&mut held[0]));
    // Not because its time was over: that of the next one began in the same moment.
    held[1].write_all(b"\r\n").unwrap();
    let mut status = [0; 12];
    held[1].read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[test]
fn a_request_that_trickles_in_is_cut_off() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let mut slow = half(relay.admin());
    slow.write_all(b"X-Slow: ").unwrap();
    wait_until("it is cut off", || slow.write_all(b"x").is_err() || is_ended(&mut slow));
}

#[test]
fn a_request_without_end_is_refused() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let mut endless = half(relay.admin());
    // The relay may have ended the connection before all of it is written.
    let _ = endless.write_all(&[b'x'; 64 * 1024]);
    let mut answer = Vec::new();
    let _ = endless.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(relay.get("/live").0, 200);
}
