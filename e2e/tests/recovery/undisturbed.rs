//! The load that the other tests put on a relay loses nothing by itself, and leaves nothing behind.

use std::thread;
use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::calls::Calls;
use edgerelay_e2e::relay::Relay;

use crate::accounts;
use crate::scene::{CALLS, OF_EACH_USER, SETTINGS, during, nobody_acted, silence_is_below};

#[test]
fn two_hundred_calls_lose_nothing() {
    let network = Network::new();
    let relay = Relay::undisturbed(&network, &SETTINGS);
    let calls = Calls::begin(&network, &relay, CALLS, OF_EACH_USER);
    let course = during(&network, &relay, calls, || thread::sleep(Duration::from_secs(10)));
    assert_eq!(course.report.lost(), 0);
    nobody_acted(&course.report);
    accounts::are_exactly_those_of(course.calls, &network, &relay);
    silence_is_below(Duration::from_secs(1), &course.report);
}
