//! Allocations as a relay has them.

use std::net::Ipv4Addr;
use std::time::Duration;

use turn::Monotonic;
use turn::record::{AllocationRecord, ChannelRecord, PermissionRecord, Record, Survivor, Tallied};

const KEY: [u8; 16] = [7; 16];

/// One of many different allocations, as a call of two has it: of a time-limited user of tenant `t1`, over UDP and
/// IPv4, with a permission and a channel. It came to be at `now`, and has ten minutes.
///
/// # Panics
/// When records have another form by now.
pub fn survivor(number: u32, now: Monotonic) -> Survivor {
    let [_, high, middle, low] = number.to_be_bytes();
    let client = Ipv4Addr::new(198, 51, middle, low).octets();
    let port = |first: u16| (first + number as u16 % 10_000).to_be_bytes();
    let address = |ip: [u8; 4], port: [u8; 2]| [&[4][..], &ip, &port].concat();
    let until = |seconds| now.after(Duration::from_secs(seconds)).as_nanos().to_be_bytes();
    let (user, name) = (format!("t1:user{number}"), format!("1800000000:t1:user{number}"));
    let id = [number.to_be_bytes(), 1_u32.to_be_bytes()].concat();
    let record = |kind: u8, fields: &[&[u8]]| [&[0, 1, kind][..], &id, &fields.concat()].concat();
    let allocation = record(
        1,
        &[
            &address(client, port(20_000 + u16::from(high))),
            &address([203, 0, 113, 1], 3478_u16.to_be_bytes()),
            &[1],
            &[1, 4, 10, 0, 0, 1, 4, 203, 0, 113, 1],
            &port(50_000),
            &until(600),
            &[0],
            &now.as_nanos().to_be_bytes(),
            &[2],
            &counted(&user),
            &[1],
            &counted(&name),
            &KEY,
            &[0; 16],
            &[1],
            &counted("turn.example.org"),
            &[9; 12],
            &600_u32.to_be_bytes(),
            &[0, 0],
        ],
    );
    let peer = [192, 0, 2, low];
    let permission = record(2, &[&[4], &peer, &until(300)]);
    let channel =
        record(3, &[&0x4000_u16.to_be_bytes(), &address(peer, 40_000_u16.to_be_bytes()), &until(600)]);
    Survivor {
        allocation: AllocationRecord::decode(&allocation).expect("it is an allocation"),
        tallied: Tallied::default(),
        permissions: vec![PermissionRecord::decode(&permission).expect("it is a permission")],
        channels: vec![ChannelRecord::decode(&channel).expect("it is a channel")],
    }
}

fn counted(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}
