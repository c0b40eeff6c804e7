//! A node whose own records are gone when it starts again goes on from what it had written to Redis.

use std::time::{Duration, Instant};

use edgerelay_e2e::binary;
use edgerelay_e2e::fleet::{Fleet, Region};

use crate::scene::during_calls;

/// What is aimed at is a second; a busy machine has less time for the relay.
const AIM: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(3);
/// How long calls go on before they are disturbed, and after.
const UNDISTURBED: Duration = Duration::from_secs(3);

#[test]
fn are_taken_from_redis() {
    let region = Region::new();
    for host in region.hosts() {
        // Else the kernel would tell a few clients only that nobody listens.
        host.namespace.sysctl("ipv4/icmp_ratelimit", "0").expect("root may");
        host.namespace.sysctl("ipv6/icmp/ratelimit", "0").expect("root may");
    }
    let mut fleet = Fleet::start(&region);
    let (report, (killed, started)) = during_calls(&region, &mut fleet, |fleet| {
        std::thread::sleep(UNDISTURBED);
        let node = &mut fleet.nodes[0];
        let killed = Instant::now();
        // Without a directory, records are in memory that the keeper and the relay alone have.
        node.kill_all();
        node.process().wait(SILENCE);
        let started = Instant::now();
        let next = node.another(binary::relay(), &[]);
        node.becomes(next);
        node.await_ready();
        std::thread::sleep(UNDISTURBED);
        (killed, started)
    });
    let impact = report.impacts(&[killed])[0];
    let after_start = impact.gap.saturating_sub(started - killed);
    println!("killed at {impact}; packets went on {after_start:?} after the start; aim: {AIM:?}");
    assert!(after_start < SILENCE, "calls were silent for {after_start:?} after the start");
    assert_eq!(
        report.lost_outside(killed, killed + impact.gap),
        0,
        "packets were lost before or after the silence"
    );
}
