//! Allocations as somebody wrote them down, for tests.

use std::time::Duration;

use turn::Monotonic;
use turn::record::{Change, Survivor, Tallied};

use super::moment::Moment;
use super::record::Written;
use crate::recovery::example::example;
use crate::recovery::records::format::Clock;

/// One of alice's.
pub(crate) fn written(slot: u32, permissions: usize, channels: usize) -> Written {
    let example = example(slot);
    let permission = |number: usize| match example.permission(0, [192, 0, 2, number as u8]) {
        Change::Permission { record, .. } => record,
        _ => unreachable!("it is a permission"),
    };
    let channel =
        |number: usize| match example.channel(0, 0x4000 + number as u16, ([192, 0, 2, 1], number as u16)) {
            Change::Channel { record, .. } => record,
            _ => unreachable!("it is a channel"),
        };
    let survivor = Survivor {
        allocation: example.record(),
        tallied: Tallied::default(),
        permissions: (0..permissions).map(permission).collect(),
        channels: (0..channels).map(channel).collect(),
    };
    let clock = Clock { boot: 1, namespace: 0 };
    let unix = Duration::from_secs(1_800_000_000);
    Written { at: Moment { clock, monotonic: Monotonic::from_nanos(1_000_000_000), unix }, survivor }
}
