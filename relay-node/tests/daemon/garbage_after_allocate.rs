//! A stream whose first bytes hold an Allocate and garbage is closed, and leaves no allocation behind.

use std::io::Write;

use crate::support::{Client, NodePlan, StreamWire, connect, is_closed, wait_until};

#[test]
fn an_allocate_and_garbage_in_one_read_leave_no_allocation() {
    let node = NodePlan::tcp().start();
    let mut teller = Client::over(StreamWire::new(connect(node.address())));
    let mut bytes = teller.signed_allocate();
    // No packet begins so.
    bytes.extend([0xFF; 64]);

    let mut stream = connect(node.address());
    stream.write_all(&bytes).unwrap();
    assert!(is_closed(&mut stream));
    wait_until("it is counted", || node.count(|stats| stats.connections_invalid) == 1);
    let created = || node.workers.counters().iter().map(|it| it.turn().allocations_created).sum::<u64>();
    assert_eq!(created(), 1, "the Allocate was taken");
    wait_until("the allocation is gone", || node.workers.allocations() == 0);
    teller.binding();
}
