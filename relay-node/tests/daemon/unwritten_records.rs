//! Where there is no room to write a call down, it goes on all the same: it is only not protected, which is counted.

use crate::support::{Client, Dynasty, NodePlan, peer, receive, wait_until};

#[test]
fn a_call_that_cannot_be_written_down_goes_on() {
    let mut dynasty = Dynasty::new();
    let plan = dynasty.records(NodePlan::udp());
    dynasty.take_all_room();
    let node = plan.start();
    let (mut client, peer) = (Client::udp(node.address()), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    client.send_channel(0x4000, b"there");
    assert_eq!(receive(&peer), (b"there".to_vec(), relayed));
    // The allocation, a permission and a channel.
    wait_until("all of it is counted", || node.count(|sockets| sockets.records_unwritten) == 3);
}
