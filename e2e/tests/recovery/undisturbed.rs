//! The load that the other tests put on a relay loses nothing by itself.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::calls::Calls;
use edgerelay_e2e::pace::Over;
use edgerelay_e2e::passers_by::pass_by;
use edgerelay_e2e::relay::Relay;

const CALLS: usize = 200;
/// What a user may have by default.
const OF_EACH_USER: usize = 100;

#[test]
fn two_hundred_calls_lose_nothing() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[("workers", "{ count = 2, pin = false }")]);
    let calls = Calls::begin(&network, &relay, CALLS, OF_EACH_USER);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let calls = scope.spawn(|| calls.talk(&over));
        let passers_by = scope.spawn(|| pass_by(&network, &relay, &over));
        {
            let _over = Over(&over);
            thread::sleep(Duration::from_secs(20));
        }
        let (_, report) = calls.join().expect("the calls go on");
        let passers_by = passers_by.join().expect("they are served");
        println!("{report}{passers_by:?}");
        assert_eq!((report.lost(), report.unplanned()), (0, 0), "{:?}", report.failures());
        assert!(report.failures().is_empty(), "{:?}", report.failures());
    });
}
