//! A relay that cannot take over says why and ends; the one that serves goes on as if nothing had been.

use crate::support::{BOTH, Call, Site, datagram_socket};

/// A relay with a call, another one that does not take over from it, and how that ended.
fn refused(old: &str, new: &str) -> (i32, String) {
    let site = Site::new();
    let mut relay = site.serve(old);
    let (mut alice, mut carol) = (Call::udp(&relay), Call::tcp(&relay));
    let refused = site.refuse(new);
    alice.assert_on();
    carol.assert_on();
    Call::udp(&relay);
    assert!(relay.runs());
    refused
}

#[test]
fn a_configuration_that_cannot_be_used() {
    let (code, said) = refused(BOTH, &format!("{BOTH}\nlimits.user.allocations = 'many'"));
    assert_eq!(code, 2);
    assert!(said.contains("limits.user.allocations"), "{said}");
}

#[test]
fn a_certificate_that_is_not_there() {
    let tls = "listeners = [{ transport = 'tls', address = '127.0.0.1:0', certificate = '/nowhere', key = '/nowhere' }]";
    let (code, said) = refused(BOTH, tls);
    assert_eq!(code, 2);
    assert!(said.contains("/nowhere"), "{said}");
}

#[test]
fn a_listeners_address_that_cannot_be_had() {
    let socket = datagram_socket("127.0.0.1:0");
    let taken = socket.local_addr().unwrap();
    let more = format!("{{ transport = 'udp', address = '{taken}' }}");
    // No relay port is one that a socket gets by chance.
    let other = format!("relay.ports = '20000-20999'\n{}", BOTH.replace('[', &format!("[{more}, ")));
    let (code, said) = refused(BOTH, &other);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("cannot listen for udp clients on {taken}")), "{said}");
}

#[test]
fn an_address_that_calls_have() {
    let (code, said) = refused(BOTH, &format!("{BOTH}\nrelay.ports = '40000-40009'"));
    assert_eq!(code, 1);
    assert!(said.contains("calls would end with it: 1 have relayed addresses"), "{said}");
}

#[test]
fn a_listener_that_calls_came_by() {
    let (code, said) = refused(BOTH, "listeners = [{ transport = 'tcp', address = '127.0.0.1:0' }]");
    assert_eq!(code, 1);
    assert!(said.contains("and 1 came by a listener that is not among listeners"), "{said}");
}

#[test]
fn one_that_must_never_take_over() {
    let (code, said) = refused(BOTH, &format!("{BOTH}\nrecovery.take_over = 'never'"));
    assert_eq!(code, 1);
    assert!(said.contains("recovery.take_over is \"never\": end that one first"), "{said}");
}

#[test]
fn one_that_must_never_be_taken_over() {
    let (code, said) = refused(&format!("{BOTH}\nrecovery.take_over = 'never'"), BOTH);
    assert_eq!(code, 1);
    assert!(said.contains("it refuses: recovery.take_over is \"never\" there; end it first"), "{said}");
}
