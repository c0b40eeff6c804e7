//! However many allocations end in the same moment, packets need not wait for all of them.

use std::time::Duration;

use crate::support::{Relay, TestClient};

#[test]
fn they_end_a_few_at_a_time() {
    let mut relay = Relay::new();
    for number in 1..=200 {
        TestClient::new(&format!("198.51.100.{number}:4000")).allocate(&mut relay);
    }
    relay.now = relay.now.after(Duration::from_secs(600));
    let mut left = vec![relay.turn.allocations()];
    while relay.turn.next_timeout().is_some_and(|due| due <= relay.now.monotonic) {
        relay.turn.timeout(relay.now);
        relay.drain();
        left.push(relay.turn.allocations());
    }
    assert_eq!(left.last(), Some(&0));
    assert!(left.windows(2).all(|pair| (1..=64).contains(&(pair[0] - pair[1]))), "{left:?}");
    assert!(relay.is_empty());
}
