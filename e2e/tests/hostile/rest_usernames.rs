//! Time-limited names that are over, or whose time is no time: 401, though each is signed with the
//! right secret, and nothing allocated.

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::credential::{Credential, unix_seconds};
use edgerelay_e2e::relay::{Relay, SECRET};
use edgerelay_e2e::steady::Steady;

const BOUND: u64 = 1 << 20;

#[test]
fn allocate_nothing() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    client.challenge();

    let now = unix_seconds();
    let later = now + 3600;
    let names = [
        // Over.
        format!("{}:mallory", now - 1),
        "0:mallory".to_owned(),
        "1:mallory".to_owned(),
        // More than 64 bits: cut off, each of these would be in the future or wrap to it.
        "18446744073709551616:mallory".to_owned(),
        format!("{}:mallory", (1_u128 << 64) + u128::from(later)),
        format!("{}:mallory", "9".repeat(400)),
        // Not a number.
        format!("-{later}:mallory"),
        format!("+{later}:mallory"),
        format!(" {later}:mallory"),
        format!("{later} :mallory"),
        format!("{later}.0:mallory"),
        format!("{later}e1:mallory"),
        format!("0x{later:x}:mallory"),
        "\u{0661}\u{0662}\u{0663}:mallory".to_owned(),
        "mallory".to_owned(),
        format!("mallory:{later}"),
        ":mallory".to_owned(),
        ":".to_owned(),
        String::new(),
    ];
    for name in names {
        client.use_credential(Credential::rest(SECRET, &name));
        assert_eq!(client.allocate(), Err(401), "{name:?}");
    }

    // The right name with a wrong, a shorter and no password.
    let good = relay.credential("mallory");
    for password in ["wrong", &good.password[..good.password.len() - 1], ""] {
        client.use_credential(Credential::long_term(&good.username, password));
        assert_eq!(client.allocate(), Err(401));
    }
    // A longer name under the password of a good one.
    let extended = format!("{}0", good.username);
    client.use_credential(Credential::long_term(&extended, &good.password));
    assert_eq!(client.allocate(), Err(401));
    steady.holds(BOUND);
}
