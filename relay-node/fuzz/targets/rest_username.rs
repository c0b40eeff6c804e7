//! Any bytes as the USERNAME of a time-limited credential, signed as its holder would: who gets in has
//! a name that is well formed and whose time is not over.

#![no_main]

mod relay;

use libfuzzer_sys::fuzz_target;
use relay::{Node, REALM, SECRET, START, client, message};
use stun::attribute::{Nonce, Realm, RequestedTransport, Username};
use stun::{Class, Key, Method};
use turn::Transport;
use turn::credentials::Secret;

fuzz_target!(|username: &[u8]| {
    let mut node = Node::new();
    let client = client("198.51.100.1:1000", Transport::Udp);
    let password = Secret::new(SECRET).expect("it is long enough").password(username);
    let key = Key::long_term_md5(username, REALM.as_bytes(), password.as_bytes());
    let nonce = node.workers[0].nonce(&client, false);
    let request = message(Class::Request, Method::ALLOCATE, 1, |writer| {
        let mut write = || {
            writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(username))?;
            writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&nonce))?;
            writer.integrity_sha1(&key).map(drop)
        };
        write().expect("the longest input fits");
    });
    node.client_packet(0, &client, &request);
    if node.workers[0].is_opening() {
        let name = str::from_utf8(username).expect("no other name is let in");
        let (expiry, user) = name.split_once(':').unwrap_or((name, ""));
        // Its client follows a 300.
        let expiry = expiry.strip_suffix("+300").unwrap_or(expiry);
        assert!(expiry.bytes().all(|byte| byte.is_ascii_digit()), "{name:?}");
        let expiry: u64 = expiry.parse().expect("no other time is taken");
        assert!(expiry > START.unix.get(), "{name:?} is over");
        assert!(!user.chars().any(char::is_control), "{name:?}");
        assert!(username.len() <= 508);
    }
    node.end();
});
