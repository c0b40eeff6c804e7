//! Calls at 50 packets a second each way, through the first node, that nothing is to disturb.

use std::time::Duration;

use edgerelay_e2e::calls::{Calls, Report};
use edgerelay_e2e::fleet::{Balancer, Fleet, Newcomer, Region, Way};
use edgerelay_e2e::network::Family;

const CALLS: usize = 20;
const OF_EACH_USER: usize = 10;
/// How long what happens at once may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Has calls go on while `disturb` does its work: no packet is lost, and no client asks for anything that is not due.
/// All allocations are there at the end.
pub(crate) fn calls_notice_nothing<'r, T>(
    region: &'r Region,
    fleet: &mut Fleet<'r>,
    disturb: impl FnOnce(&mut Fleet<'r>) -> T,
) -> T {
    let (report, outcome) = during_calls(region, fleet, disturb);
    assert_eq!(report.lost(), 0, "packets of calls were lost");
    outcome
}

/// The same where packets may be lost.
pub(crate) fn during_calls<'r, T>(
    region: &'r Region,
    fleet: &mut Fleet<'r>,
    disturb: impl FnOnce(&mut Fleet<'r>) -> T,
) -> (Report, T) {
    let calls = Calls::begin(&region.network, &fleet.nodes[0], CALLS, OF_EACH_USER);
    let (calls, report, outcome) = calls.during(|| disturb(fleet));
    print!("{report}");
    assert_eq!(report.unplanned(), 0, "clients made transactions that were not due");
    assert!(report.failures().is_empty(), "{:?}", report.failures());
    calls.leave();
    (report, outcome)
}

/// Has newcomers ask by the balancer; each is sent to a node and served there.
pub(crate) fn newcomers_are_served(region: &Region, balancer: &Balancer<'_>) {
    for _ in 0..10 {
        let mut newcomer = Newcomer::new(&region.network.bob, balancer, Family::V4, "newcomer");
        let Ok(Way::Go(there)) = newcomer.ask() else { panic!("a newcomer was served in place") };
        let mut client = newcomer.go_to(there).expect("who is sent somewhere is served there");
        client.refresh(0).expect("a client may end its allocation");
    }
}
